//! Moves work on callers' text off the async workers, which serve everybody else meanwhile.
//!
//! Reading or writing [`INLINE_BYTES`] of JSON takes far less than a millisecond. What is larger goes to a thread for
//! blocking work, as many at a time as the machine has cores; the rest waits, at a price of one task each.

use std::sync::LazyLock;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// Text up to this size is worked on where it is.
const INLINE_BYTES: usize = 8 * 1024;

static THREADS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get)));

/// Runs `work` on text of so many bytes. Fails when it panics, or when the runtime stops.
pub(super) async fn offload<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if bytes <= INLINE_BYTES {
        return Ok(work());
    }
    // Never closed: without a permit the work is done all the same.
    let _permit = THREADS.acquire().await;
    tokio::task::spawn_blocking(work).await
}
