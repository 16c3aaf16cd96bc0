//! The source: frames of equal packets, one datagram a call, as encoders send them.

use crate::load::{Beat, Outcome, PAYLOAD, PAYLOAD_TYPE, TICKS, now_ns};
use std::net::{SocketAddr, UdpSocket};

/// Bytes of an RTP header without extensions.
const HEADER: usize = 12;
const FU_A: u8 = 0x7c;
const IDR: u8 = 5;
const SLICE: u8 = 1;
const STAP_A: u8 = 0x78;
const FILLER: u8 = 12;
const SEQUENCE_SET: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe8];
const PICTURE_SET: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

/// Parameter sets of the baseline profile, and filler data up to the size of every packet, as one STAP-A (RFC 6184, 5.7.1).
fn sets() -> Vec<u8> {
    let mut packet = vec![STAP_A];
    for unit in [SEQUENCE_SET, PICTURE_SET] {
        packet.extend([0, unit.len() as u8]);
        packet.extend(unit);
    }
    let left = PAYLOAD - packet.len() - 2;
    packet.extend((left as u16).to_be_bytes());
    packet.push(FILLER);
    packet.resize(PAYLOAD, 0xff);
    packet
}

/// Sends to one server, at each of the places where it takes the stream in.
#[derive(Debug)]
pub(crate) struct Source {
    socket: UdpSocket,
    to: Vec<SocketAddr>,
    datagram: Vec<u8>,
    packets: usize,
    sequence: u16,
    /// Every so many frames a key frame; absent: only the first.
    key_frames: Option<u32>,
}

impl Source {
    pub(crate) fn new(to: &[SocketAddr], packets: usize) -> Outcome<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let mut datagram = vec![0; HEADER + PAYLOAD];
        datagram[8..12].copy_from_slice(&0x0062_656e_u32.to_be_bytes());
        Ok(Self { socket, to: to.to_vec(), datagram, packets, sequence: 0, key_frames: None })
    }

    /// With a key frame every so many frames.
    pub(crate) fn with_key_frames(self, every: u32) -> Self {
        Self { key_frames: Some(every), ..self }
    }

    /// Sends frames from `first` on, the first of all as a key frame; gives when each began, in nanoseconds since 1970.
    pub(crate) fn send(&mut self, first: u32, frames: u32) -> Outcome<Vec<u64>> {
        let mut starts = Vec::with_capacity(frames as usize);
        let mut beat = Beat::new();
        for frame in first..first + frames {
            starts.push(now_ns());
            self.frame(frame)?;
            beat.wait();
        }
        Ok(starts)
    }

    fn frame(&mut self, frame: u32) -> Outcome<()> {
        let is_key = self.key_frames.map_or(frame == 0, |every| frame.is_multiple_of(every));
        let kind = if is_key { IDR } else { SLICE };
        // A key frame's first packet has its parameter sets: without them it cannot be shown, and is not sent on.
        let begins = usize::from(is_key);
        for packet in 0..self.packets {
            let (first, last) = (packet == begins, packet + 1 == self.packets);
            self.datagram[..2].copy_from_slice(&[0x80, u8::from(last) << 7 | PAYLOAD_TYPE]);
            self.datagram[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            self.datagram[4..8].copy_from_slice(&(frame * TICKS).to_be_bytes());
            if packet < begins {
                self.datagram[HEADER..].copy_from_slice(&sets());
            } else {
                self.datagram[HEADER..HEADER + 2]
                    .copy_from_slice(&[FU_A, u8::from(first) << 7 | u8::from(last) << 6 | kind]);
            }
            for to in &self.to {
                self.socket.send_to(&self.datagram, to)?;
            }
            self.sequence = self.sequence.wrapping_add(1);
        }
        Ok(())
    }
}
