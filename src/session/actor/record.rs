//! How a session's row gets into the store, and what waits for it.
//!
//! One write at a time, each of the newest row. A change is written before it is told, unless the store takes longer than
//! [`PATIENCE`]: then viewers are told, and the row is written behind their backs. The final row is the exception: until it
//! is written the session stays `stopping` and among the live ones, whatever the store does.

use super::super::machine::State;
use super::super::settle::Retry;
use super::super::view::StopReport;
use super::{Actor, Command};
use crate::model::rows::Fenced;
use crate::store;
use futures_util::future::BoxFuture;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a change of the session waits for the store before it is told.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a caller waits for a session that has ended to be recorded.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The session has ended, and its row is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) struct Unrecorded;

/// A caller that waits for the end.
pub(in crate::session) type StopReply = oneshot::Sender<Result<StopReport, Unrecorded>>;

/// What of the row the store does not have yet.
#[derive(Default)]
pub(super) struct Record {
    /// The row was changed since the write in flight began.
    changed: bool,
    in_flight: Option<BoxFuture<'static, store::Result<Fenced>>>,
    retry: Retry,
    again_at: Option<Instant>,
}

impl Record {
    fn is_written(&self) -> bool {
        !self.changed && self.in_flight.is_none()
    }

    /// The result of the write in flight. Cancel safe.
    pub(super) async fn written(&mut self) -> store::Result<Fenced> {
        match &mut self.in_flight {
            Some(write) => {
                let result = write.await;
                self.in_flight = None;
                result
            }
            None => pending().await,
        }
    }
}

impl Actor {
    /// Writes the row behind everybody's back: it holds what the next gateway needs to find the game.
    pub(super) fn write_soon(&mut self) {
        self.record.changed = true;
        self.begin_write();
    }

    /// Writes the row; returns when it is written, or when the store is too slow or fails.
    pub(super) async fn write(&mut self) {
        let was_failing = self.record.retry.is_failing();
        self.write_soon();
        let patience_ends = self.context.clock.now() + PATIENCE;
        while !was_failing && !self.record.is_written() && !self.fenced {
            let clock = self.context.clock.clone();
            let at = self.record.again_at.unwrap_or(patience_ends).min(patience_ends);
            tokio::select! {
                biased;
                result = self.record.written() => self.on_written(result),
                () = clock.sleep_until(at) => self.begin_write(),
            }
            if self.context.clock.now() >= patience_ends {
                return;
            }
        }
    }

    /// Begins a write, if there is something to write, none is in flight and it is time.
    fn begin_write(&mut self) {
        let too_early = self.record.again_at.is_some_and(|at| self.context.clock.now() < at);
        if !self.record.changed || self.record.in_flight.is_some() || too_early || self.fenced {
            return;
        }
        (self.record.changed, self.record.again_at) = (false, None);
        let (store, row) = (Arc::clone(&self.context.store), self.row.clone());
        self.record.in_flight = Some(Box::pin(async move { store.update_session(&row).await }));
    }

    pub(super) fn on_written(&mut self, result: store::Result<Fenced>) {
        match result {
            Ok(Fenced::Written) => {
                self.record.retry.succeeded(self.row.id);
                self.begin_write();
            }
            Ok(Fenced::Stale) => {
                tracing::error!(session = %self.row.id, "another gateway has taken this session over");
                self.record.retry.succeeded(self.row.id);
                self.record.changed = false;
                self.fenced = true;
            }
            Err(error) => {
                self.record.changed = true;
                self.record.again_at = Some(self.record.retry.failed(&self.context, self.row.id, &error));
            }
        }
    }

    /// The session has ended, and the store does not know yet.
    pub(super) fn is_unrecorded(&self) -> bool {
        matches!(self.state, State::Ended { .. }) && !self.fenced && !self.record.is_written()
    }

    /// Ends the actor once its last row is written.
    pub(super) fn end_when_recorded(&mut self) {
        if !matches!(self.state, State::Ended { .. }) {
            return;
        }
        self.is_over = !self.is_unrecorded();
        self.unrecorded.store(!self.is_over, Ordering::Relaxed);
        if self.is_over {
            self.refresh();
            self.push_status();
        } else if self.unrecorded_since.is_none() {
            self.unrecorded_since = Some(self.context.clock.now());
        }
    }

    /// When to look after the row again.
    pub(super) fn record_deadline(&self) -> Option<Instant> {
        let write = self.record.again_at.filter(|_| self.record.in_flight.is_none());
        let stop = self.unrecorded_since.and_then(|since| {
            self.stops_waiting.iter().map(|(asked, _)| (*asked).max(since) + STOP_PATIENCE).min()
        });
        [write, stop].into_iter().flatten().min()
    }

    /// Tries the row again, and tells those who have waited long enough that it is not written.
    pub(super) fn record_is_due(&mut self) {
        self.begin_write();
        let (now, Some(since)) = (self.context.clock.now(), self.unrecorded_since) else { return };
        let waited = |asked: Instant| now >= asked.max(since) + STOP_PATIENCE;
        for (_, reply) in self.stops_waiting.extract_if(.., |(asked, _)| waited(*asked)) {
            let _ = reply.send(Err(Unrecorded));
        }
    }

    /// A session that has ended answers stops alone; everything else is told that there is no such session.
    pub(super) fn on_command_unrecorded(&mut self, command: Command) {
        match command {
            Command::Stop { reply, .. } => self.stops_waiting.push((self.context.clock.now(), reply)),
            Command::Terminate(reply) => {
                let _ = reply.send(false);
            }
            // Their replies are dropped.
            Command::Keepalive(_)
            | Command::Admit { .. }
            | Command::Ticket { .. }
            | Command::MediaUp { .. }
            | Command::Control { .. }
            | Command::Leave(_)
            | Command::Saw { .. }
            | Command::EndGrant(_)
            | Command::FirstDecodedFrame => {}
        }
    }
}
