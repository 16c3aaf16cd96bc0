//! A probe: packets that were sent already, sent again in a short cluster, so that feedback shows whether the link carries
//! more than the picture needs. Receivers drop them as repeated (RFC 4588; libwebrtc pads its probes likewise).

use super::link::on_the_link;
use crate::relay::ring::Ring;
use std::time::{Duration, Instant};

/// Between two pieces of a probe.
const STEP: Duration = Duration::from_millis(1);
/// How far back packets are taken from, and how large they are at least, if there are such.
const BACK: u64 = 64;
const LARGE: usize = 600;
/// The most that one probe sends, and the longest it lasts.
const MOST_BYTES: usize = 256 * 1024;
const LONGEST: Duration = Duration::from_millis(200);

/// A probe under way.
#[derive(Debug)]
pub(super) struct Probe {
    left: usize,
    until: Instant,
    step: Instant,
    /// What may still be sent in this step.
    share: usize,
    /// Packets sent until now.
    sent: u64,
}

impl Probe {
    /// `bytes` on the link, spread over `within`.
    pub(super) fn new(now: Instant, bytes: usize, within: Duration) -> Self {
        let until = now + within.min(LONGEST);
        let mut probe = Self { left: bytes.min(MOST_BYTES), until, step: now, share: 0, sent: 0 };
        probe.share = probe.share_of(now);
        probe
    }

    /// The next packet to send again, of those from `oldest` to `newest`.
    pub(super) fn next(&mut self, now: Instant, ring: &Ring, oldest: u64, newest: u64) -> Option<u64> {
        if now < self.step || self.left == 0 {
            return None;
        }
        let packets = || (oldest.max(newest.saturating_sub(BACK - 1))..=newest).rev();
        let len = |index: &u64| ring.get(*index).map_or(0, |packet| packet.payload.len());
        let large = packets().filter(|index| len(index) >= LARGE).count() as u64;
        let least = if large > 0 { LARGE } else { 1 };
        let count = if large > 0 { large } else { packets().filter(|index| len(index) >= 1).count() as u64 };
        let nth = usize::try_from(self.sent.checked_rem(count)?).ok()?;
        let index = packets().filter(|index| len(index) >= least).nth(nth)?;
        let bytes = on_the_link(len(&index));
        self.sent += 1;
        self.left = self.left.saturating_sub(bytes);
        self.share = self.share.saturating_sub(bytes);
        if self.share == 0 {
            self.step = now + STEP;
            self.share = self.share_of(self.step);
        }
        Some(index)
    }

    /// When it goes on; `None`: it is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.step)
    }

    fn share_of(&self, now: Instant) -> usize {
        let steps = self.until.saturating_duration_since(now).as_micros() / STEP.as_micros();
        self.left.div_ceil(usize::try_from(steps).unwrap_or(0).max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_a_short_cluster_of_large_packets() {
        let start = Instant::now();
        let mut ring = Ring::new(256);
        for index in 1..=100 {
            ring.insert(index, 0, false, &vec![0; if index % 2 == 0 { 1000 } else { 50 }]);
        }
        let mut probe = Probe::new(start, 20_000, Duration::from_millis(10));
        let (mut now, mut sent) = (start, Vec::new());
        while let Some(at) = probe.deadline() {
            now = now.max(at);
            let before = sent.len();
            while let Some(index) = probe.next(now, &ring, 90, 100) {
                sent.push(index);
            }
            assert!(sent.len() - before <= 2, "spread");
        }
        assert_eq!(sent.len(), 19, "20,000 bytes in packets of 1068");
        assert!(now - start <= Duration::from_millis(10));
        assert!(sent.iter().all(|index| index % 2 == 0 && *index >= 90));
        assert_eq!(sent[..6], [100, 98, 96, 94, 92, 90], "the newest first");
    }

    #[test]
    fn small_packets_do_when_there_are_no_others_and_nothing_sent_probes_nothing() {
        let now = Instant::now();
        let mut ring = Ring::new(256);
        let mut probe = Probe::new(now, 1000, Duration::from_millis(10));
        assert_eq!(probe.next(now, &ring, 1, 0), None);
        ring.insert(5, 0, false, &[0; 40]);
        assert_eq!(probe.next(now, &ring, 1, 5), Some(5));
    }
}
