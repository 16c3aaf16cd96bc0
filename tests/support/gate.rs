//! A way for RTP that can be closed and opened again, as a source looks that falls silent and comes back: it stops at the end of
//! a frame, and its sequence numbers go on without a gap.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::UdpSocket;

/// Carries datagrams from a port of its own to another, for as long as it lives.
pub(crate) struct Gate {
    port: u16,
    open: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Gate {
    /// Open at first.
    pub(crate) async fn start(to: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let open = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn(carry(socket, SocketAddr::from(([127, 0, 0, 1], to)), Arc::clone(&open)));
        Self { port, open, task }
    }

    /// Where the source sends to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(socket: UdpSocket, to: SocketAddr, open: Arc<AtomicBool>) {
    let mut buffer = [0; 2048];
    let (mut passes, mut frame_ended, mut held_back) = (true, true, 0_u16);
    while let Ok((len, _)) = socket.recv_from(&mut buffer).await {
        let Some(packet) = buffer.get_mut(..len).filter(|packet| packet.len() >= 12) else { continue };
        if frame_ended {
            passes = open.load(Ordering::Relaxed);
        }
        // The marker: the last packet of a frame.
        frame_ended = packet[1] & 0x80 != 0;
        if !passes {
            held_back = held_back.wrapping_add(1);
            continue;
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]).wrapping_sub(held_back);
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        let _ = socket.send_to(packet, to).await;
    }
}
