//! The session core in simulation: a real store and real saves, a fake driver and fake planes stepped by hand, and a
//! clock that only moves when a test moves it.

mod launch;
mod lifecycle;
mod recovery;
mod viewers;
mod world;
