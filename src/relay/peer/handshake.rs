//! A peer's DTLS handshake: the viewer's ClientHello decides the SRTP cipher, and lost flights are repeated.
//!
//! Viewers that leave the role to us are the DTLS client. `rtc` takes the first profile of the client's list that it
//! has, and browsers put AES-CM first; so it is given exactly one. The connection behind the answer is built for AES-GCM,
//! as nearly everybody offers it. When the ClientHello has no GCM the connection is built again for what it has, with the
//! same certificate, SSRCs and ICE credentials, before `rtc` has seen a byte of it: the answer already given stays true.
//!
//! Does not: believe plaintext alerts, which anybody can forge. They are named when no connection comes in time.

use super::{Peer, guard};
use crate::relay::Codec;
use crate::relay::dtls::{ClientHello, Inflow};
use crate::relay::sdp::Offer;
use crate::relay::socket::Path;
use crate::relay::stats::Drop;
use bytes::BytesMut;
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::peer_connection::transport::RTCDtlsTransportState;
use std::time::Instant;

/// What the connection behind an answer is built for.
pub(super) const EXPECTED: SrtpProtectionProfile = SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm;
/// Bytes of a flight kept for repeating: ours have two or three datagrams.
const LARGEST_FLIGHT: usize = 16 * 1024;
/// Flights are repeated this often, in all.
const REPETITIONS: u8 = 16;

/// What a peer's handshake has come to.
pub(super) struct Handshake {
    inflow: Inflow,
    client: bool,
    /// What the connection is built from, until the viewer's ClientHello is here. `None` from the start: we are the client.
    undecided: Option<Box<(Offer, Codec)>>,
    /// Our last flight, for when the viewer repeats its own.
    flight: Vec<BytesMut>,
    /// The next datagrams out are a new flight.
    records: bool,
    repetitions: u8,
    /// Why no connection may come about, as far as the viewer's plaintext tells.
    trouble: Option<&'static str>,
}

impl Handshake {
    /// As the server, for an offer; as the client without one.
    pub(super) fn new(offer: Option<(Offer, Codec)>) -> Self {
        Self {
            inflow: Inflow::default(),
            client: offer.is_none(),
            undecided: offer.map(Box::new),
            flight: Vec::new(),
            records: true,
            repetitions: 0,
            trouble: None,
        }
    }

    /// Whether we are the DTLS client.
    pub(super) fn is_client(&self) -> bool {
        self.client
    }

    /// A later offer of the same viewer: what is built from now on is built from this one.
    pub(super) fn renew(&mut self, offer: &Offer) {
        if let Some(undecided) = &mut self.undecided {
            undecided.0 = offer.clone();
        }
    }

    /// Whether the SRTP cipher is settled.
    #[cfg(test)]
    pub(super) fn is_decided(&self) -> bool {
        self.undecided.is_none()
    }

    /// Why there is no connection yet.
    pub(super) fn trouble(&self) -> &'static str {
        self.trouble.unwrap_or("no connection within 30 seconds")
    }

    /// Takes note of what `rtc` sends.
    pub(super) fn sent<'a>(&mut self, datagrams: impl Iterator<Item = &'a [u8]>) {
        if !self.records {
            return;
        }
        let kept: usize = self.flight.iter().map(BytesMut::len).sum();
        let mut room = LARGEST_FLIGHT.saturating_sub(kept);
        for datagram in datagrams.filter(|datagram| matches!(datagram.first(), Some(20..=63))) {
            if datagram.len() <= room {
                room -= datagram.len();
                self.flight.push(BytesMut::from(datagram));
            }
        }
        self.records = self.flight.is_empty();
    }

    /// The handshake is done: nothing of it is needed any more.
    pub(super) fn finish(&mut self) {
        self.undecided = None;
        self.flight = Vec::new();
        self.records = false;
    }
}

impl Peer {
    /// A datagram with DTLS records.
    pub(super) fn dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Drop> {
        let admitted = self.handshake.inflow.admit(datagram, self.established.is_some());
        let refused = if admitted.refused { Err(Drop::DtlsRefused) } else { Ok(()) };
        if self.established.is_none() && admitted.alert.is_some() {
            self.handshake.trouble = Some("the viewer refused the DTLS handshake");
        }
        if let Some(hello) = admitted.hello {
            self.choose_cipher(now, hello);
        }
        if admitted.news {
            self.handshake.flight.clear();
            self.handshake.records = true;
        } else if admitted.repeated && self.established.is_none() && self.handshake.repetitions < REPETITIONS
        {
            self.handshake.repetitions += 1;
            self.held.extend(self.handshake.flight.iter().cloned());
        }
        if admitted.records.is_empty() || self.done {
            return refused;
        }
        if self.established.is_none() {
            self.paths.handshake(now, path);
        }
        self.feed_from(now, path, &admitted.records);
        if admitted.sealed_alert && self.established.is_some() {
            self.end_if_closed();
        }
        refused
    }

    /// Builds the connection again when it is not the one that the ClientHello needs. Decides once.
    fn choose_cipher(&mut self, now: Instant, hello: ClientHello) {
        let Some(undecided) = self.handshake.undecided.take() else { return };
        let (offer, codec) = *undecided;
        match hello.srtp {
            Some(EXPECTED) => {}
            Some(profile) => self.rebuild(now, &offer, codec, profile),
            None => self.handshake.trouble = Some("the viewer offers no SRTP cipher that is supported here"),
        }
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
}
