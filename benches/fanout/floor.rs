//! The least work: seal each packet by AES-128-GCM in place and hand each viewer's frame to the kernel with one GSO
//! send, nothing else. A process of its own, as every server is.

use crate::load::{Beat, Outcome, PAYLOAD, PAYLOAD_TYPE, TICKS, now_ns};
use crate::protocol::{Ask, Reply, serve};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use socket2::SockRef;
use std::net::{SocketAddr, UdpSocket};

/// Fixed header and the playout-delay extension.
const HEADER: usize = 20;
const TAG: usize = 16;
const PACKET: usize = HEADER + PAYLOAD + TAG;
/// Most bytes of one GSO send.
const SEND: usize = 65_000;

pub(crate) fn run() -> Outcome<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    // As the relay does it; the kernel's limits decide.
    SockRef::from(&socket).set_send_buffer_size(4 << 20)?;
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16])?);
    serve(socket.local_addr()?, |ask| match ask {
        Ask::Burst { addresses, packets, first, frames } => {
            burst(&socket, &state, &key, &addresses, packets, first..first + frames)
        }
        Ask::Offer(_) | Ask::Join { .. } | Ask::Metrics | Ask::Ingests | Ask::Allocations => {
            Err("the floor only sends".into())
        }
    })
}

fn burst(
    socket: &UdpSocket,
    state: &UdpSocketState,
    key: &LessSafeKey,
    addresses: &[SocketAddr],
    packets: usize,
    frames: std::ops::Range<u32>,
) -> Outcome<Reply> {
    let mut buffer = vec![0u8; packets * PACKET];
    let mut starts = Vec::with_capacity(frames.len());
    let mut sequence = 0u16;
    let mut beat = Beat::new();
    for frame in frames {
        starts.push(now_ns());
        for (at, packet) in buffer.chunks_mut(PACKET).enumerate() {
            let last = at + 1 == packets;
            packet[..2].copy_from_slice(&[0x90, u8::from(last) << 7 | PAYLOAD_TYPE]);
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            packet[4..8].copy_from_slice(&(frame * TICKS).to_be_bytes());
            packet[12..HEADER].copy_from_slice(&[0xbe, 0xde, 0, 1, 0x12, 0, 0, 0]);
            sequence = sequence.wrapping_add(1);
        }
        for address in addresses {
            for packet in buffer.chunks_mut(PACKET) {
                let (header, rest) = packet.split_at_mut(HEADER);
                let (payload, tag) = rest.split_at_mut(PAYLOAD);
                let nonce = Nonce::assume_unique_for_key([3; 12]);
                let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)?;
                tag.copy_from_slice(sealed.as_ref());
            }
            for contents in buffer.chunks(SEND / PACKET * PACKET) {
                let transmit = Transmit {
                    destination: *address,
                    ecn: None,
                    contents,
                    segment_size: Some(PACKET),
                    src_ip: None,
                };
                state.try_send(UdpSockRef::from(socket), &transmit)?;
            }
        }
        beat.wait();
    }
    Ok(Reply::Starts(starts))
}
