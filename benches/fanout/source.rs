//! The source: frames of equal packets, one datagram a call, as encoders send them.

use crate::load::{Beat, Outcome, PAYLOAD, PAYLOAD_TYPE, TICKS, now_ns};
use std::net::{SocketAddr, UdpSocket};

/// Bytes of an RTP header without extensions.
const HEADER: usize = 12;
const FU_A: u8 = 0x7c;
const IDR: u8 = 5;
const SLICE: u8 = 1;

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
        for packet in 0..self.packets {
            let (first, last) = (packet == 0, packet + 1 == self.packets);
            self.datagram[..2].copy_from_slice(&[0x80, u8::from(last) << 7 | PAYLOAD_TYPE]);
            self.datagram[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            self.datagram[4..8].copy_from_slice(&(frame * TICKS).to_be_bytes());
            self.datagram[HEADER..HEADER + 2]
                .copy_from_slice(&[FU_A, u8::from(first) << 7 | u8::from(last) << 6 | kind]);
            for to in &self.to {
                self.socket.send_to(&self.datagram, to)?;
            }
            self.sequence = self.sequence.wrapping_add(1);
        }
        Ok(())
    }
}
