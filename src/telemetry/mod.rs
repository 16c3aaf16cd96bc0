//! Logs and metrics. Never on the packet path.
