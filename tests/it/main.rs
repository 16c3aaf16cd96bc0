//! Integration tests, one module an area.

mod games;
