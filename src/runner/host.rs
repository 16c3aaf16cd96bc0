//! A runner at play: carries the game from the first welcome to the last save.
//!
//! One loop over the gateway, the threads' events, the timers and the wish to end. Nothing in it waits for the gateway:
//! what cannot be said is dropped, and what matters is said again after the next welcome.

use super::client::{FromGateway, Welcome};
use super::key_requests::Way;
use super::life::StopCause;
use super::settings::{OnGatewayLoss, Settings};
use super::threads::{Part, Shared, Threads};
use super::{Event, RunnerError, stage};
use playgate_signaling::runner::{GatewayMessage, RunnerMessage};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout_at};

/// Without a gateway for this long the runner ends.
const LOSS_EXIT: Duration = Duration::from_secs(30);
const LOSS_RECONNECT: Duration = Duration::from_secs(600);
/// From the end of the game's grace to the last save on disk and the end of the threads.
const FLUSH: Duration = Duration::from_secs(2);
const HEALTH_EVERY: Duration = Duration::from_secs(10);
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// A runner at play: all that happens between the first welcome and the end.
pub(super) struct Host {
    settings: Settings,
    shared: Shared,
    threads: Threads,
    to_gateway: mpsc::Sender<RunnerMessage>,
    welcome: Welcome,
    /// Since when there has been no gateway.
    lost: Option<tokio::time::Instant>,
    ready: bool,
    dirty: bool,
    /// The pointer's shape, as it was told last.
    cursor: Option<RunnerMessage>,
    /// What a program ended with.
    exit: Option<i32>,
    cname: String,
    rtcp: AbortHandle,
    failed: Option<RunnerError>,
    /// The last save's failure; a later save that succeeds clears it.
    save_failed: Option<RunnerError>,
}

impl Host {
    pub(super) fn new(
        settings: Settings,
        shared: Shared,
        threads: Threads,
        to_gateway: mpsc::Sender<RunnerMessage>,
        welcome: Welcome,
        cname: String,
        rtcp: AbortHandle,
    ) -> Self {
        Self {
            settings,
            shared,
            threads,
            to_gateway,
            welcome,
            lost: None,
            ready: false,
            dirty: false,
            cursor: None,
            exit: None,
            cname,
            rtcp,
            failed: None,
            save_failed: None,
        }
    }

    /// Until the gateway, `stop` or the game ends it.
    pub(super) async fn play(
        &mut self,
        from_gateway: &mut mpsc::Receiver<FromGateway>,
        mut stop: impl Future<Output = StopCause> + Unpin,
    ) {
        let mut report = interval(REPORT_EVERY);
        let mut health = interval(HEALTH_EVERY);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counted = (0, 0, tokio::time::Instant::now());
        let patience = match self.settings.on_gateway_loss {
            OnGatewayLoss::Exit => LOSS_EXIT,
            OnGatewayLoss::Reconnect => LOSS_RECONNECT,
        };
        loop {
            let given_up = self.lost.map(|since| since + patience);
            tokio::select! {
                cause = &mut stop => {
                    tracing::info!(?cause, "asked to end");
                    return;
                }
                event = from_gateway.recv() => if !self.gateway(event) { return },
                event = self.threads.events.recv() => if !self.event(event) { return },
                _ = report.tick() => {
                    self.shared.video_stream.report(&self.cname);
                    self.shared.audio_stream.report(&self.cname);
                }
                _ = health.tick() => counted = self.health(counted),
                () = sleep_until(given_up.unwrap_or_else(tokio::time::Instant::now)), if given_up.is_some() => {
                    self.failed = Some(RunnerError::NoGateway(patience.as_secs()));
                    return;
                }
            }
        }
    }

    /// False when the game is to end.
    fn gateway(&mut self, event: Option<FromGateway>) -> bool {
        match event {
            Some(FromGateway::Input(slot, frame)) => {
                self.shared.stage.change(|inbox| inbox.input(slot, frame))
            }
            Some(FromGateway::Message(message)) => return self.message(message),
            Some(FromGateway::Welcome(welcome)) => self.welcome_again(welcome),
            Some(FromGateway::Lost) => {
                if self.lost.is_none() {
                    tracing::warn!("the gateway is gone");
                    // It cannot say any more that a player has let go of a key.
                    self.shared.stage.change(stage::Inbox::let_go);
                    self.lost = Some(tokio::time::Instant::now());
                }
            }
            Some(FromGateway::Replaced) | None => {
                self.failed = Some(RunnerError::Replaced);
                return false;
            }
        }
        true
    }

    fn message(&mut self, message: GatewayMessage) -> bool {
        let Shared { stage, video, .. } = &self.shared;
        match message {
            GatewayMessage::Keyframe { number } => {
                video.change(|inbox| inbox.key_frames.request(Instant::now(), Way::Control, number));
            }
            GatewayMessage::Bitrate { kbps } => video.change(|inbox| inbox.kbps = kbps),
            GatewayMessage::Fps { fps } => stage.change(|inbox| inbox.fps = fps.max(1)),
            GatewayMessage::Pause => {
                stage.change(|inbox| inbox.paused = true);
                video.change(|inbox| inbox.paused = true);
            }
            GatewayMessage::Resume => {
                video.change(|inbox| {
                    inbox.paused = false;
                    inbox.key_frames.request(Instant::now(), Way::Control, 0);
                });
                stage.change(|inbox| inbox.paused = false);
            }
            GatewayMessage::FlushSave => stage.change(|inbox| inbox.flush = true),
            GatewayMessage::Shutdown => {
                tracing::info!("the gateway ends the session");
                return false;
            }
            // The gateway lets go of what a slot held; a second welcome on one connection means nothing.
            GatewayMessage::Slots { .. } | GatewayMessage::Welcome { .. } => {}
        }
        true
    }

    /// Another gateway, or the same one again: media goes where it says, and it learns how things stand.
    fn welcome_again(&mut self, welcome: Welcome) {
        tracing::info!("the gateway is back");
        self.lost = None;
        for (stream, old, new) in [
            (&self.shared.video_stream, &self.welcome.rtp_video, &welcome.rtp_video),
            (&self.shared.audio_stream, &self.welcome.rtp_audio, &welcome.rtp_audio),
        ] {
            if old != new
                && let Err(error) = stream.retarget(new)
            {
                tracing::warn!(%error, "cannot send media to the new address");
            }
        }
        self.shared.stage.change(|inbox| {
            inbox.fps = welcome.fps.max(1);
            inbox.paused = false;
        });
        self.shared.video.change(|inbox| {
            inbox.kbps = welcome.kbps;
            inbox.paused = false;
            inbox.key_frames.new_gateway();
            inbox.key_frames.request(Instant::now(), Way::Control, 0);
        });
        self.welcome = welcome;
        if self.ready {
            self.say(RunnerMessage::Ready);
        }
        if self.dirty {
            self.say(RunnerMessage::SaveDirty);
        }
        if let Some(cursor) = self.cursor.clone() {
            self.say(cursor);
        }
    }

    /// False when the game is to end.
    fn event(&mut self, event: Option<Event>) -> bool {
        match event {
            Some(Event::FirstFrame) => {
                self.ready = true;
                self.say(RunnerMessage::Ready);
            }
            Some(Event::SaveDirty) => {
                self.dirty = true;
                self.say(RunnerMessage::SaveDirty);
            }
            Some(Event::Saved) => {
                self.dirty = false;
                self.save_failed = None;
                self.say(RunnerMessage::Saved);
            }
            Some(Event::SaveFailed(source)) => {
                // The game goes on and the next save may succeed: only the last one decides.
                tracing::error!(error = %source, "cannot write the save");
                let directory = self.settings.save_dir.clone();
                self.save_failed = Some(RunnerError::SaveNotWritten { directory, source });
            }
            Some(Event::Cursor(message)) => {
                if self.cursor.as_ref() != Some(&message) {
                    self.say(message.clone());
                    self.cursor = Some(message);
                }
            }
            Some(Event::GameEnded { code, signal }) => {
                let code = code.unwrap_or_else(|| 128 + signal.unwrap_or(0));
                tracing::info!(code, "the game has ended");
                self.exit = Some(code);
                if code != 0 {
                    let code = u8::try_from(code).unwrap_or(u8::MAX);
                    self.failed.get_or_insert(RunnerError::GameEnded(code));
                }
                return false;
            }
            Some(Event::Crashed { part, message }) => {
                // The first failure is the reason.
                self.failed.get_or_insert(RunnerError::Crashed { part, message });
                return false;
            }
            Some(Event::Ended(part)) => {
                self.threads.join(part);
                return false;
            }
            None => return false,
        }
        true
    }

    /// Drops the message when there is no gateway or no room: what matters is said again after the next welcome.
    fn say(&self, message: RunnerMessage) {
        if self.lost.is_none() && self.to_gateway.try_send(message).is_err() {
            tracing::warn!("the control channel is full; a message was dropped");
        }
    }

    fn health(&self, before: (u64, u64, tokio::time::Instant)) -> (u64, u64, tokio::time::Instant) {
        let frames = self.shared.stats.frames.load(Ordering::Relaxed);
        let micros = self.shared.stats.encode_us.load(Ordering::Relaxed);
        let now = tokio::time::Instant::now();
        let seconds = now.duration_since(before.2).as_secs_f32();
        if seconds < 1.0 {
            return before;
        }
        let count = u16::try_from(frames.saturating_sub(before.0)).unwrap_or(u16::MAX);
        let spent = Duration::from_micros(micros.saturating_sub(before.1)).as_secs_f32() * 1000.0;
        let encode_ms = if count == 0 { 0.0 } else { spent / f32::from(count) };
        self.say(RunnerMessage::Health { fps: f32::from(count) / seconds, encode_ms });
        let dropped = self.shared.video_stream.dropped() + self.shared.audio_stream.dropped();
        let inputs = self.shared.stage.change(|inbox| std::mem::take(&mut inbox.dropped));
        let sound = self.shared.audio.change(|inbox| std::mem::take(&mut inbox.dropped));
        tracing::debug!(
            packets_dropped = dropped,
            inputs_dropped = inputs,
            sound_blocks_dropped = sound,
            "health"
        );
        (frames, micros, now)
    }

    /// Ends the threads, the last save first; tells why the game ended if it was a failure.
    pub(super) async fn finish(mut self) -> Result<(), RunnerError> {
        let deadline = tokio::time::Instant::now() + self.settings.stop_grace + FLUSH;
        let crashed = matches!(self.failed, Some(RunnerError::Crashed { .. }));
        self.shared.stage.change(|inbox| inbox.end = true);
        self.shared.video.change(|inbox| inbox.end = true);
        self.shared.audio.change(|inbox| inbox.end = true);
        while !self.threads.all_ended() {
            match timeout_at(deadline, self.threads.events.recv()).await {
                Ok(Some(Event::Ended(part))) => {
                    self.threads.join(part);
                    if part == Part::Game {
                        self.shared.save.change(|inbox| inbox.end = true);
                    }
                }
                // That a program ends now is what was asked for.
                Ok(Some(Event::GameEnded { .. })) => {}
                Ok(Some(event)) => {
                    self.event(Some(event));
                }
                Ok(None) => break,
                // The game is over and saved; helpers that linger are killed with us.
                Err(_) if self.threads.only(Part::House) => break,
                Err(_) => {
                    let message = "it did not end in time".to_owned();
                    self.failed.get_or_insert(RunnerError::Crashed { part: "game", message });
                    break;
                }
            }
        }
        self.failed = self.failed.take().or(self.save_failed.take());
        let crash = self.failed.as_ref().filter(|_| crashed).map(|error| i32::from(error.exit_code()));
        if let Some(code) = crash.or(self.exit) {
            self.say(RunnerMessage::Exit { code });
        }
        self.rtcp.abort();
        self.failed.map_or(Ok(()), Err)
    }
}
