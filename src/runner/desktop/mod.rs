//! A game that is a program of its own: its screen, its sound, its devices, its processes. What the built-in games' stage is
//! to them, this is to anything that opens a window.
//!
//! [`supervise`] owns the processes, [`desk`] puts everything together. Picture: [`camera`] over [`screen`] and
//! [`shot`], paced by [`pace`], steered by [`wheel`]; windows by [`manager`] as [`windows`] decides; [`cursor`] apart. Input: [`hands`] over
//! [`inject`] and [`pads`]. [`x`] is the way into the X server. Sound: [`sound`]. The save is the program's own; [`saves`] watches it.

mod camera;
mod cursor;
pub(super) mod desk;
mod hands;
pub mod inject;
mod manager;
mod pace;
pub mod pads;
mod saves;
mod screen;
mod shot;
pub(super) mod sound;
pub mod supervise;
mod wheel;
mod windows;
pub mod x;
