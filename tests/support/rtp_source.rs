//! A synthetic H.264 and Opus source: the shape of an encoder's RTP, with contents that a receiver can check.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Payload bytes of a full packet.
const FULL: usize = 1150;

/// Sends frames to a relay's ingest ports.
pub(crate) struct RtpSource {
    socket: UdpSocket,
    to: SocketAddr,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload_type: u8,
    /// Every payload sent, in order.
    pub(crate) sent: Vec<Vec<u8>>,
    counter: u32,
    pub(crate) restarts: usize,
    /// The next packet is lost on its way to the gateway.
    pub(crate) lose_next: bool,
}

impl RtpSource {
    pub(crate) fn video(to: SocketAddr) -> Self {
        Self::new(to, 96)
    }

    pub(crate) fn audio(to: SocketAddr) -> Self {
        Self::new(to, 111)
    }

    fn new(to: SocketAddr, payload_type: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        Self {
            socket,
            to,
            ssrc: 0x1234_5678,
            sequence: 65_500,
            timestamp: u32::MAX - 90_000,
            payload_type,
            sent: Vec::new(),
            counter: 0,
            restarts: 0,
            lose_next: false,
        }
    }

    /// SPS, PPS and an IDR slice in `parts` fragments.
    pub(crate) fn key_frame(&mut self, parts: usize) {
        self.timestamp = self.timestamp.wrapping_add(1500);
        self.packet(false, vec![0x67, 0x42, 0xe0, 0x1f]);
        self.packet(false, vec![0x68, 0xce, 0x3c, 0x80]);
        self.fragments(5, parts);
    }

    /// A P slice in `parts` fragments.
    pub(crate) fn frame(&mut self, parts: usize) {
        self.timestamp = self.timestamp.wrapping_add(1500);
        self.fragments(1, parts);
    }

    /// One Opus packet of 20 ms.
    pub(crate) fn sound(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(960);
        self.packet(false, vec![0xfc; 80]);
    }

    /// One encoded picture with start codes (Annex B): single NAL units, and FU-A for what is too long.
    pub(crate) fn access_unit(&mut self, stream: &[u8]) {
        self.timestamp = self.timestamp.wrapping_add(3000);
        let starts: Vec<usize> = stream
            .windows(3)
            .enumerate()
            .filter(|(_, code)| *code == [0, 0, 1])
            .map(|(at, _)| at + 3)
            .collect();
        let ends = starts.iter().skip(1).map(|next| next - 3).chain([stream.len()]);
        let units: Vec<&[u8]> = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| {
                let unit = &stream[*start..end];
                unit.strip_suffix(&[0]).unwrap_or(unit)
            })
            .collect();
        let count = units.len();
        for (number, unit) in units.into_iter().enumerate() {
            let last = number + 1 == count;
            if unit.len() <= FULL {
                self.send(last, unit.to_vec());
                continue;
            }
            let parts: Vec<&[u8]> = unit[1..].chunks(FULL).collect();
            for (at, part) in parts.iter().enumerate() {
                let start = u8::from(at == 0) << 7;
                let end = u8::from(at + 1 == parts.len()) << 6;
                let mut payload = vec![unit[0] & 0xe0 | 28, start | end | unit[0] & 0x1f];
                payload.extend_from_slice(part);
                self.send(last && at + 1 == parts.len(), payload);
            }
        }
    }

    fn fragments(&mut self, kind: u8, parts: usize) {
        for part in 0..parts {
            let start = u8::from(part == 0) << 7;
            let end = u8::from(part + 1 == parts) << 6;
            let mut payload = vec![0x7c, start | end | kind];
            payload.resize(if part + 1 == parts { FULL / 2 } else { FULL }, kind);
            self.packet(part + 1 == parts, payload);
        }
    }

    /// Sends one payload, ending in a running number.
    pub(crate) fn packet(&mut self, marker: bool, mut payload: Vec<u8>) {
        self.counter += 1;
        payload.extend_from_slice(&self.counter.to_be_bytes());
        self.send(marker, payload);
    }

    /// Sends one payload as it is.
    pub(crate) fn send(&mut self, marker: bool, payload: Vec<u8>) {
        let datagram = self.datagram(marker, &payload);
        if !std::mem::take(&mut self.lose_next) {
            self.raw(&datagram);
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.sent.push(payload);
    }

    /// The datagram that the next packet would be.
    pub(crate) fn datagram(&self, marker: bool, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x80, u8::from(marker) << 7 | self.payload_type];
        datagram.extend_from_slice(&self.sequence.to_be_bytes());
        datagram.extend_from_slice(&self.timestamp.to_be_bytes());
        datagram.extend_from_slice(&self.ssrc.to_be_bytes());
        datagram.extend_from_slice(payload);
        datagram
    }

    pub(crate) fn raw(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.to).expect("sent");
    }

    /// A restart of the encoder: another SSRC, other numbers.
    pub(crate) fn restart(&mut self) {
        self.restarts += 1;
        self.ssrc ^= 0x0f0f_0f0f;
        self.sequence = 7;
        self.timestamp = 1_000_000;
    }

    /// Key frame requests that have come back until now.
    pub(crate) fn picture_loss_requests(&self) -> usize {
        let mut buffer = [0; 2000];
        let mut count = 0;
        while let Ok((len, _)) = self.socket.recv_from(&mut buffer) {
            let mut rest = &buffer[..len];
            while rest.len() >= 4 {
                let size = (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1) * 4;
                let names_us = rest.get(8..12) == Some(&self.ssrc.to_be_bytes());
                count += usize::from(rest[0] & 0x1f == 1 && rest[1] == 206 && names_us);
                rest = rest.get(size..).unwrap_or_default();
            }
        }
        count
    }
}
