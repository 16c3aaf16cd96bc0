//! Where a reader is, how they came there, and the save that says so. Pure: no pictures, no time.
//!
//! The trail is always a walk the story allows; a save that says otherwise is refused.

use super::story::{self, Page, Then, flag};
use crate::games::GameError;
use serde::{Deserialize, Serialize};

const SAVE_VERSION: u32 = 1;
/// Longest save read, in bytes; the longest walk takes below 2 KiB.
const SAVE_LIMIT: usize = 64 * 1024;

/// One page of the trail and what was known on reaching it.
#[derive(Debug, Clone, Copy)]
struct Step {
    page: &'static Page,
    flags: u8,
}

/// A reading: the pages read, the endings ever found, and whether the title is shown over it.
#[derive(Debug, Clone)]
pub(super) struct Journey {
    trail: Vec<Step>,
    endings: u8,
    at_title: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    version: u32,
    at_title: bool,
    endings: u8,
    trail: Vec<(String, u8)>,
}

impl Journey {
    /// Nothing read, the title shown.
    pub(super) fn new() -> Self {
        Self { trail: Vec::new(), endings: 0, at_title: true }
    }

    /// From what [`Self::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, GameError> {
        let bad = |why: &str| GameError::BadSave(why.to_owned());
        if bytes.len() > SAVE_LIMIT {
            return Err(bad("it is too long"));
        }
        let save: Save = serde_json::from_slice(bytes).map_err(|e| GameError::BadSave(e.to_string()))?;
        if save.version != SAVE_VERSION {
            return Err(GameError::BadSave(format!("its version is {}", save.version)));
        }
        let mut trail: Vec<Step> = Vec::new();
        for (id, flags) in &save.trail {
            let page =
                story::page(id).ok_or_else(|| GameError::BadSave(format!("there is no page {id:?}")))?;
            let step = Step { page, flags: *flags };
            let allowed = match trail.last() {
                None => page.id == story::FIRST && *flags == 0,
                Some(before) => leads(*before, step),
            };
            if !allowed || flags & !flag::ALL != 0 {
                return Err(GameError::BadSave(format!("page {id:?} cannot follow")));
            }
            trail.push(step);
        }
        if trail.is_empty() && !save.at_title {
            return Err(bad("it is nowhere"));
        }
        Ok(Self { trail, endings: save.endings & 0x7F, at_title: save.at_title })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let trail = self.trail.iter().map(|step| (step.page.id.to_owned(), step.flags)).collect();
        let save = Save { version: SAVE_VERSION, at_title: self.at_title, endings: self.endings, trail };
        serde_json::to_vec(&save).unwrap_or_default()
    }

    /// The page shown; `None` at the title.
    pub(super) fn page(&self) -> Option<&'static Page> {
        if self.at_title { None } else { self.trail.last().map(|step| step.page) }
    }

    pub(super) fn flags(&self) -> u8 {
        self.trail.last().map_or(0, |step| step.flags)
    }

    /// Endings ever found, as bits.
    pub(super) fn endings(&self) -> u8 {
        self.endings
    }

    /// True when the title can offer to go on.
    pub(super) fn can_continue(&self) -> bool {
        self.trail.last().is_some_and(|step| !matches!(step.page.then, Then::End(_)))
    }

    /// Starts from the first page.
    pub(super) fn begin(&mut self) {
        self.trail.clear();
        self.at_title = false;
        self.enter(story::FIRST, 0);
    }

    /// From the title back to the page.
    pub(super) fn resume(&mut self) {
        self.at_title = self.trail.is_empty();
    }

    pub(super) fn show_title(&mut self) {
        self.at_title = true;
    }

    /// Turns to the page that follows without a choice; false when there is none.
    pub(super) fn advance(&mut self) -> bool {
        let flags = self.flags();
        let next = self.page().and_then(|page| story::following(page, flags));
        next.is_some_and(|id| self.enter(id, flags))
    }

    /// Takes the choice of that place among those offered; false when there is none.
    pub(super) fn choose(&mut self, index: usize) -> bool {
        let flags = self.flags();
        let Some(page) = self.page() else { return false };
        let offered = story::offered(page, flags);
        offered.get(index).is_some_and(|choice| self.enter(choice.to, flags | choice.sets))
    }

    /// Back to the page before; false on the first.
    pub(super) fn back(&mut self) -> bool {
        if self.at_title || self.trail.len() < 2 {
            return false;
        }
        self.trail.pop();
        true
    }

    fn enter(&mut self, id: &str, flags: u8) -> bool {
        let Some(page) = story::page(id) else { return false };
        if let Then::End(ending) = page.then {
            self.endings |= ending.bit();
        }
        self.trail.push(Step { page, flags });
        true
    }
}

/// True when the story allows `after` to follow `before`.
fn leads(before: Step, after: Step) -> bool {
    let onward =
        story::following(before.page, before.flags) == Some(after.page.id) && before.flags == after.flags;
    onward
        || story::offered(before.page, before.flags)
            .iter()
            .any(|choice| choice.to == after.page.id && before.flags | choice.sets == after.flags)
}

#[cfg(test)]
#[path = "journey_tests.rs"]
mod tests;
