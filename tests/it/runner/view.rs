//! The relay's place for pictures: a socket, a depacketiser and a decoder that looks.

use super::PATIENCE;
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use playgate::marker::{self, Marker};
use std::net::SocketAddr;
use tokio::net::UdpSocket;
use tokio::time::timeout;

pub(crate) struct View {
    pub(crate) video: UdpSocket,
    decoder: Decoder,
    partial: Vec<u8>,
    pub(crate) runner_address: Option<SocketAddr>,
    pub(crate) video_bytes: usize,
    pub(crate) video_frames: usize,
    pub(crate) ssrc: u32,
}

/// One decoded frame.
pub(crate) struct Picture {
    pub(crate) key: bool,
    pub(crate) timestamp: u32,
    pub(crate) width: usize,
    pub(crate) height: usize,
    luma: Vec<u8>,
    stride: usize,
    blue: Vec<u8>,
    red: Vec<u8>,
    chroma_stride: usize,
}

impl Picture {
    pub(crate) fn marker(&self) -> Option<Marker> {
        let edge = |value: usize| u32::try_from(value).expect("a picture's size");
        marker::read(&self.luma, self.stride, edge(self.width), edge(self.height))
    }

    /// Where the white square is, in steps.
    pub(crate) fn steps(&self) -> Vec<usize> {
        (0..10).filter(|step| self.luma[96 * self.stride + step * 64 + 32] > 126).collect()
    }

    /// Y, Cb and Cr of a pixel.
    pub(crate) fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let chroma = y / 2 * self.chroma_stride + x / 2;
        [self.luma[y * self.stride + x], self.blue[chroma], self.red[chroma]]
    }
}

impl View {
    pub(crate) fn new(video: UdpSocket) -> Self {
        Self {
            video,
            decoder: Decoder::new().expect("decoder"),
            partial: Vec::new(),
            runner_address: None,
            video_bytes: 0,
            video_frames: 0,
            ssrc: 0,
        }
    }

    /// The next whole frame, decoded.
    pub(crate) async fn picture(&mut self) -> Picture {
        timeout(PATIENCE, self.next_picture()).await.expect("a picture")
    }

    pub(crate) async fn next_picture(&mut self) -> Picture {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = self.video.recv_from(&mut buffer).await.expect("receives");
            self.runner_address = Some(from);
            self.video_bytes += length + 28;
            let packet = &buffer[..length];
            if (192..=223).contains(&packet[1]) {
                continue;
            }
            assert!(length <= 1200);
            assert_eq!(packet[1] & 0x7F, 96);
            self.ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
            let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
            let marker = packet[1] & 0x80 != 0;
            append(&mut self.partial, &packet[12..]);
            if marker {
                self.video_frames += 1;
                let unit = std::mem::take(&mut self.partial);
                let key = unit.windows(5).any(|w| w[..4] == [0, 0, 0, 1] && w[4] & 0x1F == 5);
                if let Some(decoded) = self.decoder.decode(&unit).expect("decodes") {
                    let (width, height) = decoded.dimensions();
                    return Picture {
                        key,
                        timestamp,
                        width,
                        height,
                        luma: decoded.y().to_vec(),
                        stride: decoded.strides().0,
                        blue: decoded.u().to_vec(),
                        red: decoded.v().to_vec(),
                        chroma_stride: decoded.strides().1,
                    };
                }
            }
        }
    }

    /// Takes pictures until one is good.
    pub(crate) async fn until(&mut self, good: impl Fn(&Picture) -> bool) -> Picture {
        loop {
            let picture = self.picture().await;
            if good(&picture) {
                return picture;
            }
        }
    }
}

/// RFC 6184 payload to Annex B.
fn append(out: &mut Vec<u8>, payload: &[u8]) {
    match payload[0] & 0x1F {
        24 => {
            let mut rest = &payload[1..];
            while rest.len() > 2 {
                let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                out.extend_from_slice(&[0, 0, 0, 1]);
                out.extend_from_slice(&rest[2..2 + size]);
                rest = &rest[2 + size..];
            }
        }
        28 => {
            if payload[1] & 0x80 != 0 {
                out.extend_from_slice(&[0, 0, 0, 1, (payload[0] & 0xE0) | (payload[1] & 0x1F)]);
            }
            out.extend_from_slice(&payload[2..]);
        }
        _ => {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(payload);
        }
    }
}
