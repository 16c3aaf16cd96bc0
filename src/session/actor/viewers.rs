//! What callers ask of a live session: its viewers, its lease, its end.

use super::super::roster::Person;
use super::super::view::{EndReason, Milestone, Push};
use super::{Actor, Command, NotAdmitted, Ticket};
use crate::ids::{GrantId, ViewerId};
use playgate_signaling::message::{ErrorCode, Role};
use playgate_signaling::runner::GatewayMessage;

impl Actor {
    /// A caller that no longer waits for its answer is no concern of ours.
    pub(super) async fn on_command(&mut self, command: Command) {
        match command {
            Command::Keepalive(reply) => {
                let _ = reply.send(self.keepalive());
            }
            Command::Stop { reason, reply } => {
                self.stops_waiting.push(reply);
                self.end(reason, None).await;
            }
            Command::Terminate(reply) => {
                let begins = self.state.end_reason().is_none();
                self.end(EndReason::StoppedByUser, None).await;
                let _ = reply.send(begins);
            }
            Command::Admit { viewer, person, may, wanted, until, reply } => {
                let _ = reply.send(self.admit(viewer, &person, may, wanted, until).await);
            }
            Command::Ticket { viewer, reply } => {
                self.tickets_waiting.push((viewer, reply));
                if self.media_open || self.state.end_reason().is_some() {
                    self.answer_tickets();
                }
            }
            Command::MediaUp(viewer) => self.media_up(viewer).await,
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
            let ticket = self.roster.get(viewer).filter(|_| !ending).map(|viewer| Ticket {
                has_media: viewer.has_media,
                slot: viewer.slot,
                principal: viewer.person.principal(),
            });
            let _ = reply.send(ticket);
        }
    }

    fn keepalive(&mut self) -> i64 {
        let idle_ms =
            i64::try_from(self.context.config.idle_timeout_s.saturating_mul(1000)).unwrap_or(i64::MAX);
        let until = self.context.clock.now_ms().saturating_add(idle_ms);
        self.row.lease_until = Some(until);
        self.refresh();
        until
    }

    async fn admit(
        &mut self,
        viewer: ViewerId,
        person: &Person,
        may: Role,
        wanted: Option<Role>,
        until: Option<i64>,
    ) -> Result<(Role, Option<u8>), NotAdmitted> {
        let ended = matches!(person, Person::Grant(grant) if self.ended_grants.contains(grant));
        if ended || self.state.end_reason().is_some() {
            return Err(NotAdmitted::NotFound);
        }
        let before = self.roster.get(viewer).map(|known| (known.slot, known.has_media));
        let admitted = self.roster.admit(self.context.clock.now(), viewer, person, may, wanted, until)?;
        self.evict(
            admitted.replaced,
            ErrorCode::Replaced,
            "You opened this game in another window, which plays now.",
        )
        .await;
        if let Some((slot, true)) = before
            && slot != admitted.slot
        {
            let released = self.keys.gone(viewer);
            self.route(released);
            if let Err(error) = self.context.media.set_slot(self.row.id, viewer, admitted.slot).await {
                tracing::debug!(session = %self.row.id, %viewer, %error, "the relay does not know the viewer");
            }
        }
        self.tell_slots();
        Ok((admitted.role, admitted.slot))
    }

    /// The viewer may have been sent away while the relay took it in.
    async fn media_up(&mut self, viewer: ViewerId) {
        if let Some(known) = self.roster.get_mut(viewer) {
            known.has_media = true;
        } else {
            self.context.media.remove_viewer(self.row.id, viewer).await;
        }
    }

    async fn leave(&mut self, viewer: ViewerId) {
        if self.roster.remove(viewer).is_some() {
            self.let_go(viewer).await;
            self.tell_slots();
        }
    }

    async fn end_grant(&mut self, grant: GrantId) {
        self.ended_grants.insert(grant);
        let gone = self.roster.end_grant(grant);
        self.evict_ended_grants(gone).await;
    }

    pub(super) async fn evict_ended_grants(&mut self, viewers: Vec<ViewerId>) {
        if !viewers.is_empty() {
            self.evict(viewers, ErrorCode::GrantEnded, "Your invitation to this session has ended.").await;
            self.tell_slots();
        }
    }

    /// Sends viewers away that are out of the roster already.
    async fn evict(&mut self, viewers: Vec<ViewerId>, code: ErrorCode, message: &str) {
        for viewer in viewers {
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

    fn tell_slots(&self) {
        self.tell_runner(GatewayMessage::Slots { taken: self.roster.taken_slots() });
    }
}
