//! Puts a runner together and carries it from the first hello to the last save.

use super::client::{Client, FromGateway, Welcome};
use super::life::StopCause;
use super::media::MediaStream;
use super::rtcp::Feedback;
use super::rtp::{AUDIO_CLOCK_HZ, Clock, VIDEO_CLOCK_HZ};
use super::settings::{OnGatewayLoss, Settings};
use super::signal::Signal;
use super::stage::{self, Stage};
use super::threads::{Part, Shared, Threads};
use super::video::{self, Video};
use super::{AUDIO_PAYLOAD_TYPE, Event, HostedGame, RunnerError, VIDEO_PAYLOAD_TYPE, audio, save};
use crate::games::GameError;
use crate::runner::i420::I420;
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage, Stream, VERSION};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout, timeout_at};

/// The first welcome has to come within this time.
const FIRST_WELCOME: Duration = Duration::from_secs(30);
/// Without a gateway for this long the runner ends.
const LOSS_EXIT: Duration = Duration::from_secs(30);
const LOSS_RECONNECT: Duration = Duration::from_secs(600);
/// From the wish to end to the last save on disk.
const FLUSH: Duration = Duration::from_millis(3500);
/// For the goodbyes after it.
const GOODBYE: Duration = Duration::from_millis(700);
const HEALTH_EVERY: Duration = Duration::from_secs(10);
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Messages of either direction that wait; the gateway's make its socket wait, ours are dropped and logged.
const QUEUE: usize = 256;

/// Runs a game under the contract until the gateway, `stop` or the game ends it. The save is on disk when this returns,
/// whatever the result. Needs a tokio runtime.
pub async fn run(
    settings: Settings,
    game: HostedGame,
    marker: bool,
    stop: impl Future<Output = StopCause>,
) -> Result<(), RunnerError> {
    tokio::pin!(stop);
    let directory = settings.save_dir.clone();
    let unreadable = |source| RunnerError::SaveUnreadable { directory: directory.clone(), source };
    let saved = save::load(&directory).map_err(unreadable)?;
    let hosted = (game.create)(saved.as_deref()).map_err(|error| match error {
        GameError::Unknown(slug) => RunnerError::UnknownGame(slug),
        GameError::BadSave(why) => RunnerError::BadSave(why),
    })?;
    let [video_ssrc, audio_ssrc, video_offset, audio_offset, sequences, cname] = random()?;
    let hello = RunnerMessage::Hello {
        v: VERSION,
        video: Some(Stream { codec: "H264".to_owned(), pt: VIDEO_PAYLOAD_TYPE, ssrc: video_ssrc }),
        audio: Some(Stream { codec: "opus".to_owned(), pt: AUDIO_PAYLOAD_TYPE, ssrc: audio_ssrc }),
        pads: game.pads,
        pointer: Some(pointer_name(game.pointer).to_owned()),
    };
    let (incoming, mut from_gateway) = mpsc::channel(QUEUE);
    let (to_gateway, outgoing) = mpsc::channel(QUEUE);
    let (url, token) = (settings.control_url.clone(), settings.token.clone());
    let client = tokio::spawn(Client { url, token, hello, incoming, outgoing }.run());
    let welcome = tokio::select! {
        welcome = timeout(FIRST_WELCOME, first_welcome(&mut from_gateway)) => match welcome {
            Ok(Ok(welcome)) => welcome,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(RunnerError::NoGateway(FIRST_WELCOME.as_secs())),
        },
        _ = &mut stop => return Ok(()),
    };
    if (welcome.width, welcome.height) != (game.width, game.height) {
        tracing::warn!(width = game.width, height = game.height, "this game has a picture size of its own");
    }
    let start = Instant::now();
    let connect = |target: &str, ssrc, clock| {
        let failed = |source| RunnerError::Media { target: target.to_owned(), source };
        MediaStream::connect(target, ssrc, clock).map(Arc::new).map_err(failed)
    };
    let video_stream =
        connect(&welcome.rtp_video, video_ssrc, Clock::new(start, video_offset, VIDEO_CLOCK_HZ))?;
    let audio_stream =
        connect(&welcome.rtp_audio, audio_ssrc, Clock::new(start, audio_offset, AUDIO_CLOCK_HZ))?;
    let shared = Shared {
        stage: Arc::new(Signal::new(stage::Inbox::new(welcome.fps.max(1)))),
        video: Arc::new(Signal::new(video::Inbox::new(&I420::new(game.width, game.height), welcome.kbps))),
        audio: Arc::default(),
        save: Arc::default(),
        stats: Arc::default(),
        video_stream,
        audio_stream,
    };
    let [sequence_a, sequence_b, sequence_c, sequence_d] = sequences.to_be_bytes();
    let threads = Threads::start(
        |events| Stage {
            game: hosted,
            width: game.width,
            height: game.height,
            tick_hz: game.tick_hz,
            marker,
            inbox: Arc::clone(&shared.stage),
            video: Arc::clone(&shared.video),
            audio: Arc::clone(&shared.audio),
            save: Arc::clone(&shared.save),
            audio_stream: Arc::clone(&shared.audio_stream),
            events,
        },
        |events| Video {
            inbox: Arc::clone(&shared.video),
            stream: Arc::clone(&shared.video_stream),
            stats: Arc::clone(&shared.stats),
            events,
            fps: welcome.fps.min(game.tick_hz),
            first_sequence: u16::from_be_bytes([sequence_a, sequence_b]),
        },
        audio::Audio {
            inbox: Arc::clone(&shared.audio),
            stream: Arc::clone(&shared.audio_stream),
            offset: audio_offset,
            first_sequence: u16::from_be_bytes([sequence_c, sequence_d]),
        },
        (directory, Arc::clone(&shared.save)),
    )?;
    let rtcp = tokio::spawn(feedback(shared.video_stream.receiver()?, Arc::clone(&shared.video), video_ssrc));
    let mut host = Host {
        settings,
        shared,
        threads,
        to_gateway: Some(to_gateway),
        welcome,
        lost: None,
        ready: false,
        dirty: false,
        cname: format!("playgate-{cname:08x}"),
        rtcp: rtcp.abort_handle(),
        failed: None,
        save_failed: None,
    };
    tracing::info!(session = host.settings.session, "playing");
    host.play(&mut from_gateway, stop).await;
    host.finish().await;
    drop(from_gateway);
    let _ = timeout(GOODBYE, client).await;
    host.failed.take().map_or(Ok(()), Err)
}

async fn first_welcome(from_gateway: &mut mpsc::Receiver<FromGateway>) -> Result<Welcome, RunnerError> {
    loop {
        match from_gateway.recv().await {
            Some(FromGateway::Welcome(welcome)) => return Ok(welcome),
            Some(FromGateway::Replaced) | None => return Err(RunnerError::Replaced),
            Some(FromGateway::Message(_) | FromGateway::Input(..) | FromGateway::Lost) => {}
        }
    }
}

/// Key frame wishes of the relay.
async fn feedback(socket: tokio::net::UdpSocket, video: Arc<Signal<video::Inbox>>, ssrc: u32) {
    let mut feedback = Feedback::default();
    let mut buffer = [0; 2048];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) if feedback.wants_key_frame(&buffer[..length], ssrc) => {
                video.change(|inbox| inbox.key_frame = true)
            }
            Ok(_) => {}
            // A refused port: the relay is not there yet, or not any more.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

struct Host {
    settings: Settings,
    shared: Shared,
    threads: Threads,
    /// `None` once everything is said.
    to_gateway: Option<mpsc::Sender<RunnerMessage>>,
    welcome: Welcome,
    /// Since when there has been no gateway.
    lost: Option<tokio::time::Instant>,
    ready: bool,
    dirty: bool,
    cname: String,
    rtcp: AbortHandle,
    failed: Option<RunnerError>,
    /// The last save's failure; a later save that succeeds clears it.
    save_failed: Option<RunnerError>,
}

impl Host {
    async fn play(
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
            GatewayMessage::Keyframe => video.change(|inbox| inbox.key_frame = true),
            GatewayMessage::Bitrate { kbps } => video.change(|inbox| inbox.kbps = kbps),
            GatewayMessage::Fps { fps } => stage.change(|inbox| inbox.fps = fps.max(1)),
            GatewayMessage::Pause => {
                stage.change(|inbox| inbox.paused = true);
                video.change(|inbox| inbox.paused = true);
            }
            GatewayMessage::Resume => {
                video.change(|inbox| {
                    inbox.paused = false;
                    inbox.key_frame = true;
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
            inbox.key_frame = true;
        });
        self.welcome = welcome;
        if self.ready {
            self.say(RunnerMessage::Ready);
        }
        if self.dirty {
            self.say(RunnerMessage::SaveDirty);
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
        if self.lost.is_none()
            && let Some(to_gateway) = &self.to_gateway
            && to_gateway.try_send(message).is_err()
        {
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

    /// Ends the threads, the last save first.
    async fn finish(&mut self) {
        let deadline = tokio::time::Instant::now() + FLUSH;
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
                Ok(Some(event)) => {
                    self.event(Some(event));
                }
                Ok(None) => break,
                Err(_) => {
                    let message = "it did not end in time".to_owned();
                    self.failed.get_or_insert(RunnerError::Crashed { part: "game", message });
                    break;
                }
            }
        }
        self.failed = self.failed.take().or(self.save_failed.take());
        if let Some(error) = &self.failed
            && crashed
        {
            self.say(RunnerMessage::Exit { code: i32::from(error.exit_code()) });
        }
        self.rtcp.abort();
        self.to_gateway = None;
    }
}

fn pointer_name(mode: PointerMode) -> &'static str {
    match mode {
        PointerMode::Absolute => "absolute",
        PointerMode::Relative => "relative",
        PointerMode::None => "none",
    }
}

/// Random starts of everything RFC 3550 wants random.
fn random() -> Result<[u32; 6], RunnerError> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| std::io::Error::other("no random numbers"))?;
    let mut words = bytes.chunks_exact(4).filter_map(|four| four.first_chunk::<4>());
    Ok(std::array::from_fn(|_| words.next().map_or(0, |four| u32::from_be_bytes(*four))))
}
