//! Integration tests, a module an area.

mod app;
mod auth;
mod config;
mod http;
