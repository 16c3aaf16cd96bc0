//! A peer's life: datagrams in and out, what `rtc` tells, its deadlines, and its end.
//!
//! A peer ends once: after the first reason nothing else is reported. Without consent (RFC 7675) or a connection in
//! time it ends by itself. A panic inside `rtc` is caught at every call and ends this peer alone.

use super::{Label, Peer, PeerEvent, guard};
use crate::relay::outbox::Outbox;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::RTCDtlsTransportState;
use rtc::sansio::Protocol;
use rtc::statistics::StatsSelector;
use std::time::{Duration, Instant};

/// Consent (RFC 7675) ends this long after the last proven binding request.
pub(super) const CONSENT: Duration = Duration::from_secs(20);
/// A viewer that is not connected by then is gone.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(30);

impl Peer {
    /// A DTLS, SRTP or SRTCP datagram from one of the peer's addresses.
    pub(in crate::relay) fn datagram(&mut self, now: Instant, datagram: &[u8]) {
        if self.done {
            return;
        }
        if !self.connected && is_fatal_alert(datagram) {
            self.handshake_refused();
            return;
        }
        let alert = datagram.first() == Some(&21);
        self.feed(now, datagram);
        if alert && self.connected {
            let closed = guard(|| {
                let mut sender = self.pc.rtp_sender(self.video.sender);
                let transport = sender.as_mut().and_then(|sender| sender.transport());
                transport.is_some_and(|transport| transport.state() == RTCDtlsTransportState::Closed)
            });
            match closed {
                Some(true) => self.gone("closed by the viewer"),
                Some(false) => {}
                None => self.fault(),
            }
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
                Some(false) if !self.connected => self.gone("the DTLS handshake failed"),
                Some(false) => {}
                None => self.fault(),
            }
            if guard(|| self.collect(now)).is_none() {
                self.fault();
            }
            if now.saturating_duration_since(self.consent) >= CONSENT && self.path.is_some() {
                self.gone("consent expired");
            } else if !self.connected && now.saturating_duration_since(self.created) >= HANDSHAKE {
                self.gone("no connection within 30 seconds");
            }
        }
        std::mem::take(&mut self.events)
    }

    /// When to call [`Self::poll`] without cause.
    pub(in crate::relay) fn deadline(&mut self) -> Option<Instant> {
        if self.done {
            return None;
        }
        let expires = if self.path.is_some() { self.consent + CONSENT } else { self.created + HANDSHAKE };
        let own = if self.connected { expires } else { expires.min(self.created + HANDSHAKE) };
        let theirs = guard(|| self.pc.poll_timeout()).flatten();
        Some(theirs.map_or(own, |at| at.min(own)))
    }

    /// Moves out what the crate wants sent to [`Self::path`].
    pub(in crate::relay) fn drain(&mut self, out: &mut Outbox) {
        let mut refused = false;
        let mut put = |datagram: &[u8]| {
            refused |= is_fatal_alert(datagram);
            out.push(datagram.len(), |packet| {
                packet.copy_from_slice(datagram);
                true
            });
        };
        self.held.drain(..).for_each(|datagram| put(&datagram));
        let done = guard(|| {
            while let Some(out) = self.pc.poll_write() {
                // Answers to the messages of `nominate` go nowhere.
                if out.message.first().is_some_and(|first| *first > 3) {
                    put(&out.message);
                }
            }
        });
        if done.is_none() {
            self.fault();
        }
        if refused && !self.connected && !self.done {
            self.handshake_refused();
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
                    if !self.connected =>
                {
                    self.connected = true;
                    let report = self.pc.get_stats(now, StatsSelector::None);
                    let cipher = report
                        .transport()
                        .map(|transport| transport.srtp_cipher.trim_start_matches("SRTP_").to_owned());
                    let sealed_here = self.decide_sealing(now);
                    self.events
                        .push(PeerEvent::Connected { cipher: cipher.unwrap_or_default(), sealed_here });
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

    fn handshake_refused(&mut self) {
        if self.only_gcm && !self.done {
            self.done = true;
            self.events.push(PeerEvent::NoCommonCipher);
        } else {
            self.gone("the DTLS handshake was refused");
        }
    }

    pub(super) fn fault(&mut self) {
        self.gone("internal error");
    }

    fn gone(&mut self, reason: &'static str) {
        if !self.done {
            self.done = true;
            self.events.push(PeerEvent::Gone(reason));
        }
    }
}

/// A DTLS record of epoch 0 with a fatal alert (RFC 6347 section 4.1, RFC 5246 section 7.2).
fn is_fatal_alert(datagram: &[u8]) -> bool {
    matches!(datagram, [21, 0xfe, _, 0, 0, _, _, _, _, _, _, _, _, 2, ..])
}
