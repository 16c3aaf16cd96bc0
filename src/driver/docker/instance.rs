//! A container that plays, or has played.

use super::addresses::Lease;
use super::error::DockerError;
use super::names::Names;
use super::stats::Meter;
use super::watch::{Keeper, Report};
use super::{archive, remove};
use crate::driver::{DriverError, DriverEvent, Ended, Instance, InstanceRef, Usage};
use bollard::Docker;
use std::path::Path;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Dropping it without a stop leaves the container playing, for the next gateway to adopt.
pub(super) struct DockerInstance {
    engine: Docker,
    /// The engine's id.
    container: String,
    names: Names,
    save_path: String,
    orders: watch::Sender<Option<Duration>>,
    reports: watch::Receiver<Report>,
    /// The address stays taken as long as the container may have it.
    _lease: Option<Lease>,
}

/// What an instance is made of.
pub(super) struct Parts {
    pub(super) engine: Docker,
    pub(super) container: String,
    pub(super) names: Names,
    pub(super) save_path: String,
    pub(super) lease: Option<Lease>,
}

impl DockerInstance {
    /// One that plays; events come until it has ended.
    pub(super) fn playing(parts: Parts, events: mpsc::Sender<DriverEvent>) -> Self {
        let (orders, orders_rx) = watch::channel(None);
        let (reports_tx, reports) = watch::channel(Report { usage: Usage::default(), ended: None });
        let keeper = Keeper {
            engine: parts.engine.clone(),
            container: parts.container.clone(),
            events,
            orders: orders_rx,
            reports: reports_tx,
            meter: Meter::default(),
        };
        tokio::spawn(keeper.run());
        Self::new(parts, orders, reports)
    }

    /// One that has ended while nobody looked.
    pub(super) fn ended(parts: Parts, ended: Ended) -> Self {
        let (orders, _) = watch::channel(None);
        let (_, reports) = watch::channel(Report { usage: ended.usage, ended: Some(ended) });
        Self::new(parts, orders, reports)
    }

    fn new(parts: Parts, orders: watch::Sender<Option<Duration>>, reports: watch::Receiver<Report>) -> Self {
        let Parts { engine, container, names, save_path, lease } = parts;
        Self { engine, container, names, save_path, orders, reports, _lease: lease }
    }
}

#[async_trait::async_trait]
impl Instance for DockerInstance {
    fn reference(&self) -> Option<InstanceRef> {
        Some(InstanceRef::Container { container: self.container.clone() })
    }

    async fn usage(&self) -> Usage {
        self.reports.borrow().usage
    }

    async fn stop(&self, grace: Duration) -> Ended {
        self.orders.send_if_modified(|order| {
            let first = order.is_none();
            order.get_or_insert(grace);
            first
        });
        let mut reports = self.reports.clone();
        // An error means that the keeper is gone, which it only is after its last report.
        let _ = reports.wait_for(|report| report.ended.is_some()).await;
        let report = *reports.borrow();
        report.ended.unwrap_or(Ended { usage: report.usage, ..Ended::default() })
    }

    async fn collect_save(&self, target: &Path) -> Result<(), DriverError> {
        if self.reports.borrow().ended.is_none() {
            return Err(DriverError::Other("a game that plays cannot give its save out".to_owned()));
        }
        Ok(archive::collect(&self.engine, &self.container, &self.save_path, target).await?)
    }

    async fn remove(&self) -> Result<(), DriverError> {
        Ok(remove::instance(&self.engine, &self.names).await.map_err(DockerError::engine("remove a game"))?)
    }
}
