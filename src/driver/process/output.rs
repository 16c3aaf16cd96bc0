//! A game's standard error, line by line, into the log.

use crate::model::ids::SessionId;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::time::Instant;
use tracing::Level;

/// Longest line that is logged whole, in bytes; the rest of a longer one is cut.
const MAX_LINE: usize = 4096;
/// Lines of one game logged per second; more are counted and told once.
const MAX_LINES_PER_SECOND: u32 = 50;

/// Runs until the stream ends: when the last process that holds it is gone.
pub(super) async fn log_lines(session: SessionId, stream: impl AsyncRead + Unpin) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    let mut window = Window { since: Instant::now(), lines: 0, dropped: 0 };
    while let Ok(buffer) = reader.fill_buf().await {
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
        let line = String::from_utf8_lossy(line);
        let (level, text) = level(line.trim());
        let text = printable(text);
        match level {
            Level::ERROR => tracing::error!(%session, "game: {text}"),
            Level::WARN => tracing::warn!(%session, "game: {text}"),
            Level::INFO => tracing::info!(%session, "game: {text}"),
            _ => tracing::debug!(%session, "game: {text}"),
        }
    }
}

/// The line as part of a message, without quotes around it: control characters are escaped, for a terminal would obey them.
fn printable(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// As loud as the game means it, where it says so first; and the line without that word. OpenH264 writes past the runner's log, and its warnings are of
/// settings that were chosen knowingly.
fn level(line: &str) -> (Level, &str) {
    if line.starts_with("[OpenH264]") {
        return (if line.contains(", Error:") { Level::ERROR } else { Level::DEBUG }, line);
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let level = match word {
        "ERROR" => Level::ERROR,
        "WARN" => Level::WARN,
        "INFO" => Level::INFO,
        "DEBUG" | "TRACE" => Level::DEBUG,
        _ => return (Level::INFO, line),
    };
    (level, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_loud_as_the_game_means_it() {
        for (line, expected, text) in [
            ("ERROR playgate::cli::runner: no save", Level::ERROR, "playgate::cli::runner: no save"),
            ("WARN  playgate::runner: slow", Level::WARN, "playgate::runner: slow"),
            ("INFO playgate::runner: ready", Level::INFO, "playgate::runner: ready"),
            ("DEBUG x: y", Level::DEBUG, "x: y"),
            ("thread 'main' panicked at", Level::INFO, "thread 'main' panicked at"),
            ("", Level::INFO, ""),
        ] {
            assert_eq!(level(line), (expected, text));
        }
        for (line, expected) in [
            ("[OpenH264] this = 0x0x1, Warning:bEnableFrameSkip = 0,bitrate", Level::DEBUG),
            ("[OpenH264] this = 0x0x1, Error:no memory", Level::ERROR),
        ] {
            assert_eq!(level(line), (expected, line));
        }
    }

    #[test]
    fn a_line_is_shown_as_it_is_but_for_control_characters() {
        assert_eq!(printable("said \"hello\" in C:\\games"), "said \"hello\" in C:\\games");
        assert_eq!(printable("\u{1b}[31mred\tand\u{7}"), "\\u{1b}[31mred\\tand\\u{7}");
    }
}
