//! With a real Docker engine, one test at a time: the gateway as people run it, games in containers.
//!
//! Whatever a test makes on the engine bears a node's name of its own and goes with it (`support::engine`).

mod adoption;
mod faults;
mod harness;
mod isolation;
mod perf;
mod play;
mod private_engine;
mod pull;
mod stand;
