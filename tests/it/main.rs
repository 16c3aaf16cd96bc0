//! Integration tests, a module an area.

mod app;
mod auth;
mod config;
mod driver;
mod http;
mod store;
