//! The session core: what a session is, how it lives and ends, who may do what with it.
//!
//! `machine` is the pure lifecycle; `service` is what both APIs and signaling call. Every change of a session goes
//! through the machine and is written to the store before anybody is told. Knows neither HTTP nor Docker.

pub mod error;
pub mod service;
pub mod view;

pub use error::ServiceError;
pub use service::Sessions;
