//! `playgate image`: makes images that run games under the runner contract, and judges whether an image keeps it.
//!
//! `build` writes a Dockerfile and streams its context to the engine; `check` runs an image against a gateway's media and
//! control ports of its own. Neither knows sessions, players or the store. Everything made on the engine besides the
//! image that was asked for is removed again.

pub mod build;
pub mod check;
pub mod engine;
pub mod glibc;

/// Version of the runner contract an image keeps, on every image made here.
pub const LABEL_CONTRACT: &str = "playgate.contract";
/// Optional variables of the contract that the runner in an image knows besides those of the contract's first day, by name with
/// spaces between: an image made here refuses what it does not know.
pub const LABEL_VARIABLES: &str = "playgate.variables";
/// Version of Playgate that made the image.
pub const LABEL_VERSION: &str = "playgate.version";
