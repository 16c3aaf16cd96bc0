//! The session core in simulation: a real store and real saves, a fake driver and fake planes stepped by hand, and a
//! clock that only moves when a test moves it.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod adoption;
mod containers;
mod content;
mod control;
mod embeds;
#[path = "../support/fake_driver.rs"]
mod fake_driver;
mod faulty_store;
mod hosted;
mod launch;
mod lifecycle;
mod placement;
mod placement_policy;
mod recovery;
mod store_faults;
mod unsaved;
mod versions;
mod viewers;
mod webhooks;
mod world;
