//! With a real Docker engine, one test at a time: its drivers and caches by themselves, then the gateway as people run it,
//! games in containers.
//!
//! Whatever a test makes on the engine bears a node's name of its own and goes with it (`support::engine`).

mod adoption;
mod content;
mod driver;
mod faults;
mod harness;
mod image;
mod isolation;
mod node_check;
mod perf;
mod play;
mod private_engine;
mod pull;
mod saves;
mod session_api;
mod stand;
