//! How what we make is named and labelled, so that it is found again.

use crate::model::ids::{Generation, SessionId};
use crate::model::instance::Profile;
use std::collections::HashMap;

pub(super) const NODE: &str = "playgate.node";
pub(super) const SESSION: &str = "playgate.session";
pub(super) const GENERATION: &str = "playgate.generation";
pub(super) const PROFILE: &str = "playgate.profile";
/// Where the save is, inside: the next gateway has to know. A server has none.
pub(super) const SAVE_PATH: &str = "playgate.save-path";

/// As labelled.
pub(super) fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::Game => "game",
        Profile::Server => "server",
    }
}

/// Names of one instance's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) container: String,
}

impl Names {
    pub(super) fn new(node: &str, session: SessionId, generation: Generation) -> Self {
        Self { container: format!("playgate-{node}-{session}-{}", generation.0) }
    }

    /// Never started; through it the volumes get their owner and the save.
    pub(super) fn porter(&self) -> String {
        format!("{}-porter", self.container)
    }

    pub(super) fn home(&self) -> String {
        format!("{}-home", self.container)
    }

    pub(super) fn save(&self) -> String {
        format!("{}-save", self.container)
    }
}

/// Labels of everything that belongs to a session.
pub(super) fn labels(
    node: &str,
    session: SessionId,
    generation: Generation,
    profile: Profile,
) -> HashMap<String, String> {
    [
        (NODE, node.to_owned()),
        (SESSION, session.to_string()),
        (GENERATION, generation.0.to_string()),
        (PROFILE, profile_name(profile).to_owned()),
    ]
    .into_iter()
    .map(|(label, value)| (label.to_owned(), value))
    .collect()
}

/// The filter for everything of a node's.
pub(super) fn of_node(node: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{NODE}={node}")])])
}
