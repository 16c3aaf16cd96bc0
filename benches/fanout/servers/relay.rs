//! This relay, with one session on one shard.

use crate::load::{Outcome, PAYLOAD_TYPE};
use crate::protocol::{Ask, Reply, serve};
use playgate::ids::{SessionId, ViewerId};
use playgate::relay::{AddViewer, Codec, IngestSpec, OpenSession, Relay, RelayConfig};
use prometheus_client::registry::Registry;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) fn run() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = RelayConfig {
        media_listen: vec![SocketAddr::new(local, 0)],
        whole_machine: false,
        public_ip: Vec::new(),
        ingest_ip: local,
    };
    let relay = Relay::start(config, &mut Registry::default())?;
    let session = SessionId::new();
    let video = IngestSpec { listen: None, codec: Codec::H264, payload_type: PAYLOAD_TYPE, rtcp: None };
    let opened =
        runtime.block_on(relay.open(OpenSession { session, video, audio: None, allow: vec![local] }))?;
    serve(opened.rtp_video, |ask| match ask {
        Ask::Offer(offer) => {
            let principal = "bench".to_owned();
            let spec = AddViewer { session, viewer: ViewerId::new(), slot: None, principal, offer };
            Ok(Reply::Answer(runtime.block_on(relay.add_viewer(spec))?))
        }
        Ask::Burst { .. } => Err("not the floor".into()),
    })
}
