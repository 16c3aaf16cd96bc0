//! The task that owns one live session: every change of it happens here, one after the other.
//!
//! Events of relay, runner, driver and callers are taken in turn; launch and teardown run beside them as one future, so
//! that neither a slow start nor a slow stop keeps a viewer waiting. Every change of state goes through the machine and
//! is written before it is told (see `record` for a store that fails).

mod begin;
mod control;
mod events;
mod guard;
mod rate;
mod record;
mod viewers;

use super::catalogue::Game;
use super::context::Context;
use super::control::{Control, NotAllowed, Standing};
use super::ending;
use super::hosted::Restarts;
use super::input::HeldKeys;
use super::keep::{self, Next, Unsaved};
use super::launch::{Holds, LaunchFailed, Launched, Step};
use super::limits::Permit;
use super::machine::{Action, Event, State};
use super::ports::{RunnerLink, RunnerSender};
use super::roster::{Entry, Refused, Roster};
use super::teardown::{Teardown, TornDown};
use super::view::{Push, SessionView};
use crate::control::ControlEvent;
use crate::driver::{DriverEvent, Instance};
use crate::model::clock::to_time;
use crate::model::ids::{GrantId, SessionId, ViewerId};
use crate::model::rows::{Figures, SessionRow};
use crate::model::session::{EndReason, Milestone, Timeline};
use crate::relay::{RelayEvent, SourceFault};
use futures_util::future::BoxFuture;
use playgate_signaling::control::Wish;
use playgate_signaling::message::{Progress, QualityReport, Role};
pub(super) use record::{StopReply, Unrecorded};
use std::collections::{HashMap, HashSet};
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
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
/// How often a session's use is noted in the store, for the case that the gateway is killed.
const NOTE_USAGE_EVERY: Duration = Duration::from_secs(10);
/// The first time comes soon: a gateway may be killed early, and an ended game's use cannot be asked for.
const NOTE_USAGE_FIRST: Duration = Duration::from_secs(2);
/// Code of a game that was ended by SIGKILL (128 and 9), as a shell tells it.
const KILLED: i32 = 137;
/// How long the driver's word on such an end is waited for.
const DRIVERS_WORD: Duration = Duration::from_secs(5);
/// Distinct players remembered of one session; further ones are not counted.
const MOST_PLAYERS: usize = 1000;
/// A game nobody has watched for this long is told to pause.
const PAUSE_AFTER: Duration = Duration::from_secs(5);
/// How long the engine may take to start a container again.
const RESTART_WITHIN: Duration = Duration::from_secs(30);
/// A runner of an earlier gateway's that has not connected again after this long is lost.
const RUNNER_BACK: Duration = Duration::from_secs(30);

pub(super) enum Command {
    /// Gives the new end of the lease, in Unix milliseconds.
    Keepalive(oneshot::Sender<i64>),
    Stop {
        reason: EndReason,
        reply: StopReply,
    },
    /// As a stop, answered when the end has begun; false when it had begun already.
    Terminate(oneshot::Sender<bool>),
    Admit {
        entry: Entry,
        reply: oneshot::Sender<Result<(Role, Option<u8>), NotAdmitted>>,
    },
    /// Asks how an offer of an admitted viewer is to be put to the relay; answered when media is open.
    Ticket {
        viewer: ViewerId,
        reply: oneshot::Sender<Option<Ticket>>,
    },
    /// The relay took the viewer in, with the slot of its ticket.
    MediaUp {
        viewer: ViewerId,
        slot: Option<u8>,
    },
    /// What a viewer wants of the controls.
    Control {
        viewer: ViewerId,
        wish: Wish<ViewerId>,
        reply: oneshot::Sender<Result<(), NotAllowed>>,
    },
    Leave(ViewerId),
    Saw {
        viewer: ViewerId,
        report: QualityReport,
    },
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
}

/// What the service holds of a live session.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) view: watch::Receiver<SessionView>,
    pub(super) pushes: broadcast::WeakSender<Push>,
    /// Who plays, asks and watches.
    pub(super) standing: watch::Receiver<Arc<Standing>>,
    pub(super) game: Arc<Game>,
    pub(super) generation: crate::model::ids::Generation,
    /// It has ended, and the store does not know yet.
    pub(super) unrecorded: Arc<AtomicBool>,
}

impl Handle {
    /// The session is over for its players, although its row still says otherwise.
    pub(super) fn is_unrecorded(&self) -> bool {
        self.unrecorded.load(std::sync::atomic::Ordering::Relaxed) || self.commands.is_closed()
    }
}

/// Runs when the session has ended, before those who wait for its end are told.
pub(super) type OnEnd = Arc<dyn Fn(SessionId) + Send + Sync>;

enum Done {
    Launched(Result<Launched, LaunchFailed>),
    TornDown(TornDown),
}

pub(super) struct Actor {
    context: Arc<Context>,
    row: SessionRow,
    game: Arc<Game>,
    state: State,
    timeline: Timeline,
    progress: Option<Progress>,
    source_faults: Vec<SourceFault>,
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
    holds: Holds,
    game_is_gone: bool,
    /// The save could not be stored yet; what holds it, when that is a container.
    unsaved: Option<Option<Box<dyn Instance>>>,
    /// Another gateway has the session: write nothing any more.
    fenced: bool,
    roster: Roster,
    control: Control,
    standing: watch::Sender<Arc<Standing>>,
    /// When the size of the crowd is to be told.
    crowd_told_at: Option<Instant>,
    keys: HeldKeys,
    /// Players that are connected, by the names that are noted of them.
    playing: HashMap<ViewerId, String>,
    ended_grants: HashSet<GrantId>,
    tickets_waiting: Vec<(ViewerId, oneshot::Sender<Option<Ticket>>)>,
    /// Since when.
    stops_waiting: Vec<(Instant, StopReply)>,
    /// Between SIGTERM and SIGKILL.
    grace: Duration,
    launch_deadline: Instant,
    /// Until when an adopted game's runner must have connected.
    runner_deadline: Option<Instant>,
    /// The runner has told of a game that was killed; until when the driver may tell more.
    driver_deadline: Option<Instant>,
    /// A runner was connected before, to this gateway or to the one before it.
    runner_known: bool,
    watched: bool,
    paused: bool,
    pause_at: Option<Instant>,
    rate: rate::StreamRate,
    note_usage_at: Instant,
    restarts: Restarts,
    record: record::Record,
    unrecorded: Arc<AtomicBool>,
    unrecorded_since: Option<Instant>,
    is_over: bool,
}

impl Actor {
    pub(super) async fn run(mut self) {
        while !self.is_over {
            let wake_at = self.wake_at();
            tokio::select! {
                // In this order: what a launch told counts before its end, and a flood of input keeps nothing else
                // waiting.
                biased;
                Some(step) = self.steps.recv() => self.on_step(step),
                done = finished(&mut self.work) => self.on_done(done).await,
                result = self.record.written() => self.on_written(result),
                Some(event) = self.driver_events.recv() => self.on_driver(event).await,
                event = next_of_link(&mut self.link) => self.on_control(event).await,
                Some(command) = self.commands.recv() => self.on_command(command).await,
                () = self.context.clock.sleep_until(wake_at) => self.on_time().await,
                event = next(&mut self.relay_events) => match event {
                    Some(event) => self.on_relay(event).await,
                    None => self.on_media_lost().await,
                },
            }
            self.end_when_recorded();
        }
        self.finish();
    }

    /// Lets go of everything, then tells those who wait for the end.
    fn finish(mut self) {
        self.context.metrics.active.dec();
        self.context.metrics.hosted.forget(&self.row);
        if let Some(reason) = self.state.end_reason() {
            self.context.metrics.ended(reason);
        }
        let playing = std::mem::take(&mut self.playing);
        self.unlist(playing.into_values());
        drop(self.permit.take());
        if let Some(instance) = self.unsaved.take() {
            Unsaved { row: self.row.clone(), instance }.retry(Arc::clone(&self.context));
        }
        if self.row.hosted.is_some() || self.row.save_refused_at.is_some() {
            self.context.kept_for_a_while.notify_one();
        }
        (self.on_end)(self.row.id);
        let report = ending::report(&self.row);
        for (_, waiting) in self.stops_waiting.drain(..) {
            let _ = waiting.send(Ok(report.clone()));
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
                Action::Mark(milestone) => {
                    self.mark(milestone);
                }
                Action::Publish => self.publish().await,
                Action::TearDown => self.tear_down(),
                // `end_when_recorded` does, after every event.
                Action::Forget => {}
            }
        }
    }

    /// Ends the session for a reason, with a sentence for people when something went wrong.
    async fn end(&mut self, reason: EndReason, detail: Option<String>) {
        if self.state.end_reason().is_none() {
            let said = detail.as_deref().unwrap_or("no fault");
            if reason.is_failure() {
                tracing::warn!(session = %self.row.id, %reason, "the session failed: {said}");
            } else {
                tracing::info!(session = %self.row.id, %reason, "the session ends: {said}");
            }
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
            row: self.row.clone(),
            instance: self.instance.take(),
            link: self.link.take(),
            grace: self.grace,
            // The time to live ends by force (G17).
            by_force: self.state.end_reason() == Some(EndReason::Ttl),
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
            Done::Launched(Ok(Launched { instance, holds })) => {
                self.row.instance = instance.reference();
                self.instance = Some(instance);
                self.holds = holds;
                self.restarts.up(self.context.clock.now());
                if self.game.streams() {
                    self.set_progress("waiting_for_picture", None);
                } else {
                    self.progress = None;
                }
                self.step(Event::ContainerUp).await;
                self.arm_pause();
            }
            Done::Launched(Err(LaunchFailed { reason, detail })) => self.end(reason, Some(detail)).await,
            Done::TornDown(done) => self.on_torn_down(done).await,
        }
    }

    async fn on_torn_down(&mut self, done: TornDown) {
        if done.saved {
            self.mark(Milestone::SaveStored);
        }
        self.row.save = done.save;
        self.holds = Holds::default();
        let now = self.context.clock.now_ms();
        self.row.figures = Some(ending::final_figures(&self.row, now, done.ended.unwrap_or_default()));
        self.row.ended_at = Some(now);
        self.row.lease_until = None;
        self.progress = None;
        self.record_profile(now);
        match done.unsaved {
            // A hosted session's stopped container stays for a while.
            None if self.row.hosted.is_some() => {
                if self.row.instance.is_none() {
                    self.row.removed_at = Some(now);
                }
            }
            None => self.row.instance = None,
            Some((error, container)) => {
                if container.is_none() {
                    self.row.instance = None;
                }
                if keep::note(&mut self.row, &error, now) == Next::TryAgain {
                    self.unsaved = Some(container);
                }
            }
        }
        self.step(Event::TornDown).await;
    }

    /// Rule 13. Only a session that played tells what playing takes. Written beside the actor: its end does not wait for it.
    fn record_profile(&mut self, now: i64) {
        self.row.timeline = self.timeline.entries().to_vec();
        let played_ms = ending::played_ms(&self.row, now);
        if self.fenced || !self.state.ran() || self.row.instance.is_none() || played_ms == 0 {
            return;
        }
        let figures = self.row.figures.unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "an average needs no more than a mantissa")]
        let (seconds, memory) = (played_ms as f64 / 1000.0, figures.peak_memory_bytes as f64);
        let (context, id, game) = (Arc::clone(&self.context), self.row.id, self.row.game.clone());
        tokio::spawn(async move {
            let cpu = figures.cpu_seconds / seconds;
            if let Err(error) = context.store.record_profile(&game, cpu, memory).await {
                tracing::error!(session = %id, %error, "a resource profile could not be written");
            }
        });
    }

    /// Notes how the game ended by itself, before the driver's last word on it.
    fn note_exit(&mut self, code: Option<i32>, out_of_memory: bool) {
        let before = self.row.figures.unwrap_or_default();
        let exit_code = before.exit_code.or(code);
        let out_of_memory = before.out_of_memory || out_of_memory;
        self.row.figures = Some(Figures { exit_code, out_of_memory, ..before });
    }

    /// True when it is new.
    fn mark(&mut self, milestone: Milestone) -> bool {
        self.timeline.mark(milestone, self.context.clock.now_ms())
    }

    /// Writes the session, then tells its viewers.
    async fn publish(&mut self) {
        self.row.status = self.state.status();
        self.row.container = ending::container_status(self.state, &self.row);
        self.row.ran |= self.state.ran();
        self.row.end_reason = self.state.end_reason();
        self.row.timeline = self.timeline.entries().to_vec();
        if !self.fenced {
            self.write().await;
        }
        if !matches!(self.state, State::Ended { .. }) {
            self.refresh();
            self.push_status();
        }
    }

    /// Brings the view up to date.
    fn refresh(&mut self) {
        if self.is_unrecorded() {
            return;
        }
        self.row.timeline = self.timeline.entries().to_vec();
        let mut view = view_of(&self.row, self.progress.clone(), self.roster.connected());
        view.spectators = self.standing.borrow().spectators();
        view.source_faults.clone_from(&self.source_faults);
        self.view.send_replace(view);
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
            source_faults: self.source_faults.clone(),
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
        external_id: row.external_id.clone(),
        node: row.node.clone(),
        game_slug: row.game.clone(),
        game_title: row.title.clone(),
        slot: row.slot,
        status: row.status,
        container: row.container,
        hosted: row.hosted.clone(),
        started_at: to_time(row.started_at),
        expires_at: row.ended_at.is_none().then(|| expires_at(row).map(to_time)).flatten(),
        progress,
        source_faults: Vec::new(),
        timeline: row.timeline.iter().map(|(milestone, at)| (*milestone, to_time(*at))).collect(),
        end_reason: row.end_reason,
        end_detail: row.end_detail.clone(),
        save: row.save.clone(),
        viewers,
        spectators: 0,
        quality: row.quality,
    }
}

/// The end of the idle lease, or of the time to live (X11).
fn expires_at(row: &SessionRow) -> Option<i64> {
    row.lease_until.or_else(|| row.hosted.as_ref()?.ttl_until)
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
