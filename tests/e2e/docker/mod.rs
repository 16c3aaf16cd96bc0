//! What needs a Docker engine, one test at a time.

mod content;
