//! A driver for simulation: nothing runs, and every step is taken by the test.

use super::{
    Adopted, Driver, DriverError, DriverEvent, Ended, Instance, InstanceRef, Site, StartSpec, Usage,
};
use crate::ids::SessionId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// What happened, in order, over all the fakes of one simulation.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub fn note(&self, entry: impl Into<String>) {
        lock(&self.0).push(entry.into());
    }

    pub fn entries(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

/// What the next starts do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnStart {
    #[default]
    Succeed,
    Fail,
    /// Never finish.
    Hang,
    /// Panic: a mistake of ours.
    Panic,
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct FakeDriver {
    journal: Journal,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    on_start: OnStart,
    usage: Usage,
    started: HashMap<SessionId, Started>,
    orphans: Vec<InstanceRef>,
    next_pid: u32,
}

/// A started fake instance.
#[derive(Debug, Clone)]
pub struct Started {
    pub spec: StartSpec,
    pub events: mpsc::Sender<DriverEvent>,
}

impl FakeDriver {
    pub fn new(journal: Journal) -> Self {
        Self { journal, shared: Arc::default() }
    }

    pub fn on_start(&self, what: OnStart) {
        lock(&self.shared).on_start = what;
    }

    /// What every instance reports from now on.
    pub fn set_usage(&self, usage: Usage) {
        lock(&self.shared).usage = usage;
    }

    pub fn started(&self, session: SessionId) -> Option<Started> {
        lock(&self.shared).started.get(&session).cloned()
    }

    /// Instances that were ended as orphans.
    pub fn orphans(&self) -> Vec<InstanceRef> {
        lock(&self.shared).orphans.clone()
    }
}

#[async_trait::async_trait]
impl Driver for FakeDriver {
    async fn start(
        &self,
        spec: StartSpec,
        _site: Site,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Box<dyn Instance>, DriverError> {
        self.journal.note("driver start");
        let on_start = lock(&self.shared).on_start;
        match on_start {
            OnStart::Succeed => {}
            OnStart::Fail => return Err(DriverError::Other("the fake driver was told to fail".to_owned())),
            OnStart::Hang => std::future::pending::<()>().await,
            OnStart::Panic => panic!("the fake driver was told to panic"),
        }
        let mut shared = lock(&self.shared);
        shared.next_pid += 1;
        let reference = InstanceRef::Process { pid: shared.next_pid, start_ticks: 1 };
        shared.started.insert(spec.session, Started { spec, events });
        drop(shared);
        Ok(Box::new(FakeInstance { reference, driver: self.clone() }))
    }

    async fn adopt(
        &self,
        _session: SessionId,
        instance: &InstanceRef,
        _events: mpsc::Sender<DriverEvent>,
    ) -> Result<Option<Adopted>, DriverError> {
        lock(&self.shared).orphans.push(instance.clone());
        Ok(None)
    }
}

struct FakeInstance {
    reference: InstanceRef,
    driver: FakeDriver,
}

#[async_trait::async_trait]
impl Instance for FakeInstance {
    fn reference(&self) -> Option<InstanceRef> {
        Some(self.reference.clone())
    }

    async fn usage(&self) -> Usage {
        lock(&self.driver.shared).usage
    }

    async fn stop(&self, _grace: Duration) -> Ended {
        self.driver.journal.note("driver stop");
        Ended { usage: self.usage().await, ..Ended::default() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
