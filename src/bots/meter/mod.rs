//! What one bot's video stream was like, told from packet headers alone: frames whole, late and missing, losses and their
//! repair, delays, freezes, bits a second.
//!
//! Pure: every call says what time it is. All that it keeps is bounded (see the constants). Frames are told apart by their
//! timestamps; a frame is whole when no packet up to its marker is missing. Frames that were lost with all their packets
//! are estimated from the timestamps around them. Knows no socket and no decoder; a bot that decodes says so, and then
//! what it shows is what counts for freezes.

mod stream;

use super::header::Header;
use super::spread::Spread;
use std::time::{Duration, Instant};
use stream::{CLOCK_HZ, Hole, Stream, extend, extend32, seconds, sequence_of};

/// A whole frame this far behind the best seen is late.
pub const LATE: Duration = Duration::from_millis(100);
/// Freezes are counted above each of these.
pub const FREEZES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];
/// Packets that overtake each other need no repair.
const REORDER: Duration = Duration::from_millis(4);
/// Asked for again after this long, at most so often.
const ASK_AGAIN: Duration = Duration::from_millis(100);
const ASK_MOST: u8 = 8;
/// Sequence numbers in one request.
const ASK_AT_ONCE: usize = 128;
/// A jump of sequence numbers beyond this is a new stream.
const JUMP: i64 = 4_000;
/// Seconds of a run that are kept one by one.
pub const MAX_SECONDS: usize = 7_200;

/// One second of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Second {
    /// Whole datagrams of video and its retransmission, as UDP payload.
    pub bytes: u32,
    pub frames: u16,
    pub lost: u16,
}

/// Sums over all streams of a bot.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    pub packets: u64,
    pub bytes: u64,
    pub audio_packets: u64,
    /// Packets that came neither at first nor by retransmission.
    pub lost: u64,
    /// Packets that came at the second asking or later than those after them.
    pub repaired: u64,
    /// Sequence numbers asked for.
    pub nacked: u64,
    /// Retransmissions that came, and of those the ones counted unopened.
    pub retransmissions: u64,
    pub presumed: u64,
    pub duplicates: u64,
    /// Frames whole, of those late; frames that never became whole.
    pub whole: u64,
    pub late: u64,
    pub missing: u64,
    /// Freezes above each of [`FREEZES`], and the time frozen in those above the first.
    pub freezes: [u64; 3],
    pub frozen: Duration,
    /// Streams after the first: each began with a new connection.
    pub streams: u64,
}

/// What was seen.
#[derive(Debug)]
pub struct Meter {
    /// Second 0 of `seconds`.
    epoch: Instant,
    decodes: bool,
    pub totals: Totals,
    pub seconds: Vec<Second>,
    pub first_packet: Option<Instant>,
    /// The first that was whole, or shown by one that decodes.
    pub first_frame: Option<Instant>,
    /// Between two pictures.
    pub gaps: Spread,
    /// Of a frame's first and last packet, behind the best seen.
    pub first_delay: Spread,
    pub last_delay: Spread,
    /// From a request to its packet.
    pub repair: Spread,
    stream: Option<Stream>,
    shown: Option<Shown>,
}

#[derive(Debug, Clone, Copy)]
struct Shown {
    at: Instant,
    /// `None`: it was of an earlier stream.
    timestamp: Option<i64>,
}

impl Meter {
    /// `epoch` is when the run began; `decodes`: what is shown is told by [`Self::shown`].
    #[must_use]
    pub fn new(epoch: Instant, decodes: bool) -> Self {
        Self {
            epoch,
            decodes,
            totals: Totals::default(),
            seconds: Vec::new(),
            first_packet: None,
            first_frame: None,
            gaps: Spread::default(),
            first_delay: Spread::default(),
            last_delay: Spread::default(),
            repair: Spread::default(),
            stream: None,
            shown: None,
        }
    }

    /// A video packet of the media stream came, at first or again. `bytes` is the whole datagram, 0 where that was counted
    /// by [`Self::retransmission`].
    pub fn packet(&mut self, header: Header, bytes: usize, now: Instant) {
        self.first_packet.get_or_insert(now);
        self.count_bytes(bytes, now);
        self.totals.packets += 1;
        let restarted = match &self.stream {
            None => true,
            Some(stream) => {
                stream.ssrc != header.ssrc
                    || (extend(stream.highest, header.sequence) - stream.highest).abs() > JUMP
            }
        };
        if restarted {
            self.restart(header, now);
        }
        let Some(stream) = &mut self.stream else { return };
        let index = extend(stream.highest, header.sequence);
        if index > stream.highest {
            for hole in stream.highest + 1..index {
                stream.holes.insert(hole, Hole { since: now, asked: None, asked_last: now, times: 0 });
            }
            stream.highest = index;
        } else if let Some(hole) = stream.holes.remove(&index) {
            self.totals.repaired += 1;
            if let Some(asked) = hole.asked {
                self.repair.record(now - asked);
            }
        } else if !restarted {
            self.totals.duplicates += 1;
            return;
        }
        stream.enter(header, index, now);
        self.settle(now);
    }

    /// A datagram of the retransmission stream came. Opened ones are told by [`Self::packet`] too; of unopened ones it is
    /// presumed that they answer the oldest request.
    pub fn retransmission(&mut self, bytes: usize, opened: bool, now: Instant) {
        self.count_bytes(bytes, now);
        self.totals.retransmissions += 1;
        let Some(stream) = self.stream.as_mut().filter(|_| !opened) else { return };
        let asked = stream.holes.iter().find(|(_, hole)| hole.asked.is_some()).map(|(index, _)| *index);
        if let Some(hole) = asked.and_then(|index| stream.holes.remove(&index)) {
            self.totals.presumed += 1;
            self.totals.repaired += 1;
            if let Some(asked) = hole.asked {
                self.repair.record(now - asked);
            }
        }
        self.settle(now);
    }

    pub fn audio(&mut self) {
        self.totals.audio_packets += 1;
    }

    /// What is to be asked for now: the stream and sequence numbers. Counts as asked.
    pub fn wanted(&mut self, now: Instant) -> Option<(u32, Vec<u16>)> {
        self.settle(now);
        let stream = self.stream.as_mut()?;
        let mut sequences = Vec::new();
        for (index, hole) in &mut stream.holes {
            let due = match hole.asked {
                None => now - hole.since >= REORDER,
                Some(_) => hole.times < ASK_MOST && now - hole.asked_last >= ASK_AGAIN,
            };
            if due && sequences.len() < ASK_AT_ONCE {
                hole.asked.get_or_insert(now);
                hole.asked_last = now;
                hole.times += 1;
                sequences.push(sequence_of(*index));
            }
        }
        self.totals.nacked += sequences.len() as u64;
        (!sequences.is_empty()).then_some((stream.ssrc, sequences))
    }

    /// True while something is waited for: [`Self::wanted`] should be asked every few milliseconds.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| !stream.holes.is_empty())
    }

    /// The stream's SSRC, the highest sequence number with its cycles, and packets lost so far: what a receiver reports.
    #[must_use]
    pub fn reception(&self) -> Option<(u32, u32, u64)> {
        let stream = self.stream.as_ref()?;
        let highest = u32::try_from(stream.highest & i64::from(u32::MAX)).unwrap_or_default();
        Some((stream.ssrc, highest, self.totals.lost))
    }

    /// A decoded picture is there.
    pub fn shown(&mut self, timestamp: u32, now: Instant) {
        let extended = self.stream.as_ref().map(|stream| extend32(stream.newest, timestamp));
        self.show(extended, now);
    }

    /// The end of the measuring: what is frozen still is a freeze.
    pub fn finish(&mut self, now: Instant) {
        self.settle(now);
        let Some(Shown { at, timestamp: Some(last) }) = self.shown else { return };
        let Some(due) = self.stream.as_ref().and_then(|stream| stream.due(None)) else { return };
        self.freeze(now.saturating_duration_since(at), seconds(due - last));
        self.shown = None;
    }

    fn restart(&mut self, header: Header, now: Instant) {
        if let Some(old) = &mut self.stream {
            self.totals.streams += 1;
            self.totals.lost += old.holes.len() as u64;
            self.totals.missing += old.frames.len() as u64;
        }
        if let Some(shown) = &mut self.shown {
            shown.timestamp = None;
        }
        let step = self.stream.as_ref().map_or(0.0, |stream| stream.step);
        self.stream = Some(Stream::new(header, step, now));
    }

    /// Gives up what is too old, and takes every frame that is decided, oldest first.
    fn settle(&mut self, now: Instant) {
        let Some(stream) = &mut self.stream else { return };
        let lost = stream.give_up(now);
        let mut decided = Vec::new();
        while let Some(fate) = stream.next_fate() {
            decided.push(fate);
        }
        self.totals.lost += lost;
        if let Some(second) = self.second(now) {
            second.lost = second.lost.saturating_add(u16::try_from(lost).unwrap_or(u16::MAX));
        }
        for fate in decided {
            self.totals.missing += fate.missing_before;
            if !fate.whole {
                self.totals.missing += 1;
                continue;
            }
            self.totals.whole += 1;
            let (first, last) = fate.delays;
            self.first_delay.record(first);
            self.last_delay.record(last);
            self.totals.late += u64::from(last > LATE);
            if !self.decodes {
                self.show(Some(fate.timestamp), now);
            }
        }
    }

    fn show(&mut self, timestamp: Option<i64>, now: Instant) {
        self.first_frame.get_or_insert(now);
        if let Some(second) = self.second(now) {
            second.frames = second.frames.saturating_add(1);
        }
        let due = self.stream.as_mut().and_then(|stream| {
            let due = stream.due(timestamp);
            stream.lost_due = None;
            while stream.sent.front().is_some_and(|sent| timestamp.is_some_and(|shown| *sent <= shown)) {
                stream.sent.pop_front();
            }
            due
        });
        if let Some(before) = self.shown.replace(Shown { at: now, timestamp }) {
            let gap = now.saturating_duration_since(before.at);
            self.gaps.record(gap);
            let step = self.stream.as_ref().map_or(0.0, |stream| stream.step / CLOCK_HZ);
            let usual = match (before.timestamp, due) {
                (Some(last), Some(due)) => seconds(due - last),
                (Some(_) | None, _) => step,
            };
            self.freeze(gap, usual);
        }
    }

    /// A picture that came `gap` after the one before, where `usual` seconds were due.
    fn freeze(&mut self, gap: Duration, usual: f64) {
        let Ok(over) = Duration::try_from_secs_f64((gap.as_secs_f64() - usual).max(0.0)) else { return };
        for (count, least) in self.totals.freezes.iter_mut().zip(FREEZES) {
            *count += u64::from(over > least);
        }
        if over > FREEZES[0] {
            self.totals.frozen += over;
        }
    }

    fn count_bytes(&mut self, bytes: usize, now: Instant) {
        self.totals.bytes += bytes as u64;
        if let Some(second) = self.second(now) {
            second.bytes = second.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }

    fn second(&mut self, now: Instant) -> Option<&mut Second> {
        let at = usize::try_from(now.saturating_duration_since(self.epoch).as_secs()).ok()?;
        if at >= MAX_SECONDS {
            return None;
        }
        if self.seconds.len() <= at {
            self.seconds.resize(at + 1, Second::default());
        }
        self.seconds.get_mut(at)
    }
}

#[cfg(test)]
mod tests;
