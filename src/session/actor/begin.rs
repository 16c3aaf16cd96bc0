//! How a session's task begins: with a launch, or with a game that outlived the gateway before this one.

use super::super::catalogue::{Game, Source};
use super::super::context::Context;
use super::super::contract;
use super::super::control::Control;
use super::super::hosted::Restarts;
use super::super::input::HeldKeys;
use super::super::launch::{self, Holds, Plan, Step};
use super::super::limits::Permit;
use super::super::machine::{Event, State};
use super::super::recover::Found;
use super::super::roster::Roster;
use super::guard::Guard;
use super::{
    Actor, COMMANDS, DRIVER_EVENTS, Done, Handle, NOTE_USAGE_FIRST, OnEnd, PUSHES, RUNNER_BACK, STEPS,
    view_of,
};
use crate::model::rows::SessionRow;
use crate::model::session::{Milestone, Timeline};
use playgate_signaling::message::Progress;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

impl Actor {
    /// Begins the launch of a session that is in the store. The handle works at once.
    pub(in crate::session) fn launch(
        context: Arc<Context>,
        row: SessionRow,
        game: Arc<Game>,
        permit: Option<Permit>,
        register: impl FnOnce(Handle) -> OnEnd,
    ) {
        let (steps_tx, steps) = mpsc::channel(STEPS);
        let (driver_tx, driver_events) = mpsc::channel(DRIVER_EVENTS);
        let plan = Plan {
            session: row.id,
            generation: row.generation,
            slot: row.slot,
            game: Arc::clone(&game),
            hosted: row.hosted.clone().map(|hosted| (row.external_id.clone(), hosted)),
        };
        let launching = launch::launch(Arc::clone(&context), plan, steps_tx, driver_tx);
        let mut actor = Self::new(context, row, game, permit, register);
        (actor.steps, actor.driver_events) = (steps, driver_events);
        actor.work = Some(Box::pin(async move { Done::Launched(launching.await) }));
        actor.spawn();
    }

    /// Goes on with a session whose game outlived the gateway before this one.
    pub(in crate::session) fn adopt(
        context: Arc<Context>,
        found: Found,
        permit: Option<Permit>,
        register: impl FnOnce(Handle) -> OnEnd,
    ) {
        let mut actor = Self::new(context, found.row, found.game, permit, register);
        actor.state = State::adopted(actor.row.ran, actor.game.streams());
        actor.driver_events = found.events;
        actor.instance = Some(found.instance);
        actor.holds = found.holds;
        let now = actor.context.clock.now();
        if let Some((opened, link)) = found.planes {
            actor.on_step(Step::MediaOpen(opened));
            actor.on_step(Step::RunnerExpected(link));
            let back = now + RUNNER_BACK;
            actor.runner_deadline = Some(back);
            actor.runner_known = true;
            actor.launch_deadline = actor.rest_of_the_launch().max(back);
        }
        if found.running {
            actor.restarts.up(now);
        } else {
            // It failed while nobody looked, and is to be started again.
            actor.state = actor.state.step(Event::ContainerDown).map_or(actor.state, |(state, _)| state);
            actor.row.container = actor.state.container_status();
            actor.game_is_gone = true;
            actor.runner_deadline = None;
            actor.restarts.failed(now, actor.context.hosting.config.restart_limit);
        }
        if !actor.row.ran && actor.game.streams() {
            actor.progress = Some(Progress { step: "waiting_for_picture".to_owned(), percent: None });
        }
        // Whoever played before comes back, or does not.
        actor.unlist(actor.row.players.clone());
        actor.refresh();
        actor.spawn();
    }

    fn new(
        context: Arc<Context>,
        row: SessionRow,
        game: Arc<Game>,
        permit: Option<Permit>,
        register: impl FnOnce(Handle) -> OnEnd,
    ) -> Self {
        let (commands_tx, commands) = mpsc::channel(COMMANDS);
        let (_, steps) = mpsc::channel(STEPS);
        let (_, driver_events) = mpsc::channel(DRIVER_EVENTS);
        let (pushes, _) = broadcast::channel(PUSHES);
        let (view, view_rx) = watch::channel(view_of(&row, None, 0));
        let roster = Roster::new(game.view.hints.pads, context.config.max_viewers);
        let control = Control::default();
        let (standing, standing_rx) = watch::channel(Arc::new(control.standing(&roster)));
        let unrecorded = Arc::new(AtomicBool::new(false));
        let handle = Handle {
            commands: commands_tx,
            view: view_rx,
            pushes: pushes.downgrade(),
            standing: standing_rx,
            game: Arc::clone(&game),
            generation: row.generation,
            unrecorded: Arc::clone(&unrecorded),
        };
        let config = &context.config;
        let launch_timeout = Duration::from_secs(config.launch_timeout_s);
        let download = match &game.source {
            Source::BuiltIn | Source::External { .. } => Duration::ZERO,
            // The launch itself watches over the download.
            Source::Container(_) => Duration::from_secs(config.download_timeout_s),
        };
        Self {
            roster,
            control,
            standing,
            crowd_told_at: None,
            state: if game.streams() { State::NEW } else { State::NEW_WITHOUT_STREAM },
            timeline: Timeline::from(row.timeline.clone()),
            progress: None,
            source_faults: Vec::new(),
            on_end: register(handle),
            permit,
            work: None,
            media_open: false,
            relay_events: None,
            link: None,
            runner: None,
            instance: None,
            holds: Holds::default(),
            game_is_gone: false,
            unsaved: None,
            fenced: false,
            keys: HeldKeys::default(),
            playing: HashMap::new(),
            ended_grants: HashSet::new(),
            tickets_waiting: Vec::new(),
            stops_waiting: Vec::new(),
            grace: contract::stop_within(&context, Some(&game), row.hosted.is_some()),
            launch_deadline: context.clock.now() + download + launch_timeout,
            runner_deadline: None,
            driver_deadline: None,
            runner_known: false,
            watched: false,
            paused: false,
            pause_at: None,
            rate: super::rate::StreamRate::new(&game),
            note_usage_at: context.clock.now() + NOTE_USAGE_FIRST,
            restarts: Restarts::default(),
            record: super::record::Record::default(),
            unrecorded,
            unrecorded_since: None,
            is_over: false,
            context,
            row,
            game,
            commands,
            view,
            pushes,
            steps,
            driver_events,
        }
    }

    fn spawn(self) {
        let guard = Guard {
            context: Arc::clone(&self.context),
            id: self.row.id,
            on_end: Arc::clone(&self.on_end),
            grace: self.grace,
        };
        self.context.metrics.active.inc();
        tokio::spawn(guard.watch(tokio::spawn(self.run())));
    }

    /// When the launch that an earlier gateway began must have a picture.
    fn rest_of_the_launch(&self) -> Instant {
        let ready = self.row.timeline.iter().find(|(milestone, _)| *milestone == Milestone::ImageReady);
        let began = ready.map_or(self.row.started_at, |(_, at)| *at);
        let passed = u64::try_from(self.context.clock.now_ms().saturating_sub(began)).unwrap_or(0);
        let limit = Duration::from_secs(self.context.config.launch_timeout_s);
        self.context.clock.now() + limit.saturating_sub(Duration::from_millis(passed))
    }
}
