//! Identifiers as types, so that no two can be swapped.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random (version 4) id.
            #[expect(clippy::new_without_default, reason = "a default id would not be random by name")]
            pub fn new() -> Self {
                Self(Uuid::new_v4())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// A session, ours: pages, labels, container names, tokens.
    SessionId
);
uuid_id!(
    /// One viewer's connection to one session.
    ViewerId
);
uuid_id!(
    /// A grant to watch or play somebody else's session.
    GrantId
);
uuid_id!(
    /// An embed token. No secret: it is in the address of the page that other sites show.
    EmbedId
);
uuid_id!(
    /// One of a user's save slots of a game.
    SlotId
);
uuid_id!(
    /// One version of a save.
    VersionId
);

/// A user: the `sub` of their token. 1-128 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub String);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom a session belongs to: stored and shown as `user:...` or `org:...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    User(UserId),
    Organisation(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Organisation(name) => write!(f, "org:{name}"),
        }
    }
}

impl FromStr for Owner {
    type Err = UnknownOwner;

    fn from_str(text: &str) -> Result<Self, UnknownOwner> {
        match text.split_once(':') {
            Some(("user", user)) => Ok(Self::User(UserId(user.to_owned()))),
            Some(("org", name)) => Ok(Self::Organisation(name.to_owned())),
            Some(_) | None => Err(UnknownOwner),
        }
    }
}

/// Neither `user:...` nor `org:...`.
#[derive(Debug, thiserror::Error)]
#[error("an owner is user:NAME or org:NAME")]
pub struct UnknownOwner;

/// Counts the starts of a session's process; a fencing token on every write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);
