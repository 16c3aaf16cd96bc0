//! What needs a Docker engine. One test at a time.

mod image;
