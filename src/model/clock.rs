//! Times as the store keeps them, and the clock: what the time is, and sleeping until another. A simulation steps its own
//! by hand.

use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::Instant;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// A moment as the store keeps it; what is finer than a millisecond is cut off.
pub fn millis(at: time::OffsetDateTime) -> Millis {
    at.unix_timestamp().saturating_mul(1000) + Millis::from(at.millisecond())
}

/// Cheap to clone; clones of a simulated clock go together.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<Simulated>>);

#[derive(Debug)]
struct Simulated {
    base_ms: Millis,
    base: Instant,
    passed: watch::Sender<Duration>,
}

impl Clock {
    pub fn system() -> Self {
        Self(None)
    }

    /// Stands still at `base_ms` until it is advanced.
    pub fn simulated(base_ms: Millis) -> Self {
        let passed = watch::Sender::new(Duration::ZERO);
        Self(Some(Arc::new(Simulated { base_ms, base: Instant::now(), passed })))
    }

    /// Lets time pass. The system's does that by itself.
    pub fn advance(&self, by: Duration) {
        if let Some(simulated) = &self.0 {
            simulated.passed.send_modify(|passed| *passed += by);
        }
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn now_ms(&self) -> Millis {
        match &self.0 {
            None => millis(OffsetDateTime::now_utc()),
            Some(simulated) => {
                let passed = Millis::try_from(simulated.passed.borrow().as_millis());
                simulated.base_ms.saturating_add(passed.unwrap_or(Millis::MAX))
            }
        }
    }

    /// For durations: never goes back.
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(simulated) => simulated.base + *simulated.passed.borrow(),
        }
    }

    pub async fn sleep_until(&self, at: Instant) {
        match &self.0 {
            None => tokio::time::sleep_until(at).await,
            Some(simulated) => {
                let mut passed = simulated.passed.subscribe();
                // The sender is in `self`.
                let _ = passed.wait_for(|passed| simulated.base + *passed >= at).await;
            }
        }
    }
}

/// A time of the store so much later; the latest there is, at most.
pub fn after(ms: Millis, time: Duration) -> Millis {
    ms.saturating_add(Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX))
}

/// A time of the store for the eye. What is out of range is the nearest end of it.
pub fn to_time(ms: Millis) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).unwrap_or(if ms < 0 {
        time::PrimitiveDateTime::MIN.assume_utc()
    } else {
        time::PrimitiveDateTime::MAX.assume_utc()
    })
}
