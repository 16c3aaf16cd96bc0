//! What is wrong with a source: known from its packets, told in words to whoever runs it.
//!
//! A fault is told when it shows and when the source began anew without it; at most one list a second, each fault once.

use std::fmt;
use std::time::{Duration, Instant};

/// Between two lists.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a source's video is not shown, or not shown well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceFault {
    /// Its packets are of another RTP payload type, and not known to be of the codec that was agreed.
    PayloadType { agreed: u8, sent: u8 },
    /// H.264 key frames without parameter sets, none of which were ever sent.
    NoParameterSets,
    /// Frames that are sent in another order than shown: browsers show them late and unevenly.
    BFrames,
    /// Packets too large for players' paths, of a kind that cannot be split.
    LargePackets { bytes: usize },
    /// Packets for some time, and no key frame.
    NoKeyFrame,
}

impl SourceFault {
    /// The name that clients see.
    pub fn code(self) -> &'static str {
        match self {
            Self::PayloadType { .. } => "payload_type",
            Self::NoParameterSets => "no_parameter_sets",
            Self::BFrames => "b_frames",
            Self::LargePackets { .. } => "large_packets",
            Self::NoKeyFrame => "no_key_frame",
        }
    }

    fn is_like(self, other: Self) -> bool {
        self.code() == other.code()
    }
}

/// The cause and what to do about it, for whoever runs the source.
impl fmt::Display for SourceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PayloadType { agreed, sent } => write!(
                f,
                "The source sends RTP payload type {sent}, but {agreed} was agreed. Change one of them (ffmpeg: -payload_type {agreed})."
            ),
            Self::NoParameterSets => f.write_str(
                "The source sends H.264 without SPS and PPS. Send them with every key frame (ffmpeg: without +global_header; GStreamer: h264parse config-interval=-1)."
            ),
            Self::BFrames => f.write_str(
                "The source sends B-frames, which browsers show late and unevenly. Turn them off (ffmpeg: -bf 0)."
            ),
            Self::LargePackets { bytes } => write!(
                f,
                "The source sends packets of {bytes} bytes that cannot be split. Send at most 1200 (ffmpeg: ?pkt_size=1200)."
            ),
            Self::NoKeyFrame => f.write_str(
                "The source sends packets but no key frame of the agreed codec. Check its codec, and send a key frame every few seconds (ffmpeg: -g 60)."
            ),
        }
    }
}

/// The faults of one source, each kind once.
#[derive(Debug, Default)]
pub(super) struct Faults {
    current: Vec<SourceFault>,
    is_told: bool,
    told_at: Option<Instant>,
}

impl Faults {
    pub(super) fn found(&mut self, fault: SourceFault) {
        if !self.current.iter().any(|known| known.is_like(fault)) {
            self.current.push(fault);
            self.is_told = false;
        }
    }

    /// The source shows that a fault is no longer there.
    pub(super) fn mended(&mut self, is: impl Fn(&SourceFault) -> bool) {
        let before = self.current.len();
        self.current.retain(|fault| !is(fault));
        self.is_told &= self.current.len() == before;
    }

    /// What was last given as news did not arrive.
    pub(super) fn tell_again(&mut self) {
        self.is_told = false;
    }

    /// All there are, when that is news and it is time.
    pub(super) fn news(&mut self, now: Instant) -> Option<Vec<SourceFault>> {
        let never = self.told_at.is_none() && self.current.is_empty();
        if self.is_told || never || self.told_at.is_some_and(|at| now < at + PAUSE) {
            return None;
        }
        (self.is_told, self.told_at) = (true, Some(now));
        Some(self.current.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_told_once_and_its_end_too() {
        let (mut faults, start) = (Faults::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(faults.news(at(0)), None);
        faults.found(SourceFault::BFrames);
        faults.found(SourceFault::BFrames);
        assert_eq!(faults.news(at(0)), Some(vec![SourceFault::BFrames]));
        assert_eq!(faults.news(at(5000)), None);
        faults.found(SourceFault::LargePackets { bytes: 9000 });
        faults.found(SourceFault::LargePackets { bytes: 9001 });
        faults.mended(|fault| *fault == SourceFault::BFrames);
        assert_eq!(faults.news(at(5000)), Some(vec![SourceFault::LargePackets { bytes: 9000 }]));
        faults.mended(|_| true);
        assert_eq!(faults.news(at(5500)), None, "not twice within a second");
        assert_eq!(faults.news(at(6000)), Some(vec![]));
        assert_eq!(faults.news(at(9000)), None);
    }
}
