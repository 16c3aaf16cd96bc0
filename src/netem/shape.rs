//! What one direction of a line is like. Values only.
//!
//! In the order in which a packet meets them: the queue and the rate, then loss, then delay, jitter and reordering. So
//! what is lost has used the line, as behind a modem. Copies are made before the queue and use the line like others.

use std::time::Duration;

/// One direction. Shares are from 0 to 1; what is outside counts as the nearer end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    pub loss: Loss,
    /// The share of packets that come twice.
    pub duplicate: f64,
    /// Absent: as fast as it comes.
    pub rate: Option<Rate>,
    /// One way. At most a minute, together with all that follows.
    pub delay: Duration,
    pub jitter: Option<Jitter>,
    pub reorder: Option<Reorder>,
}

impl Shape {
    /// Everything arrives at once.
    pub const CLEAR: Self = Self {
        loss: Loss::None,
        duplicate: 0.0,
        rate: None,
        delay: Duration::ZERO,
        jitter: None,
        reorder: None,
    };
    /// Nothing arrives.
    pub const CUT: Self = Self { loss: Loss::Independent(1.0), ..Self::CLEAR };
}

impl Default for Shape {
    fn default() -> Self {
        Self::CLEAR
    }
}

/// How packets get lost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Loss {
    #[default]
    None,
    /// Each by itself, with this probability.
    Independent(f64),
    /// In bursts (Gilbert, Elliott): a line that is good or bad, and may turn with every packet.
    Bursts {
        /// Probability of turning bad before a packet, and good again.
        to_bad: f64,
        to_good: f64,
        /// Probability of loss while good, and while bad.
        lost_in_good: f64,
        lost_in_bad: f64,
    },
}

impl Loss {
    /// Bursts that lose all, of this mean length in packets (at least 1), which make this share of loss in the long run.
    pub fn bursts(share: f64, mean_length: f64) -> Self {
        let share = share.clamp(0.0, 0.99);
        let to_good = 1.0 / mean_length.max(1.0);
        let to_bad = (to_good * share / (1.0 - share)).min(1.0);
        Self::Bursts { to_bad, to_good, lost_in_good: 0.0, lost_in_bad: 1.0 }
    }
}

/// A line of limited speed with a queue before it. What finds the queue full is dropped (drop-tail).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Of IP packets: UDP payload and [`super::OVERHEAD_BYTES`]. With 0 nothing passes.
    pub bits_per_second: u64,
    pub queue: Queue,
}

/// How much waits for the line. A line that is idle takes any packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Bytes of IP packets, the one on the line included.
    Bytes(u64),
    /// As long as this at the line's speed.
    Time(Duration),
}

/// Further delay that changes: from 0 to `most`, evenly. The mean delay is that of the shape and half of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    pub most: Duration,
    /// True: packets wait for those before them, and what comes within a few milliseconds is delayed by the same time (a
    /// frame's packets stay together, as on a radio link). False: each packet by itself, past others if it is faster.
    pub keeps_order: bool,
}

/// Some packets are held back, so that those behind them pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reorder {
    pub share: f64,
    pub by: Duration,
}
