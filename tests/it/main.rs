//! Integration tests: modules of the library against real neighbours.

mod app;
mod auth;
mod config;
mod control;
mod dependencies;
mod driver;
#[path = "../support/faulty_runner.rs"]
mod faulty_runner;
mod games;
mod http;
mod image;
mod readme;
mod relay;
mod relay_chromium;
mod relay_viewer;
#[path = "../support/rtp_source.rs"]
mod rtp_source;
mod runner;
mod signal;
mod store;
