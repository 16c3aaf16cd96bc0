//! The threads that do viewers' handshakes, for all shards, as a shard sees them.
//!
//! A shard takes a place, hands over the offer, and passes on what the joiner sends; the worker answers the joiner itself, by
//! the shard's own socket, until it can hand the connection over.
//!
//! Invariants:
//! - A shard never waits for a worker: what does not fit into a queue is refused (offers) or dropped and counted (datagrams).
//! - What must not be lost has queues of its own; their length is bounded by the places of a worker.

use super::worker::Worker;
use super::{Peer, Shared};
use crate::relay::command::Reply;
use crate::relay::sdp::Offer;
use crate::relay::socket::{Path, Socket};
use crate::relay::stats::Stats;
use crate::relay::{Codec, RelayError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Handshakes of one worker at once, queued offers included. One more is refused.
const PLACES: usize = 1024;
/// Datagrams waiting for a worker: each handshake has a few at a time, and repeats what is lost.
const DATAGRAMS: usize = 2048;

/// A joiner, as a worker knows it: the shard's number, and the shard's key of the viewer.
pub(super) type At = (usize, u64);

/// An offer to answer.
pub(in crate::relay) struct Job {
    pub(in crate::relay) shard: usize,
    /// What the connection is called when it is a new one.
    pub(in crate::relay) key: u64,
    pub(in crate::relay) offer: String,
    pub(in crate::relay) codec: Codec,
    pub(in crate::relay) audio: bool,
    /// The connection that the viewer has. An offer of the same identity is for that one.
    pub(in crate::relay) known: Option<Known>,
    pub(in crate::relay) reply: Reply<String>,
}

/// A connection that a viewer has already.
#[derive(Debug)]
pub(in crate::relay) enum Known {
    /// On its way, with the same worker.
    Joining {
        key: u64,
    },
    Connected {
        key: u64,
        fingerprint: String,
    },
}

/// What a worker tells a shard. Nothing of it is lost.
pub(in crate::relay) enum News {
    /// The answer is to go out once the shard knows the ufrag. `key` is another one than was `asked` for when the offer was
    /// for a connection that is on its way.
    Answered {
        worker: usize,
        key: u64,
        asked: u64,
        ufrag: String,
        answer: String,
        reply: Reply<String>,
    },
    Refused {
        asked: u64,
        error: RelayError,
        reply: Reply<String>,
    },
    /// The offer is for a connection that the shard has.
    Renegotiate {
        key: u64,
        asked: u64,
        offer: Box<Offer>,
        reply: Reply<String>,
    },
    /// The connection it was for is not on its way any more.
    Returned(Job),
    Connected {
        key: u64,
        peer: Box<Peer>,
    },
    Gone {
        key: u64,
        reason: &'static str,
    },
}

/// What a worker tells a shard by the way. When there is no room for it, it comes again.
pub(in crate::relay) enum Passing {
    /// A proven binding request of this joiner came from there.
    Proven { key: u64, address: SocketAddr },
    /// It came for a joiner that was handed over meanwhile.
    Late { path: Path, datagram: Box<[u8]> },
}

/// A worker's end of one shard.
pub(in crate::relay) struct Link {
    pub(in crate::relay) shared: Arc<Shared>,
    pub(in crate::relay) socket: Socket,
    pub(in crate::relay) news: mpsc::Sender<News>,
    pub(in crate::relay) passing: mpsc::Sender<Passing>,
    pub(in crate::relay) waker: Arc<mio::Waker>,
    pub(in crate::relay) stats: Stats,
}

/// A datagram of a joiner.
pub(super) struct Datagram {
    pub(super) at: At,
    pub(super) path: Path,
    pub(super) bytes: Box<[u8]>,
}

/// All workers. They stop with the last one who holds this.
pub(in crate::relay) struct Workers {
    workers: Vec<Handle>,
}

struct Handle {
    jobs: mpsc::Sender<Job>,
    ends: mpsc::Sender<At>,
    datagrams: mpsc::Sender<Datagram>,
    waker: mio::Waker,
    /// Something was queued since the last wake.
    asleep: AtomicBool,
    taken: Arc<AtomicUsize>,
}

/// A place among one worker's handshakes; free again when this is dropped.
pub(in crate::relay) struct Place {
    worker: usize,
    taken: Arc<AtomicUsize>,
}

impl Place {
    pub(in crate::relay) fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts so many threads; `link` makes the end of every shard for one of them.
    pub(in crate::relay) fn start(
        count: usize,
        mut links: impl FnMut() -> std::io::Result<Vec<Link>>,
    ) -> std::io::Result<Arc<Self>> {
        let workers = (0..count).map(|number| Handle::start(number, links()?));
        Ok(Arc::new(Self { workers: workers.collect::<Result<_, _>>()? }))
    }

    /// A place with the worker that has most of them left.
    pub(in crate::relay) fn place(&self) -> Option<Place> {
        let least = |at: &usize| self.workers.get(*at).map(|worker| worker.taken.load(Ordering::Relaxed));
        self.take((0..self.workers.len()).min_by_key(least)?)
    }

    /// Another place with the same worker.
    pub(in crate::relay) fn place_beside(&self, place: &Place) -> Option<Place> {
        self.take(place.worker)
    }

    fn take(&self, worker: usize) -> Option<Place> {
        let taken = &self.workers.get(worker)?.taken;
        // Dropped at once, and so given back, when it is one too many.
        let place = Place { worker, taken: Arc::clone(taken) };
        (taken.fetch_add(1, Ordering::Relaxed) < PLACES).then_some(place)
    }

    /// False: the worker has too much to do, and the caller is told so.
    pub(in crate::relay) fn offer(&self, place: &Place, job: Job) -> bool {
        let sent = match self.workers.get(place.worker) {
            Some(worker) => worker.queue(&worker.jobs, job),
            None => Err(job),
        };
        sent.map_err(|job| job.reply.send(Err(RelayError::Unavailable))).is_ok()
    }

    /// False: the worker has too much to do, and the datagram is lost.
    pub(in crate::relay) fn datagram(&self, place: &Place, at: At, path: Path, bytes: Box<[u8]>) -> bool {
        let worker = self.workers.get(place.worker);
        worker.is_some_and(|worker| worker.queue(&worker.datagrams, Datagram { at, path, bytes }).is_ok())
    }

    /// Ends a handshake politely. Where there is no room to say so it ends by its own timer.
    pub(in crate::relay) fn end(&self, worker: usize, at: At) {
        if let Some(worker) = self.workers.get(worker) {
            let _ = worker.queue(&worker.ends, at);
        }
    }

    /// Wakes the workers that were given something.
    pub(in crate::relay) fn wake(&self) {
        for worker in &self.workers {
            if worker.asleep.swap(false, Ordering::AcqRel) {
                let _ = worker.waker.wake();
            }
        }
    }
}

impl Handle {
    fn start(number: usize, links: Vec<Link>) -> std::io::Result<Self> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), mio::Token(0))?;
        let (jobs, job) = mpsc::channel(PLACES);
        let (ends, end) = mpsc::channel(2 * PLACES);
        let (datagrams, datagram) = mpsc::channel(DATAGRAMS);
        let worker = Worker::new(number, poll, links, job, end, datagram);
        std::thread::Builder::new().name(format!("handshake-{number}")).spawn(move || worker.run())?;
        let taken = Arc::default();
        Ok(Self { jobs, ends, datagrams, waker, asleep: AtomicBool::new(false), taken })
    }

    fn queue<T>(&self, queue: &mpsc::Sender<T>, what: T) -> Result<(), T> {
        queue.try_send(what).map_err(mpsc::error::TrySendError::into_inner)?;
        self.asleep.store(true, Ordering::Release);
        Ok(())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in self.workers.drain(..) {
            let Handle { jobs, waker, .. } = worker;
            drop(jobs);
            let _ = waker.wake();
        }
    }
}
