//! What the end-to-end tests share: the real binary, an HTTP client, real browsers, pictures.
//!
//! Nothing here sleeps for time: every wait is for a condition, with a deadline and a message. What a test starts ends
//! with it. Pictures and logs of a run are left in `tests/artifacts/`.

pub(crate) mod artifacts;
pub(crate) mod baseline;
pub(crate) mod bypass;
pub(crate) mod chrome;
pub(crate) mod conventions;
pub(crate) mod engine;
pub(crate) mod figures;
pub(crate) mod firefox;
pub(crate) mod gate;
pub(crate) mod gateway;
pub(crate) mod gray;
pub(crate) mod http;
#[expect(dead_code, reason = "the integration tests use the rest")]
pub(crate) mod line;
pub(crate) mod namespace;
pub(crate) mod over_line;
pub(crate) mod page;
pub(crate) mod processes;
pub(crate) mod registry;
pub(crate) mod story;
pub(crate) mod tools;
pub(crate) mod tree;
pub(crate) mod valve;
pub(crate) mod wait;
