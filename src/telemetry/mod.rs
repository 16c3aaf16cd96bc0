//! Logs and metrics. Never on the packet path.
//!
//! Metrics follow the Prometheus naming conventions, and a test holds a running gateway to them: the prefix `playgate_`
//! comes from [`registry`] alone, units are seconds and bytes, counters end in `_total`, a metric counts one kind of thing.
//!
//! Logs go to standard error, by the filter of the configuration or `RUST_LOG`, which wins. Errors logged are counted
//! whatever the filter says: an error nobody sees is still on `/metrics`.

mod logs;
mod machine;
mod process;

pub use logs::{LogOf, TelemetryError, errors_logged, init};
pub use machine::{Load, Machine};
pub use process::{encode, register_process, registry};
