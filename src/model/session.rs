//! What is said of a session's life in rows, answers and events: statuses, reasons, milestones.

use super::clock::Millis;
use std::fmt;

/// Sessions API status (contract 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Starting,
    Running,
    Stopping,
    Stopped,
    Error,
}

/// Why a session ended (design, decision 8). Grows with the drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    StoppedByUser,
    Idle,
    Ttl,
    GameExited,
    GameCrashed,
    OutOfMemory,
    NodeLost,
    /// The runner never said hello or sent no picture in time.
    LaunchTimeout,
    /// The game could not be started.
    LaunchFailed,
    /// The gateway was shut down in order.
    GatewayShutdown,
    /// The relay lost the session's media.
    MediaFailed,
}

impl EndReason {
    /// Something did not work: worth an operator's look.
    pub fn is_failure(self) -> bool {
        match self {
            Self::GameCrashed
            | Self::OutOfMemory
            | Self::NodeLost
            | Self::LaunchTimeout
            | Self::LaunchFailed
            | Self::MediaFailed => true,
            Self::StoppedByUser | Self::Idle | Self::Ttl | Self::GameExited | Self::GatewayShutdown => false,
        }
    }
}

/// The name that clients see.
impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde::Serialize::serialize(self, f)
    }
}

/// Steps of the timeline, each with its time once reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    Requested,
    Placed,
    ImageReady,
    SaveRestored,
    ContainerUp,
    RunnerConnected,
    FirstKeyFrame,
    FirstPlayer,
    FirstDecodedFrame,
    /// What was found wrong with the source, each at its first time.
    SourcePayloadType,
    SourceNoParameterSets,
    SourceBFrames,
    SourceLargePackets,
    SourceNoKeyFrame,
    StopRequested,
    SaveStored,
    Ended,
}

/// What became of the save of a session that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaveStatus {
    /// It is the newest version of its slot.
    Stored,
    /// It is as the newest version was already; or there is neither a save nor a version.
    Unchanged,
    /// It could not be stored yet and will be tried again.
    Pending,
    /// It can never be stored.
    Refused,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SaveReport {
    pub status: SaveStatus,
    /// Sentences for the player: why it is not stored, or what of it is not kept.
    pub reason: Option<String>,
}

/// The Session API's statuses that one node's machine can give (contract 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerStatus {
    Created,
    Running,
    Restarting,
    ShuttingDown,
    Exited,
    Dead,
}

impl ContainerStatus {
    /// It is being taken down, or has ended.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Created | Self::Running | Self::Restarting => false,
            Self::ShuttingDown | Self::Exited | Self::Dead => true,
        }
    }

    /// As the contract spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::ShuttingDown => "shuttingdown",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

/// When what was reached. Only the first time counts, and no milestone is earlier than the one noted before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    entries: Vec<(Milestone, Millis)>,
}

impl Timeline {
    /// True when it is new.
    pub fn mark(&mut self, milestone: Milestone, now_ms: Millis) -> bool {
        if self.entries.iter().any(|(known, _)| *known == milestone) {
            return false;
        }
        // The wall clock may have been set back.
        let last = self.entries.last().map_or(Millis::MIN, |(_, at)| *at);
        self.entries.push((milestone, now_ms.max(last)));
        true
    }

    pub fn entries(&self) -> &[(Milestone, Millis)] {
        &self.entries
    }
}

impl From<Vec<(Milestone, Millis)>> for Timeline {
    fn from(entries: Vec<(Milestone, Millis)>) -> Self {
        Self { entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_timeline_never_goes_back_and_keeps_the_first_time(times in prop::collection::vec(any::<i64>(), 0..20)) {
            const ALL: [Milestone; 4] =
                [Milestone::Requested, Milestone::Placed, Milestone::ContainerUp, Milestone::Ended];
            let mut timeline = Timeline::default();
            for (index, at) in times.into_iter().enumerate() {
                let before = timeline.clone();
                let fresh = timeline.mark(ALL[index % ALL.len()], at);
                prop_assert_eq!(fresh, before != timeline);
                prop_assert_eq!(&timeline.entries()[..before.entries().len()], before.entries());
            }
            prop_assert!(timeline.entries().windows(2).all(|pair| pair[0].1 <= pair[1].1));
            prop_assert!(timeline.entries().len() <= ALL.len());
        }
    }
}
