//! With a real Docker engine, one test at a time: whatever a test makes there bears a node name of its own and is removed
//! with it.

mod content;
mod driver;
mod image;
