//! What of a save directory is not kept, named to the player and in the log. Bounded, whatever a game leaves.

use std::fmt;
use std::path::Path;

/// Names kept of what was left out; the rest is counted.
const NAMED: usize = 5;
/// Longest name shown, in characters.
const NAME: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    LinkOutside,
    /// A hard link to what is not in the save.
    HardLinkOutside,
    Socket,
    Pipe,
    Device,
    Other,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            // Also one that climbs after going down: what it passes may be a link itself.
            Self::LinkOutside => "a link that may lead outside the save",
            Self::HardLinkOutside => "a hard link that leads outside the save",
            Self::Socket => "a socket",
            Self::Pipe => "a pipe",
            Self::Device => "a device",
            Self::Other => "not a file",
        }
    }
}

/// What was left out. As a sentence for the player, without its full stop: "Not kept: `a` (a socket) and 3 more".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftOut {
    count: usize,
    named: Vec<(String, Why)>,
}

impl LeftOut {
    pub(crate) fn note(&mut self, path: &Path, why: Why) {
        self.count += 1;
        if self.named.len() < NAMED {
            let name = path.to_string_lossy();
            let mut shown: String = name.chars().take(NAME).flat_map(char::escape_debug).collect();
            if name.chars().nth(NAME).is_some() {
                shown.push('…');
            }
            self.named.push((shown, why));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Both, for what was left out on two steps of one way.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.count += other.count;
        let room = NAMED.saturating_sub(self.named.len());
        self.named.extend(other.named.into_iter().take(room));
        self
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Not kept: ")?;
        for (index, (name, why)) in self.named.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}`{name}` ({})", why.words())?;
        }
        let more = self.count - self.named.len();
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_shows_no_control_characters() {
        let mut left_out = LeftOut::default();
        left_out.note(Path::new("a\u{1b}[2J\n"), Why::Socket);
        assert_eq!(left_out.to_string(), "Not kept: `a\\u{1b}[2J\\n` (a socket)");
        for _ in 0..1000 {
            left_out.note(Path::new(&"x".repeat(5000)), Why::LinkOutside);
        }
        let text = left_out.to_string();
        assert!(text.len() < 1000 && text.ends_with(" and 996 more"), "{text}");
    }
}
