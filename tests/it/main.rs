//! placeholder

mod config;
