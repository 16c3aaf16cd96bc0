//! The Session API as a studio meets it: the real gateway, a real engine, images from a real registry.

mod client;
mod crash;
mod crowd;
mod judge;
mod lapse;
mod nginx;
mod rules;
mod stand;
mod worst;
