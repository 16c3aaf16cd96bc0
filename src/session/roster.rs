//! Who watches and plays one session. Pure: decides who comes in with which role and control slot, and who must make place.
//!
//! The owner plays in slot 0. A player's grant gets the lowest free slot of the game's pads from 1 up, and shares slot
//! 0 when there is none; once that slot was handed over (`control`) it has one holder, and who finds none free watches.
//! One player per person: the newest connection counts, as after a reload of the page. Whoever has a slot is a player,
//! whoever has none a spectator.

use crate::model::ids::{GrantId, UserId, ViewerId};
use playgate_signaling::control::MAX_SLOTS;
use playgate_signaling::message::Role;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// An admitted viewer that brought no offer for this long makes place for others when the session is full.
const STALE: Duration = Duration::from_secs(30);
/// Connections that a session's owner has beyond the limit of viewers: guests can never lock the owner out.
pub const OWNER_RESERVE: usize = 8;
/// Letters of a name that is shown to others.
const NAME: usize = 24;

/// On whose behalf a viewer is here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Person {
    Owner(UserId),
    Grant(GrantId),
}

impl Person {
    /// What events and figures call this person.
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
    /// What it gets without asking.
    pub may: Role,
    /// The owner, or the visit that the session was launched for: decides about every slot.
    pub host: bool,
    /// For showing.
    pub name: String,
    /// In the order of arrival, from 1.
    pub number: u32,
    /// It would play if it could: a slot that comes back to it is welcome.
    pub plays: bool,
    /// Its slot, or that it has none, is what a hand-over made of it: coming back changes nothing.
    pub settled: bool,
    /// When the grant it came by ends, in Unix milliseconds.
    pub until: Option<i64>,
    /// The relay knows it.
    pub has_media: bool,
    /// ICE and DTLS are done.
    pub connected: bool,
    admitted: Instant,
}

/// Somebody at the door.
#[derive(Debug, Clone)]
pub struct Entry {
    pub viewer: ViewerId,
    pub person: Person,
    /// The most its token gives without asking.
    pub may: Role,
    pub wanted: Option<Role>,
    /// Control slot its grant promises, 0-based.
    pub slot: Option<u8>,
    pub host: bool,
    /// Of its account.
    pub name: Option<String>,
    /// When its grant ends, in Unix milliseconds.
    pub until: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The id is somebody else's.
    NotYours,
    Full,
}

/// A viewer that is out, and the slot it had.
pub type Gone = (ViewerId, Option<u8>);

/// What admitting came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    pub role: Role,
    pub slot: Option<u8>,
    /// An older connection of the same person, already taken out, with the slot it had.
    pub replaced: Vec<Gone>,
    /// Others who had to make place, already taken out: they brought no media.
    pub dropped: Vec<Gone>,
}

#[derive(Debug)]
pub struct Roster {
    viewers: HashMap<ViewerId, Viewer>,
    /// Control slots of the game, 1-4.
    slots: u8,
    /// Slots that were handed over once: one holder at a time.
    exclusive: BTreeSet<u8>,
    arrivals: u32,
    max: usize,
}

impl Roster {
    pub fn new(pads: u8, max_viewers: u32) -> Self {
        let max = usize::try_from(max_viewers).unwrap_or(usize::MAX);
        let slots = pads.clamp(1, MAX_SLOTS);
        Self { viewers: HashMap::new(), slots, exclusive: BTreeSet::new(), arrivals: 0, max }
    }

    /// Lets a viewer in, or in again, with what it wants or less.
    pub fn admit(&mut self, now: Instant, entry: Entry) -> Result<Admitted, Refused> {
        let Entry { viewer, person, may, wanted, slot: promised, host, name, until } = entry;
        let is_new = !self.viewers.contains_key(&viewer);
        if self.viewers.get(&viewer).is_some_and(|known| known.person != person) {
            return Err(Refused::NotYours);
        }
        let wants = may == Role::Player && wanted != Some(Role::Spectator);
        if let Some(known) = self.viewers.get_mut(&viewer).filter(|known| known.settled) {
            known.until = until;
            let (role, slot) = (known.role, known.slot);
            return Ok(Admitted { role, slot, replaced: Vec::new(), dropped: Vec::new() });
        }
        let replaced = if wants { self.older_players(viewer, &person) } else { Vec::new() };
        let mut dropped = Vec::new();
        let max = self.max.saturating_add(if matches!(person, Person::Owner(_)) { OWNER_RESERVE } else { 0 });
        if is_new && self.viewers.len() - replaced.len() >= max {
            dropped = self.drop_stale(now);
            if self.viewers.len() >= max {
                return Err(Refused::Full);
            }
        }
        let removed: Vec<_> =
            replaced.into_iter().filter_map(|old| Some((old, self.viewers.remove(&old)?))).collect();
        let number = removed.iter().map(|(_, old)| old.number).min();
        let replaced = removed.into_iter().map(|(id, old)| (id, old.slot)).collect();
        let slot = if wants { self.slot_for(viewer, &person, promised) } else { None };
        let role = role_of(slot);
        let arrivals = &mut self.arrivals;
        let entry = self.viewers.entry(viewer).or_insert_with(|| {
            let number = number.unwrap_or_else(|| {
                *arrivals += 1;
                *arrivals
            });
            let name = name.as_deref().and_then(short).unwrap_or_else(|| unnamed(&person, may, number));
            let (settled, has_media, connected) = (false, false, false);
            Viewer {
                person,
                role,
                slot,
                may,
                host,
                name,
                number,
                plays: wants,
                settled,
                until,
                has_media,
                connected,
                admitted: now,
            }
        });
        (entry.role, entry.slot, entry.until, entry.plays) = (role, slot, until, wants);
        Ok(Admitted { role, slot, replaced, dropped })
    }

    /// Control slots of the game, 1-4.
    pub fn slots(&self) -> u8 {
        self.slots
    }

    /// Gives a viewer a slot, or takes it away, by a hand-over. False when that is nothing new.
    pub fn seat(&mut self, viewer: ViewerId, slot: Option<u8>) -> bool {
        let Some(known) = self.viewers.get_mut(&viewer).filter(|known| known.slot != slot) else {
            return false;
        };
        (known.slot, known.role, known.settled) = (slot, role_of(slot), true);
        known.plays |= slot.is_some();
        true
    }

    /// From now on the slot has one holder.
    pub fn make_exclusive(&mut self, slot: u8) {
        self.exclusive.insert(slot);
    }

    /// Everybody, in the order of arrival.
    pub fn in_order(&self) -> Vec<(ViewerId, &Viewer)> {
        let mut all: Vec<_> = self.viewers.iter().map(|(id, viewer)| (*id, viewer)).collect();
        all.sort_by_key(|(_, viewer)| (viewer.number, viewer.admitted));
        all
    }

    /// Who has a slot, in the order of arrival.
    pub fn holders(&self, slot: u8) -> Vec<ViewerId> {
        self.in_order()
            .into_iter()
            .filter(|(_, viewer)| viewer.slot == Some(slot))
            .map(|(id, _)| id)
            .collect()
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
    pub fn end_grant(&mut self, grant: GrantId) -> Vec<Gone> {
        self.take(|viewer| viewer.person == Person::Grant(grant))
    }

    /// Takes out everybody whose grant has ended by `now_ms`.
    pub fn expire(&mut self, now_ms: i64) -> Vec<Gone> {
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

    fn older_players(&self, viewer: ViewerId, person: &Person) -> Vec<ViewerId> {
        self.viewers
            .iter()
            .filter(|(id, other)| **id != viewer && other.person == *person && other.role == Role::Player)
            .map(|(id, _)| *id)
            .collect()
    }

    fn slot_for(&self, viewer: ViewerId, person: &Person, promised: Option<u8>) -> Option<u8> {
        let taken = self.taken_slots();
        let open = |slot: u8| !self.exclusive.contains(&slot) || !taken.contains(&slot);
        let own = self.viewers.get(&viewer).and_then(|known| known.slot);
        let first = match person {
            Person::Owner(_) => Some(0),
            Person::Grant(_) => own
                .or(promised.filter(|slot| *slot < self.slots && open(*slot)))
                .or_else(|| (1..self.slots).find(|slot| !taken.contains(slot))),
        };
        first.or(Some(0)).filter(|slot| own == Some(*slot) || open(*slot))
    }

    fn drop_stale(&mut self, now: Instant) -> Vec<Gone> {
        self.take(|viewer| !viewer.has_media && now >= viewer.admitted + STALE)
    }

    fn take(&mut self, which: impl Fn(&Viewer) -> bool) -> Vec<Gone> {
        self.viewers.extract_if(|_, viewer| which(viewer)).map(|(id, viewer)| (id, viewer.slot)).collect()
    }
}

fn role_of(slot: Option<u8>) -> Role {
    if slot.is_some() { Role::Player } else { Role::Spectator }
}

/// What of a name can be shown: its first letters, without anything that would change the text around it.
fn short(name: &str) -> Option<String> {
    let harmless = |letter: char| {
        !letter.is_control()
            && !matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let clean: String = name
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(|letter| harmless(*letter))
        .collect();
    let short: String = clean.trim().chars().take(NAME).collect();
    Some(short.trim_end().to_owned()).filter(|name| !name.is_empty())
}

fn unnamed(person: &Person, may: Role, number: u32) -> String {
    match (person, may) {
        (Person::Owner(_), _) => "Host".to_owned(),
        (Person::Grant(_), Role::Player) => format!("Player {number}"),
        (Person::Grant(_), Role::Spectator) => format!("Guest {number}"),
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
        (id, roster.admit(Instant::now(), entry(id, person, may, wanted)).unwrap())
    }

    fn entry(viewer: ViewerId, person: &Person, may: Role, wanted: Option<Role>) -> Entry {
        Entry {
            viewer,
            person: person.clone(),
            may,
            wanted,
            slot: None,
            host: matches!(person, Person::Owner(_)),
            name: None,
            until: None,
        }
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
        assert_eq!(admitted.replaced, [(first, Some(0))]);
        let (_, watching) = admit(&mut roster, &owner(), Role::Player, Some(Role::Spectator));
        assert_eq!(watching.replaced, []);
        assert!(roster.get(second).is_some() && roster.get(first).is_none());
        let again = roster.admit(Instant::now(), entry(second, &owner(), Role::Player, None)).unwrap();
        assert_eq!((again.slot, again.replaced), (Some(0), vec![]));
    }

    #[test]
    fn somebody_elses_viewer_id_is_refused() {
        let mut roster = Roster::new(1, 10);
        let (id, _) = admit(&mut roster, &owner(), Role::Player, None);
        let other = Person::Grant(GrantId::new());
        let refused = roster.admit(Instant::now(), entry(id, &other, Role::Player, None));
        assert_eq!(refused.unwrap_err(), Refused::NotYours);
    }

    #[test]
    fn a_full_session_refuses_until_somebody_without_media_is_stale() {
        let mut roster = Roster::new(1, 1);
        let (start, waiting, grant) = (Instant::now(), ViewerId::new(), Person::Grant(GrantId::new()));
        roster.admit(start, entry(waiting, &grant, Role::Spectator, None)).unwrap();
        let mut next = |at| {
            roster
                .admit(at, entry(ViewerId::new(), &grant, Role::Spectator, None))
                .map(|admitted| admitted.role)
        };
        assert_eq!(next(start), Err(Refused::Full));
        assert_eq!(next(start + STALE), Ok(Role::Spectator));
    }

    #[test]
    fn guests_that_fill_a_session_up_do_not_lock_its_owner_out() {
        let mut roster = Roster::new(1, 1);
        admit(&mut roster, &Person::Grant(GrantId::new()), Role::Spectator, None);
        let (_, admitted) = admit(&mut roster, &owner(), Role::Player, None);
        assert_eq!(admitted.slot, Some(0));
        let guest = entry(ViewerId::new(), &Person::Grant(GrantId::new()), Role::Spectator, None);
        assert_eq!(roster.admit(Instant::now(), guest).unwrap_err(), Refused::Full);
    }

    #[test]
    fn names_are_short_harmless_and_never_empty() {
        let named = |name: &str| short(name).unwrap_or_default();
        assert_eq!(named("  Ada\n Lovelace\u{202e} "), "Ada  Lovelace");
        assert_eq!(named(&"x".repeat(99)).len(), NAME);
        assert_eq!(short("\u{200b} \u{7}"), None);
        let mut roster = Roster::new(1, 10);
        let names = [
            (owner(), Role::Player),
            (Person::Grant(GrantId::new()), Role::Player),
            (Person::Grant(GrantId::new()), Role::Spectator),
        ]
        .map(|(person, may)| {
            let (id, _) = admit(&mut roster, &person, may, None);
            roster.get(id).unwrap().name.clone()
        });
        assert_eq!(names, ["Host", "Player 2", "Guest 3"]);
    }

    #[test]
    fn a_promised_slot_is_given_while_the_game_has_it() {
        for (promised, given) in [(2, 2), (7, 1)] {
            let mut roster = Roster::new(4, 10);
            let grant = Person::Grant(GrantId::new());
            let promise =
                Entry { slot: Some(promised), ..entry(ViewerId::new(), &grant, Role::Player, None) };
            assert_eq!(roster.admit(Instant::now(), promise).unwrap().slot, Some(given));
        }
    }

    #[test]
    fn after_a_hand_over_nobody_shares_and_who_comes_back_has_what_it_had() {
        let mut roster = Roster::new(1, 10);
        let (host, _) = admit(&mut roster, &owner(), Role::Player, None);
        let watching = Person::Grant(GrantId::new());
        let (friend, _) = admit(&mut roster, &watching, Role::Spectator, None);
        roster.make_exclusive(0);
        assert!(roster.seat(host, None) && roster.seat(friend, Some(0)) && !roster.seat(friend, Some(0)));
        let (_, late) = admit(&mut roster, &Person::Grant(GrantId::new()), Role::Player, None);
        assert_eq!((late.role, late.slot), (Role::Spectator, None));
        let mut again = |id, person: &Person, may| {
            roster.admit(Instant::now(), entry(id, person, may, None)).unwrap().slot
        };
        assert_eq!(again(friend, &watching, Role::Spectator), Some(0));
        assert_eq!(again(host, &owner(), Role::Player), None);
        // The page loaded anew: still the friend's turn.
        let (_, reloaded) = admit(&mut roster, &owner(), Role::Player, None);
        assert_eq!((reloaded.slot, reloaded.replaced), (None, vec![]));
        roster.remove(friend);
        assert_eq!(admit(&mut roster, &owner(), Role::Player, None).1.slot, Some(0));
    }
}
