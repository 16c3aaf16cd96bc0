//! An archive on its way from the engine to a thread that reads it, a few chunks at a time.

use bollard::errors::Error as EngineError;
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use std::io::{self, Read};
use tokio::sync::mpsc;
use tokio::task::JoinError;

/// Chunks between the engine and the thread: when full, the engine waits.
const CHUNKS: usize = 8;

/// Told after the last chunk: without it the archive is not whole, however whole it looks.
const END: Bytes = Bytes::new();

/// Lets `work` read what comes, `first` first, on a thread of its own. When it ends early, so does the reading.
pub(super) async fn read_blocking<T: Send + 'static>(
    first: Option<Result<Bytes, EngineError>>,
    mut rest: impl Stream<Item = Result<Bytes, EngineError>> + Unpin,
    work: impl FnOnce(ChunkReader) -> T + Send + 'static,
) -> Result<T, JoinError> {
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let working = tokio::task::spawn_blocking(move || work(ChunkReader::new(chunks)));
    let mut next = first;
    while let Some(chunk) = next {
        let broken = chunk.is_err();
        // A thread that ended early has the reason.
        if sender.send(chunk.map_err(io::Error::other)).await.is_err() || broken {
            break;
        }
        next = rest.next().await;
        if next.is_none() {
            let _ = sender.send(Ok(END)).await;
        }
    }
    drop(sender);
    working.await
}

/// Reads what comes over a channel until [`END`].
pub(super) struct ChunkReader {
    chunks: mpsc::Receiver<Result<Bytes, io::Error>>,
    current: Bytes,
    ended: bool,
}

impl ChunkReader {
    fn new(chunks: mpsc::Receiver<Result<Bytes, io::Error>>) -> Self {
        Self { chunks, current: Bytes::new(), ended: false }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            let chunk =
                self.chunks.blocking_recv().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
            self.current = chunk?;
            self.ended = self.current == END;
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_was_given_up_is_never_taken_for_a_whole_one() {
        let read = |chunks: &[&'static str]| {
            let (sender, receiver) = mpsc::channel(CHUNKS);
            for chunk in chunks {
                sender.try_send(Ok(Bytes::from_static(chunk.as_bytes()))).unwrap();
            }
            drop(sender);
            let mut text = String::new();
            ChunkReader::new(receiver).read_to_string(&mut text).map(|_| text).ok()
        };
        assert_eq!(read(&["ab", "c", ""]).as_deref(), Some("abc"));
        assert_eq!(read(&["ab", "c"]), None);
        assert_eq!(read(&[]), None);
    }
}
