//! A peer's life: datagrams in and out, `rtc`'s events, deadlines, and the end.
//!
//! A peer ends once: after the first reason nothing else is reported. Without evidence of life on its path (`paths`) it ends
//! by itself. A panic inside `rtc` is caught at every call and ends this peer alone.

use super::{Label, Peer, PeerEvent, guard};
use crate::relay::demux::{self, Kind};
use crate::relay::outbox::Outbox;
use crate::relay::socket::Path;
use crate::relay::stats::Drop;
use bytes::BytesMut;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::RTCDtlsTransportState;
use rtc::sansio::Protocol;
use std::collections::HashSet;
use std::time::Instant;

/// Senders of RTCP that `rtc` may hear of: it keeps something for each, before it knows whether the packet is genuine.
const RTCP_SENDERS: usize = 1024;
/// Data channels of one viewer: a page has two. `rtc` keeps something for each, so one more ends the viewer.
const CHANNELS: usize = 8;

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

    /// DTLS of a connection: anything plaintext is refused.
    fn dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Drop> {
        let admitted = self.inflow.admit(datagram, true);
        let refused = if admitted.refused { Err(Drop::DtlsRefused) } else { Ok(()) };
        if !admitted.records.is_empty() {
            self.feed_from(now, path, &admitted.records);
            if admitted.sealed_alert {
                self.end_if_closed();
            }
        }
        refused
    }

    /// After a protected alert: whether it was the viewer's goodbye.
    fn end_if_closed(&mut self) {
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

    /// Lets time pass and collects what happened.
    pub(in crate::relay) fn poll(&mut self, now: Instant) -> Vec<PeerEvent> {
        // What fails is a timer of the handshake; a connection lives by its path.
        self.pass_time(now);
        self.end_with_consent(now);
        std::mem::take(&mut self.events)
    }

    /// Lets `rtc` do what is due and tell what happened. False: a timer of its own failed.
    pub(super) fn pass_time(&mut self, now: Instant) -> bool {
        if self.done {
            return true;
        }
        let due = guard(|| {
            self.pc
                .poll_timeout()
                .is_some_and(|at| at <= now)
                .then(|| self.pc.handle_timeout(now))
                .is_none_or(|done| done.is_ok())
        });
        if due.is_none() || guard(|| self.collect()).is_none() {
            self.fault();
        }
        due.unwrap_or(true)
    }

    pub(super) fn end_with_consent(&mut self, now: Instant) {
        if self.paths.expires().is_some_and(|at| at <= now) {
            self.gone("consent expired");
        }
    }

    /// When to call [`Self::poll`] without cause.
    pub(in crate::relay) fn deadline(&mut self) -> Option<Instant> {
        if self.done {
            return None;
        }
        let theirs = guard(|| self.pc.poll_timeout()).flatten();
        [self.paths.expires(), theirs].into_iter().flatten().min()
    }

    /// Moves out what the crate wants sent to [`Self::path`].
    pub(in crate::relay) fn drain(&mut self, out: &mut Outbox) {
        let datagrams = self.written();
        self.put(datagrams, out);
    }

    /// What the crate has written.
    pub(super) fn written(&mut self) -> Vec<BytesMut> {
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
        datagrams
    }

    /// Puts what was held and what was written into the outbox.
    pub(super) fn put(&mut self, datagrams: Vec<BytesMut>, out: &mut Outbox) {
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

    pub(super) fn collect(&mut self) {
        while let Some(event) = self.pc.poll_event() {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a foreign non-exhaustive enum; nothing else of it is used"
            )]
            match event {
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(RTCPeerConnectionState::Connected) => {
                    self.is_secured = true;
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
                    self.channels.insert(id, label);
                    if self.channels.len() > CHANNELS {
                        self.gone("it opened too many data channels");
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
                && let Some(Some(label)) = self.channels.get(&id)
            {
                self.events.push(PeerEvent::Input { label: *label, message: message.data.freeze() });
            }
        }
        self.events.extend(self.feedback.take().into_iter().map(PeerEvent::Feedback));
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
