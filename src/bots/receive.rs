//! What a full bot does with its connection's events: media is counted, put into order and decoded, and what is lost is
//! asked for again.

use super::card::Step;
use super::decode::{DecoderHandle, Outlet};
use super::header::Header;
use super::viewer::Link;
use crate::h264::{Depacketizer, Reorder};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{PeerConnectionEventHandler, RTCIceGatheringState, RTCPeerConnectionState};

/// Between two requests for a key frame.
pub(super) const KEY_REQUEST_INTERVAL: Duration = Duration::from_millis(250);
/// While packets are missing they are looked after this often.
pub(super) const REPAIR_INTERVAL: Duration = Duration::from_millis(10);
/// Of a media packet beside its payload: header, playout delay, authentication tag.
const PACKET_OVERHEAD: usize = 12 + 8 + 16;

/// Events of the peer connection. They run on the connection's own driver, so nothing here may wait.
pub(super) struct Handler {
    outlet: Outlet,
    gathered: Arc<watch::Sender<bool>>,
    link: watch::Sender<Link>,
}

impl Handler {
    pub(super) fn new(outlet: Outlet, gathered: Arc<watch::Sender<bool>>, link: watch::Sender<Link>) -> Self {
        Self { outlet, gathered, link }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.gathered.send_replace(true);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let since = self.outlet.started.elapsed();
        if state == RTCPeerConnectionState::Connected {
            self.outlet.card.step(Step::Connected);
        }
        self.link.send_replace(Link::of(state));
        self.outlet.stats.send_modify(|stats| {
            if state == RTCPeerConnectionState::Connected {
                stats.connected.get_or_insert(since);
            }
            stats.ended |= state == RTCPeerConnectionState::Failed || state == RTCPeerConnectionState::Closed;
        });
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let outlet = self.outlet.clone();
        tokio::spawn(async move {
            if track.kind().await == RtpCodecKind::Video {
                video(track, outlet).await;
            } else {
                audio(track, outlet).await;
            }
        });
    }
}

async fn audio(track: Arc<dyn TrackRemote>, outlet: Outlet) {
    while let Some(event) = track.poll().await {
        if let TrackRemoteEvent::OnRtpPacket(_) = event {
            outlet.stats.send_modify(|stats| stats.audio_packets += 1);
            outlet.card.with(|facts| facts.meter.audio());
        }
    }
}

async fn video(track: Arc<dyn TrackRemote>, outlet: Outlet) {
    let mut decoder = match DecoderHandle::start(outlet.clone()) {
        Ok(decoder) => decoder,
        Err(error) => {
            tracing::warn!(%error, "cannot start the decoder");
            return;
        }
    };
    let Some(ssrc) = track.ssrcs().await.first().copied() else { return };
    let requests =
        tokio::spawn(request_key_frames(Arc::clone(&track), ssrc, Arc::clone(&outlet.key_frame_requested)));
    let mut reorder = Reorder::default();
    let mut depacketizer = Depacketizer::new();
    let mut repair = tokio::time::interval(REPAIR_INTERVAL);
    repair.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut waits = false;
    loop {
        let event = tokio::select! {
            event = track.poll() => event,
            _ = repair.tick(), if waits => {
                let (wanted, still) =
                    outlet.card.with(|facts| (facts.meter.wanted(Instant::now()), facts.meter.waits()));
                waits = still;
                if let Some((media_ssrc, lost)) = wanted {
                    let nacks = nack_pairs_from_sequence_numbers(&lost);
                    let nack = TransportLayerNack { sender_ssrc: 0, media_ssrc, nacks };
                    let _ = track.write_rtcp(vec![Box::new(nack)]).await;
                }
                continue;
            }
        };
        let Some(event) = event else { break };
        let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
        let now = Instant::now();
        let header = Header {
            marker: packet.header.marker,
            payload_type: packet.header.payload_type,
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            ssrc: packet.header.ssrc,
        };
        waits = outlet.card.with(|facts| {
            facts.step(Step::FirstPacket, now);
            facts.meter.packet(header, packet.payload.len() + PACKET_OVERHEAD, now);
            facts.meter.waits()
        });
        let size = packet.payload.len() as u64;
        for packet in reorder.push(packet.header.sequence_number, packet) {
            let header = &packet.header;
            let pushed =
                depacketizer.push(header.sequence_number, header.timestamp, header.marker, &packet.payload);
            if pushed.damaged {
                decoder.damaged();
            }
            pushed.units.into_iter().for_each(|unit| decoder.push(unit));
        }
        let since = outlet.started.elapsed();
        outlet.stats.send_modify(|stats| {
            stats.first_packet.get_or_insert(since);
            stats.packets += 1;
            stats.bytes += size;
            stats.lost = reorder.lost();
        });
    }
    requests.abort();
}

async fn request_key_frames(track: Arc<dyn TrackRemote>, media_ssrc: u32, requested: Arc<Notify>) {
    loop {
        requested.notified().await;
        let pli = PictureLossIndication { sender_ssrc: 0, media_ssrc };
        if track.write_rtcp(vec![Box::new(pli)]).await.is_err() {
            return;
        }
        tokio::time::sleep(KEY_REQUEST_INTERVAL).await;
    }
}
