//! The session core: what a session is, how it lives and ends, who may do what with it.
//!
//! `machine` is the pure lifecycle; `service` is what both APIs and signaling call. Every change of a session goes
//! through the machine and is written to the store before anybody is told. Knows neither HTTP nor Docker.

mod access;
mod actor;
mod attendance;
pub mod catalogue;
mod context;
mod contract;
pub mod control;
pub mod embeds;
mod ending;
pub mod error;
mod grants;
pub mod hosted;
pub mod input;
mod janitor;
mod keep;
mod launch;
pub mod limits;
pub mod machine;
pub mod metrics;
mod placement;
pub mod ports;
mod recover;
pub mod roster;
pub mod service;
mod settle;
mod slots;
mod teardown;
mod versions;
pub mod view;

pub use catalogue::Catalogue;
pub use context::Drivers;
pub(crate) use ending::report;
pub use error::ServiceError;
pub use service::{LaunchRequest, SessionDeps, Sessions, SimulatedDeps};
