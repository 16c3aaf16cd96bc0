//! From the written row to a started instance: media opened, runner expected, save restored, game started.
//!
//! One future; dropping it at any point leaves nothing running, as the driver promises for its part and teardown closes
//! the rest.

use super::catalogue::{Game, Source};
use super::context::Context;
use super::ports::RunnerLink;
use super::view::Milestone;
use crate::control::WelcomeSpec;
use crate::driver::{DriverEvent, Instance, StartSpec};
use crate::ids::{Generation, SessionId, SlotId};
use crate::relay::{Codec, IngestSpec, OpenSession, OpenedSession};
use playgate_signaling::runner::env;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Payload types when the runner says nothing else (runner contract).
const VIDEO_PAYLOAD_TYPE: u8 = 96;
const AUDIO_PAYLOAD_TYPE: u8 = 111;

pub(super) struct Plan {
    pub(super) session: SessionId,
    pub(super) generation: Generation,
    pub(super) slot: SlotId,
    pub(super) game: Arc<Game>,
}

/// Told on the way.
pub(super) enum Step {
    Progress(&'static str),
    Reached(Milestone),
    MediaOpen(OpenedSession),
    RunnerExpected(Box<dyn RunnerLink>),
}

/// A sentence for people.
#[derive(Debug)]
pub(super) struct LaunchFailed(pub(super) String);

pub(super) async fn launch(
    context: Arc<Context>,
    plan: Plan,
    steps: mpsc::Sender<Step>,
    events: mpsc::Sender<DriverEvent>,
) -> Result<Box<dyn Instance>, LaunchFailed> {
    // The receiver lives as long as this future.
    let tell = async |step| {
        let _ = steps.send(step).await;
    };
    let opened =
        context.media.open(ingest(&context, &plan)).await.map_err(|error| failed("media", &error))?;
    let (rtp_video, rtp_audio) = (opened.rtp_video.to_string(), opened.rtp_audio.map(|at| at.to_string()));
    tell(Step::MediaOpen(opened)).await;

    let mut variables = variables(&context, &plan, &rtp_video, rtp_audio.as_deref());
    if let Source::BuiltIn | Source::Container(_) = plan.game.source {
        let link = context.control.register(plan.session, welcome(&plan.game, rtp_video, rtp_audio));
        let url = format!("{}{}", context.control_url_base, link.path());
        variables.insert(env::CONTROL_URL.to_owned(), url);
        variables.insert(env::TOKEN.to_owned(), link.token().to_owned());
        tell(Step::RunnerExpected(link)).await;
    }

    tell(Step::Progress("restoring_save")).await;
    let save_dir = context.save_dir(plan.session);
    let parent = context.session_dir(plan.session);
    std::fs::create_dir_all(parent).map_err(|error| failed("session directory", &error))?;
    context.saves.restore(plan.slot, save_dir.clone()).await.map_err(|error| failed("save", &error))?;
    tell(Step::Reached(Milestone::SaveRestored)).await;

    // Nothing to download for what is in this binary or comes from elsewhere.
    tell(Step::Reached(Milestone::ImageReady)).await;
    tell(Step::Progress("starting")).await;
    let spec = StartSpec {
        session: plan.session,
        generation: plan.generation,
        game: plan.game.view.slug.clone(),
        env: variables,
        save_dir,
        seed: None,
        marker: context.marker,
        container: None,
    };
    let Some(driver) = context.drivers.of(&plan.game) else {
        return Err(LaunchFailed("The game could not be started: there is no engine for it.".to_owned()));
    };
    // Last, so that a started instance is always handed over.
    driver.start(spec, crate::driver::Site::default(), events).await.map_err(|error| failed("game", &error))
}

fn failed(what: &str, error: &dyn std::error::Error) -> LaunchFailed {
    LaunchFailed(format!("The game could not be started ({what}): {error}."))
}

fn ingest(context: &Context, plan: &Plan) -> OpenSession {
    let (video, audio, allow) = match &plan.game.source {
        Source::External { video, audio, allow } => (video.clone(), audio.clone(), allow.clone()),
        Source::BuiltIn | Source::Container(_) => {
            let spec = |codec, payload_type| IngestSpec { listen: None, codec, payload_type, rtcp: None };
            (
                spec(Codec::H264, VIDEO_PAYLOAD_TYPE),
                Some(spec(Codec::Opus, AUDIO_PAYLOAD_TYPE)),
                own_addresses(&context.control_url_base),
            )
        }
    };
    OpenSession { session: plan.session, video, audio, allow }
}

/// Where a child of ours sends from: loopback, or the private listener's own address.
fn own_addresses(control_url_base: &str) -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let authority = control_url_base.split_once("://").map_or(control_url_base, |(_, rest)| rest);
    if let Ok(listener) = authority.trim_end_matches('/').parse::<std::net::SocketAddr>()
        && !addresses.contains(&listener.ip())
    {
        addresses.push(listener.ip());
    }
    addresses
}

fn welcome(game: &Game, rtp_video: String, rtp_audio: Option<String>) -> WelcomeSpec {
    WelcomeSpec {
        rtp_video,
        rtp_audio: rtp_audio.unwrap_or_default(),
        width: game.view.hints.width,
        height: game.view.hints.height,
        fps: game.fps,
        kbps: game.kbps,
    }
}

fn variables(
    context: &Context,
    plan: &Plan,
    rtp_video: &str,
    rtp_audio: Option<&str>,
) -> BTreeMap<String, String> {
    let hints = &plan.game.view.hints;
    let mut variables: BTreeMap<String, String> = [
        (env::SESSION_ID, plan.session.to_string()),
        (env::RTP_VIDEO, rtp_video.to_owned()),
        (env::WIDTH, hints.width.to_string()),
        (env::HEIGHT, hints.height.to_string()),
        (env::FPS, plan.game.fps.to_string()),
        (env::VIDEO_KBPS, plan.game.kbps.to_string()),
        (env::SAVE_DIR, context.save_dir(plan.session).display().to_string()),
        (env::ON_GATEWAY_LOSS, "exit".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(rtp_audio) = rtp_audio {
        variables.insert(env::RTP_AUDIO.to_owned(), rtp_audio.to_owned());
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_taken_from_loopback_and_the_private_listener() {
        assert_eq!(own_addresses("ws://127.0.0.1:4000").len(), 2);
        assert_eq!(own_addresses("ws://10.1.2.3:4000")[2], IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)));
    }
}
