//! A container that plays, or has played.
//!
//! One life after another: each start of the same container has a keeper of its own. A stop that comes while the engine
//! starts it again is heeded by the new keeper; no lock is held while the engine works.

use super::error::{DockerError, status_of};
use super::names::Names;
use super::site::Leases;
use super::stats::Meter;
use super::watch::{Keeper, Report};
use super::{archive, remove, start};
use crate::driver::{CollectError, DriverError, DriverEvent, Ended, Instance, Usage};
use crate::model::instance::InstanceRef;
use crate::save_tree::{LeftOut, SaveLimits};
use bollard::Docker;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Dropping it without a stop leaves the container playing, for the next gateway to adopt.
pub(super) struct DockerInstance {
    engine: Docker,
    /// The engine's id.
    container: String,
    names: Names,
    /// A server keeps none.
    save_path: Option<String>,
    life: Mutex<Life>,
    /// Address and ports stay taken as long as the container may have them.
    _leases: Leases,
}

/// From one start to its end.
struct Life {
    orders: watch::Sender<Option<Duration>>,
    reports: watch::Receiver<Report>,
}

/// What an instance is made of.
pub(super) struct Parts {
    pub(super) engine: Docker,
    pub(super) container: String,
    pub(super) names: Names,
    pub(super) save_path: Option<String>,
    pub(super) leases: Leases,
}

impl DockerInstance {
    /// One that plays; events come until it has ended.
    pub(super) fn playing(parts: Parts, events: mpsc::Sender<DriverEvent>) -> Self {
        let (life, keeper) = Life::new(&parts.engine, &parts.container, events, Usage::default());
        tokio::spawn(keeper.run());
        Self::new(parts, life)
    }

    /// One that has ended while nobody looked.
    pub(super) fn ended(parts: Parts, ended: Ended) -> Self {
        let (orders, _) = watch::channel(None);
        let (_, reports) = watch::channel(Report { usage: ended.usage, ended: Some(ended) });
        Self::new(parts, Life { orders, reports })
    }

    fn new(parts: Parts, life: Life) -> Self {
        let Parts { engine, container, names, save_path, leases } = parts;
        Self { engine, container, names, save_path, life: Mutex::new(life), _leases: leases }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> Report {
        *self.life().reports.borrow()
    }

    /// Begins another life, if the one before has ended by itself.
    fn begin(&self, events: mpsc::Sender<DriverEvent>) -> Result<(Keeper, Ended), DockerError> {
        let mut life = self.life();
        let before = life.reports.borrow().ended.ok_or(DockerError::Plays)?;
        if life.orders.borrow().is_some() {
            return Err(DockerError::Stopped);
        }
        let (next, keeper) = Life::new(&self.engine, &self.container, events, before.usage);
        *life = next;
        Ok((keeper, before))
    }
}

impl Life {
    /// `used` is what the container used before.
    fn new(
        engine: &Docker,
        container: &str,
        events: mpsc::Sender<DriverEvent>,
        used: Usage,
    ) -> (Self, Keeper) {
        let (orders, orders_rx) = watch::channel(None);
        let (reports_tx, reports) = watch::channel(Report { usage: used, ended: None });
        let keeper = Keeper {
            engine: engine.clone(),
            container: container.to_owned(),
            events,
            orders: orders_rx,
            reports: reports_tx,
            meter: Meter::after(used),
        };
        (Self { orders, reports }, keeper)
    }
}

/// Starts a container again and keeps it. In a task of its own: a request that is dropped may be done all the same.
async fn start_again(keeper: Keeper, before: Ended, answer: oneshot::Sender<Result<(), DockerError>>) {
    match start::run(&keeper.engine, &keeper.container).await {
        Ok(()) => {
            let _ = answer.send(Ok(()));
        }
        // Whether it has started nobody knows. The keeper finds out, and tells its end if it has not.
        Err(DockerError::Engine { error, .. }) if status_of(&error).is_none() => {
            tracing::debug!(container = keeper.container, %error, "the engine went away while it started a container again");
            let _ = answer.send(Ok(()));
        }
        Err(error) => {
            keeper.reports.send_replace(Report { usage: before.usage, ended: Some(before) });
            let _ = answer.send(Err(error));
            return;
        }
    }
    keeper.run().await;
}

#[async_trait::async_trait]
impl Instance for DockerInstance {
    fn reference(&self) -> Option<InstanceRef> {
        Some(InstanceRef::Container { container: self.container.clone() })
    }

    async fn usage(&self) -> Usage {
        self.report().usage
    }

    async fn stop(&self, grace: Duration) -> Ended {
        let mut reports = {
            let life = self.life();
            // One that has ended by itself needs no order, and may be started again.
            if life.reports.borrow().ended.is_none() {
                life.orders.send_if_modified(|order| {
                    let first = order.is_none();
                    order.get_or_insert(grace);
                    first
                });
            }
            life.reports.clone()
        };
        // An error means that the keeper is gone, which it only is after its last report.
        let _ = reports.wait_for(|report| report.ended.is_some()).await;
        let report = *reports.borrow();
        report.ended.unwrap_or(Ended { usage: report.usage, ..Ended::default() })
    }

    async fn restart(&self, events: mpsc::Sender<DriverEvent>) -> Result<(), DriverError> {
        let (keeper, before) = self.begin(events)?;
        let (answer, done) = oneshot::channel();
        tokio::spawn(start_again(keeper, before, answer));
        Ok(done.await.unwrap_or(Err(DockerError::GivenUp))?)
    }

    async fn collect_save(&self, target: &Path, limits: SaveLimits) -> Result<LeftOut, CollectError> {
        let Some(save_path) = &self.save_path else { return Ok(LeftOut::default()) };
        if self.report().ended.is_none() {
            let error = DriverError::Other("a game that plays cannot give its save out".to_owned());
            return Err(error.into());
        }
        archive::collect(&self.engine, &self.container, save_path, target, limits).await
    }

    async fn remove(&self) -> Result<(), DriverError> {
        Ok(remove::instance(&self.engine, &self.names).await.map_err(DockerError::engine("remove a game"))?)
    }
}
