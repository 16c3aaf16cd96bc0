//! What viewers and sessions need besides arriving packets: events and deadlines of their connections, key frame requests,
//! and their ends.
//!
//! A viewer's end leaves no trace of it: neither in the demux nor in the timers nor in its session.

use super::{Deadline, Shard};
use crate::model::ids::SessionId;
use crate::relay::feedback::Feedback;
use crate::relay::peer::PeerEvent;
use crate::relay::stats::{Cause, Count, Drop};
use crate::relay::{RelayError, RelayEvent};
use std::time::{Duration, Instant};

impl Shard {
    /// Lets a viewer's connection work: events, feedback, catching up, reports, and what it has to send.
    pub(in crate::relay) fn service(&mut self, key: u64) {
        let now = Instant::now();
        let Some(viewer) = self.viewers.get_mut(&key) else { return };
        let Some(session) = self.sessions.get_mut(&viewer.session) else { return };
        let session_key = viewer.session;
        self.at_work = Some(session_key);
        self.out.clear();
        let (mut end, mut measured) = (None, false);
        let limit = viewer.peer.rate().and_then(|rate| rate.limit());
        viewer.pacer.learn(limit);
        for event in viewer.peer.poll(now) {
            match event {
                PeerEvent::Connected { cipher, sealed_here } => {
                    self.stats.count(if sealed_here { Count::SealedHere } else { Count::SealedByCrate }, 1);
                    session.emit(RelayEvent::ViewerConnected { viewer: viewer.id, cipher }, &mut self.stats);
                    session.viewer_came(&mut self.stats);
                    if !viewer.join(now, session) {
                        session.request_key_frame(Cause::Joiner, &mut self.stats);
                    }
                }
                PeerEvent::Feedback(Feedback::KeyFrame) => viewer.quality.request_key_frame(Cause::Viewer),
                PeerEvent::Feedback(Feedback::Lost { ssrc, sequences }) => {
                    viewer.lost(now, &session.ring, ssrc, &sequences, &mut self.stats);
                }
                PeerEvent::Feedback(Feedback::Reception(report)) => {
                    let ntp = session.middle_of_ntp(now);
                    if !viewer.received(now, ntp, &session.ring, report, &mut self.stats) {
                        end = Some("too much was lost for its stream to go on");
                    }
                }
                PeerEvent::Feedback(Feedback::Clock { ssrc, middle }) => {
                    self.stats.count(Count::ClocksAnswered, 1);
                    viewer.peer.answer_clock(now, ssrc, middle);
                }
                PeerEvent::Feedback(Feedback::Transport(report)) => {
                    if let Some(rate) = viewer.peer.rate() {
                        rate.feedback(now, &report);
                        measured = true;
                    }
                }
                PeerEvent::Input { label: _, message } => {
                    match (viewer.admits(now, message.len()), viewer.slot) {
                        (Ok(()), Some(slot)) => {
                            session.emit(
                                RelayEvent::Input { viewer: viewer.id, slot, frame: message },
                                &mut self.stats,
                            );
                        }
                        (Ok(()), None) => self.stats.drop(Drop::InputWithoutSlot),
                        (Err(reason), _) => self.stats.drop(reason),
                    }
                }
                PeerEvent::Gone(reason) => end = Some(reason),
            }
        }
        let mut video = false;
        if viewer.peer.is_connected() {
            viewer.retry(&mut self.socket, &mut self.stats);
            viewer.send_again(now, &session.ring, &mut self.out, &mut self.stats);
            video = viewer.catch_up(now, session, &mut self.out, &mut self.stats);
            if viewer.report_due(now) {
                let (video, audio) = session.clocks(now);
                viewer.peer.report(now, video, audio);
            }
        }
        viewer.peer.drain(&mut self.out);
        viewer.flush(&mut self.socket, &mut self.out, video, &mut self.stats);
        if let Some(cause) = viewer.take_request(now) {
            session.request_key_frame(cause, &mut self.stats);
        }
        self.timers.set(Deadline::Viewer(key), viewer.deadline(now));
        self.ask(session_key);
        if measured {
            self.tell_rate(now, session_key);
        }
        if let Some(reason) = end {
            self.end_viewer(key, Some(reason));
        }
    }

    /// Tells what the narrowest link of a session's players carries; players come first in its order.
    pub(in crate::relay) fn tell_rate(&mut self, now: Instant, key: u64) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let mut narrowest: Option<f64> = None;
        for viewer in &session.order {
            let Some(viewer) = self.viewers.get_mut(viewer) else { continue };
            if !viewer.is_player() {
                break;
            }
            if let Some(rate) = viewer.peer.rate() {
                narrowest = Some(narrowest.map_or(rate.target(), |least| least.min(rate.target())));
            }
        }
        let narrowest = session.narrowest(narrowest);
        session.tell_rate(now, narrowest, &mut self.stats);
    }

    /// Asks the session's source for a key frame when it is time.
    pub(in crate::relay) fn ask(&mut self, key: u64) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.ask(Instant::now(), &mut self.stats);
            self.timers.set(Deadline::Session(key), session.deadline());
        }
    }

    /// Closes a viewer's connection and forgets it; with a reason, the control plane is told.
    pub(in crate::relay) fn end_viewer(&mut self, key: u64, reason: Option<&str>) {
        let Some(mut viewer) = self.viewers.remove(&key) else { return };
        viewer.peer.close();
        self.out.clear();
        viewer.peer.drain(&mut self.out);
        viewer.flush(&mut self.socket, &mut self.out, false, &mut self.stats);
        self.demux.remove(key);
        self.timers.set(Deadline::Viewer(key), None);
        let Some(session) = self.sessions.get_mut(&viewer.session) else { return };
        session.order.retain(|other| *other != key);
        if session.by_id.get(&viewer.id) == Some(&key) {
            session.by_id.remove(&viewer.id);
        }
        if let Some(reason) = reason {
            session.emit(
                RelayEvent::ViewerGone { viewer: viewer.id, reason: reason.to_owned() },
                &mut self.stats,
            );
        }
        session.viewer_left(&mut self.stats);
        self.tell_rate(Instant::now(), viewer.session);
    }

    pub(in crate::relay) fn end_session(&mut self, id: SessionId) -> Result<(), RelayError> {
        let key = self.by_id.remove(&id).ok_or(RelayError::NotFound)?;
        let viewers = self.sessions.get(&key).map(|session| session.order.clone()).unwrap_or_default();
        for viewer in viewers {
            self.end_viewer(viewer, None);
        }
        self.end_joiners(key, None, None);
        if let Some(mut session) = self.sessions.remove(&key) {
            for socket in session.sockets() {
                socket.deregister(self.poll.registry());
            }
        }
        self.timers.set(Deadline::Session(key), None);
        Ok(())
    }

    pub(super) fn stop(&mut self) {
        let ids: Vec<SessionId> = self.by_id.keys().copied().collect();
        for id in ids {
            let _ = self.end_session(id);
        }
        self.stats.flush(Duration::ZERO, 0, 0);
    }
}
