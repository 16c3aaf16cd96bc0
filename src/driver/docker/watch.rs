//! Watches over one container until it has ended, and ends it when asked.
//!
//! Only the engine's own word counts as the end. A connection that breaks, or an engine that is away, is waited out: for
//! ever while the game plays, for a bounded time once it shall end.

use super::error::status_of;
use super::stats::{self, Meter};
use crate::driver::{DriverEvent, Ended, Usage};
use bollard::Docker;
use bollard::errors::Error as EngineError;
use bollard::models::ContainerState;
use bollard::query_parameters::{KillContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::StreamExt;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Between tries to reach an engine that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// After the grace, how long the engine may take to tell that the container has ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two SIGKILLs.
const KILL_AGAIN: Duration = Duration::from_secs(1);
/// A signal takes the engine some milliseconds.
const SIGNAL_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) usage: Usage,
    /// The container has ended and the figures are final.
    pub(super) ended: Option<Ended>,
}

pub(super) struct Keeper {
    pub(super) engine: Docker,
    pub(super) container: String,
    pub(super) events: mpsc::Sender<DriverEvent>,
    /// The grace of a stop that was asked for; closed when nobody can ask any more.
    pub(super) orders: watch::Receiver<Option<Duration>>,
    pub(super) reports: watch::Sender<Report>,
    pub(super) meter: Meter,
}

/// How watching ended.
enum Over {
    Ended(Exit),
    /// Nobody knows how: it is not there any more, or the engine has kept silent for too long.
    Unknown,
    /// Nobody asks any more. The container plays on, for the next gateway.
    LeftAlone,
}

/// A stop that was asked for.
struct Stop {
    grace: Duration,
    give_up_at: Instant,
    /// Set when SIGTERM was delivered.
    kill_at: Option<Instant>,
}

impl Keeper {
    pub(super) async fn run(mut self) {
        let mut stop = None;
        let exit = match self.until_over(&mut stop).await {
            Over::Ended(exit) => exit,
            Over::Unknown => Exit::default(),
            Over::LeftAlone => return,
        };
        let usage = self.meter.finish(exit.at);
        let ended = Ended { usage, exit_code: exit.code, out_of_memory: exit.out_of_memory };
        self.reports.send_replace(Report { usage, ended: Some(ended) });
        if stop.is_none() {
            let Exit { code, signal, out_of_memory, at: _ } = exit;
            let _ = self.events.send(DriverEvent::Exited { code, signal, out_of_memory }).await;
        }
    }

    async fn until_over(&mut self, stop: &mut Option<Stop>) -> Over {
        let (engine, container) = (self.engine.clone(), self.container.clone());
        let mut end = Box::pin(end_of(&engine, &container));
        let begun = Instant::now();
        let mut next_sample = begun;
        loop {
            tokio::select! {
                over = &mut end => return over,
                order = self.orders.changed(), if stop.is_none() => match order {
                    Ok(()) => {
                        let grace = (*self.orders.borrow_and_update()).unwrap_or_default();
                        let give_up_at = Instant::now() + grace + PATIENCE;
                        *stop = Some(Stop { grace, give_up_at, kill_at: None });
                        next_sample = Instant::now();
                    }
                    Err(_) => return Over::LeftAlone,
                },
                () = tokio::time::sleep_until(next_sample) => {
                    self.sample().await;
                    next_sample = Instant::now() + stats::interval(begun.elapsed());
                    if let Some(stop) = stop {
                        next_sample = Instant::now() + stats::WHILE_ENDING;
                        if stop.advance(&engine, &container).await {
                            tracing::warn!(container, "the engine does not tell that a stopped game has ended");
                            return Over::Unknown;
                        }
                    }
                }
            }
        }
    }

    async fn sample(&mut self) {
        if let Some(now) = stats::sample(&self.engine, &self.container).await {
            let usage = self.meter.add(now);
            self.reports.send_modify(|report| report.usage = usage);
        }
    }
}

impl Stop {
    /// Sends what is due. True when it is time to give up.
    async fn advance(&mut self, engine: &Docker, container: &str) -> bool {
        let now = Instant::now();
        match self.kill_at {
            None => {
                // Again until the engine has taken it: a game must not lose its grace because the engine was away.
                if signal(engine, container, "SIGTERM").await {
                    self.kill_at = Some(Instant::now() + self.grace);
                }
            }
            Some(at) if now >= at => {
                signal(engine, container, "SIGKILL").await;
                self.kill_at = Some(now + KILL_AGAIN);
            }
            Some(_) => {}
        }
        now >= self.give_up_at
    }
}

/// True when it was delivered, or there is nobody to deliver it to.
pub(super) async fn signal(engine: &Docker, container: &str, signal: &str) -> bool {
    let options = KillContainerOptionsBuilder::default().signal(signal).build();
    match tokio::time::timeout(SIGNAL_WITHIN, engine.kill_container(container, Some(options))).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => matches!(status_of(&error), Some(404 | 409)),
        Err(_) => false,
    }
}

/// Waits until the engine says that the container is not running, however often the connection breaks.
async fn end_of(engine: &Docker, container: &str) -> Over {
    let mut pause = FIRST_PAUSE;
    loop {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let told = Box::pin(engine.wait_container(container, Some(options))).next().await;
        match told {
            Some(Ok(_) | Err(EngineError::DockerContainerWaitError { .. })) => {
                if let Some(over) = look(engine, container).await {
                    return over;
                }
            }
            Some(Err(error)) if status_of(&error) == Some(404) => return Over::Unknown,
            Some(Err(error)) => tracing::debug!(container, %error, "lost sight of a container"),
            None => tracing::debug!(container, "lost sight of a container"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// `None` when it runs, or the engine does not say.
async fn look(engine: &Docker, container: &str) -> Option<Over> {
    match engine.inspect_container(container, None).await {
        Ok(found) => {
            let state = found.state?;
            (!state.running.unwrap_or(false)).then(|| Over::Ended(Exit::of(&state)))
        }
        Err(error) => (status_of(&error) == Some(404)).then_some(Over::Unknown),
    }
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Exit {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) out_of_memory: bool,
    /// By the engine's clock.
    pub(super) at: Option<OffsetDateTime>,
}

impl Exit {
    /// A code above 128 is a signal: of the container's first process, or, told by that, of its child. The kernel's
    /// kill for want of memory is told of the whole container, so it counts only when the end was no good one.
    pub(super) fn of(state: &ContainerState) -> Self {
        let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
        let signal = code.map(|code| code - 128).filter(|signal| (1..=64).contains(signal));
        let out_of_memory = state.oom_killed.unwrap_or(false) && code != Some(0);
        let at = state.finished_at.as_deref().and_then(stats::moment);
        Self { code: code.filter(|_| signal.is_none()), signal, out_of_memory, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i64, oom_killed: bool) -> Exit {
        let state = ContainerState {
            exit_code: Some(code),
            oom_killed: Some(oom_killed),
            ..ContainerState::default()
        };
        Exit::of(&state)
    }

    #[test]
    fn codes_above_128_are_signals() {
        assert_eq!(exit(3, false), Exit { code: Some(3), ..Exit::default() });
        assert_eq!(exit(137, false), Exit { signal: Some(9), ..Exit::default() });
        assert_eq!(exit(139, false), Exit { signal: Some(11), ..Exit::default() });
        assert_eq!(exit(255, false), Exit { code: Some(255), ..Exit::default() });
        assert_eq!(exit(128, false), Exit { code: Some(128), ..Exit::default() });
    }

    #[test]
    fn want_of_memory_counts_when_the_end_was_no_good_one() {
        assert_eq!(exit(137, true), Exit { signal: Some(9), out_of_memory: true, ..Exit::default() });
        assert_eq!(exit(1, true), Exit { code: Some(1), out_of_memory: true, ..Exit::default() });
        assert_eq!(exit(0, true), Exit { code: Some(0), ..Exit::default() });
    }
}
