//! Integration tests: modules of the library against real neighbours.

mod dependencies;
mod readme;
