//! The life of a session as a pure machine: no clock, no I/O.
//!
//! Two facts are kept apart (design, decision 8): whether the container runs, and whether there is a picture. Both APIs'
//! views are derived from them. A session that began to end goes on to its end, with the reason it began to end for;
//! an ended one never changes.

use crate::model::session::{ContainerStatus, EndReason, Milestone, Status};

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Active {
        container: Container,
        stream: Stream,
    },
    /// Being taken down.
    Ending {
        reason: EndReason,
        ran: bool,
    },
    Ended {
        reason: EndReason,
        ran: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Asked for.
    Created,
    Running,
    /// It failed, and is about to be started again.
    Restarting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// No key frame yet.
    Waiting,
    Live,
    /// None is awaited.
    None,
}

/// What happens to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    ContainerUp,
    /// It ended, and shall be started again.
    ContainerDown,
    /// The first key frame has reached the relay.
    KeyFrame,
    /// Somebody or something ends it; the game may still be running.
    End(EndReason),
    /// Container gone, save stored, figures known.
    TornDown,
}

/// What the shell must do, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Enter the time of a milestone.
    Mark(Milestone),
    /// Write the session, then tell its viewers.
    Publish,
    /// Run the stop to its end, then feed [`Event::TornDown`].
    TearDown,
    /// Nothing comes after this: let go of capacity and viewers.
    Forget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} cannot happen to a session that is {state:?}")]
pub struct IllegalEvent {
    pub state: State,
    pub event: Event,
}

impl State {
    /// Requested; nothing started.
    pub const NEW: Self = Self::Active { container: Container::Created, stream: Stream::Waiting };

    /// As [`State::NEW`], of a session without a picture.
    pub const NEW_WITHOUT_STREAM: Self = Self::Active { container: Container::Created, stream: Stream::None };

    /// Found again by a new gateway: the container runs. `ran`: it was `running` already, and stays so.
    pub fn adopted(ran: bool, streams: bool) -> Self {
        let stream = match (streams, ran) {
            (false, _) => Stream::None,
            (true, true) => Stream::Live,
            (true, false) => Stream::Waiting,
        };
        Self::Active { container: Container::Running, stream }
    }

    /// The Sessions API's view (contract 1.2). A launch that failed stays `starting` until it is cleaned up.
    pub fn status(self) -> Status {
        match self {
            Self::Active {
                container: Container::Running | Container::Restarting,
                stream: Stream::Live | Stream::None,
            } => Status::Running,
            Self::Active { .. } => Status::Starting,
            Self::Ending { reason, ran } if !ran && is_failure(reason) => Status::Starting,
            Self::Ending { .. } => Status::Stopping,
            Self::Ended { reason, ran } if !ran && is_failure(reason) => Status::Error,
            Self::Ended { .. } => Status::Stopped,
        }
    }

    /// The Session API's view of the same facts (contract X7): the container alone.
    pub fn container_status(self) -> ContainerStatus {
        match self {
            Self::Active { container: Container::Created, .. } => ContainerStatus::Created,
            Self::Active { container: Container::Running, .. } => ContainerStatus::Running,
            Self::Active { container: Container::Restarting, .. } => ContainerStatus::Restarting,
            Self::Ending { .. } => ContainerStatus::ShuttingDown,
            // A game that ended with a code ended by itself, with an error or without one (rule 17).
            Self::Ended { reason: EndReason::GameExited, .. } => ContainerStatus::Exited,
            Self::Ended { reason, .. } if is_failure(reason) => ContainerStatus::Dead,
            Self::Ended { .. } => ContainerStatus::Exited,
        }
    }

    /// It was `running` once.
    pub fn ran(self) -> bool {
        match self {
            Self::Active { .. } => self.status() == Status::Running,
            Self::Ending { ran, .. } | Self::Ended { ran, .. } => ran,
        }
    }

    pub fn end_reason(self) -> Option<EndReason> {
        match self {
            Self::Active { .. } => None,
            Self::Ending { reason, .. } | Self::Ended { reason, .. } => Some(reason),
        }
    }

    pub fn step(self, event: Event) -> Result<(Self, Vec<Action>), IllegalEvent> {
        let illegal = IllegalEvent { state: self, event };
        match (self, event) {
            (Self::Active { container: Container::Created, stream }, Event::ContainerUp) => {
                let next = Self::Active { container: Container::Running, stream };
                Ok((next, vec![Action::Mark(Milestone::ContainerUp), Action::Publish]))
            }
            (Self::Active { container: Container::Restarting, stream }, Event::ContainerUp) => {
                let next = Self::Active { container: Container::Running, stream };
                Ok((next, vec![Action::Publish]))
            }
            (Self::Active { container: Container::Running, stream }, Event::ContainerDown) => {
                let next = Self::Active { container: Container::Restarting, stream };
                Ok((next, vec![Action::Publish]))
            }
            (Self::Active { container, stream: Stream::Waiting }, Event::KeyFrame) => {
                let next = Self::Active { container, stream: Stream::Live };
                Ok((next, vec![Action::Mark(Milestone::FirstKeyFrame), Action::Publish]))
            }
            (Self::Active { .. }, Event::End(reason)) => {
                let next = Self::Ending { reason, ran: self.ran() };
                Ok((next, vec![Action::Mark(Milestone::StopRequested), Action::Publish, Action::TearDown]))
            }
            (Self::Ending { reason, ran }, Event::TornDown) => {
                let next = Self::Ended { reason, ran };
                Ok((next, vec![Action::Mark(Milestone::Ended), Action::Publish, Action::Forget]))
            }
            (Self::Active { container: Container::Running, .. }, Event::ContainerUp)
            | (
                Self::Active { container: Container::Created | Container::Restarting, .. },
                Event::ContainerDown,
            )
            | (Self::Active { stream: Stream::Live | Stream::None, .. }, Event::KeyFrame)
            | (Self::Active { .. }, Event::TornDown)
            | (
                Self::Ending { .. },
                Event::ContainerUp | Event::ContainerDown | Event::KeyFrame | Event::End(_),
            )
            | (
                Self::Ended { .. },
                Event::ContainerUp | Event::ContainerDown | Event::KeyFrame | Event::End(_) | Event::TornDown,
            ) => Err(illegal),
        }
    }
}

/// Whether something went wrong, as against somebody having decided it. Before the first picture a failure is `error`.
pub fn is_failure(reason: EndReason) -> bool {
    match reason {
        EndReason::GameExited
        | EndReason::GameCrashed
        | EndReason::OutOfMemory
        | EndReason::NodeLost
        | EndReason::LaunchTimeout
        | EndReason::LaunchFailed
        | EndReason::MediaFailed => true,
        EndReason::StoppedByUser | EndReason::Idle | EndReason::Ttl | EndReason::GatewayShutdown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reasons() -> impl Strategy<Value = EndReason> {
        prop::sample::select(vec![
            EndReason::StoppedByUser,
            EndReason::Idle,
            EndReason::Ttl,
            EndReason::GameExited,
            EndReason::GameCrashed,
            EndReason::OutOfMemory,
            EndReason::NodeLost,
            EndReason::LaunchTimeout,
            EndReason::LaunchFailed,
            EndReason::GatewayShutdown,
            EndReason::MediaFailed,
        ])
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            Just(Event::ContainerUp),
            Just(Event::ContainerDown),
            Just(Event::KeyFrame),
            reasons().prop_map(Event::End),
            Just(Event::TornDown),
        ];
        prop::collection::vec(event, 0..12)
    }

    /// Every state on the way, with the events that were taken.
    fn run(events: &[Event]) -> Vec<(State, Option<Event>)> {
        let mut path = vec![(State::NEW, None)];
        for event in events {
            let state = path.last().unwrap().0;
            if let Ok((next, _)) = state.step(*event) {
                path.push((next, Some(*event)));
            }
        }
        path
    }

    proptest! {
        #[test]
        fn an_ended_session_never_changes(before in events(), after in events(), reason in reasons()) {
            let mut state = run(&before).last().unwrap().0;
            if let Ok((next, _)) = state.step(Event::End(reason)) { state = next; }
            if let Ok((next, _)) = state.step(Event::TornDown) { state = next; }
            let is_ended = matches!(state, State::Ended { .. });
            prop_assert!(is_ended);
            for event in after {
                prop_assert_eq!(state.step(event), Err(IllegalEvent { state, event }));
            }
        }

        #[test]
        fn the_status_only_moves_along_the_contracts_transitions(events in events()) {
            for pair in run(&events).windows(2) {
                let (from, to) = (pair[0].0.status(), pair[1].0.status());
                let allowed = from == to || matches!(
                    (from, to),
                    (Status::Starting, Status::Running | Status::Error | Status::Stopping)
                        | (Status::Running, Status::Stopping)
                        | (Status::Stopping, Status::Stopped)
                );
                prop_assert!(allowed, "{:?} to {:?}", from, to);
            }
        }

        #[test]
        fn an_end_has_the_reason_it_began_with(events in events()) {
            let path = run(&events);
            let first = path.iter().find_map(|(_, event)| match event {
                Some(Event::End(reason)) => Some(*reason),
                Some(Event::ContainerUp | Event::ContainerDown | Event::KeyFrame | Event::TornDown) | None => {
                    None
                }
            });
            prop_assert_eq!(path.last().unwrap().0.end_reason(), first);
        }

        #[test]
        fn running_needs_container_and_key_frame(events in events()) {
            let path = run(&events);
            for index in 0..path.len() {
                let seen = |wanted| path[..=index].iter().any(|(_, event)| *event == Some(wanted));
                let running = path[index].0.status() == Status::Running;
                if running || path[index].0.ran() {
                    prop_assert!(seen(Event::ContainerUp) && seen(Event::KeyFrame));
                }
                let up = path[index].0.container_status() == ContainerStatus::Running;
                prop_assert!(!up || seen(Event::ContainerUp));
            }
        }

        #[test]
        fn a_failure_before_running_is_error_and_any_other_end_is_stopped(events in events()) {
            let path = run(&events);
            if let State::Ended { reason, .. } = path.last().unwrap().0 {
                let ran = path.iter().any(|(state, _)| state.status() == Status::Running);
                let expected = if !ran && is_failure(reason) { Status::Error } else { Status::Stopped };
                prop_assert_eq!(path.last().unwrap().0.status(), expected);
            }
        }
    }

    #[test]
    fn a_stop_during_the_launch_is_no_error() {
        let (ending, _) = State::NEW.step(Event::End(EndReason::StoppedByUser)).unwrap();
        assert_eq!(ending.status(), Status::Stopping);
        let (ended, actions) = ending.step(Event::TornDown).unwrap();
        assert_eq!(ended.status(), Status::Stopped);
        assert_eq!(actions.last(), Some(&Action::Forget));
    }
}
