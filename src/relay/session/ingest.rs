//! One incoming stream and its port: datagrams in, packets of the source out.

use super::fraction;
use crate::relay::payload_type::OtherType;
use crate::relay::rtp::{self, Rtp, SenderClock};
use crate::relay::socket::Socket;
use crate::relay::source::{Held, Place, Source};
use crate::relay::stats::{Count, Drop, Stats};
use crate::relay::{Codec, IngestSpec, RelayError, SourceFault};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A sender report of the source is believed for this long.
const CLOCK_LIFE: Duration = Duration::from_secs(15);

/// One incoming stream.
pub(in crate::relay) struct Ingest {
    /// None at a replica.
    pub(in crate::relay) socket: Option<Socket>,
    pub(super) source: Source,
    pub(super) rtcp: Option<SocketAddr>,
    agreed: u8,
    other: OtherType,
    clock_rate: u32,
    clock: Option<(SenderClock, Instant)>,
}

/// What a datagram was.
pub(super) enum Arrival<'a> {
    /// A packet of the source; first the one that it proves to be the source's too. `settled`: there was doubt which payload
    /// type the source's is.
    Packet {
        before: Option<(Place, Held)>,
        settled: bool,
        rtp: Rtp<'a>,
    },
    /// Packets of this payload type come, and none of the agreed one.
    OtherType(SourceFault),
    Nothing,
}

impl Ingest {
    pub(super) fn bind(
        spec: &IngestSpec,
        allow: &[IpAddr],
        ingest_ip: IpAddr,
        clock_rate: u32,
    ) -> Result<Self, RelayError> {
        let address = spec.listen.unwrap_or(SocketAddr::new(ingest_ip, 0));
        let socket = Socket::bind(address).map_err(|source| RelayError::Bind { address, source })?;
        let source = Source::new(allow.to_vec(), spec.payload_type, clock_rate);
        Ok(Self {
            socket: Some(socket),
            source,
            rtcp: spec.rtcp,
            agreed: spec.payload_type,
            other: OtherType::default(),
            clock_rate,
            clock: None,
        })
    }

    /// The same stream, of which nothing has come yet.
    pub(super) fn restarted(self) -> Self {
        Self { source: self.source.restarted(), other: OtherType::default(), clock: None, ..self }
    }

    /// The same stream at a replica.
    pub(super) fn elsewhere(&self) -> Self {
        Self {
            socket: None,
            source: self.source.restarted(),
            rtcp: None,
            agreed: self.agreed,
            other: OtherType::default(),
            clock_rate: self.clock_rate,
            clock: None,
        }
    }

    /// What the source said in its `hello`.
    pub(super) fn agree(&mut self, payload_type: u8) {
        self.agreed = payload_type;
        self.other.clear();
        self.source.set_payload_type(payload_type);
    }

    /// Reads a datagram. What it gives is to be placed by [`Self::place`], after the packet before it.
    pub(super) fn receive<'a>(
        &mut self,
        now: Instant,
        from: SocketAddr,
        codec: Codec,
        datagram: &'a [u8],
        stats: &mut Stats,
    ) -> Arrival<'a> {
        if !self.source.allows(from) {
            stats.drop(Drop::ForeignSource);
            return Arrival::Nothing;
        }
        if rtp::is_rtcp(datagram) {
            match rtp::sender_report(datagram) {
                Ok(Some(clock)) => self.clock = Some((clock, now)),
                Ok(None) => {}
                Err(rtp::Malformed) => stats.drop(Drop::MalformedRtcp),
            }
            return Arrival::Nothing;
        }
        let Some(rtp) = Rtp::parse(datagram) else {
            stats.drop(Drop::Malformed);
            return Arrival::Nothing;
        };
        if !self.source.takes(rtp.payload_type) && !self.adopts(now, codec, &rtp) {
            stats.drop(Drop::PayloadType);
            let fault = SourceFault::PayloadType { agreed: self.agreed, sent: rtp.payload_type };
            return if self.other.is_to_be_named() { Arrival::OtherType(fault) } else { Arrival::Nothing };
        }
        let settled = self.other.clear();
        let before = self.source.restart(now, from, &rtp);
        Arrival::Packet { before, settled, rtp }
    }

    /// A packet's place in the session's numbering; `bytes` is its datagram's size.
    pub(super) fn place(
        &mut self,
        now: Instant,
        from: SocketAddr,
        rtp: &Rtp<'_>,
        bytes: usize,
        stats: &mut Stats,
    ) -> Option<Place> {
        match self.source.accept(now, from, rtp) {
            Ok(place) => {
                stats.count(Count::IngestPackets, 1);
                stats.count(Count::IngestBytes, bytes as u64);
                Some(place)
            }
            Err(reason) => {
                stats.drop(reason);
                None
            }
        }
    }

    /// Takes a payload type for the source's: the agreed one, or one beyond doubt of its media where nothing else comes.
    fn adopts(&mut self, now: Instant, codec: Codec, rtp: &Rtp<'_>) -> bool {
        let adopts = if rtp.payload_type == self.agreed {
            true
        } else if self.source.is_silent(now) {
            self.other.proves(codec, rtp)
        } else {
            // A stream beside the source's, such as retransmissions.
            self.other.clear();
            false
        };
        if adopts {
            self.source.set_payload_type(rtp.payload_type);
        }
        adopts
    }

    /// The source's clock pair, brought forward to now.
    pub(super) fn reported(&self, now: Instant) -> Option<super::Clock> {
        let (clock, at) = self.clock?;
        let passed = now.saturating_duration_since(at);
        if passed > CLOCK_LIFE {
            return None;
        }
        let ntp = clock.ntp.wrapping_add((passed.as_secs() << 32) | fraction(passed));
        let ticks = u32::try_from(passed.as_micros() * u128::from(self.clock_rate) / 1_000_000).ok()?;
        Some((ntp, self.source.shifted(clock.ssrc, clock.rtp)?.wrapping_add(ticks)))
    }
}
