//! A driver for simulation: nothing runs, and every step is taken by the test.
//!
//! As `process` its games work in the session's directory and do not outlive their gateway; as `containers` they have a
//! site, keep their save inside until it is collected, and can be adopted.

use playgate::driver::{
    Adopted, CollectError, Driver, DriverError, DriverEvent, Ended, ImageFacts, Instance, Site, SiteRequest,
    StartSpec, Usage,
};
use playgate::model::ids::SessionId;
use playgate::model::instance::{ExposedPort, InstanceRef, Port};
use playgate::save_tree::{LeftOut, SaveLimits, SaveRefused};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

const FIRST_PORT: u16 = 20_000;

/// What happened, in order, over all the fakes of one simulation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn note(&self, entry: impl Into<String>) {
        lock(&self.0).push(entry.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

/// What the next starts do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnStart {
    #[default]
    Succeed,
    Fail,
    /// Never finish.
    Hang,
    /// Panic: a mistake of ours.
    Panic,
}

/// What is found of a session's game when it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnAdopt {
    #[default]
    Gone,
    Running,
    Ended,
    /// The engine does not answer.
    Fail,
}

/// What collecting a save does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum OnCollect {
    /// Nothing new: the directory stays as it is.
    #[default]
    Nothing,
    /// `save.bin` with this text.
    Leaves(String),
    /// An empty directory.
    Empties,
    /// A save that is kept but for this much of it.
    LeavesAllBut(String, LeftOut),
    Fail,
    /// A save that can never be stored.
    Refuse(SaveRefused),
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeDriver {
    journal: Journal,
    containers: bool,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    on_start: OnStart,
    on_adopt: HashMap<SessionId, OnAdopt>,
    on_collect: OnCollect,
    ended: Ended,
    started: HashMap<SessionId, Started>,
    adopted: HashMap<SessionId, mpsc::Sender<DriverEvent>>,
    orphans: Vec<InstanceRef>,
    facts: ImageFacts,
    restarts: u32,
    kept: Option<HashSet<SessionId>>,
    removed: Vec<SessionId>,
    leases: Arc<()>,
    next_number: u32,
    next_port: u16,
}

/// A started fake instance.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) spec: StartSpec,
    pub(crate) events: mpsc::Sender<DriverEvent>,
}

impl FakeDriver {
    pub(crate) fn new(journal: Journal) -> Self {
        Self { journal, ..Self::default() }
    }

    pub(crate) fn containers(journal: Journal) -> Self {
        Self { journal, containers: true, ..Self::default() }
    }

    pub(crate) fn on_start(&self, what: OnStart) {
        lock(&self.shared).on_start = what;
    }

    pub(crate) fn on_adopt(&self, session: SessionId, what: OnAdopt) {
        lock(&self.shared).on_adopt.insert(session, what);
    }

    pub(crate) fn on_collect(&self, what: OnCollect) {
        lock(&self.shared).on_collect = what;
    }

    /// What every instance reports from now on.
    pub(crate) fn set_usage(&self, usage: Usage) {
        lock(&self.shared).ended.usage = usage;
    }

    /// What every image says of itself from now on.
    pub(crate) fn set_facts(&self, facts: ImageFacts) {
        lock(&self.shared).facts = facts;
    }

    /// How often instances were started again.
    pub(crate) fn restarts(&self) -> u32 {
        lock(&self.shared).restarts
    }

    /// How every instance ends from now on; what it used stays.
    pub(crate) fn set_exit(&self, exit_code: Option<i32>, out_of_memory: bool) {
        let mut shared = lock(&self.shared);
        shared.ended = Ended { exit_code, out_of_memory, ..shared.ended };
    }

    pub(crate) fn started(&self, session: SessionId) -> Option<Started> {
        lock(&self.shared).started.get(&session).cloned()
    }

    /// Where the events of an adopted game go.
    pub(crate) fn adopted(&self, session: SessionId) -> Option<mpsc::Sender<DriverEvent>> {
        lock(&self.shared).adopted.get(&session).cloned()
    }

    /// Instances that were ended as orphans.
    pub(crate) fn orphans(&self) -> Vec<InstanceRef> {
        lock(&self.shared).orphans.clone()
    }

    /// What was to be kept when strays were last removed.
    pub(crate) fn kept(&self) -> Option<HashSet<SessionId>> {
        lock(&self.shared).kept.clone()
    }

    /// Containers that were removed.
    pub(crate) fn removed(&self) -> Vec<SessionId> {
        lock(&self.shared).removed.clone()
    }

    /// Sites that are taken.
    pub(crate) fn sites(&self) -> usize {
        Arc::strong_count(&lock(&self.shared).leases) - 1
    }

    fn make_site(&self, ports: &[ExposedPort]) -> Site {
        if !self.containers {
            return Site::default();
        }
        let lease = Arc::clone(&lock(&self.shared).leases);
        Site {
            address: Some(IpAddr::V4(Ipv4Addr::new(10, 99, 0, 7))),
            gateway: Some(IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1))),
            ports: self.published(ports),
            lease: Some(Box::new(lease)),
        }
    }

    /// At ports that no site had before.
    fn published(&self, ports: &[ExposedPort]) -> Vec<Port> {
        let mut shared = lock(&self.shared);
        let publish = |port: &ExposedPort| {
            shared.next_port += 1;
            let host = FIRST_PORT.saturating_add(shared.next_port);
            Port { protocol: port.protocol, container: port.container, host }
        };
        ports.iter().map(publish).collect()
    }

    fn instance(&self, session: SessionId, reference: InstanceRef, site: Option<Site>) -> Box<dyn Instance> {
        Box::new(FakeInstance { session, reference, driver: self.clone(), _site: site })
    }
}

#[async_trait::async_trait]
impl Driver for FakeDriver {
    async fn image_facts(&self, _image: &str) -> Result<ImageFacts, DriverError> {
        Ok(lock(&self.shared).facts.clone())
    }

    async fn site(&self, _session: SessionId, request: &SiteRequest) -> Result<Site, DriverError> {
        Ok(self.make_site(&request.ports))
    }

    async fn start(
        &self,
        spec: StartSpec,
        site: Site,
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
        let session = spec.session;
        let mut shared = lock(&self.shared);
        shared.next_number += 1;
        let number = shared.next_number;
        let reference = if self.containers {
            InstanceRef::Container { container: format!("c{number}") }
        } else {
            InstanceRef::Process { pid: number, start_ticks: 1 }
        };
        shared.started.insert(session, Started { spec, events });
        drop(shared);
        Ok(self.instance(session, reference, Some(site)))
    }

    async fn adopt(
        &self,
        session: SessionId,
        instance: &InstanceRef,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Option<Adopted>, DriverError> {
        let mut shared = lock(&self.shared);
        let running = match shared.on_adopt.get(&session).copied().unwrap_or_default() {
            OnAdopt::Gone => {
                shared.orphans.push(instance.clone());
                return Ok(None);
            }
            OnAdopt::Fail => return Err(DriverError::Other("the fake engine does not answer".to_owned())),
            OnAdopt::Running => true,
            OnAdopt::Ended => false,
        };
        shared.adopted.insert(session, events);
        drop(shared);
        let instance = self.instance(session, instance.clone(), None);
        Ok(Some(Adopted { instance, site: self.make_site(&[]), running }))
    }

    async fn find(&self, session: SessionId) -> Result<Option<InstanceRef>, DriverError> {
        let found = lock(&self.shared).on_adopt.get(&session).copied().unwrap_or_default();
        let reference = InstanceRef::Container { container: format!("found-{session}") };
        match found {
            OnAdopt::Gone => Ok(None),
            OnAdopt::Fail => Err(DriverError::Other("the fake engine does not answer".to_owned())),
            OnAdopt::Running | OnAdopt::Ended => Ok(self.containers.then_some(reference)),
        }
    }

    async fn remove_strays(&self, keep: &HashSet<SessionId>) -> Result<usize, DriverError> {
        lock(&self.shared).kept = Some(keep.clone());
        Ok(0)
    }
}

struct FakeInstance {
    session: SessionId,
    reference: InstanceRef,
    driver: FakeDriver,
    _site: Option<Site>,
}

#[async_trait::async_trait]
impl Instance for FakeInstance {
    fn reference(&self) -> Option<InstanceRef> {
        Some(self.reference.clone())
    }

    async fn usage(&self) -> Usage {
        lock(&self.driver.shared).ended.usage
    }

    async fn stop(&self, grace: Duration) -> Ended {
        if self.driver.containers {
            self.driver.journal.note(format!("driver stop within {} ms", grace.as_millis()));
        } else {
            self.driver.journal.note("driver stop");
        }
        lock(&self.driver.shared).ended
    }

    async fn restart(&self, events: mpsc::Sender<DriverEvent>) -> Result<(), DriverError> {
        self.driver.journal.note("driver restart");
        let mut shared = lock(&self.driver.shared);
        if shared.on_start == OnStart::Fail {
            return Err(DriverError::Other("the fake driver was told to fail".to_owned()));
        }
        shared.restarts += 1;
        if let Some(started) = shared.started.get_mut(&self.session) {
            started.events = events;
        } else {
            shared.adopted.insert(self.session, events);
        }
        Ok(())
    }

    async fn collect_save(&self, target: &Path, _limits: SaveLimits) -> Result<LeftOut, CollectError> {
        if !self.driver.containers {
            return Ok(LeftOut::default());
        }
        self.driver.journal.note("driver collect");
        let what = lock(&self.driver.shared).on_collect.clone();
        let leave = |text: String| {
            std::fs::create_dir_all(target)
                .and_then(|()| std::fs::write(target.join("save.bin"), text))
                .map_err(|error| CollectError::Failed(DriverError::Start(error)))
        };
        match what {
            OnCollect::Nothing => Ok(LeftOut::default()),
            OnCollect::Leaves(text) => leave(text).map(|()| LeftOut::default()),
            OnCollect::LeavesAllBut(text, left_out) => leave(text).map(|()| left_out),
            OnCollect::Empties => std::fs::remove_dir_all(target)
                .and_then(|()| std::fs::create_dir(target))
                .map(|()| LeftOut::default())
                .map_err(|error| CollectError::Failed(DriverError::Start(error))),
            OnCollect::Fail => Err(DriverError::Other("no space left on device".to_owned()).into()),
            OnCollect::Refuse(refused) => Err(refused.into()),
        }
    }

    async fn remove(&self) -> Result<(), DriverError> {
        if self.driver.containers {
            self.driver.journal.note("driver remove");
            lock(&self.driver.shared).removed.push(self.session);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
