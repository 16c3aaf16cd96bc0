//! The log subscriber.
//!
//! Must hold: what third parties log of players stays out. The WebRTC crates write peers' addresses and a line a packet
//! at levels that are on by default, so only their errors are let through unless somebody names them.

use crate::config::LogConfig;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Beginnings of the targets of the WebRTC crates: `rtc` is `rtc_ice`, `rtc_dtls` and all their like too.
const QUIET: [&str; 2] = ["rtc", "webrtc"];

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

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOf {
    /// A process of its own.
    Process,
    /// A child of the gateway, which puts each line into its own log: no time, no colour.
    Child,
}

/// Starts logging. A subscriber that somebody set before (a test) stays.
pub fn init(config: &LogConfig, of: LogOf) -> Result<(), TelemetryError> {
    let filter = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
    let filter = filter.unwrap_or_else(|| config.filter.clone());
    let filter = filter_of(&filter)?;
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = of == LogOf::Process && !plain && std::io::stderr().is_terminal();
    let text = fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines = match (config.json, of) {
        (true, _) => text.json().boxed(),
        (false, LogOf::Process) => text.boxed(),
        (false, LogOf::Child) => text.without_time().boxed(),
    };
    let set = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(CountErrors.with_filter(LevelFilter::ERROR))
        .try_init();
    drop(set);
    Ok(())
}

/// The filter as written, over the rules of [`QUIET`] for what it does not name.
fn filter_of(text: &str) -> Result<EnvFilter, TelemetryError> {
    let refused = |source| TelemetryError::Filter { filter: text.to_owned(), source };
    // By itself first, so that a mistake is the writer's own.
    EnvFilter::try_new(text).map_err(refused)?;
    let names = |quiet: &str| {
        text.split(',')
            .filter_map(|part| part.trim().strip_prefix(quiet))
            .any(|rest| rest.is_empty() || rest.starts_with(['=', '[']))
    };
    let silent = text.split(',').any(|part| part.trim().eq_ignore_ascii_case("off"));
    let quiet: String =
        QUIET.iter().filter(|name| !silent && !names(name)).map(|name| format!("{name}=error,")).collect();
    EnvFilter::try_new(format!("{quiet}{text}")).map_err(refused)
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
            assert!(matches!(init(&config, LogOf::Process), Err(TelemetryError::Filter { .. })));
        }
    }

    /// What a filter lets through, by the level and target of each event.
    fn passes(filter: &str) -> Vec<&'static str> {
        #[derive(Clone, Default)]
        struct Seen(std::sync::Arc<std::sync::Mutex<Vec<&'static str>>>);
        impl<S: Subscriber> Layer<S> for Seen {
            fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
                self.0.lock().unwrap().push(event.metadata().target());
            }
        }
        let seen = Seen::default();
        let layer = seen.clone().with_filter(filter_of(filter).unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!("ours");
            tracing::warn!(target: "rtc_ice::agent", "an address");
            tracing::warn!(target: "webrtc::peer", "an address");
            tracing::error!(target: "rtc_dtls", "a mistake");
        });
        seen.0.lock().unwrap().clone()
    }

    #[test]
    fn what_the_webrtc_crates_say_of_players_stays_out_unless_they_are_named() {
        let ours = module_path!();
        assert_eq!(passes("info"), [ours, "rtc_dtls"]);
        assert_eq!(passes("trace"), [ours, "rtc_dtls"]);
        assert!(passes("off").is_empty());
        assert_eq!(passes("info,rtc=warn"), [ours, "rtc_ice::agent", "rtc_dtls"]);
        assert_eq!(passes("info,rtc_ice=debug"), [ours, "rtc_ice::agent", "rtc_dtls"]);
        assert_eq!(passes("info, webrtc"), [ours, "webrtc::peer", "rtc_dtls"]);
    }
}
