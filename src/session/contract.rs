//! What a game is given of the runner contract: its variables, its container, where its media is taken from.

use super::catalogue::{ContainerGame, Game, Source};
use super::context::Context;
use crate::content::{Content, Ready};
use crate::control::WelcomeSpec;
use crate::driver::docker::PACKAGE_DIR;
use crate::driver::{ContainerSpec, Site};
use crate::image::{LABEL_CONTRACT, LABEL_VARIABLES};
use crate::model::ids::SessionId;
use crate::relay::{Codec, IngestSpec, OpenSession};
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::env;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// What a runner may take to end besides its game's grace and a last flush of the save.
const RUNNER_END: Duration = Duration::from_secs(5);
/// Payload types when the runner says nothing else (runner contract).
const VIDEO_PAYLOAD_TYPE: u8 = 96;
const AUDIO_PAYLOAD_TYPE: u8 = 111;

/// What the relay is asked for: a game with a site sends from its address to the gateway's on the same network.
pub(super) fn ingest(context: &Context, session: SessionId, game: &Game, site: &Site) -> OpenSession {
    if let Source::External { video, audio, allow } = &game.source {
        return OpenSession { session, video: video.clone(), audio: audio.clone(), allow: allow.clone() };
    }
    let listen = site.gateway.map(|gateway| SocketAddr::new(gateway, 0));
    let spec = |codec, payload_type| IngestSpec { listen, codec, payload_type, rtcp: None };
    OpenSession {
        session,
        video: spec(Codec::H264, VIDEO_PAYLOAD_TYPE),
        audio: Some(spec(Codec::Opus, AUDIO_PAYLOAD_TYPE)),
        allow: site.address.map_or_else(|| own_addresses(context.private), |address| vec![address]),
    }
}

/// Where a child of ours sends from: loopback, or the private listener's own address.
fn own_addresses(private: SocketAddr) -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    if !addresses.contains(&private.ip()) {
        addresses.push(private.ip());
    }
    addresses
}

/// `PLAYGATE_CONTROL_URL`: the private listener has the same port on every network.
pub(super) fn control_url(private: SocketAddr, site: &Site, path: &str) -> String {
    let address = SocketAddr::new(site.gateway.unwrap_or(private.ip()), private.port());
    format!("ws://{address}{path}")
}

pub(super) fn welcome(game: &Game, rtp_video: String, rtp_audio: Option<String>) -> WelcomeSpec {
    WelcomeSpec {
        rtp_video,
        rtp_audio: rtp_audio.unwrap_or_default(),
        width: game.view.hints.width,
        height: game.view.hints.height,
        fps: game.fps,
        kbps: game.kbps,
    }
}

/// From SIGTERM to SIGKILL, for the game itself. A built-in game has no process of its own that would be asked to end.
fn stop_grace(context: &Context, game: Option<&Game>, is_hosted: bool) -> Duration {
    let of_game = match game.map(|game| &game.source) {
        Some(Source::Container(container)) => container.config.stop_grace_ms,
        Some(Source::BuiltIn | Source::External { .. }) | None => None,
    };
    let default = if is_hosted { context.hosting.config.stop_grace_ms } else { context.config.stop_grace_ms };
    Duration::from_millis(of_game.unwrap_or(default))
}

/// From SIGTERM to SIGKILL, for the whole instance. A runner in a container gives its game the grace, then waits until the
/// save is at rest and ends: it needs longer. A hosted session has no save, and its caller was promised the time (rule 13).
pub(super) fn stop_within(context: &Context, game: Option<&Game>, is_hosted: bool) -> Duration {
    let grace = stop_grace(context, game, is_hosted);
    let in_container = game.is_some_and(|game| matches!(game.source, Source::Container(_)));
    if in_container && !is_hosted {
        grace + RUNNER_END + Duration::from_millis(context.config.flush_timeout_ms)
    } else {
        grace
    }
}

/// An image made by an older `playgate image build` has a runner that refuses variables it does not know. It says so by its
/// labels; runners of others ignore what they do not know.
fn knows(labels: &BTreeMap<String, String>, variable: &str) -> bool {
    let knows = |known: &String| known.split(' ').any(|name| name == variable);
    !labels.contains_key(LABEL_CONTRACT) || labels.get(LABEL_VARIABLES).is_some_and(knows)
}

/// Everything but the control channel's address and token. `labels` are the image's.
pub(super) fn variables(
    context: &Context,
    session: SessionId,
    game: &Game,
    rtp_video: &str,
    rtp_audio: Option<&str>,
    is_hosted: bool,
    labels: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let hints = &game.view.hints;
    let mut variables = BTreeMap::new();
    let mut set = |name: &str, value: String| drop(variables.insert(name.to_owned(), value));
    set(env::SESSION_ID, session.to_string());
    set(env::RTP_VIDEO, rtp_video.to_owned());
    if let Some(rtp_audio) = rtp_audio {
        set(env::RTP_AUDIO, rtp_audio.to_owned());
    }
    set(env::WIDTH, hints.width.to_string());
    set(env::HEIGHT, hints.height.to_string());
    set(env::FPS, game.fps.to_string());
    set(env::VIDEO_KBPS, game.kbps.to_string());
    match &game.encoder {
        Some(encoder) if knows(labels, env::ENCODER) => set(env::ENCODER, encoder.clone()),
        Some(encoder) => tracing::warn!(
            game = game.view.slug,
            encoder,
            "the game's image has a runner that knows no encoders by name; make the image again"
        ),
        None => {}
    }
    match &game.source {
        Source::BuiltIn | Source::External { .. } => {
            set(env::SAVE_DIR, context.save_dir(session).display().to_string());
            set(env::ON_GATEWAY_LOSS, "exit".to_owned());
        }
        Source::Container(container) => {
            let config = &container.config;
            if knows(labels, env::STOP_GRACE_MS) {
                let grace = stop_grace(context, Some(game), is_hosted);
                set(env::STOP_GRACE_MS, grace.as_millis().to_string());
            }
            set(env::SAVE_DIR, config.save_path.clone());
            set(env::ON_GATEWAY_LOSS, "reconnect".to_owned());
            set(env::PADS, config.pads.to_string());
            set(env::POINTER, pointer_name(hints.pointer).to_owned());
            if !config.pad_map.is_empty() {
                set(env::PAD_MAP, serde_json::json!(config.pad_map).to_string());
            }
        }
    }
    variables
}

fn pointer_name(mode: PointerMode) -> &'static str {
    match mode {
        PointerMode::Absolute => "absolute",
        PointerMode::Relative => "relative",
        PointerMode::None => "none",
    }
}

pub(super) fn container(game: &ContainerGame, ready: &Ready) -> ContainerSpec {
    let config = &game.config;
    let command = match &game.content {
        Content::Image { .. } => config.command.clone(),
        Content::Package(package) => {
            let launcher = format!("{PACKAGE_DIR}/{}", package.launcher);
            std::iter::once(launcher).chain(config.command.iter().cloned()).collect()
        }
    };
    ContainerSpec {
        profile: game.profile,
        image: ready.image.clone(),
        command,
        package: ready.package.as_ref().map(|lease| lease.dir.clone()),
        save_path: config.save_path.clone(),
        cpus: config.cpus,
        memory_bytes: config.memory_mb.saturating_mul(1024 * 1024),
        pids: config.pids,
        egress: config.egress,
        devices: config.devices.clone(),
        gpus: config.gpus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_is_taken_from_loopback_and_the_private_listener() {
        assert_eq!(own_addresses("127.0.0.1:4000".parse().expect("address")).len(), 2);
        let elsewhere = own_addresses("10.1.2.3:4000".parse().expect("address"));
        assert_eq!(elsewhere[2], IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)));
    }

    #[test]
    fn newer_variables_are_told_to_images_that_know_them_and_to_those_that_are_not_ours() {
        let labels = |labels: &[(&str, &str)]| {
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let ours = labels(&[(LABEL_CONTRACT, "1"), (LABEL_VARIABLES, "A PLAYGATE_STOP_GRACE_MS")]);
        assert!(knows(&labels(&[]), env::STOP_GRACE_MS));
        assert!(!knows(&labels(&[(LABEL_CONTRACT, "1")]), env::STOP_GRACE_MS));
        assert!(knows(&ours, env::STOP_GRACE_MS) && !knows(&ours, env::ENCODER));
    }

    #[test]
    fn control_is_reached_at_the_gateways_address_on_the_games_network() {
        let private = "127.0.0.1:4000".parse().expect("address");
        assert_eq!(control_url(private, &Site::default(), "/x"), "ws://127.0.0.1:4000/x");
        let site = Site { gateway: Some(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1))), ..Site::default() };
        assert_eq!(control_url(private, &site, "/x"), "ws://10.1.0.1:4000/x");
    }
}
