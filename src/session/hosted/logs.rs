//! The output of a hosted session (contract G-10): what is there so far, or with `follow` until it has ended for good.

use crate::driver::{ByteStream, Driver};
use crate::model::instance::InstanceRef;
use crate::model::session::ContainerStatus;
use crate::session::access::internal;
use crate::session::view::SessionView;
use crate::session::{ServiceError, Sessions};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

impl Sessions {
    /// Contract G-10. Read from the engine no faster than it is taken.
    pub async fn hosted_logs(
        &self,
        organisation: &str,
        id: &str,
        follow: bool,
    ) -> Result<ByteStream, ServiceError> {
        let (row, _) = self.find_hosted(organisation, id).await?;
        let view = self.live(row.id).map(|handle| handle.view);
        let followed = view.filter(|_| follow);
        let reference = match (row.instance, &followed) {
            (Some(reference), _) => Some(reference),
            (None, None) => None,
            // It is still being made.
            (None, Some(view)) => {
                let started =
                    view.clone().wait_for(|view| view.container != ContainerStatus::Created).await.is_ok();
                let row = self.context().store.session(row.id).await.map_err(internal)?;
                row.filter(|_| started).and_then(|row| row.instance)
            }
        };
        let Some(reference) = reference else { return Ok(stream::empty().boxed()) };
        let Some(driver) = self.context().drivers.by_instance(&reference) else {
            return Ok(stream::empty().boxed());
        };
        let tail = Tail { driver: Arc::clone(driver), reference, view: followed, read: 0 };
        let first = tail.open(follow).await.map_err(internal)?;
        Ok(tail.through(first))
    }
}

/// A container's output over its restarts.
struct Tail {
    driver: Arc<dyn Driver>,
    reference: InstanceRef,
    /// Of a session that is followed.
    view: Option<watch::Receiver<SessionView>>,
    /// Bytes given out so far: the output goes on where it was when the container is started again.
    read: usize,
}

impl Tail {
    async fn open(&self, follow: bool) -> Result<ByteStream, crate::driver::DriverError> {
        let logs = self.driver.logs(&self.reference, follow).await?;
        Ok(logs.unwrap_or_else(|| stream::empty().boxed()))
    }

    fn through(self, first: ByteStream) -> ByteStream {
        let begin = (self, first, 0_usize);
        stream::unfold(Some(begin), |state| async move {
            let (mut tail, mut bytes, mut skip) = state?;
            loop {
                match bytes.next().await {
                    Some(Ok(chunk)) => {
                        let seen = skip.min(chunk.len());
                        skip -= seen;
                        let fresh = chunk.slice(seen..);
                        if fresh.is_empty() {
                            continue;
                        }
                        tail.read = tail.read.saturating_add(fresh.len());
                        return Some((Ok::<Bytes, io::Error>(fresh), Some((tail, bytes, skip))));
                    }
                    Some(Err(error)) => return Some((Err(error), None)),
                    None => match tail.again().await? {
                        Ok(next) => (bytes, skip) = (next, tail.read),
                        Err(error) => return Some((Err(error), None)),
                    },
                }
            }
        })
        .boxed()
    }

    /// The output of the container's next life; `None` when there is none.
    async fn again(&mut self) -> Option<io::Result<ByteStream>> {
        let view = self.view.as_mut()?;
        // The container's end is told to the session a moment after its output has ended.
        let ended = view.wait_for(|view| view.container != ContainerStatus::Running).await.ok()?.container;
        if ended != ContainerStatus::Restarting {
            return None;
        }
        let next = view.wait_for(|view| view.container != ContainerStatus::Restarting).await.ok()?.container;
        if next != ContainerStatus::Running {
            return None;
        }
        Some(self.open(true).await.map_err(io::Error::other))
    }
}
