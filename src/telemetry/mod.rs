//! Logs and metrics. Never on the packet path.
//!
//! Logs go to standard error, by the filter of the configuration or `RUST_LOG`, which wins. Errors logged are counted
//! whatever the filter says: an error nobody sees is still on `/metrics`.

mod logs;
mod machine;
mod process;

pub use logs::{LogOf, TelemetryError, errors_logged, init};
pub use machine::{Load, Machine};
pub use process::{encode, register_process};
