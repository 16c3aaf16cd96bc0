//! One rule a test, then any sequence of wishes against what must always hold.

use super::super::roster::Entry;
use super::*;
use crate::model::ids::UserId;
use proptest::prelude::*;
use tokio::time::Instant;

/// A session with people in it. Times are in milliseconds from nothing.
struct Stage {
    roster: Roster,
    control: Control,
    now: i64,
}

impl Stage {
    fn new(pads: u8) -> Self {
        Self { roster: Roster::new(pads, 100), control: Control::default(), now: 0 }
    }

    fn enters(&mut self, person: Person, may: Role) -> ViewerId {
        let viewer = ViewerId::new();
        let host = matches!(person, Person::Owner(_));
        let entry = Entry { viewer, person, may, wanted: None, slot: None, host, name: None, until: None };
        let admitted = self.roster.admit(Instant::now(), entry).unwrap();
        for (old, slot) in admitted.replaced {
            self.control.replaced(old, viewer);
            self.control.left(&mut self.roster, old, slot);
        }
        self.roster.get_mut(viewer).unwrap().connected = true;
        self.control.came(&mut self.roster);
        viewer
    }

    fn host(&mut self) -> ViewerId {
        self.enters(Person::Owner(UserId("ada".to_owned())), Role::Player)
    }

    fn friend(&mut self) -> ViewerId {
        self.enters(Person::Grant(GrantId::new()), Role::Player)
    }

    fn guest(&mut self) -> ViewerId {
        self.enters(Person::Grant(GrantId::new()), Role::Spectator)
    }

    fn wishes(&mut self, from: ViewerId, wish: Wish<ViewerId>) -> Result<Changed, NotAllowed> {
        self.control.wish(&mut self.roster, self.now, from, wish)
    }

    fn pass(&mut self, from: ViewerId, to: ViewerId, seconds: Option<u32>) -> Result<Changed, NotAllowed> {
        self.wishes(from, Wish::Pass { to, slot: None, seconds })
    }

    fn asks(&mut self, from: ViewerId) -> Result<Changed, NotAllowed> {
        self.wishes(from, Wish::Request { slot: None })
    }

    fn takes(&mut self, from: ViewerId) -> Result<Changed, NotAllowed> {
        self.wishes(from, Wish::Take { slot: None })
    }

    fn leaves(&mut self, viewer: ViewerId) {
        let slot = self.roster.remove(viewer).and_then(|viewer| viewer.slot);
        self.control.left(&mut self.roster, viewer, slot);
    }

    fn at(&mut self, seconds: i64) {
        self.now = seconds * 1000;
        self.control.expire(&mut self.roster, self.now);
    }

    fn told(&self, viewer: ViewerId) -> ControlState {
        self.control.standing(&self.roster).told_to(viewer)
    }

    fn slots_of<const N: usize>(&self, viewers: [ViewerId; N]) -> [Option<u8>; N] {
        viewers.map(|viewer| self.roster.get(viewer).and_then(|viewer| viewer.slot))
    }
}

#[test]
fn a_request_is_told_and_granted_and_the_old_holder_has_nothing_left() {
    let mut stage = Stage::new(1);
    let (host, guest) = (stage.host(), stage.guest());
    assert_eq!(stage.asks(guest), Ok(vec![]));
    let told = stage.told(host);
    assert_eq!(told.requests.len(), 1);
    assert_eq!((told.requests[0].name.as_str(), told.spectators, told.you.host), ("Guest 2", 1, true));
    assert_eq!(stage.pass(host, guest, None), Ok(vec![host, guest]), "the loser first");
    let told = stage.told(guest);
    assert_eq!((told.you.role, told.you.slot, told.you.host), (Role::Player, Some(0), false));
    assert_eq!((told.requests.len(), told.holders.len()), (0, 1));
    assert_eq!((told.holders[0].name.as_str(), told.holders[0].until), ("Guest 2", None));
    assert_eq!(stage.told(host).you, You { role: Role::Spectator, slot: None, host: true });
}

#[test]
fn a_request_may_be_withdrawn_or_denied_and_only_one_is_open() {
    let mut stage = Stage::new(1);
    let (host, guest) = (stage.host(), stage.guest());
    stage.asks(guest).unwrap();
    stage.wishes(guest, Wish::Request { slot: Some(0) }).unwrap();
    assert_eq!(stage.told(host).requests.len(), 1);
    stage.wishes(guest, Wish::Release).unwrap();
    assert_eq!(stage.wishes(guest, Wish::Release), Err(NotAllowed::YouHaveNone));
    stage.asks(guest).unwrap();
    stage.wishes(host, Wish::Deny { of: guest }).unwrap();
    assert_eq!(stage.wishes(host, Wish::Deny { of: guest }), Err(NotAllowed::NotAsked));
    stage.asks(guest).unwrap();
    stage.leaves(guest);
    assert_eq!(stage.told(host).requests, []);
}

#[test]
fn who_only_watches_may_ask_and_nothing_else() {
    let mut stage = Stage::new(2);
    let (_, guest, other) = (stage.host(), stage.guest(), stage.guest());
    stage.asks(other).unwrap();
    assert_eq!(stage.pass(guest, other, None), Err(NotAllowed::NotYours));
    assert_eq!(stage.takes(guest), Err(NotAllowed::HostOnly));
    assert_eq!(stage.wishes(guest, Wish::Deny { of: other }), Err(NotAllowed::NotYours));
    assert_eq!(stage.wishes(guest, Wish::Request { slot: Some(2) }), Err(NotAllowed::NoSuchSlot(2)));
    assert_eq!(stage.asks(ViewerId::new()), Err(NotAllowed::NotIn));
}

#[test]
fn an_invited_player_gets_a_free_slot_without_asking_anybody() {
    let mut stage = Stage::new(2);
    let (host, friend) = (stage.host(), stage.friend());
    assert_eq!(stage.slots_of([host, friend]), [Some(0), Some(1)]);
    stage.wishes(friend, Wish::Release).unwrap();
    assert_eq!(stage.asks(friend), Ok(vec![friend]));
    assert_eq!(stage.asks(friend), Err(NotAllowed::YouHaveThem));
}

#[test]
fn a_shared_slot_has_one_holder_once_it_is_taken_or_passed() {
    let mut stage = Stage::new(1);
    let (host, friend) = (stage.host(), stage.friend());
    assert_eq!(stage.slots_of([host, friend]), [Some(0), Some(0)]);
    assert_eq!(stage.takes(host), Ok(vec![friend]));
    assert_eq!(stage.takes(host), Err(NotAllowed::YouHaveThem));
    let late = stage.friend();
    assert_eq!(stage.slots_of([host, friend, late]), [Some(0), None, None]);

    let mut stage = Stage::new(1);
    let (host, friend) = (stage.host(), stage.friend());
    assert_eq!(stage.pass(host, friend, None), Ok(vec![host]));
    assert_eq!(stage.pass(host, friend, None), Err(NotAllowed::TheyHaveThem));
}

#[test]
fn a_host_takes_back_at_any_time() {
    let mut stage = Stage::new(2);
    let (host, friend, guest) = (stage.host(), stage.friend(), stage.guest());
    stage.pass(friend, guest, None).unwrap();
    assert_eq!(stage.slots_of([host, friend, guest]), [Some(0), None, Some(1)]);
    // It plays already: the slot is free then.
    stage.wishes(host, Wish::Take { slot: Some(1) }).unwrap();
    assert_eq!(stage.slots_of([host, friend, guest]), [Some(0), None, None]);
    stage.wishes(host, Wish::Pass { to: guest, slot: Some(0), seconds: None }).unwrap();
    assert_eq!(stage.takes(host), Ok(vec![guest, host]));
}

#[test]
fn a_host_gives_a_free_slot_rather_than_its_own() {
    let mut stage = Stage::new(2);
    let (host, guest) = (stage.host(), stage.guest());
    stage.pass(host, guest, Some(5)).unwrap();
    assert_eq!(stage.slots_of([host, guest]), [Some(0), Some(1)]);
    stage.at(5);
    assert_eq!(stage.slots_of([host, guest]), [Some(0), None]);
}

#[test]
fn a_hot_seat_ends_with_its_time_and_the_passer_plays_again() {
    let mut stage = Stage::new(1);
    let (host, guest) = (stage.host(), stage.guest());
    stage.pass(host, guest, Some(60)).unwrap();
    assert_eq!(stage.told(host).holders[0].until, Some(60_000));
    assert_eq!(stage.control.next_end(), Some(60_000));
    stage.at(59);
    assert_eq!(stage.slots_of([host, guest]), [None, Some(0)]);
    stage.at(60);
    assert_eq!(stage.slots_of([host, guest]), [Some(0), None]);
    assert_eq!(stage.control.next_end(), None);
}

#[test]
fn passing_a_hot_seat_on_does_not_make_it_longer() {
    let mut stage = Stage::new(1);
    let (host, guest, other) = (stage.host(), stage.guest(), stage.guest());
    stage.pass(host, guest, Some(60)).unwrap();
    stage.pass(guest, other, Some(10)).unwrap();
    stage.at(10);
    assert_eq!(stage.slots_of([host, guest, other]), [None, Some(0), None], "back to who passed it");
    stage.pass(guest, other, None).unwrap();
    assert_eq!(stage.told(other).holders[0].until, Some(60_000));
    stage.at(60);
    assert_eq!(stage.slots_of([host, guest, other]), [Some(0), None, None]);
}

#[test]
fn a_hot_seat_of_somebody_who_left_goes_to_the_host() {
    let mut stage = Stage::new(2);
    let (host, friend, guest) = (stage.host(), stage.friend(), stage.guest());
    stage.pass(friend, guest, Some(10)).unwrap();
    stage.leaves(friend);
    stage.at(10);
    assert_eq!(stage.slots_of([host, guest]), [Some(0), None], "the host plays already");

    let mut stage = Stage::new(1);
    let (host, guest, other) = (stage.host(), stage.guest(), stage.guest());
    stage.pass(host, guest, None).unwrap();
    stage.pass(guest, other, Some(10)).unwrap();
    stage.leaves(guest);
    stage.at(10);
    assert_eq!(stage.slots_of([host, other]), [Some(0), None]);
}

#[test]
fn a_holder_that_leaves_or_gives_back_frees_the_slot_for_the_host() {
    for leaves in [true, false] {
        let mut stage = Stage::new(1);
        let (host, guest) = (stage.host(), stage.guest());
        stage.pass(host, guest, None).unwrap();
        if leaves {
            stage.leaves(guest);
        } else {
            stage.wishes(guest, Wish::Release).unwrap();
        }
        assert_eq!(stage.slots_of([host]), [Some(0)]);
    }
}

#[test]
fn a_host_that_gave_up_plays_again_only_when_it_wants_to() {
    let mut stage = Stage::new(1);
    let (host, friend) = (stage.host(), stage.friend());
    stage.takes(host).unwrap();
    stage.wishes(host, Wish::Release).unwrap();
    assert_eq!(stage.slots_of([host, friend]), [None, None]);
    stage.asks(friend).unwrap();
    stage.leaves(friend);
    assert_eq!(stage.slots_of([host]), [None]);
    assert_eq!(stage.asks(host), Ok(vec![host]));
}

#[test]
fn a_host_that_loads_its_page_anew_gets_its_game_back_after_the_hot_seat() {
    let mut stage = Stage::new(1);
    let (host, guest) = (stage.host(), stage.guest());
    stage.pass(host, guest, Some(10)).unwrap();
    stage.leaves(host);
    let again = stage.host();
    assert_eq!(stage.slots_of([again, guest]), [None, Some(0)]);
    stage.at(10);
    assert_eq!(stage.slots_of([again, guest]), [Some(0), None]);
}

#[test]
fn without_a_host_whoever_plays_decides() {
    let mut stage = Stage::new(1);
    let (friend, guest) = (stage.friend(), stage.guest());
    stage.asks(guest).unwrap();
    stage.wishes(friend, Wish::Deny { of: guest }).unwrap();
    stage.pass(friend, guest, None).unwrap();
    assert_eq!(stage.slots_of([friend, guest]), [None, Some(0)]);
    assert!(!stage.told(friend).you.host);
}

#[test]
fn no_more_than_so_many_ask() {
    let mut stage = Stage::new(1);
    let host = stage.host();
    for _ in 0..MAX_REQUESTS {
        let guest = stage.guest();
        stage.asks(guest).unwrap();
    }
    let late = stage.guest();
    assert_eq!(stage.asks(late), Err(NotAllowed::TooMany));
    assert_eq!(stage.told(host).requests.len(), MAX_REQUESTS);
}

#[test]
fn the_crowd_alone_is_no_difference() {
    let mut stage = Stage::new(1);
    stage.host();
    let before = stage.control.standing(&stage.roster);
    let guest = stage.guest();
    let after = stage.control.standing(&stage.roster);
    assert!(!after.differs(&before) && after.spectators() == before.spectators() + 1);
    stage.asks(guest).unwrap();
    assert!(stage.control.standing(&stage.roster).differs(&after));
}

fn wish() -> impl Strategy<Value = (usize, usize, u8, u8, Option<u32>)> {
    (0usize..6, 0usize..6, 0u8..9, 0u8..3, proptest::option::of(5u32..20))
}

proptest! {
    /// After any hand-over a slot has one holder, asking and having exclude each other, and nobody is told of a hot-seat
    /// that is over.
    #[test]
    fn any_wishes_leave_the_stage_in_order(pads in 1u8..4, steps in proptest::collection::vec(wish(), 0..80)) {
        let mut stage = Stage::new(pads);
        let mut people =
            [stage.host(), stage.friend(), stage.friend(), stage.guest(), stage.guest(), stage.guest()];
        let slots = |stage: &Stage, people: &[ViewerId; 6]| stage.slots_of(*people);
        for (step, (who, whom, what, slot, seconds)) in steps.into_iter().enumerate() {
            let (from, to) = (people[who], people[whom]);
            let slot = (slot < 2).then_some(slot);
            let before = slots(&stage, &people);
            let changed = match what {
                0 | 1 => stage.wishes(from, Wish::Request { slot }),
                2 => stage.wishes(from, Wish::Release),
                3 | 4 => stage.wishes(from, Wish::Pass { to, slot, seconds }),
                5 => stage.wishes(from, Wish::Deny { of: to }),
                6 => stage.wishes(from, Wish::Take { slot }),
                7 => {
                    stage.at(i64::try_from(step).unwrap());
                    continue;
                }
                _ => {
                    stage.leaves(from);
                    people[who] = match who {
                        0 => stage.host(),
                        1 | 2 => stage.friend(),
                        _ => stage.guest(),
                    };
                    continue;
                }
            };
            let after = slots(&stage, &people);
            match changed {
                Ok(changed) => {
                    for (at, id) in people.iter().enumerate() {
                        prop_assert!(before[at] == after[at] || changed.contains(id), "an unreported change");
                    }
                }
                Err(_) => prop_assert_eq!(before, after),
            }
            let told = stage.told(people[0]);
            for holding in &told.holders {
                prop_assert!(holding.slot < told.slots);
                prop_assert!(holding.until.is_none_or(|until| until > stage.now));
                let others = told.holders.iter().filter(|other| other.slot == holding.slot).count();
                prop_assert!(holding.slot == 0 || others == 1, "only slot 0 is ever shared");
                let pending = told
                    .requests
                    .iter()
                    .any(|request| request.viewer_id == holding.viewer_id && request.slot.is_none());
                prop_assert!(!pending, "who has a slot asks for none");
            }
        }
    }
}
