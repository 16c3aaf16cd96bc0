//! What is sent: the frames of the source, as every server gets them and every receiver counts them.

use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::{Duration, Instant, SystemTime};

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of an RTP payload.
pub(crate) const PAYLOAD: usize = 1184;
/// The same for the source and all viewers, so that no server has to rewrite it.
pub(crate) const PAYLOAD_TYPE: u8 = 102;
/// Between two frames, in units of the 90 kHz clock.
pub(crate) const TICKS: u32 = 1500;
/// Frames sent before anything counts: until what a relay keeps for retransmissions is full.
pub(crate) const WARM_UP: u32 = 150;
/// Frames between warm-up and measurement, which are never sent: a gap in the timestamps, so that nothing late counts.
pub(crate) const GAP: u32 = 30;

/// How much a server has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Packets a frame.
    pub(crate) packets: usize,
    pub(crate) viewers: usize,
    /// Viewers report, acknowledge and ask for retransmissions as browsers do.
    #[serde(default)]
    pub(crate) feedback: bool,
}

/// Beginnings of frames at 60 a second.
#[derive(Debug)]
pub(crate) struct Beat {
    start: Instant,
    frame: u32,
}

impl Beat {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), frame: 0 }
    }

    /// Waits for the end of the frame that runs.
    pub(crate) fn wait(&mut self) {
        self.frame += 1;
        let at = self.start + Duration::from_nanos(16_666_667) * self.frame;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
    }
}

/// Nanoseconds since 1970: the clock of the kernel's receive timestamps, shared between processes.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
