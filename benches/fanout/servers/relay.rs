//! This relay on one shard or on two: one session, or as many as hold the viewers.

use crate::load::{Outcome, PAYLOAD_TYPE};
use crate::protocol::{Ask, Reply, say, serve};
use playgate::model::ids::{SessionId, ViewerId};
use playgate::relay::{AddViewer, Codec, IngestSpec, OpenSession, Relay, RelayConfig, RelayError};
use prometheus_client::registry::Registry;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) fn run(shards: usize) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = RelayConfig {
        media_listen: vec![SocketAddr::new(local, 0); shards],
        whole_machine: false,
        public_ip: Vec::new(),
        ingest_ip: local,
    };
    let mut registry = Registry::default();
    let relay = Relay::start(config, &mut registry)?;
    let open = || -> Outcome<(SessionId, SocketAddr)> {
        let session = SessionId::new();
        let video = IngestSpec { listen: None, codec: Codec::H264, payload_type: PAYLOAD_TYPE, rtcp: None };
        let spec = OpenSession { session, video, audio: None, allow: vec![local] };
        // Nobody drains its events: the relay drops and counts them.
        Ok((session, runtime.block_on(relay.open(spec))?.rtp_video))
    };
    let mut sessions = vec![open()?];
    serve(sessions[0].1, |ask| match ask {
        Ask::Offer(offer) => loop {
            let (session, _) = *sessions.last().ok_or("no session")?;
            let offer = offer.clone();
            let spec = AddViewer { session, viewer: ViewerId::new(), slot: None, offer };
            match runtime.block_on(relay.add_viewer(spec)) {
                Ok(answer) => return Ok(Reply::Answer(answer)),
                Err(RelayError::Full) => sessions.push(open()?),
                Err(error) => return Err(error.into()),
            }
        },
        Ask::Join { number, offer } => {
            let (session, _) = *sessions.last().ok_or("no session")?;
            let spec = AddViewer { session, viewer: ViewerId::new(), slot: None, offer };
            let relay = relay.clone();
            runtime.spawn(async move {
                let reply = match relay.add_viewer(spec).await {
                    Ok(answer) => Reply::Joined { number, answer },
                    Err(error) => Reply::Error(error.to_string()),
                };
                // Who asked may have gone.
                let _ = say(&reply);
            });
            Ok(Reply::Taken)
        }
        Ask::Metrics => {
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry)?;
            Ok(Reply::Metrics(text))
        }
        Ask::Ingests => Ok(Reply::Ingests(sessions.iter().map(|(_, ingest)| *ingest).collect())),
        Ask::Burst { .. } | Ask::Allocations => Err("not this server's part".into()),
    })
}
