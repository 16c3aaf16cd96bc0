//! Who watches and plays one session. Pure: decides roles and control slots, and who must make place.
//!
//! The owner plays in slot 0. A player's grant gets the lowest free slot of the game's pads from 1 up, and shares slot
//! 0 when there is none. One player per person: the newest connection counts, as after a reload of the page.

use crate::ids::{GrantId, UserId, ViewerId};
use playgate_signaling::message::Role;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// An admitted viewer that brought no offer for this long makes place for others when the session is full.
const STALE: Duration = Duration::from_secs(30);

/// On whose behalf a viewer is here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Person {
    Owner(UserId),
    Grant(GrantId),
}

impl Person {
    /// The name for the relay.
    pub fn principal(&self) -> String {
        match self {
            Self::Owner(user) => format!("user:{user}"),
            Self::Grant(grant) => format!("grant:{grant}"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Viewer {
    pub person: Person,
    pub role: Role,
    pub slot: Option<u8>,
    /// When the grant it came by ends, in Unix milliseconds.
    pub until: Option<i64>,
    /// The relay knows it.
    pub has_media: bool,
    /// ICE and DTLS are done.
    pub connected: bool,
    admitted: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The id is somebody else's.
    NotYours,
    Full,
}

/// What admitting came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    pub role: Role,
    pub slot: Option<u8>,
    /// An older connection of the same person, already taken out.
    pub replaced: Vec<ViewerId>,
}

#[derive(Debug)]
pub struct Roster {
    viewers: HashMap<ViewerId, Viewer>,
    /// Control slots of the game, at least one.
    slots: u8,
    max: usize,
}

impl Roster {
    pub fn new(pads: u8, max_viewers: u32) -> Self {
        let max = usize::try_from(max_viewers).unwrap_or(usize::MAX);
        Self { viewers: HashMap::new(), slots: pads.max(1), max }
    }

    /// Lets a viewer in, or in again, with `wanted` or less. `may` is the most its token allows.
    pub fn admit(
        &mut self,
        now: Instant,
        viewer: ViewerId,
        person: &Person,
        may: Role,
        wanted: Option<Role>,
        until: Option<i64>,
    ) -> Result<Admitted, Refused> {
        let role = match (may, wanted) {
            (Role::Player, None | Some(Role::Player)) => Role::Player,
            (Role::Player, Some(Role::Spectator)) | (Role::Spectator, _) => Role::Spectator,
        };
        let known = self.viewers.get(&viewer);
        if known.is_some_and(|known| known.person != *person) {
            return Err(Refused::NotYours);
        }
        let replaced = self.older_players(viewer, person, role);
        if known.is_none() && self.viewers.len() - replaced.len() >= self.max {
            self.drop_stale(now);
            if self.viewers.len() >= self.max {
                return Err(Refused::Full);
            }
        }
        for old in &replaced {
            self.viewers.remove(old);
        }
        let slot = match role {
            Role::Player => Some(self.slot_for(viewer, person)),
            Role::Spectator => None,
        };
        let entry = self.viewers.entry(viewer).or_insert_with(|| Viewer {
            person: person.clone(),
            role,
            slot,
            until,
            has_media: false,
            connected: false,
            admitted: now,
        });
        (entry.role, entry.slot, entry.until) = (role, slot, until);
        Ok(Admitted { role, slot, replaced })
    }

    pub fn get(&self, viewer: ViewerId) -> Option<&Viewer> {
        self.viewers.get(&viewer)
    }

    pub fn get_mut(&mut self, viewer: ViewerId) -> Option<&mut Viewer> {
        self.viewers.get_mut(&viewer)
    }

    pub fn remove(&mut self, viewer: ViewerId) -> Option<Viewer> {
        self.viewers.remove(&viewer)
    }

    /// Takes out everybody who came by a grant.
    pub fn end_grant(&mut self, grant: GrantId) -> Vec<ViewerId> {
        self.take(|viewer| viewer.person == Person::Grant(grant))
    }

    /// Takes out everybody whose grant has ended by `now_ms`.
    pub fn expire(&mut self, now_ms: i64) -> Vec<ViewerId> {
        self.take(|viewer| viewer.until.is_some_and(|until| until <= now_ms))
    }

    /// The next end of a grant, in Unix milliseconds.
    pub fn next_expiry(&self) -> Option<i64> {
        self.viewers.values().filter_map(|viewer| viewer.until).min()
    }

    /// Viewers with media.
    pub fn connected(&self) -> u32 {
        let count = self.viewers.values().filter(|viewer| viewer.connected).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Control slots in use, each once.
    pub fn taken_slots(&self) -> Vec<u8> {
        let taken: BTreeSet<u8> = self.viewers.values().filter_map(|viewer| viewer.slot).collect();
        taken.into_iter().collect()
    }

    fn older_players(&self, viewer: ViewerId, person: &Person, role: Role) -> Vec<ViewerId> {
        if role != Role::Player {
            return Vec::new();
        }
        self.viewers
            .iter()
            .filter(|(id, other)| **id != viewer && other.person == *person && other.role == Role::Player)
            .map(|(id, _)| *id)
            .collect()
    }

    fn slot_for(&self, viewer: ViewerId, person: &Person) -> u8 {
        match person {
            Person::Owner(_) => 0,
            Person::Grant(_) => {
                if let Some(slot) = self.viewers.get(&viewer).and_then(|known| known.slot) {
                    return slot;
                }
                let taken = self.taken_slots();
                (1..self.slots).find(|slot| !taken.contains(slot)).unwrap_or(0)
            }
        }
    }

    fn drop_stale(&mut self, now: Instant) {
        self.viewers.retain(|_, viewer| viewer.has_media || now < viewer.admitted + STALE);
    }

    fn take(&mut self, which: impl Fn(&Viewer) -> bool) -> Vec<ViewerId> {
        let ids: Vec<ViewerId> =
            self.viewers.iter().filter(|(_, viewer)| which(viewer)).map(|(id, _)| *id).collect();
        for id in &ids {
            self.viewers.remove(id);
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Person {
        Person::Owner(UserId("u".to_owned()))
    }

    fn admit(roster: &mut Roster, person: &Person, may: Role, wanted: Option<Role>) -> (ViewerId, Admitted) {
        let id = ViewerId::new();
        (id, roster.admit(Instant::now(), id, person, may, wanted, None).unwrap())
    }

    #[test]
    fn a_spectator_who_asks_to_play_watches() {
        let mut roster = Roster::new(1, 10);
        let grant = Person::Grant(GrantId::new());
        let (_, admitted) = admit(&mut roster, &grant, Role::Spectator, Some(Role::Player));
        assert_eq!((admitted.role, admitted.slot), (Role::Spectator, None));
    }

    #[test]
    fn invited_players_get_the_next_free_pad_or_share_the_owners() {
        for (pads, expected) in [(0, [0, 0, 0]), (1, [0, 0, 0]), (2, [0, 1, 0]), (4, [0, 1, 2])] {
            let mut roster = Roster::new(pads, 10);
            let people = [owner(), Person::Grant(GrantId::new()), Person::Grant(GrantId::new())];
            let slots = people.map(|person| admit(&mut roster, &person, Role::Player, None).1.slot.unwrap());
            assert_eq!(slots, expected, "{pads} pads");
        }
    }

    #[test]
    fn a_newer_connection_of_the_same_player_replaces_the_older_and_spectators_are_many() {
        let mut roster = Roster::new(1, 10);
        let (first, _) = admit(&mut roster, &owner(), Role::Player, None);
        let (second, admitted) = admit(&mut roster, &owner(), Role::Player, None);
        assert_eq!(admitted.replaced, [first]);
        let (_, watching) = admit(&mut roster, &owner(), Role::Player, Some(Role::Spectator));
        assert_eq!(watching.replaced, []);
        assert!(roster.get(second).is_some() && roster.get(first).is_none());
        let again = roster.admit(Instant::now(), second, &owner(), Role::Player, None, None).unwrap();
        assert_eq!((again.slot, again.replaced), (Some(0), vec![]));
    }

    #[test]
    fn somebody_elses_viewer_id_is_refused() {
        let mut roster = Roster::new(1, 10);
        let (id, _) = admit(&mut roster, &owner(), Role::Player, None);
        let other = Person::Grant(GrantId::new());
        let refused = roster.admit(Instant::now(), id, &other, Role::Player, None, None);
        assert_eq!(refused.unwrap_err(), Refused::NotYours);
    }

    #[test]
    fn a_full_session_refuses_until_somebody_without_media_is_stale() {
        let mut roster = Roster::new(1, 1);
        let (start, waiting, grant) = (Instant::now(), ViewerId::new(), Person::Grant(GrantId::new()));
        roster.admit(start, waiting, &grant, Role::Spectator, None, None).unwrap();
        let mut next = |at| {
            roster
                .admit(at, ViewerId::new(), &grant, Role::Spectator, None, None)
                .map(|admitted| admitted.role)
        };
        assert_eq!(next(start), Err(Refused::Full));
        assert_eq!(next(start + STALE), Ok(Role::Spectator));
    }
}
