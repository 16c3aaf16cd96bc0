//! Driver `external`: the game runs elsewhere and only its media arrives. Nothing to start, nothing to end.

use super::{Adopted, Driver, DriverError, DriverEvent, Ended, Instance, Site, StartSpec, Usage};
use crate::model::ids::SessionId;
use crate::model::instance::InstanceRef;
use std::time::Duration;
use tokio::sync::mpsc;

/// Starts nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExternalDriver;

/// Keeps the event channel open: an external source never "exits".
#[derive(Debug)]
struct ExternalInstance {
    _events: mpsc::Sender<DriverEvent>,
}

#[async_trait::async_trait]
impl Driver for ExternalDriver {
    async fn start(
        &self,
        _spec: StartSpec,
        _site: Site,
        events: mpsc::Sender<DriverEvent>,
    ) -> Result<Box<dyn Instance>, DriverError> {
        Ok(Box::new(ExternalInstance { _events: events }))
    }

    async fn adopt(
        &self,
        _session: SessionId,
        _instance: &InstanceRef,
        _events: mpsc::Sender<DriverEvent>,
    ) -> Result<Option<Adopted>, DriverError> {
        Ok(None)
    }
}

#[async_trait::async_trait]
impl Instance for ExternalInstance {
    fn reference(&self) -> Option<InstanceRef> {
        None
    }

    async fn usage(&self) -> Usage {
        Usage::default()
    }

    async fn stop(&self, _grace: Duration) -> Ended {
        Ended::default()
    }
}
