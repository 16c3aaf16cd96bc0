//! Packets that the kernel dropped because a bot did not read its sockets in time: such a run measures the bots, not the
//! gateway.
//!
//! Read from `/proc/net/udp` and `udp6`, for the sockets of this process, whoever opened them. Linux only: elsewhere
//! nothing is known. A socket that is closed keeps its last count.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts are read at most this often.
const AT_MOST_EVERY: Duration = Duration::from_millis(200);

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Drops(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    at: Option<Instant>,
    known: bool,
    by_inode: HashMap<u64, u64>,
}

impl Drops {
    /// Looks at the sockets, unless that was done just now. Before sockets are closed, too.
    pub fn look(&self) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.is_some_and(|at| at.elapsed() < AT_MOST_EVERY) {
            return;
        }
        seen.at = Some(Instant::now());
        let own = own_sockets();
        for table in ["/proc/net/udp", "/proc/net/udp6"] {
            let Ok(text) = std::fs::read_to_string(table) else { continue };
            seen.known = true;
            for (inode, drops) in text.lines().skip(1).filter_map(row) {
                if own.contains_key(&inode) {
                    let count = seen.by_inode.entry(inode).or_default();
                    *count = drops.max(*count);
                }
            }
        }
    }

    /// Dropped packets; `None` where the system does not tell.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.known.then(|| seen.by_inode.values().sum())
    }
}

/// Inodes of this process's sockets.
fn own_sockets() -> HashMap<u64, ()> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let link = std::fs::read_link(entry.path()).ok()?;
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()?;
            Some((inode, ()))
        })
        .collect()
}

/// Inode and drops of a line.
fn row(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let inode = fields.nth(9)?.parse().ok()?;
    Some((inode, fields.next_back()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_line_of_the_table_is_read() {
        let line = " 2667: 0100007F:D5DD 00000000:0000 07 00000000:00001B00 00:00000000 00000000     0        0 2413186 2 0000000041865339 97      ";
        assert_eq!(row(line), Some((2_413_186, 97)));
        assert_eq!(row("sl local_address"), None);
    }

    #[test]
    fn packets_that_an_own_socket_could_not_hold_are_counted_also_after_it_is_closed() {
        let (receiver, sender) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        socket2::SockRef::from(&receiver).set_recv_buffer_size(4_096).unwrap();
        let to = receiver.local_addr().unwrap();
        (0..200).for_each(|_| drop(sender.send_to(&[0; 1_000], to)));
        let drops = Drops::default();
        drops.look();
        let Some(total) = drops.total() else { return };
        assert!(total > 0);
        drop(receiver);
        drops.look();
        assert!(drops.total() >= Some(total));
    }
}
