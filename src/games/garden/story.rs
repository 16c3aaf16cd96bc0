//! The shape of the story: pages, what follows them, what is remembered. The words are in `text_*`.
//!
//! Every page can be reached, every page leads on, and there are no circles: the tests walk all of it.

use super::{text_court, text_endings, text_gate, text_heights};

/// What the reader did that matters later, as bits.
pub(super) mod flag {
    /// Went in with the lantern, and left the letter in the wall.
    pub(in super::super) const LANTERN: u8 = 1;
    /// Asked the gardener his name.
    pub(in super::super) const ASKED: u8 = 1 << 1;
    /// Learned how the other morning went.
    pub(in super::super) const KNOWS: u8 = 1 << 2;
    /// Gave the name to the water.
    pub(in super::super) const NAMELESS: u8 = 1 << 3;
    /// Read the green book to its end.
    pub(in super::super) const READ: u8 = 1 << 4;
    /// All bits that mean something.
    pub(in super::super) const ALL: u8 = 0b1_1111;
}

/// A painted place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scene {
    Title,
    Gate,
    Garden,
    Library,
    Court,
    Fork,
    Tower,
    River,
    Dawn,
}

/// One page of text.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) id: &'static str,
    pub(super) scene: Scene,
    pub(super) text: &'static str,
    pub(super) then: Then,
}

/// What follows a page.
#[derive(Debug)]
pub(super) enum Then {
    To(&'static str),
    /// The first whose bits are all set; the last has none.
    Depends(&'static [(u8, &'static str)]),
    Choose(&'static [Choice]),
    End(Ending),
}

/// One thing the reader may do.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) label: &'static str,
    pub(super) to: &'static str,
    pub(super) sets: u8,
    /// Offered only when all of these are set ...
    pub(super) needs: u8,
    /// ... and none of these.
    pub(super) without: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    Bell,
    WindowSeat,
    Keeper,
    LightLeftOn,
    PaperBoat,
    OtherBank,
    OrdinaryMorning,
}

impl Ending {
    pub(super) const ALL: [Self; 7] = [
        Self::Bell,
        Self::WindowSeat,
        Self::Keeper,
        Self::LightLeftOn,
        Self::PaperBoat,
        Self::OtherBank,
        Self::OrdinaryMorning,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bell => "The Bell",
            Self::WindowSeat => "The Window Seat",
            Self::Keeper => "The Keeper",
            Self::LightLeftOn => "A Light Left On",
            Self::PaperBoat => "The Paper Boat",
            Self::OtherBank => "The Other Bank",
            Self::OrdinaryMorning => "An Ordinary Morning",
        }
    }

    /// Its bit among the endings found.
    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The page every reading begins with.
pub(super) const FIRST: &str = "gate-1";

/// All pages.
pub(super) fn pages() -> impl Iterator<Item = &'static Page> {
    [text_gate::PAGES, text_court::PAGES, text_heights::PAGES, text_endings::PAGES].into_iter().flatten()
}

/// The page of that name.
pub(super) fn page(id: &str) -> Option<&'static Page> {
    pages().find(|page| page.id == id)
}

/// The choices a reader with these bits is offered.
pub(super) fn offered(page: &'static Page, flags: u8) -> Vec<&'static Choice> {
    match &page.then {
        Then::Choose(choices) => choices
            .iter()
            .filter(|choice| choice.needs & flags == choice.needs && choice.without & flags == 0)
            .collect(),
        Then::To(_) | Then::Depends(_) | Then::End(_) => Vec::new(),
    }
}

/// The page that follows without a choice.
pub(super) fn following(page: &'static Page, flags: u8) -> Option<&'static str> {
    match &page.then {
        Then::To(id) => Some(id),
        Then::Depends(ways) => ways.iter().find(|(needs, _)| needs & flags == *needs).map(|(_, id)| *id),
        Then::Choose(_) | Then::End(_) => None,
    }
}
