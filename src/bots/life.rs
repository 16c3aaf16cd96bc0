//! One bot in one session, from its first word to its last: signaling, media, input, and coming back as the page does.
//!
//! Signaling that breaks is dialled again (with the viewer's resume secret) and media goes on meanwhile. Media that breaks
//! is given a moment to heal, then ICE is restarted once, then new connections are offered, with growing pauses
//! (`web/player/ladder.js`, `backoff.js`). Every wait has an end.

use super::api::{Api, ApiError};
use super::card::{Card, Kind, Phase, Step};
use super::drops::Drops;
use super::input_plan::{InputPlan, Script};
use super::join::SIGNALING_TIMEOUT;
use super::media::local_addresses;
use super::peer::Peer;
use super::quality;
use super::retry::{MEDIA_BACKOFF, SIGNALING_BACKOFF, backoff, is_final};
use super::tls;
use super::viewer::{Link, Srtp, ViewerError, ViewerOptions};
use playgate_signaling::client::{ClientError, ConnectOptions, SignalingClient, connect};
use playgate_signaling::input::Effect;
use playgate_signaling::message::{ClientMessage, ErrorCode, Role, ServerMessage};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// From setting out to join to the first frame.
pub const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(20);
/// A keepalive is due well before the shortest idle timeout anybody would configure.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// A path that broke may heal by itself for this long.
const HEAL: Duration = Duration::from_millis(1_500);
/// For one try to get media back.
const RUNG_TIMEOUT: Duration = Duration::from_secs(5);
/// The end is looked for this often.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("signaling: {0}")]
    Signaling(#[from] ClientError),
    #[error("media: {0}")]
    Media(#[from] ViewerError),
    #[error("no frame within {} s", FIRST_FRAME_TIMEOUT.as_secs())]
    NoFrame,
    #[error("no frame within {} s; the last trouble: {trouble}", FIRST_FRAME_TIMEOUT.as_secs())]
    NoFrameAfter { trouble: String },
}

/// What a life needs to begin.
pub(super) struct Life {
    pub(super) card: Arc<Card>,
    pub(super) api: Api,
    pub(super) session: String,
    pub(super) input: InputPlan,
    pub(super) seed: u64,
    pub(super) insecure: bool,
    /// Measured from the first frame.
    pub(super) duration: Duration,
    /// It does not end before this is true.
    pub(super) may_end: watch::Receiver<bool>,
    /// It ends when this becomes true.
    pub(super) stop: watch::Receiver<bool>,
    pub(super) drops: Arc<Drops>,
}

/// A life's connections.
struct Now {
    signaling: Option<SignalingClient>,
    resume: Option<(String, String)>,
    dial_at: Option<Instant>,
    dialled: u32,
    failures: u32,
    peer: Option<Peer>,
    link: watch::Receiver<Link>,
    /// The link of no peer.
    idle: watch::Sender<Link>,
    ever_connected: bool,
    climb_at: Option<Instant>,
    attempt: u32,
    trouble: Option<String>,
    script: Script,
    reporter: quality::Reporter,
}

impl Life {
    /// Plays to the end; what was seen is on the card.
    pub(super) async fn play(self) -> Result<(), LifeError> {
        let begun = Instant::now();
        let idle = watch::Sender::new(Link::Connecting);
        let mut now = Now {
            signaling: None,
            resume: None,
            dial_at: Some(begun),
            dialled: 0,
            failures: 0,
            peer: None,
            link: idle.subscribe(),
            idle,
            ever_connected: false,
            climb_at: None,
            attempt: 0,
            trouble: None,
            script: Script::new(&self.input, self.seed, begun),
            reporter: quality::Reporter::default(),
        };
        self.card.phase(Phase::Joining);
        let lived = self.live(&mut now, begun).await;
        let end = Instant::now();
        self.card.with(|facts| {
            facts.meter.finish(end);
            facts.watched =
                facts.meter.first_frame.map(|at| end.saturating_duration_since(at)).unwrap_or_default();
        });
        // A socket that is closed is not counted any more.
        self.drops.look();
        // The last piece; whether it is heard changes nothing any more.
        let _ = self.report(&mut now).await;
        if let Some(peer) = now.peer {
            peer.close(&self.card).await;
        }
        if let Some(signaling) = now.signaling {
            signaling.close().await;
        }
        lived
    }

    async fn live(&self, now: &mut Now, begun: Instant) -> Result<(), LifeError> {
        let mut keepalive = tokio::time::interval(KEEPALIVE_INTERVAL);
        let mut report = tokio::time::interval(quality::EVERY);
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        loop {
            let (dial, climb) = (now.dial_at, now.climb_at.filter(|_| now.signaling.is_some()));
            let input = now.script.due().filter(|_| now.peer.is_some());
            tokio::select! {
                () = at(dial) => self.dial(now).await?,
                () = at(climb) => self.climb(now).await,
                () = at(input) => self.act(now).await,
                changed = now.link.changed(), if now.peer.is_some() => match changed {
                    Ok(()) => self.link_changed(now).await,
                    // The peer's end is gone without a word.
                    Err(_) => {
                        now.link = now.idle.subscribe();
                        self.media_lost(now, 1);
                    }
                },
                message = hear(&mut now.signaling) => self.heard(now, message)?,
                _ = keepalive.tick() => self.say(now, ClientMessage::Keepalive).await?,
                _ = report.tick() => self.report(now).await?,
                _ = look.tick() => if self.is_over(now, begun)? {
                    return Ok(());
                },
            }
        }
    }

    async fn report(&self, now: &mut Now) -> Result<(), LifeError> {
        match now.reporter.report(&self.card, Instant::now()) {
            Some(report) => self.say(now, ClientMessage::Quality(report)).await,
            None => Ok(()),
        }
    }

    async fn say(&self, now: &mut Now, message: ClientMessage) -> Result<(), LifeError> {
        let Some(signaling) = &mut now.signaling else { return Ok(()) };
        match signaling.send(message).await {
            Ok(()) => Ok(()),
            Err(error) => self.signaling_lost(now, error),
        }
    }

    fn is_over(&self, now: &Now, begun: Instant) -> Result<bool, LifeError> {
        if *self.stop.borrow() {
            return Ok(true);
        }
        match self.card.with(|facts| facts.meter.first_frame) {
            Some(first) => Ok(first.elapsed() >= self.duration && *self.may_end.borrow()),
            None if begun.elapsed() >= FIRST_FRAME_TIMEOUT => {
                let trouble = now.trouble.clone();
                Err(trouble.map_or(LifeError::NoFrame, |trouble| LifeError::NoFrameAfter { trouble }))
            }
            None => Ok(false),
        }
    }

    async fn dial(&self, now: &mut Now) -> Result<(), LifeError> {
        now.dial_at = None;
        let url = self.api.signaling_url(&self.session)?;
        let role = match self.card.kind {
            Kind::Owner | Kind::Player => Some(Role::Player),
            Kind::Spectator => Some(Role::Spectator),
            // Whatever the embed is for.
            Kind::Visitor => None,
        };
        let options = ConnectOptions {
            token: self.api.token().map(str::to_owned),
            role,
            resume: now.resume.clone(),
            tls: self.insecure.then(tls::without_verification),
            timeout: SIGNALING_TIMEOUT,
        };
        let signaling = match connect(url.as_str(), options).await {
            Ok(signaling) => signaling,
            Err(error) => {
                // A resume that is no longer known must not keep us out.
                now.resume = None;
                return self.signaling_lost(now, error);
            }
        };
        self.card.step(Step::Signaling);
        if now.dialled > 0 {
            self.card.with(|facts| facts.signaling_again += 1);
        }
        now.dialled += 1;
        now.failures = 0;
        let welcome = signaling.welcome();
        now.resume = Some((welcome.viewer_id.clone(), welcome.resume.clone()));
        let kept = welcome.resumed && now.ever_connected;
        if !kept {
            now.attempt = now.attempt.max(1);
        }
        if !(kept && *now.link.borrow() == Link::Connected) {
            now.climb_at = Some(Instant::now());
        }
        now.signaling = Some(signaling);
        Ok(())
    }

    /// The next try to get media.
    async fn climb(&self, now: &mut Now) {
        now.climb_at = None;
        let Some(signaling) = &mut now.signaling else { return };
        let restart = now.attempt == 0 && now.ever_connected && *now.link.borrow() != Link::Closed;
        now.attempt += 1;
        let tried = match now.peer.as_ref().filter(|_| restart) {
            Some(peer) => {
                self.card.with(|facts| facts.ice_restarts += 1);
                peer.restart_ice(async |sdp| signaling.negotiate(sdp, |_| {}).await).await
            }
            None => {
                if let Some(old) = now.peer.take() {
                    old.close(&self.card).await;
                    self.card.with(|facts| facts.new_offers += 1);
                }
                self.connect(now).await
            }
        };
        let pause = match tried {
            Ok(()) => {
                self.card.step(Step::Answered);
                RUNG_TIMEOUT
            }
            Err(error) => {
                now.trouble = Some(error.to_string());
                backoff(MEDIA_BACKOFF, now.attempt.saturating_sub(2), self.seed)
            }
        };
        // Cleared by the connection.
        if *now.link.borrow() != Link::Connected {
            now.climb_at = Some(Instant::now() + pause);
        }
    }

    async fn connect(&self, now: &mut Now) -> Result<(), ViewerError> {
        let Some(signaling) = &mut now.signaling else { return Err(ViewerError::Gone) };
        let media = &signaling.welcome().media;
        let remotes: Vec<SocketAddr> = media.iter().filter_map(|address| address.parse().ok()).collect();
        let options = ViewerOptions {
            local: local_addresses(&remotes),
            srtp: Srtp::Gcm,
            input: signaling.welcome().role == Role::Player,
            keep_picture: false,
        };
        let peer =
            Peer::connect(&options, &self.card, async |sdp| signaling.negotiate(sdp, |_| {}).await).await?;
        now.link = peer.link();
        now.link.mark_changed();
        now.peer = Some(peer);
        Ok(())
    }

    async fn link_changed(&self, now: &mut Now) {
        let link = *now.link.borrow_and_update();
        match link {
            Link::Connecting => {}
            Link::Connected => {
                now.ever_connected = true;
                now.attempt = 0;
                now.climb_at = None;
                self.card.phase(Phase::Watching);
                if !self.input.is_empty()
                    && let Some(peer) = &mut now.peer
                {
                    peer.open_input().await;
                }
            }
            Link::Disconnected => {
                self.card.phase(Phase::Reconnecting);
                now.climb_at = Some(Instant::now() + HEAL);
            }
            Link::Failed | Link::Closed => self.media_lost(now, 0),
        }
    }

    fn media_lost(&self, now: &mut Now, least_attempt: u32) {
        self.card.phase(Phase::Reconnecting);
        now.attempt = now.attempt.max(least_attempt);
        let pause =
            if now.attempt > 1 { backoff(MEDIA_BACKOFF, now.attempt - 2, self.seed) } else { Duration::ZERO };
        now.climb_at = Some(Instant::now() + pause);
    }

    fn heard(&self, now: &mut Now, message: Result<ServerMessage, ClientError>) -> Result<(), LifeError> {
        match message {
            Ok(ServerMessage::Error { code: ErrorCode::MediaEnded, .. }) => {
                self.media_lost(now, 1);
                Ok(())
            }
            Ok(
                ServerMessage::Error { .. }
                | ServerMessage::Welcome { .. }
                | ServerMessage::Answer { .. }
                | ServerMessage::Status { .. }
                | ServerMessage::Cursor { .. }
                | ServerMessage::Rumble { .. }
                | ServerMessage::Control(_)
                | ServerMessage::Saved
                | ServerMessage::Pong { .. }
                | ServerMessage::End { .. },
            ) => Ok(()),
            Err(error) => self.signaling_lost(now, error),
        }
    }

    /// Tries again later, unless that would be refused again.
    fn signaling_lost(&self, now: &mut Now, error: ClientError) -> Result<(), LifeError> {
        now.signaling = None;
        if is_final(&error) {
            return Err(error.into());
        }
        tracing::debug!(bot = self.card.index, %error, "signaling broke");
        now.trouble = Some(error.to_string());
        now.dial_at = Some(Instant::now() + backoff(SIGNALING_BACKOFF, now.failures, self.seed));
        now.failures += 1;
        Ok(())
    }

    async fn act(&self, now: &mut Now) {
        let frames = now.script.frames(Instant::now());
        let Some(peer) = &now.peer else { return };
        let plays = match self.card.kind {
            Kind::Owner | Kind::Player => true,
            Kind::Spectator => false,
            Kind::Visitor => {
                now.signaling.as_ref().is_some_and(|signaling| signaling.welcome().role == Role::Player)
            }
        };
        for frame in frames.into_iter().filter(|_| plays) {
            let at = Instant::now();
            let press = matches!(frame.effect(), Effect::Press(_));
            match peer.send(&frame).await {
                Ok(()) => self.card.sent_input(press, at),
                Err(_) => self.card.with(|facts| facts.inputs_unsent += 1),
            }
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}

async fn hear(signaling: &mut Option<SignalingClient>) -> Result<ServerMessage, ClientError> {
    match signaling {
        Some(signaling) => signaling.recv().await,
        None => std::future::pending().await,
    }
}
