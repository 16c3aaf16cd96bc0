//! A game's standard error, line by line, into the log.

use crate::ids::SessionId;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::time::Instant;

/// Longest line that is logged whole, in bytes; the rest of a longer one is cut.
const MAX_LINE: usize = 4096;
/// Lines of one game logged per second; more are counted and told once.
const MAX_LINES_PER_SECOND: u32 = 50;

/// Runs until the stream ends: when the last process that holds it is gone.
pub(super) async fn log_lines(session: SessionId, stream: impl AsyncRead + Unpin) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let mut window = Window { since: Instant::now(), lines: 0, dropped: 0 };
    loop {
        let Ok(buffer) = reader.fill_buf().await else { break };
        if buffer.is_empty() {
            break;
        }
        let newline = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..newline.unwrap_or(buffer.len())];
        line.extend_from_slice(&part[..part.len().min(MAX_LINE - line.len())]);
        let used = part.len() + usize::from(newline.is_some());
        reader.consume(used);
        if newline.is_some() {
            window.log(session, &line);
            line.clear();
        }
    }
    if !line.is_empty() {
        window.log(session, &line);
    }
}

struct Window {
    since: Instant,
    lines: u32,
    dropped: u64,
}

impl Window {
    fn log(&mut self, session: SessionId, line: &[u8]) {
        if self.since.elapsed() >= Duration::from_secs(1) {
            if self.dropped > 0 {
                tracing::warn!(%session, dropped = self.dropped, "the game writes more than is logged");
            }
            *self = Self { since: Instant::now(), lines: 0, dropped: 0 };
        }
        if self.lines >= MAX_LINES_PER_SECOND {
            self.dropped += 1;
            return;
        }
        self.lines += 1;
        tracing::info!(%session, line = %String::from_utf8_lossy(line), "game");
    }
}
