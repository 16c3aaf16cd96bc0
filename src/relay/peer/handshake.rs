//! A peer's DTLS handshake: the viewer's ClientHello decides the SRTP cipher, and lost flights are repeated.
//!
//! Viewers that leave the role to us are the DTLS client. `rtc` takes the first profile of the client's list that it
//! has, and browsers put AES-CM first; so it is given exactly one. The connection behind the answer is built for AES-GCM,
//! as nearly everybody offers it. When the ClientHello has no GCM the connection is built again for what it has, with the
//! same certificate, SSRCs and ICE credentials, before `rtc` has seen a byte of it: the answer already given stays true.
//!
//! [`Handshaking`] becomes a [`Peer`] when the viewer can open what it is sent.
//!
//! Does not: believe plaintext alerts, which anybody can forge. They are named when no connection comes in time.

use super::{Handshaking, Peer, PeerEvent, guard};
use crate::relay::Codec;
use crate::relay::demux::{self, Kind};
use crate::relay::dtls::ClientHello;
use crate::relay::outbox::Outbox;
use crate::relay::sdp::Offer;
use crate::relay::socket::Path;
use crate::relay::stats::Drop;
use bytes::BytesMut;
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::statistics::StatsSelector;
use std::time::{Duration, Instant};

/// What the connection behind an answer is built for.
pub(super) const EXPECTED: SrtpProtectionProfile = SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm;
/// Bytes of a flight kept for repeating: ours have two or three datagrams.
const LARGEST_FLIGHT: usize = 16 * 1024;
/// Flights are repeated this often, in all.
const REPETITIONS: u8 = 16;

/// A viewer that is not connected by then is gone.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// Our last flight and the first media are kept this far apart. Clients hand their keys over by an event (`rtc` does, and so
/// do the bots), so what they read in one go with the end of the handshake is lost to them.
const KEYS_IN_PLACE: Duration = Duration::from_millis(5);

/// A handshake that is done on our side.
pub(super) struct Established {
    /// The viewer has its keys by then, as far as time can tell.
    ready: Instant,
    /// How much the viewer had authenticated until then: one message more, and it has its keys.
    heard: u64,
    cipher: String,
    sealed_here: bool,
}

/// What has become of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    UnderWay,
    /// The viewer can open what it is sent: [`Handshaking::into_peer`].
    Connected,
    Gone(&'static str),
}

/// What a peer's handshake has come to.
pub(super) struct Handshake {
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

#[cfg(test)]
impl Established {
    pub(super) fn for_test(now: Instant) -> Self {
        Self { ready: now, heard: 0, cipher: String::new(), sealed_here: false }
    }
}

impl Handshaking {
    /// A datagram from one of the viewer's known addresses.
    pub(super) fn datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Drop> {
        if self.established.is_none() && !self.peer.done && demux::classify(datagram) == Kind::Dtls {
            self.dtls(now, path, datagram)
        } else {
            self.peer.datagram(now, path, datagram)
        }
    }

    /// A datagram with DTLS records, before the handshake is done.
    fn dtls(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Result<(), Drop> {
        let admitted = self.peer.inflow.admit(datagram, false);
        let refused = if admitted.refused { Err(Drop::DtlsRefused) } else { Ok(()) };
        if admitted.alert.is_some() {
            self.handshake.trouble = Some("the viewer refused the DTLS handshake");
        }
        if let Some(hello) = admitted.hello {
            self.choose_cipher(now, hello);
        }
        if admitted.news {
            self.handshake.flight.clear();
            self.handshake.records = true;
        } else if admitted.repeated && self.handshake.repetitions < REPETITIONS {
            self.handshake.repetitions += 1;
            self.peer.held.extend(self.handshake.flight.iter().cloned());
        }
        if !admitted.records.is_empty() && !self.peer.done {
            self.peer.paths.handshake(now, path);
            self.peer.feed_from(now, path, &admitted.records);
            self.establish(now);
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

    /// Lets time pass, and looks how far the handshake is.
    pub(super) fn poll(&mut self, now: Instant) -> Progress {
        if !self.peer.pass_time(now) && self.established.is_none() {
            // Out of retransmissions.
            self.peer.gone("the DTLS handshake failed");
        }
        self.establish(now);
        if self.established.is_none() && now.saturating_duration_since(self.created) >= LONGEST {
            self.peer.gone(self.handshake.trouble());
        }
        self.peer.end_with_consent(now);
        let gone = self.peer.events.iter().find_map(|event| match event {
            PeerEvent::Gone(reason) => Some(*reason),
            PeerEvent::Connected { .. } | PeerEvent::Feedback(_) | PeerEvent::Input { .. } => None,
        });
        let heard = self.peer.authenticated();
        let ready = |established: &Established| now >= established.ready || heard > established.heard;
        match gone {
            Some(reason) => Progress::Gone(reason),
            None if self.established.as_ref().is_some_and(ready) => Progress::Connected,
            None => Progress::UnderWay,
        }
    }

    /// When to call [`Self::poll`] without cause.
    pub(super) fn deadline(&mut self) -> Option<Instant> {
        let own = self.established.as_ref().map_or(self.created + LONGEST, |established| established.ready);
        let theirs = self.peer.deadline();
        (!self.peer.done).then(|| theirs.map_or(own, |at| at.min(own)))
    }

    /// Moves out what is to be sent to the peer's path.
    pub(super) fn drain(&mut self, out: &mut Outbox) {
        let datagrams = self.peer.written();
        self.handshake.sent(datagrams.iter().map(|datagram| &**datagram));
        self.peer.put(datagrams, out);
    }

    /// Settles who seals, once `rtc` is through with the handshake.
    fn establish(&mut self, now: Instant) {
        if !self.peer.is_secured || self.established.is_some() || self.peer.done {
            return;
        }
        let report = guard(|| self.peer.pc.get_stats(now, StatsSelector::None));
        let Some(report) = report else { return self.peer.fault() };
        let cipher =
            report.transport().map(|transport| transport.srtp_cipher.trim_start_matches("SRTP_").to_owned());
        let sealed_here = self.peer.decide_sealing(now);
        // As the client we have the viewer's last flight: it was done before us.
        let pause = if self.handshake.is_client() { Duration::ZERO } else { KEYS_IN_PLACE };
        self.established = Some(Established {
            ready: now + pause,
            heard: self.peer.authenticated(),
            cipher: cipher.unwrap_or_default(),
            sealed_here,
        });
        self.handshake.finish();
    }

    /// The connection that came of it; its first event says so.
    pub(super) fn into_peer(self) -> Peer {
        let mut peer = self.peer;
        if let Some(Established { cipher, sealed_here, .. }) = self.established {
            // Before what the viewer may have sent by now.
            peer.events.insert(0, PeerEvent::Connected { cipher, sealed_here });
        }
        peer
    }
}
