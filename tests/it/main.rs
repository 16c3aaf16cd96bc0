//! Integration tests, one module an area.

mod control;
mod runner;
