//! placeholder

mod config;
mod signal;
