//! Playgate: launches games and streams them to browsers over WebRTC.
//!
//! The map of the house: `cli` holds the roles of the binary, `app` puts a gateway together, `http` and `signal` face
//! the players, `session` decides, `schedule` chooses a node and `node` reserves it, `content` downloads, `driver` starts and
//! stops games, `control` talks to their runners, `relay` carries media, `netem` emulates bad lines, `store` remembers,
//! `save_tree` packs and unpacks saves, `events` tells what happened, `image` makes and judges container images, `thumbnail`
//! shows sessions as still pictures, `h264` reads streams for several of them. `model` is what they all speak of. `runner` and
//! `games` live on the other side of the runner contract; `bots` are players.

pub mod app;
pub mod auth;
pub mod bots;
pub mod cli;
pub mod config;
pub mod content;
pub mod control;
mod datagrams;
pub mod driver;
pub mod events;
mod files;
#[doc(hidden)]
pub mod fuzz;
pub mod games;
pub mod h264;
pub mod http;
pub mod image;
pub mod marker;
pub mod model;
pub mod netem;
pub mod node;
mod plain_path;
pub mod relay;
mod render;
pub mod runner;
pub mod save_tree;
pub mod schedule;
pub mod session;
pub mod signal;
pub mod store;
pub mod telemetry;
pub mod thumbnail;
