//! Integration tests, a module an area.

mod config;
mod signal;
