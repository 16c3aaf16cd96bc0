//! The shell of a light viewer: its sockets and its clock. Decides nothing.
//!
//! Received in batches, and where the kernel joins packets (GRO) by the frame. Memory to receive into belongs to the
//! thread, not to the viewer.

use super::Command;
use super::engine::Engine;
use crate::bots::card::Card;
use crate::bots::viewer::{Link, ViewerError, ViewerOptions};
use crate::datagrams::Batch;
use quinn_udp::{UdpSockRef, UdpSocketState};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

/// Asked for; the kernel may give less. A key frame burst of a busy second fits.
const RECEIVE_BUFFER: usize = 1 << 20;
const BATCH: usize = 4;
/// Batches in a row before other tasks get their turn.
const TURNS: usize = 16;

thread_local! {
    static MEMORY: RefCell<Batch<BATCH>> = RefCell::new(Batch::new());
}

pub(super) struct Task {
    sockets: Vec<Socket>,
    engine: Engine,
    card: Arc<Card>,
    inbox: mpsc::Receiver<Command>,
    link: watch::Sender<Link>,
}

struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
}

impl Task {
    pub(super) fn new(
        options: &ViewerOptions,
        card: Arc<Card>,
        inbox: mpsc::Receiver<Command>,
        link: watch::Sender<Link>,
    ) -> Result<Self, ViewerError> {
        let sockets: Vec<Socket> =
            options.local.iter().map(|ip| Socket::bind(SocketAddr::new(*ip, 0))).collect::<Result<_, _>>()?;
        if sockets.is_empty() {
            return Err(ViewerError::NoAddress);
        }
        let local = sockets.iter().map(|socket| socket.address).collect();
        let engine = Engine::new(local, options.srtp, options.input, Arc::clone(&card), Instant::now())?;
        Ok(Self { sockets, engine, card, inbox, link })
    }

    pub(super) async fn run(mut self) {
        loop {
            self.flush();
            let link = self.engine.link();
            self.link.send_if_modified(|known| std::mem::replace(known, link) != link);
            let due = self.engine.due(Instant::now());
            tokio::select! {
                command = self.inbox.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                at = readable(&self.sockets) => self.receive(at),
                () = tokio::time::sleep_until(due.into()) => {}
            }
            self.engine.tick(Instant::now());
        }
        self.engine.close();
        self.flush();
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            // Who asked may have gone.
            Command::Offer { restart, reply } => drop(reply.send(self.engine.offer(restart, now))),
            Command::Answer { sdp, reply } => drop(reply.send(self.engine.answer(sdp, now))),
            Command::Input { snapshot, bytes } => {
                if !self.engine.input(snapshot, &bytes, now) {
                    self.card.with(|facts| facts.inputs_unsent += 1);
                }
            }
        }
    }

    fn flush(&mut self) {
        while let Some((from, to, datagram)) = self.engine.transmit() {
            let socket = self.sockets.iter().find(|socket| socket.address == from).or(self.sockets.first());
            if let Some(socket) = socket {
                // What the kernel does not take, or cannot route, is lost as on any network.
                let _ = socket.io.try_send_to(&datagram, to);
            }
        }
    }

    fn receive(&mut self, at: usize) {
        for _ in 0..TURNS {
            let Some(socket) = self.sockets.get(at) else { return };
            let engine = &mut self.engine;
            let more = MEMORY.with_borrow_mut(|memory| {
                let more = socket.receive(memory);
                let now = Instant::now();
                for (meta, datagram) in memory.datagrams() {
                    engine.receive(datagram, socket.address, meta.addr, now);
                }
                more
            });
            if !more {
                return;
            }
        }
    }
}

/// The first socket with something to read. An error counts too: reading it takes it away.
fn readable(sockets: &[Socket]) -> impl Future<Output = usize> {
    std::future::poll_fn(move |context| {
        let ready = sockets.iter().position(|socket| socket.io.poll_recv_ready(context).is_ready());
        ready.map_or(Poll::Pending, Poll::Ready)
    })
}

impl Socket {
    fn bind(address: SocketAddr) -> Result<Self, ViewerError> {
        let bound = || -> io::Result<Self> {
            let socket = std::net::UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            // Best effort: the kernel's limits decide.
            let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
            let io = UdpSocket::from_std(socket)?;
            let state = UdpSocketState::new(UdpSockRef::from(&io))?;
            let address = io.local_addr()?;
            Ok(Self { io, state, address })
        };
        bound().map_err(ViewerError::Socket)
    }

    /// One batch; false when nothing is left.
    fn receive(&self, memory: &mut Batch<BATCH>) -> bool {
        memory.fill(|slices, meta| {
            let receive = || self.state.recv(UdpSockRef::from(&self.io), slices, meta);
            self.io.try_io(Interest::READABLE, receive)
        })
    }
}
