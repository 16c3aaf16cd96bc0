//! One bot's life: sign in, launch, poll, connect, play, stop.

use super::BotsPlan;
use super::api::{Api, ApiError};
use super::join::{JoinError, JoinOptions, Joined, SIGNALING_TIMEOUT, join};
use super::viewer::{Srtp, Viewer, ViewerError, ViewerStats};
use playgate_signaling::client::ClientError;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::{ClientMessage, Role};
use reqwest::Client;
use std::time::{Duration, Instant};

/// Between two polls of the status (contract rule 5).
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A game may have to be downloaded first (contract rule 2).
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(75);
/// From the answer to the first decoded frame.
const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(15);
/// A keepalive is due well before the shortest idle timeout anybody would configure.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// Between two key presses.
const KEY_INTERVAL: Duration = Duration::from_secs(1);
/// USB HID usage of the right arrow key (page 0x07): moves something in every game, chooses nothing.
const KEY_RIGHT: u16 = 0x4f;

#[derive(Debug, thiserror::Error)]
pub enum BotError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Viewer(#[from] ViewerError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error("signaling: {0}")]
    Signaling(#[from] ClientError),
    #[error("the input channel did not open within {} s", SIGNALING_TIMEOUT.as_secs())]
    NoInput,
    #[error("{seen} of {expected} frames came")]
    TooFewFrames { seen: u64, expected: u64 },
}

/// What became of a bot.
#[derive(Debug, Default)]
pub struct Outcome {
    pub session: Option<String>,
    /// From the launch request to the status `running`.
    pub launch: Option<Duration>,
    /// From the launch request to the first decoded frame.
    pub launch_to_frame: Option<Duration>,
    /// How long frames were counted.
    pub watched: Duration,
    pub cipher: String,
    pub stats: ViewerStats,
    pub error: Option<BotError>,
}

/// Runs one bot to its end. What was launched is stopped, whatever went wrong in between.
pub async fn run(plan: &BotsPlan, http: Client) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(error) = play(plan, http, &mut outcome).await {
        outcome.error = Some(error);
    }
    outcome
}

async fn play(plan: &BotsPlan, http: Client, outcome: &mut Outcome) -> Result<(), BotError> {
    let mut api = Api::new(http, &plan.url)?;
    match &plan.token {
        Some(token) => api = api.with_token(token.clone()),
        None => api.become_guest().await?,
    }
    let begun = Instant::now();
    let session = api.launch(&plan.game).await?;
    outcome.session = Some(session.clone());
    let watched = watch(plan, &api, &session, begun, outcome).await;
    let stopped = api.stop(&session).await;
    watched?;
    stopped?;
    Ok(())
}

async fn watch(
    plan: &BotsPlan,
    api: &Api,
    session: &str,
    begun: Instant,
    outcome: &mut Outcome,
) -> Result<(), BotError> {
    api.wait_running(session, POLL_INTERVAL, LAUNCH_TIMEOUT).await?;
    outcome.launch = Some(begun.elapsed());
    let options =
        JoinOptions { role: Role::Player, srtp: Srtp::Gcm, keep_picture: false, insecure: plan.insecure };
    let mut joined = join(api, session, &options).await?;
    let counted = count(plan, &mut joined, begun, outcome).await;
    outcome.stats = joined.viewer.stats();
    outcome.cipher = joined.viewer.cipher().await;
    joined.viewer.close().await;
    joined.signaling.close().await;
    counted
}

/// Counts frames for the plan's duration, presses keys when asked, and keeps the session alive.
async fn count(
    plan: &BotsPlan,
    joined: &mut Joined,
    begun: Instant,
    outcome: &mut Outcome,
) -> Result<(), BotError> {
    let Joined { signaling, viewer, .. } = joined;
    viewer.wait_for("a decoded frame", FIRST_FRAME_TIMEOUT, |stats| stats.frames > 0).await?;
    outcome.launch_to_frame = Some(begun.elapsed());
    if plan.keys {
        let opened = tokio::time::timeout(SIGNALING_TIMEOUT, viewer.input_open()).await;
        opened.map_err(|_| BotError::NoInput)??;
    }
    let from = Instant::now();
    let end = tokio::time::sleep(plan.duration);
    tokio::pin!(end);
    let mut keepalive = tokio::time::interval(KEEPALIVE_INTERVAL);
    let mut keys = tokio::time::interval(KEY_INTERVAL);
    let ended: Result<(), ClientError> = loop {
        tokio::select! {
            () = &mut end => break Ok(()),
            _ = keepalive.tick() => signaling.send(ClientMessage::Keepalive).await?,
            _ = keys.tick(), if plan.keys => press(viewer, KEY_RIGHT).await?,
            message = signaling.recv() => if let Err(error) = message {
                break Err(error);
            },
        }
    };
    outcome.watched = from.elapsed();
    ended?;
    let seen = viewer.stats().frames;
    match plan.expect_frames {
        Some(expected) if seen < expected => Err(BotError::TooFewFrames { seen, expected }),
        Some(_) | None => Ok(()),
    }
}

async fn press(viewer: &Viewer, usage: u16) -> Result<(), ViewerError> {
    for down in [true, false] {
        viewer.send_input(&InputFrame::Key { usage, down }.to_bytes()).await?;
    }
    Ok(())
}
