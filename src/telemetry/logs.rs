//! The log subscriber.

use crate::config::LogConfig;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

static ERRORS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("`{filter}` is not a log filter")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
}

/// Errors logged by this process so far.
pub fn errors_logged() -> u64 {
    ERRORS.load(Ordering::Relaxed)
}

/// Starts logging. A subscriber that somebody set before (a test) stays.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
    let filter = filter.unwrap_or_else(|| config.filter.clone());
    let filter = EnvFilter::try_new(&filter)
        .map_err(|source| TelemetryError::Filter { filter: filter.clone(), source })?;
    let text = fmt::layer().with_writer(std::io::stderr);
    let lines = if config.json { text.json().boxed() } else { text.boxed() };
    let set = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(CountErrors.with_filter(LevelFilter::ERROR))
        .try_init();
    drop(set);
    Ok(())
}

struct CountErrors;

impl<S: Subscriber> Layer<S> for CountErrors {
    fn on_event(&self, _event: &Event<'_>, _context: Context<'_, S>) {
        ERRORS.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_and_warnings_are_not() {
        let subscriber = tracing_subscriber::registry().with(CountErrors.with_filter(LevelFilter::ERROR));
        let before = errors_logged();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!("careful");
            tracing::error!("a test's own error");
        });
        assert_eq!(errors_logged(), before + 1);
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let config = LogConfig { filter: "playgate=loud".to_owned(), json: false };
        // RUST_LOG wins over the configuration; then there is nothing to refuse.
        if std::env::var_os(EnvFilter::DEFAULT_ENV).is_none() {
            assert!(matches!(init(&config), Err(TelemetryError::Filter { .. })));
        }
    }
}
