//! The viewers let in by this node: who they are, what lets them come back, and which task speaks for them now.
//!
//! One task owns a viewer at a time, told by its [`Seat`]. Whoever takes the seat over wakes the former owner, which
//! then goes without ending the media; only the owner may end it. Both are decided under one lock.

use super::whep::WhepViewer;
use crate::auth::Principal;
use crate::model::ids::{SessionId, ViewerId};
use crate::session::roster::OWNER_RESERVE;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The right to speak for a viewer.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) session: SessionId,
    pub(super) viewer: ViewerId,
    generation: u64,
    /// Wakes the owner when the seat is taken over or taken away.
    pub(super) lost: Arc<Notify>,
}

/// A seat taken over from an earlier connection of the same viewer.
pub(super) struct Resumed {
    pub(super) seat: Seat,
    /// The viewer's peer is still there.
    pub(super) media: bool,
}

/// As many viewers as this session may have.
#[derive(Debug, thiserror::Error)]
#[error("this session has as many viewers as it may")]
pub(super) struct Full;

pub(super) struct Viewers {
    /// Of guests by a grant; owners may exceed it by [`OWNER_RESERVE`].
    max_per_session: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    viewers: HashMap<ViewerId, Entry>,
    per_session: HashMap<SessionId, usize>,
    generations: u64,
}

struct Entry {
    seat: Seat,
    who: Principal,
    /// Absent for WHEP viewers, which have no connection to come back with.
    secret: String,
    media: bool,
    whep: Option<Arc<WhepViewer>>,
}

impl Viewers {
    pub(super) fn new(max_per_session: usize) -> Self {
        Self { max_per_session, inner: Mutex::default() }
    }

    /// A new viewer.
    pub(super) fn insert(
        &self,
        session: SessionId,
        viewer: ViewerId,
        who: Principal,
        secret: String,
    ) -> Result<Seat, Full> {
        let mut inner = self.lock();
        let count = inner.per_session.entry(session).or_default();
        let kept = if matches!(who, Principal::Grant(_)) { 0 } else { OWNER_RESERVE };
        if *count >= self.max_per_session.saturating_add(kept) {
            return Err(Full);
        }
        *count += 1;
        let seat = inner.seat(session, viewer);
        inner.viewers.insert(viewer, Entry { seat: seat.clone(), who, secret, media: false, whep: None });
        Ok(seat)
    }

    /// Takes a viewer's seat over with its secret, which is replaced. Only the same person may.
    pub(super) fn take_over(
        &self,
        session: SessionId,
        viewer: ViewerId,
        who: &Principal,
        secret: &str,
        new_secret: &str,
    ) -> Option<Resumed> {
        let mut inner = self.lock();
        let entry = inner.viewers.get(&viewer)?;
        let fits = entry.seat.session == session
            && entry.whep.is_none()
            && same_person(&entry.who, who)
            && aws_lc_rs::constant_time::verify_slices_are_equal(entry.secret.as_bytes(), secret.as_bytes())
                .is_ok();
        if !fits {
            return None;
        }
        let seat = inner.seat(session, viewer);
        let entry = inner.viewers.get_mut(&viewer)?;
        let former = std::mem::replace(&mut entry.seat, seat.clone());
        new_secret.clone_into(&mut entry.secret);
        former.lost.notify_one();
        Some(Resumed { seat, media: entry.media })
    }

    /// Gives the seat up for good. False when somebody else has it: then the media is theirs.
    pub(super) fn release(&self, seat: &Seat) -> bool {
        let mut inner = self.lock();
        let mine = inner.entry(seat).is_some();
        if mine {
            inner.viewers.remove(&seat.viewer);
            if let Some(count) = inner.per_session.get_mut(&seat.session) {
                *count -= 1;
                if *count == 0 {
                    inner.per_session.remove(&seat.session);
                }
            }
        }
        mine
    }

    /// Remembers whether the viewer has a peer.
    pub(super) fn set_media(&self, seat: &Seat, media: bool) {
        if let Some(entry) = self.lock().entry(seat) {
            entry.media = media;
        }
    }

    pub(super) fn set_whep(&self, seat: &Seat, whep: Arc<WhepViewer>) {
        if let Some(entry) = self.lock().entry(seat) {
            entry.whep = Some(whep);
        }
    }

    /// A WHEP viewer of this person.
    pub(super) fn whep(
        &self,
        session: SessionId,
        viewer: ViewerId,
        who: &Principal,
    ) -> Option<(Seat, Arc<WhepViewer>)> {
        let inner = self.lock();
        let entry = inner.viewers.get(&viewer)?;
        if entry.seat.session != session || !same_person(&entry.who, who) {
            return None;
        }
        Some((entry.seat.clone(), entry.whep.clone()?))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn seat(&mut self, session: SessionId, viewer: ViewerId) -> Seat {
        self.generations += 1;
        Seat { session, viewer, generation: self.generations, lost: Arc::default() }
    }

    fn entry(&mut self, seat: &Seat) -> Option<&mut Entry> {
        self.viewers.get_mut(&seat.viewer).filter(|entry| entry.seat.generation == seat.generation)
    }
}

/// The same account or the same invitation; a renewed token is no other person.
fn same_person(one: &Principal, other: &Principal) -> bool {
    match (one, other) {
        (Principal::User(one), Principal::User(other)) => one.id == other.id,
        (Principal::Grant(one), Principal::Grant(other)) => one.grant == other.grant,
        (Principal::Operator, Principal::Operator) => true,
        (Principal::Organisation(one), Principal::Organisation(other)) => one == other,
        (Principal::User(_) | Principal::Grant(_) | Principal::Operator | Principal::Organisation(_), _) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{GrantClaims, User};
    use crate::model::ids::{GrantId, UserId};
    use playgate_signaling::message::Role;

    fn user(name: &str) -> Principal {
        Principal::User(User { id: UserId(name.to_owned()), name: None })
    }

    fn guest() -> Principal {
        Principal::Grant(GrantClaims {
            grant: GrantId::new(),
            session: SessionId::new(),
            role: Role::Spectator,
            origins: Vec::new(),
            expires_at: 0,
        })
    }

    #[test]
    fn only_the_same_person_with_the_secret_takes_a_seat_over() {
        let viewers = Viewers::new(10);
        let (session, viewer) = (SessionId::new(), ViewerId::new());
        let seat = viewers.insert(session, viewer, user("ann"), "s1".to_owned()).unwrap();
        viewers.set_media(&seat, true);
        assert!(viewers.take_over(session, viewer, &user("ann"), "wrong", "s2").is_none());
        assert!(viewers.take_over(session, viewer, &user("bob"), "s1", "s2").is_none());
        assert!(viewers.take_over(SessionId::new(), viewer, &user("ann"), "s1", "s2").is_none());
        let resumed = viewers.take_over(session, viewer, &user("ann"), "s1", "s2").unwrap();
        assert!(resumed.media);
        assert!(viewers.take_over(session, viewer, &user("ann"), "s1", "s3").is_none());
        assert!(!viewers.release(&seat), "the former owner must not end the media");
        assert!(viewers.release(&resumed.seat));
        assert!(!viewers.release(&resumed.seat));
    }

    #[test]
    fn guests_fill_a_session_up_and_never_lock_its_owner_out() {
        let viewers = Viewers::new(1);
        let session = SessionId::new();
        let enter = |session, who| viewers.insert(session, ViewerId::new(), who, String::new());
        let seat = enter(session, guest()).unwrap();
        assert!(enter(session, guest()).is_err());
        assert!(enter(SessionId::new(), guest()).is_ok());
        for _ in 0..OWNER_RESERVE {
            enter(session, user("ann")).unwrap();
        }
        assert!(enter(session, user("ann")).is_err(), "the owner's connections are bounded, too");
        viewers.release(&seat);
        assert!(enter(session, guest()).is_err(), "the owner's connections count");
    }
}
