//! Integration tests, a module an area.

mod app;
mod auth;
mod config;
mod control;
mod dependencies;
mod driver;
mod games;
mod http;
mod readme;
mod relay;
mod relay_chromium;
mod relay_viewer;
mod rtp_source;
mod runner;
mod signal;
mod store;
