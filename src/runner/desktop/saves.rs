//! Watches the directory that a program saves into: says that it has changed, and that it has come to rest.
//!
//! The program writes when it likes and in as many steps as it likes, so nothing here writes, and `saved` is said only of
//! a directory that did not change for a while: a gateway that copies it then gets whole files.

use super::super::Event;
use super::super::save::Inbox;
use super::super::signal::Signal;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The directory is looked at this often.
const LOOK: Duration = Duration::from_secs(2);
/// Unchanged for this long, it is at rest.
const REST: Duration = Duration::from_millis(200);
/// A game that writes without pause is not waited for longer than this.
const RESTLESS: Duration = Duration::from_secs(1);
/// At the end the game is dead and nothing moves; a helper of it may still write.
const RESTLESS_AT_END: Duration = Duration::from_millis(500);
/// Entries and levels that are looked at: a save directory has a few.
const ENTRIES: usize = 4096;
const LEVELS: usize = 8;

/// The thread's body; ends when told to, with the last `Saved` said.
pub(super) fn watch(directory: &Path, inbox: &Arc<Signal<Inbox>>, events: &mpsc::Sender<Event>) {
    let mut last = look(directory);
    let mut dirty = false;
    loop {
        let (flush, end) = inbox.wait(
            Some(Instant::now() + LOOK),
            |inbox| inbox.flush || inbox.end,
            |inbox| (std::mem::take(&mut inbox.flush), inbox.end),
        );
        if flush || end {
            rest(directory, if end { RESTLESS_AT_END } else { RESTLESS });
            last = look(directory);
            dirty = false;
            let _ = events.blocking_send(Event::Saved);
            if end {
                return;
            }
            continue;
        }
        let now = look(directory);
        let changed = now != last;
        last = now;
        if changed && !dirty {
            dirty = true;
            let _ = events.blocking_send(Event::SaveDirty);
        } else if !changed && std::mem::take(&mut dirty) {
            let _ = events.blocking_send(Event::Saved);
        }
    }
}

/// Waits until nothing has changed for a while, at most about `longest`.
fn rest(directory: &Path, longest: Duration) {
    let begun = Instant::now();
    let mut before = look(directory);
    loop {
        std::thread::sleep(REST);
        let now = look(directory);
        if now == before || begun.elapsed() >= longest {
            return;
        }
        before = now;
    }
}

/// A number that changes with the names, sizes, times and identities of what is in the directory. What cannot be read
/// counts as not there.
fn look(directory: &Path) -> u64 {
    let mut found = Vec::new();
    let mut open = vec![(directory.to_owned(), 0)];
    while let Some((path, level)) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&path) else { continue };
        for entry in entries.flatten() {
            if found.len() >= ENTRIES {
                open.clear();
                break;
            }
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                // Its own time changes with its entries, which are looked at themselves.
                found.push((entry.path(), 0, 0, 0, about.ino()));
                if level < LEVELS {
                    open.push((entry.path(), level + 1));
                }
            } else {
                found.push((entry.path(), about.len(), about.mtime(), about.mtime_nsec(), about.ino()));
            }
        }
    }
    found.sort();
    let mut hasher = DefaultHasher::new();
    found.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen_and_reading_is_none() {
        let directory = tempfile::tempdir().expect("directory");
        let root = directory.path();
        assert_eq!(look(&root.join("missing")), look(root), "an empty directory is like none");
        let mut seen = vec![look(root)];
        let mut changed = |what: &str| {
            let now = look(root);
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
            assert_eq!(look(root), now, "looking changes nothing");
        };
        std::fs::create_dir(root.join("slots")).expect("makes");
        changed("a directory");
        std::fs::write(root.join("slots/1"), b"a").expect("writes");
        changed("a file");
        std::fs::write(root.join("slots/1"), b"ab").expect("writes");
        changed("a longer file");
        std::fs::write(root.join("slots/1.new"), b"cd").expect("writes");
        changed("a second file");
        std::fs::rename(root.join("slots/1.new"), root.join("slots/1")).expect("renames");
        changed("a replaced file");
        std::fs::remove_file(root.join("slots/1")).expect("removes");
        assert_eq!(look(root), seen[1], "back to where it was");
    }

    #[test]
    fn a_flush_and_the_end_are_each_answered_with_saved() {
        let directory = tempfile::tempdir().expect("directory");
        let inbox: Arc<Signal<Inbox>> = Arc::default();
        let (sender, mut events) = mpsc::channel(8);
        std::thread::scope(|scope| {
            scope.spawn(|| watch(directory.path(), &inbox, &sender));
            inbox.change(|inbox| inbox.flush = true);
            assert!(matches!(events.blocking_recv(), Some(Event::Saved)));
            std::fs::write(directory.path().join("save"), b"a").expect("writes");
            assert!(matches!(events.blocking_recv(), Some(Event::SaveDirty)));
            assert!(matches!(events.blocking_recv(), Some(Event::Saved)), "it came to rest");
            inbox.change(|inbox| inbox.end = true);
            assert!(matches!(events.blocking_recv(), Some(Event::Saved)));
        });
    }
}
