//! One session on several shards: what its home shard hands to the others, and what those hand back.
//!
//! The home shard has the source. Every other shard that has viewers of the session keeps a replica of it: its own numbering,
//! ring and group of pictures, made from the source's datagrams as they came. They travel as one block for each batch, which
//! all replicas read.
//!
//! Invariants:
//! - No shard waits for another: batches that find a replica's queue full are lost to it and counted, as packets are that get
//!   lost before the gateway; what goes back is last values.
//! - A replica ends with its home: the end of its feed tells it.

use super::stats::{Drop, Stats};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Batches waiting for a replica: at 60 frames/s some hundred milliseconds.
const BATCHES: usize = 64;

/// Datagrams of a source, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    datagrams: Vec<Datagram>,
}

#[derive(Debug, Clone, Copy)]
struct Datagram {
    is_video: bool,
    from: SocketAddr,
    len: usize,
}

impl Batch {
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (bool, SocketAddr, &[u8])> {
        let mut at = 0;
        self.datagrams.iter().map(move |datagram| {
            let bytes = self.bytes.get(at..at + datagram.len).unwrap_or_default();
            at += datagram.len;
            (datagram.is_video, datagram.from, bytes)
        })
    }
}

/// What a replica tells its home.
#[derive(Debug)]
struct Back {
    key_frame: AtomicBool,
    viewers: AtomicUsize,
    /// What the narrowest of its players' links carries, in bit/s; not a number: none is measured.
    rate: AtomicU64,
}

impl Default for Back {
    fn default() -> Self {
        Self {
            key_frame: AtomicBool::new(false),
            viewers: AtomicUsize::new(0),
            rate: AtomicU64::new(f64::NAN.to_bits()),
        }
    }
}

/// The home's end of its replicas.
#[derive(Debug, Default)]
pub(super) struct Stripes {
    stripes: Vec<Stripe>,
    /// What has come since the last hand-over.
    open: Batch,
    /// Batches that were handed over, for their memory.
    spare: Vec<Arc<Batch>>,
    /// What the replicas' links carried when it was last looked at.
    rate: Option<f64>,
}

#[derive(Debug)]
struct Stripe {
    batches: mpsc::Sender<Arc<Batch>>,
    back: Arc<Back>,
    waker: Arc<mio::Waker>,
}

/// A replica's end.
#[derive(Debug)]
pub(super) struct Feed {
    batches: mpsc::Receiver<Arc<Batch>>,
    back: Arc<Back>,
    home: Arc<mio::Waker>,
}

impl Stripes {
    /// One more replica; `home` and `there` wake the two shards.
    pub(super) fn add(&mut self, home: Arc<mio::Waker>, there: Arc<mio::Waker>) -> Feed {
        let (batches, receiver) = mpsc::channel(BATCHES);
        let back = Arc::<Back>::default();
        self.stripes.push(Stripe { batches, back: Arc::clone(&back), waker: there });
        Feed { batches: receiver, back, home }
    }

    /// Takes a copy of a datagram, where there are replicas.
    pub(super) fn copy(&mut self, is_video: bool, from: SocketAddr, datagram: &[u8]) {
        if !self.stripes.is_empty() {
            self.open.bytes.extend_from_slice(datagram);
            self.open.datagrams.push(Datagram { is_video, from, len: datagram.len() });
        }
    }

    /// Hands over what was copied.
    pub(super) fn hand_over(&mut self, stats: &mut Stats) {
        if self.open.datagrams.is_empty() {
            return;
        }
        let next = self.take_spare();
        let batch = Arc::new(std::mem::replace(&mut self.open, next));
        self.stripes.retain(|stripe| {
            let sent = stripe.batches.try_send(Arc::clone(&batch));
            let _ = stripe.waker.wake();
            match sent {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    stats.drops(Drop::ReplicaFull, batch.datagrams.len() as u64);
                    true
                }
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
        if self.spare.len() < BATCHES {
            self.spare.push(batch);
        }
    }

    /// The memory of a batch that every replica has read.
    fn take_spare(&mut self) -> Batch {
        let read = self.spare.iter().position(|batch| Arc::strong_count(batch) == 1);
        let batch = read.and_then(|at| Arc::try_unwrap(self.spare.swap_remove(at)).ok());
        let mut batch = batch.unwrap_or_default();
        batch.bytes.clear();
        batch.datagrams.clear();
        batch
    }

    /// Whether a replica has asked for a key frame since the last time.
    pub(super) fn take_key_frame_request(&self) -> bool {
        // Each is taken, also behind one that has asked.
        let asked = self.stripes.iter().filter(|stripe| stripe.back.key_frame.swap(false, Ordering::AcqRel));
        asked.count() > 0
    }

    /// Connected viewers of the replicas.
    pub(super) fn viewers(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.back.viewers.load(Ordering::Acquire)).sum()
    }

    /// What the narrowest link of the replicas' players carries, as last looked at.
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Looks at the rates. True: the narrowest is another one than before.
    pub(super) fn look_at_rates(&mut self) -> bool {
        let rates =
            self.stripes.iter().map(|stripe| f64::from_bits(stripe.back.rate.load(Ordering::Acquire)));
        let rate = rates.filter(|rate| !rate.is_nan()).reduce(f64::min);
        std::mem::replace(&mut self.rate, rate) != rate
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stripes.is_empty()
    }
}

impl Feed {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether the home has ended, and all of it was taken in.
    pub(super) fn has_ended(&self) -> bool {
        self.batches.is_closed() && self.batches.is_empty()
    }

    /// The next batch.
    pub(super) fn next(&mut self) -> Option<Arc<Batch>> {
        self.batches.try_recv().ok()
    }

    pub(super) fn request_key_frame(&self) {
        if !self.back.key_frame.swap(true, Ordering::AcqRel) {
            let _ = self.home.wake();
        }
    }

    pub(super) fn tell_viewers(&self, viewers: usize) {
        if self.back.viewers.swap(viewers, Ordering::AcqRel) != viewers {
            let _ = self.home.wake();
        }
    }

    pub(super) fn tell_rate(&self, rate: Option<f64>) {
        let rate = rate.unwrap_or(f64::NAN).to_bits();
        if self.back.rate.swap(rate, Ordering::AcqRel) != rate {
            let _ = self.home.wake();
        }
    }
}
