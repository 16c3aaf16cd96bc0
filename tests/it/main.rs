//! Integration tests, one module an area.

mod driver;
mod store;
