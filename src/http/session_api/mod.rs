//! The Session API (contract 2): an orchestrator's routes. Decides nothing about a session.

pub mod core;

pub use self::core::HostedCore;
