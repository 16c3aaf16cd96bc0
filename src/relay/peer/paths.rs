//! Which of a viewer's addresses its packets go to, and until when the viewer counts as alive. Pure.
//!
//! An address is known after a proven binding request came from it; nothing else makes it known. Of the known ones:
//!
//! - a nomination (USE-CANDIDATE) moves the path at once (RFC 8445 section 8.1.1);
//! - so do authenticated SRTCP and DTLS, which only the viewer can write: clients that never nominate again are followed
//!   through a change of their NAT's mapping;
//! - a plain check moves it only when the present path has been silent, because full agents go on checking spare pairs.
//!
//! The viewer is alive while its present path is: checks (RFC 7675) and authenticated datagrams count, on that path alone.
//! Clients that send no checks after nomination live by their receiver reports.

use crate::relay::socket::Path;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Consent ends this long after the last evidence (RFC 7675 section 5.1).
pub(in crate::relay) const CONSENT: Duration = Duration::from_secs(30);
/// Silence on the present path before a plain check on another may move it.
pub(in crate::relay) const QUIET: Duration = Duration::from_millis(1500);
/// A spare pair known before the silence began waits for longer than the present path's usual pauses, this long at most.
const LONGEST_QUIET: Duration = Duration::from_secs(10);
/// What was under way on the old path when the new one was taken does not move it back.
const SETTLE: Duration = Duration::from_millis(500);
/// Known addresses beside the present one. The one longest without evidence is forgotten.
const SPARES: usize = 7;
/// Transactions of checks remembered with where they came from.
const TRANSACTIONS: usize = 64;

/// How a check was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Plain,
    Nomination,
    /// A nomination with the credentials before an ICE restart: it moves the path, and settles nothing for the new ones.
    Former,
    /// With the credentials before an ICE restart whose own nomination has come: evidence, but no reason to move.
    Outdated,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Paths {
    present: Option<Known>,
    /// The one longest without evidence first.
    spares: Vec<Known>,
    nominated: bool,
    /// Which path was left last, and when.
    left: Option<(SocketAddr, Instant)>,
    transactions: VecDeque<([u8; 12], SocketAddr)>,
}

#[derive(Debug)]
struct Known {
    path: Path,
    since: Instant,
    /// The last evidence.
    proven: Instant,
    /// The longest pause between two of them lately, while it was the present path.
    pause: Duration,
}

impl Paths {
    /// Where packets go.
    pub(super) fn present(&self) -> Option<Path> {
        self.present.as_ref().map(|known| known.path)
    }

    /// Whether the viewer has nominated a path since the last ICE restart.
    pub(super) fn is_nominated(&self) -> bool {
        self.nominated
    }

    /// When the viewer counts as gone; `None` before the first check.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.present.as_ref().map(|known| known.proven + CONSENT)
    }

    /// New credentials: the path stays until they are used to nominate one.
    pub(super) fn restart(&mut self, now: Instant) {
        self.nominated = false;
        if let Some(present) = &mut self.present {
            present.proven = now;
        }
    }

    /// Whether a check is a copy of one that came from another address: checks can be replayed as they are.
    pub(super) fn is_replayed(&mut self, transaction: [u8; 12], from: SocketAddr) -> bool {
        if let Some((_, first)) = self.transactions.iter().find(|(known, _)| *known == transaction) {
            return *first != from;
        }
        if self.transactions.len() >= TRANSACTIONS {
            self.transactions.pop_front();
        }
        self.transactions.push_back((transaction, from));
        false
    }

    /// A proven binding request came by `path`.
    pub(super) fn check(&mut self, now: Instant, path: Path, check: Check) {
        self.nominated |= check == Check::Nomination;
        if let Some(present) = &mut self.present
            && present.path.remote == path.remote
        {
            present.path = path;
            present.prove(now);
            return;
        }
        let mut known = self.take_spare(path.remote).unwrap_or(Known {
            path,
            since: now,
            proven: now,
            pause: Duration::ZERO,
        });
        known.path = path;
        known.proven = now;
        let moves = match (&self.present, check) {
            (None, _) | (Some(_), Check::Nomination | Check::Former) => true,
            (Some(present), Check::Plain) => present.is_silent(now, &known),
            (Some(_), Check::Outdated) => false,
        };
        if moves { self.move_to(now, known) } else { self.keep(known) }
    }

    /// A fresh authenticated datagram came by `path`.
    pub(super) fn authenticated(&mut self, now: Instant, path: Path) {
        if let Some(present) = &mut self.present
            && present.path.remote == path.remote
        {
            present.prove(now);
            return;
        }
        let Some(mut known) = self.take_spare(path.remote) else { return };
        known.path = path;
        known.proven = now;
        let late = self
            .left
            .is_some_and(|(left, at)| left == path.remote && now.saturating_duration_since(at) < SETTLE);
        if late { self.keep(known) } else { self.move_to(now, known) }
    }

    /// A handshake message came by `path`. It is no evidence, but as long as nothing is nominated it is answered there.
    pub(super) fn handshake(&mut self, now: Instant, path: Path) {
        let elsewhere = self.present.as_ref().is_some_and(|present| present.path.remote != path.remote);
        if elsewhere
            && !self.nominated
            && let Some(known) = self.take_spare(path.remote)
        {
            self.move_to(now, known);
        }
    }

    fn take_spare(&mut self, remote: SocketAddr) -> Option<Known> {
        let at = self.spares.iter().position(|spare| spare.path.remote == remote)?;
        Some(self.spares.remove(at))
    }

    fn keep(&mut self, known: Known) {
        if self.spares.len() >= SPARES {
            self.spares.remove(0);
        }
        self.spares.push(known);
    }

    fn move_to(&mut self, now: Instant, known: Known) {
        if let Some(old) = self.present.replace(Known { pause: Duration::ZERO, ..known }) {
            self.left = Some((old.path.remote, now));
            self.keep(old);
        }
    }
}

impl Known {
    fn prove(&mut self, now: Instant) {
        let pause = now.saturating_duration_since(self.proven);
        // A long pause is forgotten over a dozen shorter ones.
        self.pause = pause.max(self.pause - self.pause / 8);
        self.proven = now;
    }

    /// Whether a plain check on `other` may take this path's place.
    fn is_silent(&self, now: Instant, other: &Self) -> bool {
        // An address that appeared during the silence is most likely the same viewer behind another mapping.
        let appeared = other.since > self.proven;
        let patience =
            if appeared { QUIET } else { (self.pause + self.pause / 2).clamp(QUIET, LONGEST_QUIET) };
        now.saturating_duration_since(self.proven) >= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(port: u16) -> Path {
        Path { remote: SocketAddr::from(([203, 0, 113, 7], port)), local: None }
    }

    /// Paths whose present one is port 1, nominated.
    fn nominated(now: Instant) -> Paths {
        let mut paths = Paths::default();
        paths.check(now, path(1), Check::Nomination);
        paths
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_check_makes_a_path_and_a_nomination_moves_it() {
        let now = Instant::now();
        let mut paths = Paths::default();
        assert_eq!((paths.present(), paths.expires()), (None, None));
        paths.check(now, path(1), Check::Plain);
        paths.check(now, path(2), Check::Plain);
        assert_eq!(paths.present(), Some(path(1)));
        paths.check(now, path(2), Check::Nomination);
        assert_eq!(paths.present(), Some(path(2)));
    }

    #[test]
    fn checks_on_spare_pairs_move_nothing_while_the_present_one_speaks() {
        let now = Instant::now();
        let mut paths = nominated(now);
        for step in 1..600 {
            let at = now + ms(100 * step);
            paths.check(at, path(2), Check::Plain);
            if step % 7 == 0 {
                paths.check(at, path(3), Check::Plain);
            }
            // Receiver reports once a second are all that the present path carries.
            if step % 10 == 0 {
                paths.authenticated(at, path(1));
            }
            assert_eq!(paths.present(), Some(path(1)), "at {step}");
        }
    }

    #[test]
    fn a_spare_pair_waits_out_the_usual_pauses_of_a_quiet_client() {
        let now = Instant::now();
        let mut paths = nominated(now);
        paths.check(now, path(2), Check::Plain);
        // Reports every five seconds, as GStreamer sends them.
        for second in 1..60 {
            let at = now + ms(1000 * second);
            if second % 5 == 0 {
                paths.authenticated(at, path(1));
            }
            if second > 5 {
                paths.check(at, path(2), Check::Plain);
                assert_eq!(paths.present(), Some(path(1)), "at {second}");
            }
        }
    }

    #[test]
    fn a_new_mapping_takes_over_after_a_second_and_a_half_of_silence() {
        let now = Instant::now();
        let mut paths = nominated(now);
        paths.check(now + ms(500), path(9), Check::Plain);
        paths.check(now + ms(1000), path(9), Check::Plain);
        paths.check(now + ms(1499), path(9), Check::Plain);
        assert_eq!(paths.present(), Some(path(1)));
        paths.check(now + ms(1500), path(9), Check::Plain);
        assert_eq!(paths.present(), Some(path(9)));
    }

    #[test]
    fn what_only_the_viewer_can_write_moves_the_path_if_its_address_is_known() {
        let now = Instant::now();
        let mut paths = nominated(now);
        paths.authenticated(now + ms(10), path(9));
        assert_eq!(paths.present(), Some(path(1)), "no check came from there");
        paths.check(now + ms(20), path(9), Check::Plain);
        assert_eq!(paths.present(), Some(path(1)));
        paths.authenticated(now + ms(30), path(9));
        assert_eq!(paths.present(), Some(path(9)));
        paths.authenticated(now + ms(40), path(1));
        assert_eq!(paths.present(), Some(path(9)), "it was under way before");
        paths.authenticated(now + ms(600), path(1));
        assert_eq!(paths.present(), Some(path(1)));
    }

    #[test]
    fn only_the_present_path_keeps_a_viewer_alive() {
        let now = Instant::now();
        let mut paths = nominated(now);
        paths.authenticated(now + ms(5000), path(1));
        assert_eq!(paths.expires(), Some(now + ms(5000) + CONSENT));
        // Not by checks that may not move it, and not from an address that was never proven.
        paths.check(now + ms(6000), path(2), Check::Outdated);
        paths.authenticated(now + ms(7000), path(3));
        assert_eq!(paths.expires(), Some(now + ms(5000) + CONSENT));
    }

    #[test]
    fn a_handshake_is_answered_where_it_comes_from_until_a_path_is_nominated() {
        let now = Instant::now();
        let mut paths = Paths::default();
        paths.check(now, path(1), Check::Plain);
        paths.check(now, path(2), Check::Plain);
        paths.handshake(now, path(3));
        assert_eq!(paths.present(), Some(path(1)));
        paths.handshake(now, path(2));
        assert_eq!(paths.present(), Some(path(2)));
        paths.check(now, path(1), Check::Nomination);
        paths.handshake(now, path(2));
        assert_eq!(paths.present(), Some(path(1)));
    }

    #[test]
    fn a_check_from_elsewhere_with_a_known_transaction_is_a_replay() {
        let mut paths = Paths::default();
        assert!(!paths.is_replayed([1; 12], path(1).remote));
        assert!(!paths.is_replayed([1; 12], path(1).remote), "repeated by its sender");
        assert!(paths.is_replayed([1; 12], path(2).remote));
        for n in 0..200_u8 {
            assert!(!paths.is_replayed([n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], path(1).remote));
        }
        assert!(paths.transactions.len() <= TRANSACTIONS);
    }

    proptest! {
        #[test]
        fn known_addresses_are_few_and_the_present_one_is_always_one_that_was_checked(
            steps in proptest::collection::vec((0u16..20, 0u8..6, 0u64..4000), 1..200),
        ) {
            let mut now = Instant::now();
            let mut paths = Paths::default();
            let mut checked = std::collections::HashSet::new();
            for (port, what, pause) in steps {
                now += ms(pause);
                match what {
                    0 => paths.check(now, path(port), Check::Plain),
                    1 => paths.check(now, path(port), Check::Nomination),
                    2 => paths.check(now, path(port), Check::Outdated),
                    3 => paths.check(now, path(port), Check::Former),
                    4 => paths.authenticated(now, path(port)),
                    _ => paths.handshake(now, path(port)),
                }
                if what < 4 {
                    checked.insert(port);
                }
                prop_assert!(paths.spares.len() <= SPARES);
                let present = paths.present().map(|path| path.remote.port());
                prop_assert!(present.is_none_or(|port| checked.contains(&port)));
                prop_assert_eq!(present.is_none(), checked.is_empty());
                if what == 1 {
                    prop_assert_eq!(present, Some(port));
                }
            }
        }
    }
}
