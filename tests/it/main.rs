//! Integration tests: modules of the library against real neighbours.

mod app;
mod auth;
mod bridge;
mod config;
mod content;
mod control;
mod dependencies;
mod desktop_house;
mod desktop_input;
mod driver;
#[path = "../support/faulty_runner.rs"]
mod faulty_runner;
mod fuzz;
mod games;
mod http;
mod image;
mod layers;
#[path = "../support/line.rs"]
mod line;
mod netem;
mod raw_viewer;
mod readme;
#[path = "../support/receiver.rs"]
mod receiver;
mod relay;
mod relay_chromium;
mod relay_fairness;
mod relay_foreign;
mod relay_losses;
mod relay_paths;
mod relay_stripes;
mod relay_viewer;
#[path = "../support/rtp_source.rs"]
mod rtp_source;
mod runner;
mod runner_desktop;
mod saves;
mod schedule;
mod signal;
mod store;
mod thumbnail;
#[expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]
#[path = "../support/tree.rs"]
mod tree;
