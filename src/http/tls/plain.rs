//! Plain HTTP on the HTTPS port: the client is sent to the https address instead of getting a broken connection.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// First byte of every TLS connection (RFC 8446, section 5.1: handshake).
const TLS_HANDSHAKE: u8 = 0x16;
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 8 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Gives a connection back that begins with TLS; answers any other itself, which is an error.
pub async fn expect_tls(mut stream: TcpStream) -> io::Result<TcpStream> {
    let mut first = [0];
    let seen = timeout(PATIENCE, stream.peek(&mut first)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if seen == 1 && first[0] != TLS_HANDSHAKE {
        timeout(PATIENCE, answer(&mut stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(stream)
}

async fn answer(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    let mut searched = 0;
    while head.len() < MAX_HEAD_BYTES {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
        // Only what is new, and where it meets the old: a head may come byte by byte.
        if head[searched..].windows(HEAD_END.len()).any(|end| end == HEAD_END) {
            break;
        }
        searched = head.len().saturating_sub(HEAD_END.len() - 1);
    }
    stream.write_all(response(&head).as_bytes()).await?;
    stream.shutdown().await
}

/// A redirect where the request names path and host, else a sentence.
fn response(head: &[u8]) -> String {
    let text = "This port speaks HTTPS: open the same address with https:// in front.\n";
    let (status, location) = match target(head) {
        Some(target) => ("308 Permanent Redirect", format!("Location: https://{target}\r\n")),
        None => ("400 Bad Request", String::new()),
    };
    format!(
        "HTTP/1.1 {status}\r\n{location}Content-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// Host and path, when both are made of harmless characters.
fn target(head: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let path =
        lines.next()?.split(' ').nth(1).filter(|path| path.starts_with('/') && !path.starts_with("//"))?;
    let (_, host) =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let host = host.trim();
    let fits = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| format!("{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_request_is_sent_to_the_same_place_by_https() {
        let answer = response(b"GET /play/x?a=b HTTP/1.1\r\nHost: play.test:8080\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
        assert!(answer.contains("\r\nLocation: https://play.test:8080/play/x?a=b\r\n"), "{answer}");
    }

    #[test]
    fn what_is_no_request_gets_a_sentence_and_never_a_header_of_its_own() {
        for head in [
            &b"\x00\x01"[..],
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\nSet-Cookie: b\r\n\r\n",
            b"GET //evil HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let answer = response(head);
            assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("Location"), "{answer}");
        }
    }
}
