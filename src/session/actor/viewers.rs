//! What callers ask of a live session: its viewers, its lease, its end.

use super::super::roster::{Entry, Gone, Person};
use super::super::view::Push;
use super::{Actor, Command, NotAdmitted, Ticket};
use crate::model::ids::{GrantId, ViewerId};
use crate::model::session::{EndReason, Milestone};
use playgate_signaling::message::{ErrorCode, Role};
use playgate_signaling::runner::GatewayMessage;

impl Actor {
    /// A caller that no longer waits for its answer is no concern of ours.
    pub(super) async fn on_command(&mut self, command: Command) {
        if self.is_unrecorded() {
            return self.on_command_unrecorded(command);
        }
        match command {
            Command::Keepalive(reply) => {
                let _ = reply.send(self.keepalive());
            }
            Command::Stop { reason, reply } => {
                self.stops_waiting.push((self.context.clock.now(), reply));
                self.end(reason, None).await;
            }
            Command::Terminate(reply) => {
                let begins = self.state.end_reason().is_none();
                self.end(EndReason::StoppedByUser, None).await;
                let _ = reply.send(begins);
            }
            Command::Admit { entry, reply } => {
                let _ = reply.send(self.admit(entry).await);
            }
            Command::Ticket { viewer, reply } => {
                self.tickets_waiting.push((viewer, reply));
                if self.media_open || self.state.end_reason().is_some() {
                    self.answer_tickets();
                }
            }
            Command::MediaUp { viewer, slot } => self.media_up(viewer, slot).await,
            Command::Control { viewer, wish, reply } => {
                let _ = reply.send(self.on_wish(viewer, wish).await);
            }
            Command::Leave(viewer) => self.leave(viewer).await,
            Command::Saw { viewer, report } => {
                if self.roster.get(viewer).is_some_and(|viewer| viewer.has_media) {
                    self.row.quality.add(&report);
                    self.refresh();
                }
            }
            Command::EndGrant(grant) => self.end_grant(grant).await,
            Command::FirstDecodedFrame => {
                self.mark(Milestone::FirstDecodedFrame);
                self.refresh();
            }
        }
    }

    pub(super) fn answer_tickets(&mut self) {
        let ending = self.state.end_reason().is_some();
        for (viewer, reply) in self.tickets_waiting.drain(..) {
            let ticket = self
                .roster
                .get(viewer)
                .filter(|_| !ending)
                .map(|viewer| Ticket { has_media: viewer.has_media, slot: viewer.slot });
            let _ = reply.send(ticket);
        }
    }

    fn keepalive(&mut self) -> i64 {
        let until = self.context.idle_until();
        self.row.lease_until = Some(until);
        self.refresh();
        until
    }

    async fn admit(&mut self, entry: Entry) -> Result<(Role, Option<u8>), NotAdmitted> {
        let viewer = entry.viewer;
        let ended = matches!(&entry.person, Person::Grant(grant) if self.ended_grants.contains(grant));
        if ended || self.state.end_reason().is_some() {
            return Err(NotAdmitted::NotFound);
        }
        let before = self.roster.get(viewer).map(|known| known.slot);
        let admitted = self.roster.admit(self.context.clock.now(), entry)?;
        for (old, _) in &admitted.replaced {
            self.control.replaced(*old, viewer);
        }
        self.evict(
            &admitted.replaced,
            ErrorCode::Replaced,
            "You opened this game in another window, which plays now.",
        )
        .await;
        if before.is_some_and(|slot| slot != admitted.slot) {
            let released = self.keys.gone(viewer);
            self.route(released);
            self.tell_relay(viewer).await;
        }
        self.gave_way(&[admitted.replaced, admitted.dropped].concat()).await;
        self.tell_slots();
        let known = self.roster.get(viewer).ok_or(NotAdmitted::NotFound)?;
        Ok((known.role, known.slot))
    }

    /// The viewer may have been sent away while the relay took it in, or have got another slot.
    async fn media_up(&mut self, viewer: ViewerId, slot: Option<u8>) {
        // The end of the connection before this one was told before this one was answered, and must not end it.
        self.hear_relay().await;
        if let Some(known) = self.roster.get_mut(viewer) {
            known.has_media = true;
            if known.slot != slot {
                self.tell_relay(viewer).await;
            }
        } else {
            self.context.media.remove_viewer(self.row.id, viewer).await;
        }
    }

    async fn leave(&mut self, viewer: ViewerId) {
        if let Some(known) = self.roster.remove(viewer) {
            self.let_go(viewer).await;
            self.gave_way(&[(viewer, known.slot)]).await;
            self.tell_slots();
        }
    }

    async fn end_grant(&mut self, grant: GrantId) {
        self.ended_grants.insert(grant);
        let gone = self.roster.end_grant(grant);
        self.evict_ended_grants(gone).await;
    }

    pub(super) async fn evict_ended_grants(&mut self, viewers: Vec<Gone>) {
        if !viewers.is_empty() {
            self.evict(&viewers, ErrorCode::GrantEnded, "Your invitation to this session has ended.").await;
            self.gave_way(&viewers).await;
            self.tell_slots();
        }
    }

    /// Sends viewers away that are out of the roster already.
    async fn evict(&mut self, viewers: &[Gone], code: ErrorCode, message: &str) {
        for (viewer, _) in viewers {
            let viewer = *viewer;
            self.push(Push::Evicted { viewer, code, message: message.to_owned() });
            self.let_go(viewer).await;
        }
    }

    async fn let_go(&mut self, viewer: ViewerId) {
        self.no_longer_plays(viewer);
        let released = self.keys.gone(viewer);
        self.route(released);
        self.context.media.remove_viewer(self.row.id, viewer).await;
        self.refresh();
    }

    pub(super) fn tell_slots(&self) {
        self.tell_runner(GatewayMessage::Slots { taken: self.roster.taken_slots() });
    }
}
