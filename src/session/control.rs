//! Who has the controls of a session, and how they go from hand to hand. Pure: works on the roster, time is an input.
//!
//! The owner is *host*. A host or the holder of a slot passes that slot on; a host takes any slot back, gives any, turns
//! requests down. From its first hand-over on a slot has one holder. What was passed comes back to whoever passed it, when
//! its time ends, when the holder gives it back or leaves; to the host when that one is gone. A connected host that would
//! play has slot 0 whenever nobody else has. Passing on what is lent for a time does not make that time longer.
//!
//! Every rule says which viewers' slots it changed; releasing what they held and telling everybody is the caller's.

use super::roster::{Person, Roster, Viewer};
use crate::model::ids::{GrantId, ViewerId};
use playgate_signaling::control::{ControlState, Holding, MAX_REQUESTS, Request, Wish, You};
use playgate_signaling::message::Role;
use std::collections::BTreeMap;

/// Viewers whose slot is another one now.
pub type Changed = Vec<ViewerId>;

/// Why a wish was refused, in words for the viewer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("You are not in this session.")]
    NotIn,
    #[error("That person is not in this session any more.")]
    Gone,
    #[error("This game has {0} control slot(s).")]
    NoSuchSlot(u8),
    #[error("You have the controls already.")]
    YouHaveThem,
    #[error("That person has these controls already.")]
    TheyHaveThem,
    #[error("You do not have the controls.")]
    YouHaveNone,
    #[error("That is for the host, or for whoever has the controls.")]
    NotYours,
    #[error("Only the host can take the controls back.")]
    HostOnly,
    #[error("That person does not ask for the controls any more.")]
    NotAsked,
    #[error("Too many people ask for the controls. Try again later.")]
    TooMany,
}

/// The requests and the loans of one session.
#[derive(Debug, Default)]
pub struct Control {
    /// In the order they came, one a viewer.
    asks: Vec<(ViewerId, Option<u8>)>,
    /// By slot, from whom it went to whom; the last one is its present holder's.
    loans: BTreeMap<u8, Vec<Loan>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Loan {
    from: ViewerId,
    /// Unix milliseconds.
    until: Option<i64>,
}

/// Who plays, asks and watches, for everybody; [`Standing::told_to`] makes it one viewer's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    slots: u8,
    holders: Vec<(ViewerId, Holding)>,
    requests: Vec<Request>,
    hosts: Vec<ViewerId>,
    spectators: u32,
    grants: Vec<GrantId>,
}

impl Control {
    /// Carries a viewer's wish out, or says why not.
    pub fn wish(
        &mut self,
        roster: &mut Roster,
        now_ms: i64,
        from: ViewerId,
        wish: Wish<ViewerId>,
    ) -> Result<Changed, NotAllowed> {
        let wisher = roster.get(from).ok_or(NotAllowed::NotIn)?;
        let slot = match &wish {
            Wish::Request { slot } | Wish::Pass { slot, .. } | Wish::Take { slot } => *slot,
            Wish::Release | Wish::Deny { .. } => None,
        };
        if slot.is_some_and(|slot| slot >= roster.slots()) {
            return Err(NotAllowed::NoSuchSlot(roster.slots()));
        }
        let (held, is_host) = (wisher.slot, wisher.host);
        let mut changed = Changed::new();
        match wish {
            Wish::Request { slot } => self.request(roster, from, slot, &mut changed)?,
            Wish::Release => self.release(roster, from, held, &mut changed)?,
            Wish::Pass { to, slot, seconds } => {
                let until = seconds.map(|seconds| now_ms.saturating_add(i64::from(seconds) * 1000));
                self.pass(roster, from, (to, slot), until, &mut changed)?;
            }
            Wish::Deny { of } => {
                let decides = is_host || held.is_some() && host(roster, |_| true).is_none();
                if !decides {
                    return Err(NotAllowed::NotYours);
                }
                if !self.withdraw(of) {
                    return Err(NotAllowed::NotAsked);
                }
            }
            Wish::Take { slot } => {
                if !is_host {
                    return Err(NotAllowed::HostOnly);
                }
                self.take(roster, from, slot.or(held).unwrap_or(0), &mut changed)?;
            }
        }
        self.settle(roster, &mut changed);
        Ok(changed)
    }

    /// A viewer is out of the roster; it had this slot.
    pub fn left(&mut self, roster: &mut Roster, viewer: ViewerId, slot: Option<u8>) -> Changed {
        let mut changed = Changed::new();
        self.withdraw(viewer);
        if let Some(slot) = slot.filter(|slot| roster.holders(*slot).is_empty()) {
            self.give_back(roster, slot, None, &mut changed);
        }
        self.settle(roster, &mut changed);
        changed
    }

    /// A viewer came in, or its picture is up.
    pub fn came(&mut self, roster: &mut Roster) -> Changed {
        let mut changed = Changed::new();
        self.settle(roster, &mut changed);
        changed
    }

    /// A viewer's newer connection took the place of an older one.
    pub fn replaced(&mut self, old: ViewerId, new: ViewerId) {
        self.withdraw(old);
        for loan in self.loans.values_mut().flatten().filter(|loan| loan.from == old) {
            loan.from = new;
        }
    }

    /// Ends the hot-seats whose time is up.
    pub fn expire(&mut self, roster: &mut Roster, now_ms: i64) -> Changed {
        let mut changed = Changed::new();
        let is_over = |loan: &Loan| loan.until.is_some_and(|until| until <= now_ms);
        let over: Vec<(u8, usize)> = self
            .loans
            .iter()
            .filter_map(|(slot, loans)| Some((*slot, loans.iter().position(is_over)?)))
            .collect();
        for (slot, first) in over {
            vacate(roster, slot, None, &mut changed);
            // Whatever was passed on within that time ends with it.
            if let Some(loans) = self.loans.get_mut(&slot) {
                loans.truncate(first + 1);
            }
            self.give_back(roster, slot, None, &mut changed);
        }
        self.settle(roster, &mut changed);
        changed
    }

    /// When [`Control::expire`] has something to do next, in Unix milliseconds.
    pub fn next_end(&self) -> Option<i64> {
        self.loans.values().flatten().filter_map(|loan| loan.until).min()
    }

    pub fn standing(&self, roster: &Roster) -> Standing {
        let all = roster.in_order();
        let mut holders: Vec<(ViewerId, Holding)> = Vec::new();
        let mut grants = Vec::new();
        for slot in 0..roster.slots() {
            let until = self.loans.get(&slot).into_iter().flatten().filter_map(|loan| loan.until).min();
            for (id, viewer) in all.iter().filter(|(_, viewer)| viewer.slot == Some(slot)) {
                let name = viewer.name.clone();
                holders.push((*id, Holding { slot, viewer_id: id.to_string(), name, until }));
                if let Person::Grant(grant) = &viewer.person {
                    grants.push(*grant);
                }
            }
        }
        let request = |(id, slot): &(ViewerId, Option<u8>)| {
            let name = roster.get(*id)?.name.clone();
            Some(Request { viewer_id: id.to_string(), name, slot: *slot })
        };
        let watching = all.iter().filter(|(_, viewer)| viewer.slot.is_none() && viewer.connected).count();
        Standing {
            slots: roster.slots(),
            holders,
            requests: self.asks.iter().filter_map(request).collect(),
            hosts: all.iter().filter(|(_, viewer)| viewer.host).map(|(id, _)| *id).collect(),
            spectators: u32::try_from(watching).unwrap_or(u32::MAX),
            grants,
        }
    }

    fn request(
        &mut self,
        roster: &mut Roster,
        from: ViewerId,
        slot: Option<u8>,
        changed: &mut Changed,
    ) -> Result<(), NotAllowed> {
        let viewer = roster.get(from).ok_or(NotAllowed::NotIn)?;
        if viewer.slot.is_some() && (slot.is_none() || slot == viewer.slot || viewer.host) {
            return Err(NotAllowed::YouHaveThem);
        }
        if viewer.host {
            return self.take(roster, from, slot.unwrap_or(0), changed);
        }
        let taken = roster.taken_slots();
        let free = slot
            .filter(|slot| !taken.contains(slot))
            .or_else(|| (1..roster.slots()).chain([0]).find(|free| slot.is_none() && !taken.contains(free)));
        if let Some(free) = free.filter(|_| viewer.may == Role::Player) {
            self.give(roster, from, free, changed);
            return Ok(());
        }
        if let Some(ask) = self.asks.iter_mut().find(|(viewer, _)| *viewer == from) {
            ask.1 = slot;
        } else if self.asks.len() >= MAX_REQUESTS {
            return Err(NotAllowed::TooMany);
        } else {
            self.asks.push((from, slot));
        }
        Ok(())
    }

    fn release(
        &mut self,
        roster: &mut Roster,
        from: ViewerId,
        held: Option<u8>,
        changed: &mut Changed,
    ) -> Result<(), NotAllowed> {
        let withdrawn = self.withdraw(from);
        let Some(slot) = held else {
            return if withdrawn { Ok(()) } else { Err(NotAllowed::YouHaveNone) };
        };
        seat(roster, from, None, changed);
        // Given back by its own will: slot 0 does not come back to a host by itself.
        if let Some(viewer) = roster.get_mut(from) {
            viewer.plays = false;
        }
        if roster.holders(slot).is_empty() {
            self.give_back(roster, slot, Some(from), changed);
        }
        Ok(())
    }

    fn pass(
        &mut self,
        roster: &mut Roster,
        from: ViewerId,
        (to, slot): (ViewerId, Option<u8>),
        until: Option<i64>,
        changed: &mut Changed,
    ) -> Result<(), NotAllowed> {
        let passer = roster.get(from).ok_or(NotAllowed::NotIn)?;
        let (held, is_host) = (passer.slot, passer.host);
        let target = roster.get(to).filter(|_| to != from).ok_or(NotAllowed::Gone)?;
        let asked = self.asks.iter().find(|(viewer, _)| *viewer == to).and_then(|(_, slot)| *slot);
        let slot = if is_host {
            let taken = roster.taken_slots();
            // A slot that nobody has is better than the host's own.
            let free = (1..roster.slots()).find(|slot| !taken.contains(slot));
            slot.or(asked).or(free).or(held).unwrap_or(0)
        } else {
            let own = held.ok_or(NotAllowed::NotYours)?;
            if slot.is_some_and(|slot| slot != own) {
                return Err(NotAllowed::NotYours);
            }
            own
        };
        let before = roster.holders(slot);
        if target.slot == Some(slot) && before.len() == 1 {
            return Err(NotAllowed::TheyHaveThem);
        }
        let mut loans = self.loans.remove(&slot).unwrap_or_default();
        if !before.contains(&from) {
            loans.clear();
        }
        match loans.iter().position(|loan| loan.from == to) {
            // Back to somebody it came from: it is theirs again, as it was.
            Some(back) => loans.truncate(back),
            None => loans.push(Loan { from, until }),
        }
        vacate(roster, slot, Some(to), changed);
        self.give(roster, to, slot, changed);
        if !loans.is_empty() {
            self.loans.insert(slot, loans);
        }
        roster.make_exclusive(slot);
        Ok(())
    }

    fn take(
        &mut self,
        roster: &mut Roster,
        host: ViewerId,
        slot: u8,
        changed: &mut Changed,
    ) -> Result<(), NotAllowed> {
        let held = roster.get(host).and_then(|host| host.slot);
        if held == Some(slot) && roster.holders(slot).len() == 1 {
            return Err(NotAllowed::YouHaveThem);
        }
        vacate(roster, slot, Some(host), changed);
        self.loans.remove(&slot);
        if held.is_none() {
            self.give(roster, host, slot, changed);
        }
        roster.make_exclusive(slot);
        Ok(())
    }

    /// Seats a viewer in a slot that nobody else has. What it had before is free, and its request is done with.
    fn give(&mut self, roster: &mut Roster, to: ViewerId, slot: u8, changed: &mut Changed) {
        self.withdraw(to);
        let before = roster.get(to).and_then(|viewer| viewer.slot).filter(|before| *before != slot);
        seat(roster, to, Some(slot), changed);
        if let Some(before) = before.filter(|before| roster.holders(*before).is_empty()) {
            self.give_back(roster, before, Some(to), changed);
        }
    }

    /// Nobody has the slot: it goes back to whom the last holder had it from, or to the host.
    fn give_back(&mut self, roster: &mut Roster, slot: u8, not: Option<ViewerId>, changed: &mut Changed) {
        let Some(mut loans) = self.loans.remove(&slot) else { return };
        let Some(last) = loans.pop() else { return };
        let takes = |viewer: &Viewer| viewer.slot.is_none() && viewer.plays;
        if roster.get(last.from).is_some_and(takes) && not != Some(last.from) {
            self.withdraw(last.from);
            seat(roster, last.from, Some(slot), changed);
            if !loans.is_empty() {
                self.loans.insert(slot, loans);
            }
        } else if let Some(host) = host(roster, takes).filter(|host| not != Some(*host)) {
            self.withdraw(host);
            seat(roster, host, Some(slot), changed);
        }
    }

    /// What must hold after every change: a host that would play has slot 0 when nobody has.
    fn settle(&mut self, roster: &mut Roster, changed: &mut Changed) {
        if roster.holders(0).is_empty() {
            self.loans.remove(&0);
            let takes = |viewer: &Viewer| viewer.connected && viewer.plays && viewer.slot.is_none();
            if let Some(host) = host(roster, takes) {
                self.withdraw(host);
                seat(roster, host, Some(0), changed);
            }
        }
    }

    fn withdraw(&mut self, viewer: ViewerId) -> bool {
        let before = self.asks.len();
        self.asks.retain(|(asking, _)| *asking != viewer);
        self.asks.len() < before
    }
}

impl Standing {
    /// As it is told to one viewer.
    pub fn told_to(&self, viewer: ViewerId) -> ControlState {
        let slot = self.holders.iter().find(|(id, _)| *id == viewer).map(|(_, holding)| holding.slot);
        let role = if slot.is_some() { Role::Player } else { Role::Spectator };
        ControlState {
            you: You { role, slot, host: self.hosts.contains(&viewer) },
            slots: self.slots,
            holders: self.holders.iter().map(|(_, holding)| holding.clone()).collect(),
            requests: self.requests.clone(),
            spectators: self.spectators,
        }
    }

    /// Whether more than the crowd is another.
    pub fn differs(&self, other: &Self) -> bool {
        self.holders != other.holders || self.requests != other.requests || self.slots != other.slots
    }

    pub fn spectators(&self) -> u32 {
        self.spectators
    }

    /// Whether somebody who came by this grant has a slot.
    pub fn is_played_by(&self, grant: GrantId) -> bool {
        self.grants.contains(&grant)
    }
}

/// The host that came last, if it will do.
fn host(roster: &Roster, will_do: impl Fn(&Viewer) -> bool) -> Option<ViewerId> {
    roster.in_order().into_iter().rev().find(|(_, viewer)| viewer.host && will_do(viewer)).map(|(id, _)| id)
}

/// Takes a slot from all who have it, but for one.
fn vacate(roster: &mut Roster, slot: u8, but: Option<ViewerId>, changed: &mut Changed) {
    for holder in roster.holders(slot) {
        if Some(holder) != but {
            seat(roster, holder, None, changed);
        }
    }
}

fn seat(roster: &mut Roster, viewer: ViewerId, slot: Option<u8>, changed: &mut Changed) {
    if roster.seat(viewer, slot) && !changed.contains(&viewer) {
        changed.push(viewer);
    }
}

#[cfg(test)]
mod tests;
