//! Waiting for conditions.

use std::time::{Duration, Instant};

/// Between two looks at a condition that cannot be subscribed to.
const LOOK: Duration = Duration::from_millis(50);

/// For what happens inside one machine without a game being started.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// For a launch, a browser's page, a stop.
pub(crate) const PATIENT: Duration = Duration::from_secs(40);

/// Looks until `probe` gives `Ok`; panics with the last reason when `within` is over.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let begun = Instant::now();
    loop {
        match probe().await {
            Ok(value) => return value,
            Err(reason) => assert!(begun.elapsed() < within, "{what}: not within {within:?}: {reason}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
