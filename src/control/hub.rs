//! Who may connect, and which connection is live.
//!
//! Events of one session are sent in order: whoever changes the live connection holds `turn` until its event is in the
//! queue, so that no late `Disconnected` of an old connection follows the `Connected` of a new one.

use super::metrics::Metrics;
use super::{ControlEvent, WelcomeSpec};
use crate::model::ids::SessionId;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use aws_lc_rs::{constant_time, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use dashmap::DashMap;
use playgate_signaling::runner::GatewayMessage;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, watch};

/// Events waiting for the session's actor; see [`super::ControlLink::events`] for what happens at the end.
const EVENTS: usize = 256;
/// Messages waiting for the runner's socket; more are dropped and counted.
const OUTBOUND: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Hub {
    sessions: DashMap<SessionId, Arc<Entry>>,
    pub(super) metrics: Metrics,
}

/// One expected runner.
#[derive(Debug)]
pub(super) struct Entry {
    token_hash: [u8; SHA256_OUTPUT_LEN],
    pub(super) welcome: WelcomeSpec,
    pub(super) events: mpsc::Sender<ControlEvent>,
    live: Mutex<Live>,
    /// Held across a change of the live connection and its event.
    pub(super) turn: tokio::sync::Mutex<()>,
    next: AtomicU64,
}

#[derive(Debug)]
enum Live {
    None,
    Connection {
        number: u64,
        outbound: mpsc::Sender<Outbound>,
        end: watch::Sender<Option<Ended>>,
    },
    /// The link was dropped; nobody may connect any more.
    Forgotten,
}

/// Why the hub closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Replaced,
    Forgotten,
}

#[derive(Debug)]
pub(super) enum Outbound {
    Message(GatewayMessage),
    Input { slot: u8, frame: Bytes },
}

/// What a new live connection works with.
pub(super) struct Seat {
    pub(super) number: u64,
    pub(super) outbound: mpsc::Receiver<Outbound>,
    pub(super) end: watch::Receiver<Option<Ended>>,
}

impl Hub {
    pub(super) fn register(
        &self,
        session: SessionId,
        token_hash: [u8; SHA256_OUTPUT_LEN],
        welcome: WelcomeSpec,
    ) -> (Arc<Entry>, mpsc::Receiver<ControlEvent>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        let entry = Arc::new(Entry {
            token_hash,
            welcome,
            events,
            live: Mutex::new(Live::None),
            turn: tokio::sync::Mutex::new(()),
            next: AtomicU64::new(0),
        });
        if let Some(older) = self.sessions.insert(session, Arc::clone(&entry)) {
            older.forget();
        }
        (entry, receiver)
    }

    /// The session's entry when the token is its own.
    pub(super) fn admit(&self, session: SessionId, token: &str) -> Option<Arc<Entry>> {
        let entry = Arc::clone(self.sessions.get(&session)?.value());
        constant_time::verify_slices_are_equal(&entry.token_hash, &hash(token)).ok()?;
        Some(entry)
    }

    pub(super) fn forget(&self, session: SessionId, entry: &Arc<Entry>) {
        self.sessions.remove_if(&session, |_, known| Arc::ptr_eq(known, entry));
        entry.forget();
    }
}

impl Entry {
    /// Makes a new connection the live one; the older is told. `None` when the link is gone. Call with `turn` held.
    pub(super) fn seat(&self) -> Option<(Seat, bool)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (outbound, outbound_receiver) = mpsc::channel(OUTBOUND);
        let (end, end_receiver) = watch::channel(None);
        let mut live = self.lock();
        let replaced = match &*live {
            Live::Forgotten => return None,
            Live::None => false,
            Live::Connection { end, .. } => {
                end.send_replace(Some(Ended::Replaced));
                true
            }
        };
        *live = Live::Connection { number, outbound, end };
        Some((Seat { number, outbound: outbound_receiver, end: end_receiver }, replaced))
    }

    /// True when that connection was still the live one. Call with `turn` held.
    pub(super) fn unseat(&self, number: u64) -> bool {
        let mut live = self.lock();
        let mine = matches!(&*live, Live::Connection { number: known, .. } if *known == number);
        if mine {
            *live = Live::None;
        }
        mine
    }

    pub(super) fn deliver(&self, message: Outbound) -> bool {
        match &*self.lock() {
            Live::Connection { outbound, .. } => outbound.try_send(message).is_ok(),
            Live::None | Live::Forgotten => false,
        }
    }

    fn forget(&self) {
        let mut live = self.lock();
        if let Live::Connection { end, .. } = &*live {
            end.send_replace(Some(Ended::Forgotten));
        }
        *live = Live::Forgotten;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn new_token() -> String {
    let mut secret = [0_u8; 32];
    // The system's generator does not fail once it has been seeded; an all-zero secret would be a hole, so an
    // unguessable UUID stands in should it ever.
    match rand::fill(&mut secret) {
        Ok(()) => URL_SAFE_NO_PAD.encode(secret),
        Err(_) => format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()),
    }
}

pub(super) fn hash(token: &str) -> [u8; SHA256_OUTPUT_LEN] {
    let mut out = [0; SHA256_OUTPUT_LEN];
    out.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    out
}
