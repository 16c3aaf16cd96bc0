//! A session core for the Session API that answers from a table of one session.

use axum::body::Bytes;
use futures_util::{StreamExt, stream};
use playgate::driver::ByteStream;
use playgate::http::HostedCore;
use playgate::model::hosted::Hosted;
use playgate::model::ids::{GrantId, SessionId};
use playgate::model::instance::{Port, Protocol};
use playgate::model::session::ContainerStatus;
use playgate::session::ServiceError;
use playgate::session::hosted::{
    Artifact, HostRequest, HostedFilter, HostedStatus, HostedView, LocationView,
};
use playgate::session::view::GrantView;
use playgate_signaling::message::Role;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;

type Refuse = fn() -> ServiceError;

/// Every call is noted as `operation organisation ...`, and refused when a refusal is set.
#[derive(Default)]
pub(crate) struct FakeHosted {
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) refuse: Mutex<Option<Refuse>>,
    /// The organisation has this one; another id is not found.
    pub(crate) session: Mutex<Option<HostedView>>,
    pub(crate) requests: Mutex<Vec<HostRequest>>,
    pub(crate) filters: Mutex<Vec<HostedFilter>>,
}

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn view(external_id: &str) -> HostedView {
    let hosted = Hosted {
        image: "nginx".into(),
        tag: "1.27".into(),
        region: "europe".into(),
        location: "frankfurt".into(),
        host: "203.0.113.7".into(),
        env: map(&[("MODE", "ranked"), ("GAMEYE_HOST", "203.0.113.7")]),
        labels: map(&[("mode", "ranked"), ("a", "")]),
        image_labels: map(&[("maintainer", "somebody"), ("env", "hidden")]),
        ports: vec![
            Port { protocol: Protocol::Tcp, container: 80, host: 20_001 },
            Port { protocol: Protocol::Udp, container: 7777, host: 20_002 },
        ],
        ..Hosted::default()
    };
    HostedView {
        id: SessionId::new(),
        external_id: external_id.into(),
        organisation: "acme".into(),
        created: 1_648_472_895_123,
        status: HostedStatus::Container(ContainerStatus::Running),
        hosted: Arc::new(hosted),
        player_count: 2,
        spectators: 0,
        progress: None,
        end_reason: None,
        end_detail: None,
    }
}

pub(crate) fn no_session() -> ServiceError {
    ServiceError::NotFound("There is no session with this id.".into())
}

impl FakeHosted {
    pub(crate) fn with(&self, view: HostedView) {
        *self.session.lock().unwrap() = Some(view);
    }

    pub(crate) fn refuse(&self, refuse: Refuse) {
        *self.refuse.lock().unwrap() = Some(refuse);
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn note(&self, call: String) -> Result<(), ServiceError> {
        self.calls.lock().unwrap().push(call);
        match *self.refuse.lock().unwrap() {
            Some(refuse) => Err(refuse()),
            None => Ok(()),
        }
    }

    fn find(&self, id: &str) -> Result<HostedView, ServiceError> {
        let known = self.session.lock().unwrap().clone();
        known.filter(|view| view.external_id == id).ok_or_else(no_session)
    }
}

fn bytes(parts: &'static [&'static str]) -> ByteStream {
    stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes())))).boxed()
}

#[async_trait::async_trait]
impl HostedCore for FakeHosted {
    async fn run(&self, organisation: &str, request: HostRequest) -> Result<HostedView, ServiceError> {
        self.note(format!("run {organisation} {}", request.image))?;
        let made = view(request.id.as_deref().unwrap_or("made-up"));
        self.requests.lock().unwrap().push(request);
        Ok(made)
    }

    async fn list(&self, organisation: &str, filter: &HostedFilter) -> Result<Vec<HostedView>, ServiceError> {
        self.note(format!("list {organisation}"))?;
        self.filters.lock().unwrap().push(filter.clone());
        Ok(self.session.lock().unwrap().clone().into_iter().collect())
    }

    async fn describe(
        &self,
        organisation: &str,
        id: &str,
    ) -> Result<(HostedView, Vec<String>), ServiceError> {
        self.note(format!("describe {organisation} {id}"))?;
        Ok((self.find(id)?, vec!["ada".into(), "bob".into()]))
    }

    async fn terminate(&self, organisation: &str, id: &str) -> Result<(), ServiceError> {
        self.note(format!("terminate {organisation} {id}"))?;
        self.find(id).map(|_| ())
    }

    async fn join(
        &self,
        organisation: &str,
        id: &str,
        players: &[String],
    ) -> Result<Vec<String>, ServiceError> {
        self.note(format!("join {organisation} {id} {}", players.join(",")))?;
        self.find(id)?;
        Ok(vec!["ada".into(), "bob".into(), "cyd".into()])
    }

    async fn leave(
        &self,
        organisation: &str,
        id: Option<&str>,
        players: &[String],
    ) -> Result<u64, ServiceError> {
        self.note(format!("leave {organisation} {id:?} {}", players.join(",")))?;
        id.map(|id| self.find(id)).transpose()?;
        Ok(1)
    }

    async fn artifact(&self, organisation: &str, id: &str, path: &str) -> Result<Artifact, ServiceError> {
        self.note(format!("artifact {organisation} {id} {path}"))?;
        self.find(id)?;
        Ok(Artifact { name: "nginx".into(), bytes: bytes(&["gzip", "ped"]) })
    }

    async fn locations(&self, organisation: &str, image: &str) -> Result<Vec<LocationView>, ServiceError> {
        self.note(format!("locations {organisation} {image}"))?;
        if image == "unknown" {
            return Err(ServiceError::NotFound("There is no image `unknown`.".into()));
        }
        Ok(vec![LocationView { id: "frankfurt".into(), ips: vec!["203.0.113.7".into()] }])
    }

    async fn tag_exists(
        &self,
        organisation: &str,
        region: &str,
        image: &str,
        tag: &str,
    ) -> Result<bool, ServiceError> {
        self.note(format!("tag {organisation} {region} {image} {tag}"))?;
        Ok(tag == "1.27")
    }

    async fn logs(&self, organisation: &str, id: &str, follow: bool) -> Result<ByteStream, ServiceError> {
        self.note(format!("logs {organisation} {id} {follow}"))?;
        self.find(id)?;
        Ok(bytes(&["one\n", "two\n"]))
    }

    async fn grant(
        &self,
        organisation: &str,
        id: &str,
        role: Role,
        origins: Vec<String>,
        expires_in: Duration,
    ) -> Result<GrantView, ServiceError> {
        self.note(format!("grant {organisation} {id} {role:?} {}", expires_in.as_secs()))?;
        let session = self.find(id)?.id;
        let now = OffsetDateTime::now_utc();
        Ok(GrantView {
            id: GrantId::new(),
            session,
            role,
            slot: None,
            origins,
            created_at: now,
            expires_at: now + expires_in,
            revoked: false,
        })
    }
}
