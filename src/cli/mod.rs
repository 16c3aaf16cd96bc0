//! The roles of the binary: arguments in, one call out.

pub mod runner;
