//! Bodies that stop when the token they were asked for by lapses.
//!
//! A log that is followed ends in order. A file breaks off with an error: its reader must not take a part for the whole.

use crate::auth::Validity;
use crate::driver::ByteStream;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use std::io;

/// Nothing comes after the lapse.
pub(super) fn ended_by(
    bytes: ByteStream,
    mut validity: Validity,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    bytes.take_until(async move { validity.lapsed().await })
}

/// As [`ended_by`], with an error at its end.
pub(super) fn broken_by(
    bytes: ByteStream,
    validity: Validity,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let at_the_end = validity.clone();
    let lapsed = stream::once(async move { at_the_end.lapse() }).filter_map(|lapse| async move {
        lapse.map(|_| {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "the caller's token is not valid any more"))
        })
    });
    ended_by(bytes, validity).chain(lapsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Lapse;

    fn endless() -> ByteStream {
        stream::repeat(()).map(|()| Ok(Bytes::from_static(b"line\n"))).boxed()
    }

    #[tokio::test]
    async fn nothing_is_given_out_after_a_lapse_and_a_file_breaks_off() {
        let (told, validity) = Validity::told_by();
        let (mut log, mut file) =
            (Box::pin(ended_by(endless(), validity.clone())), Box::pin(broken_by(endless(), validity)));
        assert!(log.next().await.unwrap().is_ok() && file.next().await.unwrap().is_ok());
        told.send_replace(Some(Lapse::Revoked));
        assert!(log.next().await.is_none());
        assert_eq!(file.next().await.unwrap().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(file.next().await.is_none());
    }

    #[tokio::test]
    async fn what_ends_by_itself_is_whole() {
        let (_told, validity) = Validity::told_by();
        let parts = [Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b"))];
        let file = broken_by(stream::iter(parts).boxed(), validity);
        let read: Vec<_> = file.map(|part| part.unwrap()).collect().await;
        assert_eq!(read.concat(), b"ab");
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_told() {
        let (told, validity) = Validity::told_by();
        let mut silent = Box::pin(ended_by(stream::pending().boxed(), validity));
        let waiting = tokio::spawn(async move { silent.next().await.is_none() });
        told.send_replace(Some(Lapse::Expired));
        assert!(waiting.await.unwrap());
    }
}
