//! What a browser tells a server while it watches: receiver reports every second, transport-wide feedback every 50 ms where
//! packets are numbered for it, and NACKs of what is missing. Nothing is lost on loopback, so every two-hundredth packet is
//! taken for lost; its retransmission is received, and does not count.

use crate::viewer::Viewer;
use rtc::rtcp::packet::Packet;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc, SymbolTypeTcc,
    TransportLayerCc,
};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use std::time::{Duration, Instant};

const REPORTS: Duration = Duration::from_secs(1);
const TRANSPORT: Duration = Duration::from_millis(50);
/// One packet in so many is taken for lost.
const LOST: u32 = 200;
/// Symbols of one chunk of transport-wide feedback.
const CHUNK: usize = 7;
/// Units of transport-wide feedback, in nanoseconds: of its reference time, and of its differences.
const REFERENCE_NS: u64 = 64_000_000;
const DELTA_NS: u64 = 250_000;

/// What one viewer has to say.
#[derive(Debug)]
pub(crate) struct Feedback {
    /// Id of the extension with the transport-wide number.
    extension: Option<u8>,
    /// Makes viewers lose different packets.
    seed: u32,
    ssrc: u32,
    highest: Option<u32>,
    missing: Vec<u16>,
    lost: u32,
    expected: u32,
    lost_before: u32,
    expected_before: u32,
    /// Transport-wide numbers, and when they came; `None`: taken for lost.
    numbered: Vec<(u16, Option<u64>)>,
    reports: Instant,
    transport: Instant,
    count: u8,
}

impl Feedback {
    /// By the server's description.
    pub(crate) fn new(description: &str, seed: u16) -> Self {
        let numbered = description.lines().find(|line| line.contains("transport-wide-cc-extensions"));
        let id = numbered.and_then(|line| line.strip_prefix("a=extmap:"));
        let extension = id.and_then(|rest| rest.split([' ', '/']).next()?.parse().ok());
        let now = Instant::now();
        // Not all of them at the same moment.
        let offset = Duration::from_millis(u64::from(seed) % 1000);
        Self {
            extension,
            seed: u32::from(seed),
            ssrc: 0,
            highest: None,
            missing: Vec::new(),
            lost: 0,
            expected: 0,
            lost_before: 0,
            expected_before: 0,
            numbered: Vec::new(),
            reports: now + offset,
            transport: now + offset / 20,
            count: 0,
        }
    }

    /// A media packet has come.
    pub(crate) fn arrived(&mut self, datagram: &[u8], at_ns: u64) {
        let [_, _, s0, s1, _, _, _, _, r0, r1, r2, r3, ..] = *datagram else { return };
        let sequence = u16::from_be_bytes([s0, s1]);
        self.ssrc = u32::from_be_bytes([r0, r1, r2, r3]);
        self.expected += 1;
        self.highest = Some(match self.highest {
            // Loopback keeps the order.
            Some(before) => before + u32::from(sequence.wrapping_sub(before as u16)),
            None => u32::from(sequence),
        });
        let mixed = (u32::from(sequence) ^ self.seed << 3).wrapping_mul(0x9E37_79B1) >> 7;
        let is_lost = mixed.is_multiple_of(LOST);
        if is_lost {
            self.missing.push(sequence);
            self.lost += 1;
        }
        if let Some(number) = self.extension.and_then(|id| extension(datagram, id)) {
            self.numbered.push((number, (!is_lost).then_some(at_ns)));
        }
    }

    /// What is due now.
    fn due(&mut self) -> Vec<Box<dyn Packet>> {
        let now = Instant::now();
        let mut packets: Vec<Box<dyn Packet>> = Vec::new();
        if now >= self.reports {
            self.reports += REPORTS;
            packets.push(Box::new(self.reception()));
        }
        if !self.missing.is_empty() {
            packets.push(Box::new(TransportLayerNack {
                sender_ssrc: 1,
                media_ssrc: self.ssrc,
                nacks: nack_pairs_from_sequence_numbers(&self.missing),
            }));
            self.missing.clear();
        }
        if now >= self.transport {
            self.transport = now + TRANSPORT;
            packets.extend(self.arrivals().map(|told| Box::new(told) as Box<dyn Packet>));
        }
        packets
    }

    fn reception(&mut self) -> ReceiverReport {
        let (expected, lost) = (self.expected - self.expected_before, self.lost - self.lost_before);
        (self.expected_before, self.lost_before) = (self.expected, self.lost);
        let report = ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost: u8::try_from(lost * 256 / expected.max(1)).unwrap_or(u8::MAX),
            total_lost: self.lost,
            last_sequence_number: self.highest.unwrap_or_default(),
            jitter: 90,
            ..Default::default()
        };
        ReceiverReport { ssrc: 1, reports: vec![report], ..Default::default() }
    }

    /// When each numbered packet since the last time came.
    fn arrivals(&mut self) -> Option<TransportLayerCc> {
        let numbered = std::mem::take(&mut self.numbered);
        let (first, _) = *numbered.first()?;
        let reference = numbered.iter().find_map(|(_, at)| *at)? / REFERENCE_NS;
        let mut before = reference * REFERENCE_NS;
        let mut deltas = Vec::with_capacity(numbered.len());
        let symbol = |(_, at): &(u16, Option<u64>)| {
            let Some(at) = at else { return SymbolTypeTcc::PacketNotReceived };
            let units = at.saturating_sub(before) / DELTA_NS;
            before += units * DELTA_NS;
            let kind = if units > 255 {
                SymbolTypeTcc::PacketReceivedLargeDelta
            } else {
                SymbolTypeTcc::PacketReceivedSmallDelta
            };
            deltas.push(RecvDelta {
                type_tcc_packet: kind,
                delta: i64::try_from(units * DELTA_NS / 1000).unwrap_or(i64::MAX),
            });
            kind
        };
        let symbols: Vec<SymbolTypeTcc> = numbered.iter().map(symbol).collect();
        let chunks = symbols.chunks(CHUNK).map(|symbols| {
            PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::TwoBit,
                symbol_list: symbols.to_vec(),
            })
        });
        self.count = self.count.wrapping_add(1);
        Some(TransportLayerCc {
            sender_ssrc: 1,
            media_ssrc: self.ssrc,
            base_sequence_number: first,
            packet_status_count: u16::try_from(numbered.len()).ok()?,
            reference_time: u32::try_from(reference & 0xFF_FFFF).ok()?,
            fb_pkt_count: self.count,
            packet_chunks: chunks.collect(),
            recv_deltas: deltas,
        })
    }
}

impl Viewer {
    /// Says what is due, by its own connection.
    pub(crate) fn report(&mut self) -> crate::load::Outcome<()> {
        let Some(feedback) = &mut self.feedback else { return Ok(()) };
        if !self.connected || feedback.highest.is_none() {
            return Ok(());
        }
        let packets = feedback.due();
        if packets.is_empty() {
            return Ok(());
        }
        self.say(packets)
    }
}

/// A one-byte extension's two bytes, by its id (RFC 8285).
fn extension(datagram: &[u8], id: u8) -> Option<u16> {
    let first = *datagram.first()?;
    let start = 12 + usize::from(first & 0xf) * 4;
    if first & 0x10 == 0 || datagram.get(start..start + 2)? != [0xbe, 0xde] {
        return None;
    }
    let words = usize::from(u16::from_be_bytes([*datagram.get(start + 2)?, *datagram.get(start + 3)?]));
    let mut rest = datagram.get(start + 4..start + 4 + words * 4)?;
    while let [head, tail @ ..] = rest {
        if *head == 0 {
            rest = tail;
            continue;
        }
        let size = usize::from(head & 0xf) + 1;
        if head >> 4 == id {
            return Some(u16::from_be_bytes([*tail.first()?, *tail.get(1)?]));
        }
        rest = tail.get(size..)?;
    }
    None
}
