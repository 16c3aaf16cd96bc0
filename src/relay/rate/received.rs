//! What arrives, in bit/s, by the times of arrival that the player reports: in all, and while the line was busy; and how fast
//! that was sent.
//!
//! Before a packet that waited in the queue the line was busy, so the time since the packet before it is what the line took
//! for it. Of a source that sends a large frame now and then, that alone says what the line carries.

use super::Arrival;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over the last so long, and over at least so many packets.
const WINDOW: Duration = Duration::from_millis(250);
const LEAST: usize = 8;
/// Packets remembered: what 50 Mbit/s bring in the window. The oldest is forgotten.
const MOST: usize = 2048;
/// Nothing is said of less time than this.
const SHORTEST: Duration = Duration::from_millis(40);

#[derive(Debug, Default)]
pub(super) struct Received {
    /// Oldest first.
    packets: VecDeque<Packet>,
    bytes: usize,
    /// Of these and of those that were lost among them.
    sent_bytes: usize,
    /// Lost since the newest packet.
    lost_bytes: usize,
    busy_bytes: usize,
    busy: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Packet {
    sent: Instant,
    at: Duration,
    bytes: usize,
    /// With those before it that were lost.
    sent_bytes: usize,
    /// How long the line took for it; `None`: it did not wait.
    took: Option<Duration>,
}

impl Received {
    /// `waited`: the packet found the line busy.
    pub(super) fn add(&mut self, packet: &Arrival, waited: bool) {
        let before = self.packets.back().map_or(packet.at, |before| before.at);
        let at = packet.at.max(before);
        let took = waited.then(|| at - before);
        let sent_bytes = packet.bytes + std::mem::take(&mut self.lost_bytes);
        self.packets.push_back(Packet { sent: packet.sent, at, bytes: packet.bytes, sent_bytes, took });
        self.bytes += packet.bytes;
        self.sent_bytes += sent_bytes;
        if let Some(took) = took {
            self.busy_bytes += packet.bytes;
            self.busy += took;
        }
        while self.packets.len() > MOST
            || (self.packets.len() > LEAST
                && self.packets.front().is_some_and(|old| at.saturating_sub(old.at) > WINDOW))
        {
            let Some(old) = self.packets.pop_front() else { break };
            self.bytes -= old.bytes;
            self.sent_bytes -= old.sent_bytes;
            if let Some(took) = old.took {
                self.busy_bytes -= old.bytes;
                self.busy -= took;
            }
        }
    }

    /// So many bytes did not arrive.
    pub(super) fn lost(&mut self, bytes: usize) {
        self.lost_bytes += bytes;
    }

    pub(super) fn rate(&self) -> Option<f64> {
        let (first, last) = (self.packets.front()?, self.packets.back()?);
        // The first packet's own time lies before the span.
        rate(self.bytes - first.bytes, last.at.saturating_sub(first.at))
    }

    /// The rate at which they were sent, with those that were lost meanwhile.
    pub(super) fn sent_rate(&self) -> Option<f64> {
        let (first, last) = (self.packets.front()?, self.packets.back()?);
        rate(self.sent_bytes - first.sent_bytes, last.sent.saturating_duration_since(first.sent))
    }

    /// The line's own rate, from the packets that waited.
    pub(super) fn busy_rate(&self) -> Option<f64> {
        rate(self.busy_bytes, self.busy)
    }
}

fn rate(bytes: usize, span: Duration) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "few bytes")]
    let bits = bytes as f64 * 8.0;
    (span >= SHORTEST).then(|| bits / span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_lines_own_rate_leaves_out_the_time_in_which_it_was_idle() {
        let (sent, mut received) = (Instant::now(), Received::default());
        // Five packets a frame at 10 Mbit/s, then the line is idle until the next frame.
        for frame in 0..20_u32 {
            for packet in 0..5 {
                let at = Duration::from_micros(u64::from(frame * 16_000 + packet * 1000));
                received.add(&Arrival { sent, at, bytes: 1250 }, packet > 0);
            }
        }
        let (all, busy) = (received.rate().expect("a rate"), received.busy_rate().expect("a rate"));
        assert!((2.9e6..3.3e6).contains(&all) && (9.9e6..10.1e6).contains(&busy), "{all} {busy}");
    }

    #[test]
    fn two_packets_are_no_rate() {
        let (sent, mut received) = (Instant::now(), Received::default());
        for at in [0, 5] {
            received.add(&Arrival { sent, at: Duration::from_millis(at), bytes: 1250 }, false);
        }
        assert_eq!((received.rate(), received.busy_rate()), (None, None));
    }
}
