//! Who seals a peer's media: decided once, when it is connected and before its first packet.

use super::{Peer, guard};
use crate::relay::seal::proof;
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::sansio::Protocol;
use std::time::Instant;

impl Peer {
    /// Takes the connection's keys, if they are proven to be those it sends with (`crate::relay::seal::proof`). False: the
    /// crate seals for this peer, for good.
    pub(super) fn decide_sealing(&mut self, now: Instant) -> bool {
        let Some(keys) = self.keys.take() else { return false };
        // An empty receiver report is nothing to the viewer, and sealed by the crate as all its RTCP is.
        let report = ReceiverReport { ssrc: self.video.outgoing.ssrc(), ..Default::default() };
        let message = RTCMessage::RtcpPacket(self.video.track.clone(), vec![Box::new(report)]);
        let held = self.held.len();
        let written = guard(|| {
            let written = self.pc.handle_write(TaggedRTCMessage { now, message }).is_ok();
            while let Some(out) = self.pc.poll_write() {
                // Answers to the messages of `nominate` go nowhere.
                if out.message.first().is_some_and(|first| *first > 3) {
                    self.held.push(out.message);
                }
            }
            written
        });
        if written != Some(true) {
            return false;
        }
        let sealed = self.held.get(held..).unwrap_or_default().iter().rfind(|datagram| is_srtcp(datagram));
        self.sealer = sealed.and_then(|sealed| proof::sealer(&keys, sealed, self.shared.crypto.crypto()));
        self.sealer.is_some()
    }
}

/// By first byte (RFC 7983) and packet type (RFC 5761 section 4).
fn is_srtcp(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, 192..=223, ..])
}
