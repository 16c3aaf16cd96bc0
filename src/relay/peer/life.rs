//! A peer's life: datagrams in and out, `rtc`'s events, deadlines, and the end.
//!
//! A peer ends once: after the first reason nothing else is reported. Without evidence of life on its path (`paths`) or a
//! connection in time it ends by itself. A panic inside `rtc` is caught at every call and ends this peer alone.

use super::{Label, Peer, PeerEvent, guard};
use crate::relay::demux::{self, Kind};
use crate::relay::outbox::Outbox;
use crate::relay::socket::Path;
use crate::relay::stats::Drop;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::sansio::Protocol;
use rtc::statistics::StatsSelector;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// A viewer that is not connected by then is gone.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(30);
/// Our last flight and the first media are kept this far apart. Clients hand their keys over by an event (`rtc` does, and so
/// do the bots), so what they read in one go with the end of the handshake is lost to them.
const KEYS_IN_PLACE: Duration = Duration::from_millis(5);
/// Senders of RTCP that `rtc` may hear of: it keeps something for each, before it knows whether the packet is genuine.
const RTCP_SENDERS: usize = 1024;

/// A handshake that is done on our side.
pub(super) struct Established {
    /// The viewer has its keys by then, as far as time can tell.
    ready: Instant,
    /// How much the viewer had authenticated until then: one message more, and it has its keys.
    heard: u64,
    cipher: String,
    sealed_here: bool,
}

#[cfg(test)]
impl Established {
    pub(super) fn for_test(now: Instant) -> Self {
        Self { ready: now, heard: 0, cipher: String::new(), sealed_here: false }
    }
}

impl Peer {
    /// A DTLS or SRTCP datagram from one of the peer's known addresses. Viewers send no media.
    pub(in crate::relay) fn datagram(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
    ) -> Result<(), Drop> {
        if self.done {
            return Ok(());
        }
        match demux::classify(datagram) {
            Kind::Dtls => self.dtls(now, path, datagram),
            Kind::Media => {
                if !is_known_rtcp(datagram, &mut self.rtcp_senders) {
                    return Err(Drop::MediaFromViewer);
                }
                self.feed_from(now, path, datagram);
                Ok(())
            }
            Kind::Stun | Kind::Unknown => Err(Drop::Malformed),
        }
    }

    /// Lets time pass and collects what happened.
    pub(in crate::relay) fn poll(&mut self, now: Instant) -> Vec<PeerEvent> {
        if !self.done {
            let due = guard(|| {
                self.pc
                    .poll_timeout()
                    .is_some_and(|at| at <= now)
                    .then(|| self.pc.handle_timeout(now))
                    .is_none_or(|done| done.is_ok())
            });
            match due {
                Some(true) => {}
                // A handshake out of retransmissions.
                Some(false) if self.established.is_none() => self.gone("the DTLS handshake failed"),
                Some(false) => {}
                None => self.fault(),
            }
            if guard(|| self.collect(now)).is_none() {
                self.fault();
            }
            self.connect_when_ready(now);
            if self.established.is_none() && now.saturating_duration_since(self.created) >= HANDSHAKE {
                self.gone(self.handshake.trouble());
            } else if self.paths.expires().is_some_and(|at| at <= now) {
                self.gone("consent expired");
            }
        }
        std::mem::take(&mut self.events)
    }

    /// When to call [`Self::poll`] without cause.
    pub(in crate::relay) fn deadline(&mut self) -> Option<Instant> {
        if self.done {
            return None;
        }
        let next = match &self.established {
            None => Some(self.created + HANDSHAKE),
            Some(established) => (!self.connected).then_some(established.ready),
        };
        let own = [self.paths.expires(), next].into_iter().flatten().min();
        let theirs = guard(|| self.pc.poll_timeout()).flatten();
        [own, theirs].into_iter().flatten().min()
    }

    /// Moves out what the crate wants sent to [`Self::path`].
    pub(in crate::relay) fn drain(&mut self, out: &mut Outbox) {
        let mut datagrams = Vec::new();
        let done = guard(|| {
            while let Some(out) = self.pc.poll_write() {
                // Answers to the messages of `nominate` go nowhere.
                if out.message.first().is_some_and(|first| *first > 3) {
                    datagrams.push(out.message);
                }
            }
        });
        if done.is_none() {
            self.fault();
        }
        self.handshake.sent(datagrams.iter().map(|datagram| &**datagram));
        let ssrc = self.video.outgoing.ssrc();
        for datagram in self.held.drain(..).chain(datagrams) {
            if let Some(copies) = &mut self.video.copies {
                copies.keep(ssrc, &datagram);
            }
            out.push(datagram.len(), |packet| {
                packet.copy_from_slice(&datagram);
                true
            });
        }
    }

    /// Ends DTLS politely: drain once more afterwards.
    pub(in crate::relay) fn close(&mut self) {
        self.done = true;
        let _ = guard(|| self.pc.close());
    }

    pub(super) fn collect(&mut self, now: Instant) {
        while let Some(event) = self.pc.poll_event() {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a foreign non-exhaustive enum; nothing else of it is used"
            )]
            match event {
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(RTCPeerConnectionState::Connected)
                    if self.established.is_none() =>
                {
                    let report = self.pc.get_stats(now, StatsSelector::None);
                    let cipher = report
                        .transport()
                        .map(|transport| transport.srtp_cipher.trim_start_matches("SRTP_").to_owned());
                    let sealed_here = self.decide_sealing(now);
                    // As the client we have the viewer's last flight: it was done before us.
                    let pause = if self.handshake.is_client() { Duration::ZERO } else { KEYS_IN_PLACE };
                    self.established = Some(Established {
                        ready: now + pause,
                        heard: self.authenticated(),
                        cipher: cipher.unwrap_or_default(),
                        sealed_here,
                    });
                    self.handshake.finish();
                }
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(RTCPeerConnectionState::Failed) => {
                    self.gone("the connection failed")
                }
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) => {
                    use playgate_signaling::input::{POINTER_LABEL, RELIABLE_LABEL};
                    let label = self.pc.data_channel(id).and_then(|channel| match channel.label() {
                        RELIABLE_LABEL => Some(Label::Reliable),
                        POINTER_LABEL => Some(Label::Pointer),
                        _ => None,
                    });
                    if let Some(label) = label {
                        self.channels.insert(id, label);
                    }
                }
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(id)) => {
                    self.channels.remove(&id);
                }
                _ => {}
            }
        }
        while let Some(message) = self.pc.poll_read() {
            if let RTCMessage::DataChannelMessage(id, message) = message.message
                && let Some(label) = self.channels.get(&id)
            {
                self.events.push(PeerEvent::Input { label: *label, message: message.data.freeze() });
            }
        }
        self.events.extend(self.feedback.take().into_iter().map(PeerEvent::Feedback));
    }

    fn connect_when_ready(&mut self, now: Instant) {
        let heard = self.authenticated();
        if let Some(established) = &self.established
            && !self.connected
            && (now >= established.ready || heard > established.heard)
        {
            self.connected = true;
            let (cipher, sealed_here) = (established.cipher.clone(), established.sealed_here);
            // Before what the viewer may have sent by now.
            self.events.insert(0, PeerEvent::Connected { cipher, sealed_here });
        }
    }

    pub(super) fn fault(&mut self) {
        self.gone("internal error");
    }

    pub(super) fn gone(&mut self, reason: &'static str) {
        if !self.done {
            self.done = true;
            self.events.push(PeerEvent::Gone(reason));
        }
    }
}

/// Whether a datagram is SRTCP (RFC 5761 section 4) of a sender that is known or has room among the `senders`.
fn is_known_rtcp(datagram: &[u8], senders: &mut HashSet<u32>) -> bool {
    let [_, 192..=223, _, _, s0, s1, s2, s3, ..] = *datagram else { return false };
    let sender = u32::from_be_bytes([s0, s1, s2, s3]);
    senders.contains(&sender) || (senders.len() < RTCP_SENDERS && senders.insert(sender))
}
