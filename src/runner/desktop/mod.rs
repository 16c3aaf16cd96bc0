//! A game that is a program of its own: its screen, its sound, its devices, its processes. What the built-in games' stage is
//! to them, this is to anything that opens a window.

pub mod inject;
pub mod pads;
pub(super) mod sound;
pub mod supervise;
pub mod x;
