//! The task that owns one live session: every change of it happens here, one after the other.
//!
//! Events of relay, runner, driver and callers are taken in turn; launch and teardown run beside them as one future, so
//! that neither a slow start nor a slow stop keeps a viewer waiting. Every change of state goes through the machine and
//! is written before it is told.

mod events;
mod guard;
mod viewers;

use super::catalogue::Game;
use super::clock::to_time;
use super::context::Context;
use super::input::HeldKeys;
use super::launch::{self, LaunchFailed, Plan, Step};
use super::limits::Permit;
use super::machine::{Action, Event, State, Timeline};
use super::ports::{RunnerLink, RunnerSender};
use super::roster::{Person, Refused, Roster};
use super::teardown::{Teardown, TornDown};
use super::view::{EndReason, Milestone, Push, SessionView, StopReport};
use crate::control::ControlEvent;
use crate::driver::{DriverEvent, Instance, Usage};
use crate::ids::{GrantId, SessionId, ViewerId};
use crate::relay::RelayEvent;
use crate::store::{Fenced, Figures, SessionRow};
use futures_util::future::BoxFuture;
use guard::Guard;
use playgate_signaling::message::{Progress, Role};
use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

/// Commands of callers. When it is full the callers wait.
const COMMANDS: usize = 64;
/// Pushes a viewer's signaling may be behind; a slower one skips the oldest.
const PUSHES: usize = 64;
/// Steps of a launch; the launch waits.
const STEPS: usize = 8;
/// Events of a driver; the driver waits.
const DRIVER_EVENTS: usize = 16;
/// Timers are looked at again after this long at the latest: the wall clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How often a session's row is tried to be written, and the time between.
const WRITE_ATTEMPTS: u32 = 3;
const WRITE_PAUSE: Duration = Duration::from_millis(200);
/// How often a session's use is noted in the store, for the case that the gateway is killed.
const NOTE_USAGE_EVERY: Duration = Duration::from_secs(30);
/// A game nobody has watched for this long is told to pause.
const PAUSE_AFTER: Duration = Duration::from_secs(5);

pub(super) enum Command {
    /// Gives the new end of the lease, in Unix milliseconds.
    Keepalive(oneshot::Sender<i64>),
    Stop {
        reason: EndReason,
        reply: oneshot::Sender<StopReport>,
    },
    Admit {
        viewer: ViewerId,
        person: Person,
        may: Role,
        wanted: Option<Role>,
        /// End of the grant, in Unix milliseconds.
        until: Option<i64>,
        reply: oneshot::Sender<Result<(Role, Option<u8>), NotAdmitted>>,
    },
    /// Asks how an offer of an admitted viewer is to be put to the relay; answered when media is open.
    Ticket {
        viewer: ViewerId,
        reply: oneshot::Sender<Option<Ticket>>,
    },
    /// The relay took the viewer in.
    MediaUp(ViewerId),
    Leave(ViewerId),
    EndGrant(GrantId),
    FirstDecodedFrame,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAdmitted {
    NotFound,
    Full,
}

impl From<Refused> for NotAdmitted {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotYours => Self::NotFound,
            Refused::Full => Self::Full,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) has_media: bool,
    pub(super) slot: Option<u8>,
    pub(super) principal: String,
}

/// What the service holds of a live session.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) view: watch::Receiver<SessionView>,
    pub(super) pushes: broadcast::WeakSender<Push>,
    pub(super) game: Arc<Game>,
    pub(super) generation: crate::ids::Generation,
}

/// Runs when the session has ended, before those who wait for its end are told.
pub(super) type OnEnd = Arc<dyn Fn(SessionId) + Send + Sync>;

enum Done {
    Launched(Result<Box<dyn Instance>, LaunchFailed>),
    TornDown(TornDown),
}

pub(super) struct Actor {
    context: Arc<Context>,
    row: SessionRow,
    state: State,
    timeline: Timeline,
    progress: Option<Progress>,
    commands: mpsc::Receiver<Command>,
    view: watch::Sender<SessionView>,
    pushes: broadcast::Sender<Push>,
    on_end: OnEnd,
    permit: Option<Permit>,
    /// Launch or teardown.
    work: Option<BoxFuture<'static, Done>>,
    steps: mpsc::Receiver<Step>,
    driver_events: mpsc::Receiver<DriverEvent>,
    media_open: bool,
    relay_events: Option<mpsc::Receiver<RelayEvent>>,
    link: Option<Box<dyn RunnerLink>>,
    runner: Option<Arc<dyn RunnerSender>>,
    instance: Option<Box<dyn Instance>>,
    game_is_gone: bool,
    /// Another gateway has the session: write nothing any more.
    fenced: bool,
    roster: Roster,
    keys: HeldKeys,
    ended_grants: HashSet<GrantId>,
    tickets_waiting: Vec<(ViewerId, oneshot::Sender<Option<Ticket>>)>,
    stops_waiting: Vec<oneshot::Sender<StopReport>>,
    launch_deadline: Instant,
    watched: bool,
    paused: bool,
    pause_at: Option<Instant>,
    note_usage_at: Instant,
    is_over: bool,
}

impl Actor {
    /// Begins the launch of a session that is in the store. The handle works at once.
    pub(super) fn spawn(
        context: Arc<Context>,
        row: SessionRow,
        game: Arc<Game>,
        permit: Permit,
        register: impl FnOnce(Handle) -> OnEnd,
    ) {
        let (commands_tx, commands) = mpsc::channel(COMMANDS);
        let (steps_tx, steps) = mpsc::channel(STEPS);
        let (driver_tx, driver_events) = mpsc::channel(DRIVER_EVENTS);
        let (pushes, _) = broadcast::channel(PUSHES);
        let (view, view_rx) = watch::channel(view_of(&row, None, 0));
        let handle = Handle {
            commands: commands_tx,
            view: view_rx,
            pushes: pushes.downgrade(),
            game: Arc::clone(&game),
            generation: row.generation,
        };
        let plan =
            Plan { session: row.id, generation: row.generation, slot: row.slot, game: Arc::clone(&game) };
        let launching = launch::launch(Arc::clone(&context), plan, steps_tx, driver_tx);
        let launch_timeout = Duration::from_secs(context.config.launch_timeout_s);
        let actor = Self {
            roster: Roster::new(game.view.hints.pads, context.config.max_viewers),
            state: State::NEW,
            timeline: Timeline::from(row.timeline.clone()),
            progress: None,
            on_end: register(handle),
            permit: Some(permit),
            work: Some(Box::pin(async move { Done::Launched(launching.await) })),
            media_open: false,
            relay_events: None,
            link: None,
            runner: None,
            instance: None,
            game_is_gone: false,
            fenced: false,
            keys: HeldKeys::default(),
            ended_grants: HashSet::new(),
            tickets_waiting: Vec::new(),
            stops_waiting: Vec::new(),
            launch_deadline: context.clock.now() + launch_timeout,
            watched: false,
            paused: false,
            pause_at: None,
            note_usage_at: context.clock.now() + NOTE_USAGE_EVERY,
            is_over: false,
            context,
            row,
            commands,
            view,
            pushes,
            steps,
            driver_events,
        };
        let guard = Guard {
            context: Arc::clone(&actor.context),
            id: actor.row.id,
            on_end: Arc::clone(&actor.on_end),
        };
        actor.context.metrics.active.inc();
        tokio::spawn(guard.watch(tokio::spawn(actor.run())));
    }

    async fn run(mut self) {
        while !self.is_over {
            let wake_at = self.wake_at();
            tokio::select! {
                // In this order: what a launch told counts before its end, and a flood of input keeps nothing else
                // waiting.
                biased;
                Some(step) = self.steps.recv() => self.on_step(step),
                done = finished(&mut self.work) => self.on_done(done).await,
                Some(event) = self.driver_events.recv() => self.on_driver(event).await,
                event = next_of_link(&mut self.link) => self.on_control(event).await,
                Some(command) = self.commands.recv() => self.on_command(command).await,
                () = self.context.clock.sleep_until(wake_at) => self.on_time().await,
                Some(event) = next(&mut self.relay_events) => self.on_relay(event).await,
            }
        }
        self.finish();
    }

    /// Lets go of everything, then tells those who wait for the end.
    fn finish(mut self) {
        self.context.metrics.active.dec();
        if let Some(reason) = self.state.end_reason() {
            self.context.metrics.ended(reason);
        }
        drop(self.permit.take());
        (self.on_end)(self.row.id);
        let report = report(&self.row);
        for waiting in self.stops_waiting.drain(..) {
            let _ = waiting.send(report);
        }
    }

    async fn step(&mut self, event: Event) {
        let (next, actions) = match self.state.step(event) {
            Ok(done) => done,
            Err(illegal) => {
                // Two ends may come at once; the first one counts.
                tracing::debug!(session = %self.row.id, %illegal, "event without effect");
                return;
            }
        };
        self.state = next;
        for action in actions {
            match action {
                Action::Mark(milestone) => self.mark(milestone),
                Action::Publish => self.publish().await,
                Action::TearDown => self.tear_down(),
                Action::Forget => self.is_over = true,
            }
        }
    }

    /// Ends the session for a reason, with a sentence for people when something went wrong.
    async fn end(&mut self, reason: EndReason, detail: Option<String>) {
        if self.state.end_reason().is_none() {
            tracing::info!(session = %self.row.id, ?reason, detail, "ending the session");
            self.row.end_detail = detail;
            self.progress = Some(Progress { step: "saving".to_owned(), percent: None });
        }
        self.step(Event::End(reason)).await;
    }

    fn tear_down(&mut self) {
        for (_, waiting) in self.tickets_waiting.drain(..) {
            let _ = waiting.send(None);
        }
        let teardown = Teardown {
            context: Arc::clone(&self.context),
            session: self.row.id,
            slot: self.row.slot,
            instance: self.instance.take(),
            link: self.link.take(),
            game_is_gone: self.game_is_gone,
            fenced: self.fenced,
        };
        // A launch under way is dropped here.
        self.work = Some(Box::pin(async move { Done::TornDown(teardown.run().await) }));
    }

    async fn on_done(&mut self, done: Done) {
        // A launch may tell its last steps and end in one go.
        while let Ok(step) = self.steps.try_recv() {
            self.on_step(step);
        }
        match done {
            Done::Launched(Ok(instance)) => {
                self.row.instance = instance.reference();
                self.instance = Some(instance);
                self.set_progress("waiting_for_picture", None);
                self.step(Event::ContainerUp).await;
                self.arm_pause();
            }
            Done::Launched(Err(LaunchFailed(detail))) => {
                self.end(EndReason::LaunchFailed, Some(detail)).await;
            }
            Done::TornDown(done) => self.on_torn_down(done).await,
        }
    }

    async fn on_torn_down(&mut self, done: TornDown) {
        if done.saved {
            self.mark(Milestone::SaveStored);
        }
        let now = self.context.clock.now_ms();
        let duration_ms = now.saturating_sub(self.row.started_at).max(0);
        let usage = done.usage.unwrap_or_default();
        self.row.figures = Some(figures(duration_ms, usage));
        self.row.ended_at = Some(now);
        self.row.lease_until = None;
        self.progress = None;
        self.record_profile(duration_ms, usage.cpu_seconds, usage.peak_memory_bytes).await;
        self.row.instance = None;
        self.step(Event::TornDown).await;
    }

    /// Rule 13. Only a session that played tells what playing takes.
    async fn record_profile(&mut self, duration_ms: i64, cpu_seconds: f64, peak_memory_bytes: u64) {
        if self.fenced || !self.state.ran() || self.row.instance.is_none() || duration_ms == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "an average needs no more than a mantissa")]
        let (seconds, memory) = (duration_ms as f64 / 1000.0, peak_memory_bytes as f64);
        let recorded = self.context.store.record_profile(&self.row.game, cpu_seconds / seconds, memory).await;
        if let Err(error) = recorded {
            tracing::error!(session = %self.row.id, %error, "a resource profile could not be written");
        }
    }

    fn mark(&mut self, milestone: Milestone) {
        self.timeline.mark(milestone, self.context.clock.now_ms());
    }

    /// Writes the session, then tells its viewers.
    async fn publish(&mut self) {
        self.row.status = self.state.status();
        self.row.ran |= self.state.ran();
        self.row.end_reason = self.state.end_reason();
        self.row.timeline = self.timeline.entries().to_vec();
        if !self.fenced {
            self.write().await;
        }
        self.refresh();
        self.push_status();
    }

    /// A database that fails for a moment is asked again: a row that stays active would keep its user out.
    async fn write(&mut self) {
        for attempt in 1..=WRITE_ATTEMPTS {
            match self.context.store.update_session(&self.row).await {
                Ok(Fenced::Written) => return,
                Ok(Fenced::Stale) => {
                    tracing::error!(session = %self.row.id, "another gateway has taken this session over");
                    self.fenced = true;
                    return;
                }
                Err(error) => {
                    tracing::error!(session = %self.row.id, attempt, %error, "a session could not be written");
                    tokio::time::sleep(WRITE_PAUSE).await;
                }
            }
        }
    }

    /// Brings the view up to date.
    fn refresh(&mut self) {
        self.row.timeline = self.timeline.entries().to_vec();
        self.view.send_replace(view_of(&self.row, self.progress.clone(), self.roster.connected()));
    }

    fn set_progress(&mut self, step: &str, percent: Option<f32>) {
        self.progress = Some(Progress { step: step.to_owned(), percent });
        self.refresh();
        self.push_status();
    }

    fn push_status(&self) {
        self.push(Push::Status {
            status: self.state.status(),
            progress: self.progress.clone(),
            end_reason: self.state.end_reason(),
        });
    }

    /// Nobody may be listening.
    fn push(&self, push: Push) {
        let _ = self.pushes.send(push);
    }
}

/// The session as callers see it.
pub(super) fn view_of(row: &SessionRow, progress: Option<Progress>, viewers: u32) -> SessionView {
    SessionView {
        id: row.id,
        owner: row.owner.clone(),
        game_slug: row.game.clone(),
        game_title: row.title.clone(),
        slot: row.slot,
        status: row.status,
        started_at: to_time(row.started_at),
        expires_at: row.ended_at.is_none().then(|| row.lease_until.map(to_time)).flatten(),
        progress,
        timeline: row.timeline.iter().map(|(milestone, at)| (*milestone, to_time(*at))).collect(),
        end_reason: row.end_reason,
        end_detail: row.end_detail.clone(),
        viewers,
    }
}

fn figures(duration_ms: i64, usage: Usage) -> Figures {
    Figures {
        duration_s: u64::try_from(duration_ms / 1000).unwrap_or_default(),
        cpu_seconds: usage.cpu_seconds,
        peak_memory_bytes: usage.peak_memory_bytes,
    }
}

/// The stored figures (B8).
pub(super) fn report(row: &SessionRow) -> StopReport {
    row.figures.map_or(StopReport { duration: 0, cpu_seconds: 0.0, peak_memory_mb: 0 }, |figures| {
        StopReport {
            duration: figures.duration_s,
            cpu_seconds: figures.cpu_seconds,
            peak_memory_mb: figures.peak_memory_bytes / (1024 * 1024),
        }
    })
}

async fn next<T>(receiver: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match receiver {
        Some(open) => {
            let event = open.recv().await;
            if event.is_none() {
                *receiver = None;
            }
            event
        }
        None => pending().await,
    }
}

/// `None` when the channel is gone for good.
async fn next_of_link(link: &mut Option<Box<dyn RunnerLink>>) -> Option<ControlEvent> {
    match link {
        Some(link) => poll_fn(|context| link.poll_event(context)).await,
        None => pending().await,
    }
}

async fn finished(work: &mut Option<BoxFuture<'static, Done>>) -> Done {
    match work {
        Some(future) => {
            let done = future.await;
            *work = None;
            done
        }
        None => pending().await,
    }
}
