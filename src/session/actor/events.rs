//! What launch, relay, runner, driver and time bring to a session.

use super::super::attendance::Note;
use super::super::catalogue::{Source, audio_codec, video_codec};
use super::super::ending::{figures, verdict};
use super::super::input::Routed;
use super::super::launch::Step;
use super::super::machine::{Event, State};
use super::super::view::Push;
use super::{
    Actor, DRIVER_EVENTS, DRIVERS_WORD, KILLED, LONGEST_SLEEP, MOST_PLAYERS, NOTE_USAGE_EVERY, PAUSE_AFTER,
    RESTART_WITHIN,
};
use crate::control::ControlEvent;
use crate::driver::{DriverEvent, Usage};
use crate::model::events::EventKind;
use crate::model::ids::{Owner, ViewerId};
use crate::model::rows::Figures;
use crate::model::session::{ContainerStatus, EndReason, Milestone, Status};
use crate::relay::{Codec, RelayEvent, SourceFault};
use bytes::Bytes;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::Role;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage, Stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

impl Actor {
    pub(super) fn on_step(&mut self, step: Step) {
        match step {
            Step::Progress(step, percent) => {
                if self.state.end_reason().is_none() {
                    self.set_progress(step, percent);
                }
            }
            Step::Reached(milestone) => {
                self.mark(milestone);
                if milestone == Milestone::ImageReady && self.is_in_container() {
                    let limit = Duration::from_secs(self.context.config.launch_timeout_s);
                    self.launch_deadline = self.context.clock.now() + limit;
                }
                self.refresh();
            }
            Step::MediaOpen(opened) => {
                self.media_open = true;
                self.relay_events = Some(opened.events);
                self.answer_tickets();
            }
            Step::Hosted(hosted) => {
                self.row.hosted = Some(hosted);
                self.write_soon();
                self.refresh();
            }
            Step::RunnerExpected(link) => {
                self.runner = Some(link.sender());
                self.row.runner_token_sha256 = Some(link.token_sha256());
                self.link = Some(link);
                if self.is_in_container() {
                    self.write_soon();
                }
            }
        }
    }

    pub(super) async fn on_relay(&mut self, event: RelayEvent) {
        match event {
            RelayEvent::Input { viewer, frame, .. } => self.on_input(viewer, &frame),
            RelayEvent::FirstKeyFrame => {
                self.progress = None;
                self.step(Event::KeyFrame).await;
                self.arm_pause();
            }
            RelayEvent::ViewerConnected { viewer, cipher } => {
                tracing::debug!(session = %self.row.id, %viewer, cipher, "viewer connected");
                self.viewer_connected(viewer).await;
            }
            RelayEvent::ViewerGone { viewer, reason } => {
                self.viewer_gone(viewer);
                self.push(Push::ViewerGone { viewer, reason });
            }
            RelayEvent::KeyFrameRequested { number } => {
                self.tell_runner(GatewayMessage::Keyframe { number });
            }
            RelayEvent::SourceFaults(faults) => self.on_source_faults(faults),
            RelayEvent::LinkRate(kbps) => self.on_link_rate(kbps),
            RelayEvent::Watched(watched) => {
                self.watched = watched;
                if watched {
                    self.resume();
                } else {
                    self.arm_pause();
                }
            }
        }
    }

    /// The timeline has each kind once, and so has the log: a source that comes and goes fills neither.
    fn on_source_faults(&mut self, faults: Vec<SourceFault>) {
        for fault in &faults {
            if self.mark((*fault).into()) {
                tracing::warn!(session = %self.row.id, fault = fault.code(), "{fault}");
            }
        }
        self.source_faults = faults;
        self.refresh();
        self.push_status();
    }

    /// Takes what the relay has told by now.
    pub(super) async fn hear_relay(&mut self) {
        let told = self.relay_events.as_ref().map_or(0, mpsc::Receiver::len);
        for _ in 0..told {
            let Some(Ok(event)) = self.relay_events.as_mut().map(mpsc::Receiver::try_recv) else { return };
            self.on_relay(event).await;
        }
    }

    /// The relay ends a session's events only when its media is closed; else it has lost it.
    pub(super) async fn on_media_lost(&mut self) {
        if self.state.end_reason().is_some() {
            return;
        }
        let detail = "The game server lost this game's picture and sound.".to_owned();
        self.end(EndReason::MediaFailed, Some(detail)).await;
    }

    pub(super) async fn on_control(&mut self, event: Option<ControlEvent>) {
        let Some(event) = event else {
            self.link = None;
            return;
        };
        match event {
            ControlEvent::Connected { video, audio, .. } => self.runner_connected(video, audio).await,
            ControlEvent::Disconnected => {
                tracing::info!(session = %self.row.id, "the runner's control channel is gone");
            }
            ControlEvent::Message(message) => self.on_runner_message(message).await,
        }
    }

    pub(super) async fn on_driver(&mut self, event: DriverEvent) {
        let DriverEvent::Exited { code, signal, out_of_memory } = event;
        self.game_is_gone = true;
        if self.is_restarted() && code != Some(0) && self.start_again_later().await {
            return;
        }
        self.note_exit(code, out_of_memory);
        let (reason, detail) = verdict(code, signal, out_of_memory);
        self.end(reason, detail).await;
    }

    /// Its caller asked for it (`restart`, G30).
    fn is_restarted(&self) -> bool {
        self.row.hosted.as_ref().is_some_and(|hosted| hosted.restart)
    }

    /// False when it has failed too often, or is ending anyway.
    async fn start_again_later(&mut self) -> bool {
        if self.state.end_reason().is_some() || self.instance.is_none() {
            return false;
        }
        let limit = self.context.hosting.config.restart_limit;
        let again = self.restarts.failed(self.context.clock.now(), limit);
        if again {
            tracing::info!(session = %self.row.id, "a hosted session failed and will be started again");
            if self.state.container_status() == ContainerStatus::Running {
                self.step(Event::ContainerDown).await;
            }
        }
        again
    }

    /// The session waits for it, as nothing else goes on in it.
    async fn start_again(&mut self) {
        let Some(instance) = self.instance.as_ref() else { return };
        let (sender, events) = mpsc::channel(DRIVER_EVENTS);
        let started = tokio::time::timeout(RESTART_WITHIN, instance.restart(sender)).await;
        let error = match started {
            Ok(Ok(())) => {
                self.driver_events = events;
                self.game_is_gone = false;
                self.restarts.up(self.context.clock.now());
                return self.step(Event::ContainerUp).await;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the engine takes too long".to_owned(),
        };
        tracing::warn!(session = %self.row.id, error, "a hosted session could not be started again");
        if !self.start_again_later().await {
            let detail = format!("The session could not be started again: {error}.");
            self.end(EndReason::GameCrashed, Some(detail)).await;
        }
    }

    /// The next time something is due.
    pub(super) fn wake_at(&self) -> Instant {
        let now = self.context.clock.now();
        let mut wake_at = now + LONGEST_SLEEP;
        wake_at = self.record_deadline().map_or(wake_at, |at| wake_at.min(at));
        if let State::Active { .. } = self.state {
            if self.state.status() == Status::Starting {
                wake_at = wake_at.min(self.launch_deadline);
            }
            if self.instance.is_some() {
                wake_at = wake_at.min(self.note_usage_at);
            }
            for at in [self.runner_deadline, self.driver_deadline, self.restarts.due()].into_iter().flatten()
            {
                wake_at = wake_at.min(at);
            }
            let now_ms = self.context.clock.now_ms();
            for at in
                [self.row.lease_until, self.ttl_until(), self.roster.next_expiry(), self.control.next_end()]
                    .into_iter()
                    .flatten()
            {
                let left = u64::try_from(at.saturating_sub(now_ms)).unwrap_or(0);
                // One more than needed: sleeping is not exact to the millisecond.
                wake_at = wake_at.min(now + Duration::from_millis(left.min(60_000) + 1));
            }
            for at in [self.pause_at, self.keys.deadline(), self.crowd_told_at].into_iter().flatten() {
                wake_at = wake_at.min(at);
            }
        }
        wake_at
    }

    pub(super) async fn on_time(&mut self) {
        self.record_is_due();
        let State::Active { .. } = self.state else { return };
        let (now, now_ms) = (self.context.clock.now(), self.context.clock.now_ms());
        let released = self.keys.expire(now);
        self.route(released);
        let expired = self.roster.expire(now_ms);
        self.evict_ended_grants(expired).await;
        self.end_hot_seats(now_ms).await;
        if self.pause_at.is_some_and(|at| now >= at) {
            self.pause_at = None;
            self.paused = self.tell_runner(GatewayMessage::Pause);
        }
        if now >= self.note_usage_at {
            self.note_usage_at = now + NOTE_USAGE_EVERY;
            self.note_usage(now_ms).await;
        }
        if self.state.status() == Status::Starting && now >= self.launch_deadline {
            let seconds = self.context.config.launch_timeout_s;
            let detail = format!("The game showed no picture within {seconds} seconds.");
            self.end(EndReason::LaunchTimeout, Some(detail)).await;
        } else if self.runner_deadline.is_some_and(|at| now >= at) {
            let detail = "The game did not come back after the game server was restarted.".to_owned();
            self.end(EndReason::NodeLost, Some(detail)).await;
        } else if self.driver_deadline.is_some_and(|at| now >= at) {
            let (reason, detail) = verdict(Some(KILLED), None, false);
            self.end(reason, detail).await;
        } else if self.ttl_until().is_some_and(|until| now_ms >= until) {
            self.end(EndReason::Ttl, None).await;
        } else if self.restarts.is_time(now) {
            self.start_again().await;
        } else if self.row.lease_until.is_some_and(|until| now_ms >= until) {
            self.end(EndReason::Idle, None).await;
        }
    }

    fn ttl_until(&self) -> Option<i64> {
        self.row.hosted.as_ref()?.ttl_until
    }

    /// Written beside the actor: players' input does not wait for the disk.
    async fn note_usage(&mut self, now_ms: i64) {
        let Some(instance) = self.instance.as_ref().filter(|_| !self.fenced) else { return };
        let usage = instance.usage().await;
        self.context.metrics.hosted.show(&self.row, usage);
        let figures = figures(&self.row, now_ms, usage);
        self.row.figures = Some(figures);
        self.write_note(figures);
    }

    fn write_note(&self, figures: Figures) {
        let (context, id, generation) = (Arc::clone(&self.context), self.row.id, self.row.generation);
        let (players, quality) = (self.row.players.clone(), self.row.quality);
        tokio::spawn(async move {
            if let Err(error) = context.store.note_usage(id, generation, figures, &players, quality).await {
                tracing::warn!(session = %id, %error, "a session's use could not be noted");
            }
        });
    }

    /// The relay's word on the slot may be older than ours: the roster decides.
    fn on_input(&mut self, viewer: ViewerId, frame: &Bytes) {
        let slot = self.roster.get(viewer).and_then(|viewer| viewer.slot);
        let (Some(slot), Ok(frame)) = (slot, InputFrame::decode(frame)) else {
            self.context.metrics.input_invalid.inc();
            return;
        };
        self.context.metrics.input.inc();
        self.row.quality.input();
        let routed = self.keys.frame(self.context.clock.now(), viewer, slot, frame);
        self.route(routed);
    }

    pub(super) fn route(&self, frames: Vec<Routed>) {
        for (slot, frame) in frames {
            let sent =
                self.runner.as_ref().is_some_and(|runner| runner.input(slot, Bytes::from(frame.to_bytes())));
            if !sent {
                self.context.metrics.input_dropped.inc();
            }
        }
    }

    async fn viewer_connected(&mut self, viewer: ViewerId) {
        let Some(known) = self.roster.get_mut(viewer) else { return };
        (known.has_media, known.connected) = (true, true);
        self.note_seat(viewer);
        self.control_came().await;
        self.row.quality.watched_by(self.roster.connected());
        self.refresh();
    }

    /// Who has a slot and a picture plays.
    pub(super) fn note_seat(&mut self, viewer: ViewerId) {
        let Some(known) = self.roster.get(viewer).filter(|known| known.connected) else { return };
        if known.role == Role::Spectator {
            return self.no_longer_plays(viewer);
        }
        let player = known.person.principal();
        self.mark(Milestone::FirstPlayer);
        let is_here = self.playing.values().any(|other| *other == player);
        self.playing.insert(viewer, player.clone());
        if !is_here {
            self.note_attendance(EventKind::PlayerJoined, player.clone());
        }
        self.note_player(player);
    }

    fn note_player(&mut self, player: String) {
        if self.row.players.len() < MOST_PLAYERS && !self.row.players.contains(&player) {
            self.row.players.push(player);
            if !self.fenced {
                self.write_note(figures(&self.row, self.context.clock.now_ms(), Usage::default()));
            }
        }
    }

    fn viewer_gone(&mut self, viewer: ViewerId) {
        if let Some(known) = self.roster.get_mut(viewer) {
            (known.has_media, known.connected) = (false, false);
        }
        self.no_longer_plays(viewer);
        let released = self.keys.gone(viewer);
        self.route(released);
        self.tell_control();
        self.refresh();
    }

    pub(super) fn no_longer_plays(&mut self, viewer: ViewerId) {
        if let Some(player) = self.playing.remove(&viewer)
            && !self.playing.values().any(|other| *other == player)
        {
            self.note_attendance(EventKind::PlayerLeft, player);
        }
    }

    fn note_attendance(&self, kind: EventKind, player: String) {
        if !self.fenced {
            let (session, at) = (self.row.id, self.context.clock.now_ms());
            let listed = matches!(self.row.owner, Owner::Organisation(_));
            self.context.attendance.note(Note { session, kind, player, at, listed, told: true });
        }
    }

    /// Takes players off an organisation's list without a word: the session is over, or they are to come back.
    pub(super) fn unlist(&self, players: impl IntoIterator<Item = String>) {
        if self.fenced || matches!(self.row.owner, Owner::User(_)) {
            return;
        }
        let (session, at) = (self.row.id, self.context.clock.now_ms());
        for player in players {
            let kind = EventKind::PlayerLeft;
            self.context.attendance.note(Note { session, kind, player, at, listed: true, told: false });
        }
    }

    async fn runner_connected(&mut self, video: Option<Stream>, audio: Option<Stream>) {
        self.mark(Milestone::RunnerConnected);
        self.runner_deadline = None;
        self.refresh();
        let (video, audio) = match (source(video, video_codec), source(audio, audio_codec)) {
            (Ok(video), Ok(audio)) => (video, audio),
            (Err(codec), _) | (_, Err(codec)) => {
                let detail = format!("The game sends {codec}, which cannot be relayed.");
                return self.end(EndReason::LaunchFailed, Some(detail)).await;
            }
        };
        if let Err(error) = self.context.media.set_source(self.row.id, video, audio).await {
            let detail = format!("The game's media cannot be relayed: {error}.");
            return self.end(EndReason::LaunchFailed, Some(detail)).await;
        }
        self.tell_runner(GatewayMessage::Slots { taken: self.roster.taken_slots() });
        self.tell_runner(GatewayMessage::Keyframe { number: 0 });
        if std::mem::replace(&mut self.runner_known, true) {
            // It may have been paused before it lost the connection.
            self.tell_runner(GatewayMessage::Resume);
        }
        self.paused = false;
        self.tell_rate_again();
        self.arm_pause();
    }

    async fn on_runner_message(&mut self, message: RunnerMessage) {
        match message {
            RunnerMessage::Saved => self.push(Push::Saved),
            RunnerMessage::Cursor { visible, png, hotspot_x, hotspot_y } => {
                self.push(Push::Cursor { visible, png, hotspot_x, hotspot_y });
            }
            RunnerMessage::Rumble { pad, strong, weak, duration_ms } => {
                self.push(Push::Rumble { pad, strong, weak, duration_ms });
            }
            // The driver tells of it too, and what comes of it is decided then.
            RunnerMessage::Exit { .. } if self.is_restarted() => {}
            RunnerMessage::Exit { code } => {
                self.note_exit(Some(code), false);
                if code == KILLED && self.is_in_container() {
                    // Only the engine knows whether it was for want of memory, and tells it with the container's end.
                    self.driver_deadline = Some(self.context.clock.now() + DRIVERS_WORD);
                    return;
                }
                let (reason, detail) = verdict(Some(code), None, false);
                self.end(reason, detail).await;
            }
            RunnerMessage::Health { fps, encode_ms } => {
                tracing::debug!(session = %self.row.id, fps, encode_ms, "runner health");
            }
            RunnerMessage::Hello { .. } | RunnerMessage::Ready | RunnerMessage::SaveDirty => {}
        }
    }

    fn is_in_container(&self) -> bool {
        match &self.game.source {
            Source::Container(_) => true,
            Source::BuiltIn | Source::External { .. } => false,
        }
    }

    pub(super) fn tell_runner(&self, message: GatewayMessage) -> bool {
        self.runner.as_ref().is_some_and(|runner| runner.send(message))
    }

    /// A picture nobody sees need not be made. Not before there was one: `running` waits for it.
    pub(super) fn arm_pause(&mut self) {
        if !self.watched && !self.paused && self.state.status() == Status::Running {
            self.pause_at.get_or_insert(self.context.clock.now() + PAUSE_AFTER);
        }
    }

    fn resume(&mut self) {
        self.pause_at = None;
        if std::mem::take(&mut self.paused) {
            self.tell_runner(GatewayMessage::Resume);
            self.tell_runner(GatewayMessage::Keyframe { number: 0 });
        }
    }
}

fn source(
    stream: Option<Stream>,
    codec: impl Fn(&str) -> Option<Codec>,
) -> Result<Option<(Codec, u8)>, String> {
    stream.map(|stream| codec(&stream.codec).map(|codec| (codec, stream.pt)).ok_or(stream.codec)).transpose()
}
