//! The HTTP surface over a fake session core: the contract's shapes and errors, who may ask, pages.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod contract;
mod embeds;
mod events;
pub(crate) mod fake;
pub(crate) mod fake_embeds;
pub(crate) mod fake_hosted;
pub(crate) mod nodes;
mod openapi;
mod pages;
mod random;
mod session_api;
mod sign_in;
mod thumbnail;
mod versions;
pub(crate) mod webhooks;
