//! Shared downloads: whoever wants the same thing waits for the same task.
//!
//! What must hold: one task a key; a task goes on when nobody waits any more; its outcome is told to all who wait; by
//! then its key is free, so that the next caller starts afresh. Progress never goes backwards.
//!
//! At most [`Gate`]'s number of tasks work at a time; more wait in the order they came. Their number is bounded by the
//! catalogue's distinct content.

use super::metrics::{ContentMetrics, Kind};
use super::{ContentError, Progress};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

/// Downloads at once, images and packages together.
const AT_ONCE: usize = 4;

/// Steps of progress that are told, in percent.
const STEP: f32 = 0.1;

/// How many work at a time. Cheap to clone: clones count together.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// The downloads of one kind. Cheap to clone.
#[derive(Debug)]
pub(super) struct Flights<K, V> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<State<V>>>>>,
    gate: Gate,
    metrics: ContentMetrics,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum State<V> {
    Running(Progress),
    Done(Result<V, ContentError>),
}

impl<K, V> Clone for Flights<K, V> {
    fn clone(&self) -> Self {
        let Self { running, gate, metrics, kind } = self;
        Self { running: running.clone(), gate: gate.clone(), metrics: metrics.clone(), kind: *kind }
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(kind: Kind, gate: Gate, metrics: ContentMetrics) -> Self {
        Self { running: Arc::default(), gate, metrics, kind }
    }

    /// Joins the task of `key`, or starts it by `download`; then waits for it. Dropping this future changes nothing for
    /// the task.
    pub(super) async fn join<F>(
        &self,
        key: K,
        progress: &watch::Sender<Progress>,
        download: impl FnOnce(Reporter<V>) -> F,
    ) -> Result<V, ContentError>
    where
        F: Future<Output = Result<V, ContentError>> + Send + 'static,
    {
        let mut state = self.receiver(key, download);
        loop {
            match &*state.borrow_and_update() {
                State::Running(so_far) => advance(progress, *so_far),
                State::Done(outcome) => return outcome.clone(),
            }
            if state.changed().await.is_err() {
                return Err(ContentError::Other("the download broke off".to_owned()));
            }
        }
    }

    fn receiver<F>(&self, key: K, download: impl FnOnce(Reporter<V>) -> F) -> watch::Receiver<State<V>>
    where
        F: Future<Output = Result<V, ContentError>> + Send + 'static,
    {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = running.get(&key) {
            return state.clone();
        }
        let (sender, receiver) = watch::channel(State::Running(Progress::default()));
        running.insert(key.clone(), receiver.clone());
        let reporter = Reporter(sender);
        let work = download(reporter.clone());
        let flight = Flight { flights: self.clone(), key };
        tokio::spawn(flight.fly(work, reporter));
        receiver
    }
}

/// Frees its key when it ends, whatever the end.
struct Flight<K: Eq + Hash, V> {
    flights: Flights<K, V>,
    key: K,
}

impl<K: Eq + Hash, V> Flight<K, V> {
    async fn fly(self, work: impl Future<Output = Result<V, ContentError>>, reporter: Reporter<V>) {
        let Flights { gate, metrics, kind, .. } = self.flights.clone();
        let outcome = match gate.0.acquire().await {
            Ok(_permit) => {
                metrics.started(kind);
                work.await
            }
            // Nobody closes the gate.
            Err(_) => Err(ContentError::Other("no downloads are taken any more".to_owned())),
        };
        metrics.ended(kind, outcome.is_ok());
        drop(self);
        reporter.0.send_replace(State::Done(outcome));
    }
}

impl<K: Eq + Hash, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        self.flights.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// The task's end of the progress.
#[derive(Debug)]
pub(super) struct Reporter<V>(watch::Sender<State<V>>);

impl<V> Clone for Reporter<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Reporter<V> {
    /// `done` of `total`, in whatever unit. Less than told before is not told.
    pub(super) fn report(&self, done: u64, total: u64) {
        if total == 0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a percentage of which a tenth is told")]
        let percent = (done.min(total) as f64 / total as f64 * 100.0) as f32;
        self.0.send_if_modified(|state| match state {
            State::Running(so_far) => {
                let grows = so_far
                    .percent
                    .is_none_or(|told| percent >= told + STEP || (percent > told && done >= total));
                if grows {
                    so_far.percent = Some(percent);
                }
                grows
            }
            State::Done(_) => false,
        });
    }
}

/// Tells a caller, unless it was told more already.
pub(super) fn advance(progress: &watch::Sender<Progress>, so_far: Progress) {
    progress.send_if_modified(|told| {
        let grows = so_far.percent > told.percent;
        if grows {
            *told = so_far;
        }
        grows
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    fn flights() -> Flights<&'static str, u32> {
        Flights::new(Kind::Package, Gate::default(), ContentMetrics::default())
    }

    fn broken() -> ContentError {
        ContentError::Other("broken".to_owned())
    }

    #[tokio::test]
    async fn two_callers_share_one_task_and_its_failure_and_the_next_starts_afresh() {
        let flights = flights();
        let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let call = |result: Result<u32, ContentError>| {
            let (flights, begun, gate) = (flights.clone(), begun.clone(), gate.clone());
            async move {
                let progress = watch::Sender::default();
                let task = |_| async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    gate.notified().await;
                    result
                };
                flights.join("key", &progress, task).await
            }
        };
        let (first, second, ()) = tokio::join!(call(Err(broken())), call(Ok(1)), async {
            while begun.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            gate.notify_one();
        });
        assert_eq!((first, second), (Err(broken()), Err(broken())));
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        gate.notify_one();
        assert_eq!(call(Ok(2)).await, Ok(2));
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_task_outlives_its_callers() {
        let flights = flights();
        let (gate, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let progress = watch::Sender::default();
        let (inner_gate, inner_done) = (gate.clone(), done.clone());
        let mut call = Box::pin(flights.join("key", &progress, |_| async move {
            inner_gate.notified().await;
            inner_done.notify_one();
            Ok(1)
        }));
        assert!(futures_util::poll!(call.as_mut()).is_pending());
        drop(call);
        gate.notify_one();
        done.notified().await;
    }

    #[tokio::test]
    async fn a_task_that_panics_is_told_and_frees_its_key() {
        let flights = flights();
        let progress = watch::Sender::default();
        let outcome = flights.join("key", &progress, |_| async { panic!("on purpose") }).await;
        assert_eq!(outcome, Err(ContentError::Other("the download broke off".to_owned())));
        assert_eq!(flights.join("key", &progress, |_| async { Ok(3) }).await, Ok(3));
    }

    #[tokio::test]
    async fn only_so_many_work_at_a_time() {
        let flights: Flights<usize, ()> =
            Flights::new(Kind::Image, Gate::default(), ContentMetrics::default());
        let (working, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let calls: Vec<_> = (0..AT_ONCE * 2)
            .map(|key| {
                let (flights, working, gate) = (flights.clone(), working.clone(), gate.clone());
                tokio::spawn(async move {
                    let progress = watch::Sender::default();
                    let work = |_| async move {
                        let others = working.fetch_add(1, Ordering::SeqCst);
                        assert!(others < AT_ONCE);
                        gate.acquire().await.unwrap().forget();
                        working.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    };
                    flights.join(key, &progress, work).await
                })
            })
            .collect();
        while working.load(Ordering::SeqCst) < AT_ONCE {
            tokio::task::yield_now().await;
        }
        gate.add_permits(calls.len());
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn progress_only_grows_and_each_caller_sees_it() {
        let flights = flights();
        let progress = watch::Sender::default();
        let mut seen = progress.subscribe();
        let gate = Arc::new(Notify::new());
        let inner = gate.clone();
        let call = flights.join("key", &progress, |reporter| async move {
            reporter.report(50, 100);
            reporter.report(40, 200);
            inner.notified().await;
            reporter.report(100, 100);
            Ok(0)
        });
        let watching = async {
            seen.wait_for(|progress| progress.percent == Some(50.0)).await.unwrap();
            gate.notify_one();
        };
        let (outcome, ()) = tokio::join!(call, watching);
        assert_eq!(outcome, Ok(0));
    }
}
