//! Starts hosted sessions (contract G-1).

use super::{HostRequest, HostedImage, HostedView};
use crate::model::hosted::Hosted;
use crate::model::ids::{Owner, SessionId};
use crate::model::rows::{Inserted, SessionRow};
use crate::model::session::{ContainerStatus, EndReason, Milestone};
use crate::schedule::NodeState;
use crate::session::access::internal;
use crate::session::view::SessionView;
use crate::session::{ServiceError, Sessions};
use std::sync::Arc;
use tokio::sync::watch;

impl Sessions {
    /// Contract G-1. See [`crate::http::session_api::HostedCore::run`].
    pub async fn host(&self, organisation: &str, request: HostRequest) -> Result<HostedView, ServiceError> {
        // In a task of its own: a caller that goes away leaves neither a row without its actor nor an id that is taken by
        // nothing.
        let (this, organisation) = (self.clone(), organisation.to_owned());
        tokio::spawn(async move { this.host_to_the_end(&organisation, request).await })
            .await
            .map_err(internal)?
    }

    async fn host_to_the_end(
        &self,
        organisation: &str,
        request: HostRequest,
    ) -> Result<HostedView, ServiceError> {
        let (id, view) = self.host_begin(organisation, request).await?;
        let Some(mut view) = view else { return self.host_outcome(id).await };
        let started = view.wait_for(|view| view.container != ContainerStatus::Created).await;
        if let Ok(started) = started.map(|view| view.clone())
            && has_started(&started)
        {
            return self.told(organisation, started).await;
        }
        // It failed: the answer waits until everything of it is gone, so that the caller may ask again at once.
        while view.changed().await.is_ok() {}
        self.host_outcome(id).await
    }

    /// Of a session that did not start, or has ended already.
    async fn host_outcome(&self, id: SessionId) -> Result<HostedView, ServiceError> {
        let row = self.context().store.session(id).await.map_err(internal)?;
        let row = row.ok_or_else(|| internal(anyhow::anyhow!("a session vanished while it started")))?;
        let view = crate::session::actor::view_of(&row, None, 0);
        if let (true, Owner::Organisation(organisation)) = (has_started(&view), &row.owner) {
            return self.told(organisation, view).await;
        }
        if row.end_reason != Some(EndReason::StoppedByUser) {
            let now = self.context().clock.now_ms();
            self.context().store.forget_external_id(id, now).await.map_err(internal)?;
        }
        let detail = row.end_detail.unwrap_or_else(|| "The session was stopped while it started.".to_owned());
        Err(ServiceError::StartFailed(detail))
    }

    async fn told(&self, organisation: &str, view: SessionView) -> Result<HostedView, ServiceError> {
        let nodes = self.nodes().await?;
        Self::hosted_view(organisation, &view, 0, &nodes).ok_or_else(super::access::no_such_session)
    }

    /// Checks, places and writes the session; its launch goes on by itself. No view: it has ended already.
    async fn host_begin(
        &self,
        organisation: &str,
        request: HostRequest,
    ) -> Result<(SessionId, Option<watch::Receiver<SessionView>>), ServiceError> {
        let image = self.image(organisation, &request.image)?;
        let nodes = self.nodes().await?;
        if !nodes.iter().any(|node| node.is_at(&request.location)) {
            let text = format!("The location '{}' does not exist.", request.location);
            return Err(ServiceError::NotFound(text));
        }
        let owner = Owner::Organisation(organisation.to_owned());
        if let Some(id) = &request.id {
            let known = self.context().store.session_by_external_id(&owner, id).await.map_err(internal)?;
            if known.is_some() {
                return Err(ServiceError::IdUsed);
            }
        }
        let tag = self.tag(image, request.version.as_deref()).await?;
        let slip = self.may_start(organisation)?;
        let permit = self.doors().enter(None).ok_or(ServiceError::NoServers)?;
        let game = image.game(&tag);
        let mut row = self.new_row(owner, &game, None);
        self.place(&mut row, &game, Some(&request.location)).await?;
        if let Some(id) = &request.id {
            row.external_id.clone_from(id);
        }
        row.hosted = Some(Arc::new(self.new_hosted(&row, image, tag, &nodes, request)));
        self.insert(&row).await.and_then(|inserted| match inserted {
            Inserted::Done => Ok(()),
            Inserted::ExternalIdUsed => Err(ServiceError::IdUsed),
            Inserted::UserBusy | Inserted::SlotBusy => {
                Err(internal(anyhow::anyhow!("an organisation has no slots")))
            }
        })?;
        slip.spend();
        tracing::info!(session = %row.id, organisation, image = image.name, node = row.node, "hosted session asked for");
        let id = row.id;
        self.begin(row, Arc::new(game), permit);
        Ok((id, self.live(id).map(|handle| handle.view)))
    }

    fn new_hosted(
        &self,
        row: &SessionRow,
        image: &HostedImage,
        tag: String,
        nodes: &[NodeState],
        request: HostRequest,
    ) -> Hosted {
        let node = nodes.iter().find(|node| row.node.as_deref() == Some(&node.name));
        let place = |of: fn(&NodeState) -> &str| node.map_or(request.location.as_str(), of).to_owned();
        let ttl_ms = request.ttl.map(|ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
        Hosted {
            image: image.name.clone(),
            tag,
            region: place(NodeState::region_or_place),
            location: place(NodeState::place),
            host: self.context().hosting.host.clone(),
            env: request.env,
            args: request.args,
            labels: request.labels,
            image_labels: std::collections::BTreeMap::new(),
            ports: Vec::new(),
            restart: request.restart,
            ttl_until: ttl_ms.map(|ttl| row.started_at.saturating_add(ttl)),
            enable_metrics: request.enable_metrics,
            stream: image.streams(),
        }
    }

    pub(super) fn image(&self, organisation: &str, name: &str) -> Result<&HostedImage, ServiceError> {
        let image = self.context().hosting.images.get(organisation, name);
        image.ok_or_else(|| ServiceError::NotFound(format!("The image '{name}' does not exist.")))
    }

    pub(super) async fn nodes(&self) -> Result<Vec<NodeState>, ServiceError> {
        self.context().placement.nodes().await.map_err(internal)
    }
}

/// The container has run, whatever came then.
fn has_started(view: &SessionView) -> bool {
    view.timeline.iter().any(|(milestone, _)| *milestone == Milestone::ContainerUp)
}
