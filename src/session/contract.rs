//! What a game is given of the runner contract: its variables, its container, where its media is taken from.

use super::catalogue::{ContainerGame, Game, Source};
use super::context::Context;
use crate::content::{Content, Ready};
use crate::control::WelcomeSpec;
use crate::driver::docker::PACKAGE_DIR;
use crate::driver::{ContainerSpec, Site};
use crate::ids::SessionId;
use crate::relay::{Codec, IngestSpec, OpenSession};
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::env;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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

/// Everything but the control channel's address and token.
pub(super) fn variables(
    context: &Context,
    session: SessionId,
    game: &Game,
    rtp_video: &str,
    rtp_audio: Option<&str>,
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
    match &game.source {
        Source::BuiltIn | Source::External { .. } => {
            set(env::SAVE_DIR, context.save_dir(session).display().to_string());
            set(env::ON_GATEWAY_LOSS, "exit".to_owned());
        }
        Source::Container(container) => {
            let config = &container.config;
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
    fn control_is_reached_at_the_gateways_address_on_the_games_network() {
        let private = "127.0.0.1:4000".parse().expect("address");
        assert_eq!(control_url(private, &Site::default(), "/x"), "ws://127.0.0.1:4000/x");
        let site = Site { gateway: Some(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1))), ..Site::default() };
        assert_eq!(control_url(private, &site, "/x"), "ws://10.1.0.1:4000/x");
    }
}
