//! Integration tests, a module an area.

mod app;
mod auth;
mod config;
mod dependencies;
mod driver;
mod http;
mod relay;
mod relay_viewer;
mod rtp_source;
mod store;
