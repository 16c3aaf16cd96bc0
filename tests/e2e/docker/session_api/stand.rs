//! A gateway that hosts an organisation's images: a registry with Debian's nginx in it, and a token.

use crate::support::engine::{Engine, LONG, games};
use crate::support::gateway::Gateway;
use crate::support::http::{Client, Reply};
use crate::support::registry::Registry;
use crate::support::wait::eventually;
use bollard::query_parameters::{PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::TryStreamExt;
use serde_json::{Value, json};

pub(super) const ORGANISATION: &str = "studio";
/// The image's name in the catalogue, its tags, and where its node is.
pub(super) const IMAGE: &str = "nginx";
pub(super) const TAGS: [&str; 2] = ["1.22", "stable"];
pub(super) const LOCATION: &str = "frankfurt";
pub(super) const REGION: &str = "europe";

pub(super) struct Stand {
    pub(super) engine: Engine,
    pub(super) gateway: Gateway,
    /// With the organisation's token.
    pub(super) api: Client,
    repository: String,
    _registry: Registry,
}

impl Stand {
    /// `more` is configuration: top-level keys with dots.
    pub(super) async fn new(more: &str) -> Self {
        let engine = Engine::connect().await;
        let registry = Registry::open();
        let repository = format!("{}/studio/nginx", registry.host);
        for tag in TAGS {
            let options = TagImageOptionsBuilder::default().repo(&repository).tag(tag).build();
            engine.docker.tag_image(&games().nginx, Some(options)).await.unwrap();
            let options = PushImageOptionsBuilder::default().tag(tag).build();
            engine.docker.push_image(&repository, Some(options), None).try_collect::<Vec<_>>().await.unwrap();
        }
        let toml = format!(
            "node.location = '{LOCATION}'\nnode.region = '{REGION}'\nsession_api.port_address = '127.0.0.1'\n{more}\n\
             [[images]]\nname = '{IMAGE}'\nrepository = '{repository}'\norganisations = ['{ORGANISATION}', 'rival']\n\
             tags = ['stable']\n[images.container]\nmemory_mb = 64\ncpus = 0.1\n\
             [[images]]\nname = 'show'\nrepository = '{show}'\norganisations = ['{ORGANISATION}']\nprofile = 'game'\n\
             stream = true\ncontainer.command = ['ember']\ntags = ['{show_tag}']\n",
            show = repository_of(&games().built_in),
            show_tag = tag_of(&games().built_in),
        );
        let gateway = engine.gateway(&toml).await;
        let api = gateway.client().with_token(&gateway.mint(&["--organisation", ORGANISATION]).await);
        Self { engine, gateway, api, repository, _registry: registry }
    }

    pub(super) async fn rival(&self) -> Client {
        self.gateway.client().with_token(&self.gateway.mint(&["--organisation", "rival"]).await)
    }

    pub(super) fn request(id: &str) -> Value {
        json!({ "id": id, "location": REGION, "image": IMAGE })
    }

    /// Starts a session; gives the answer's body.
    pub(super) async fn start(&self, request: Value) -> Value {
        self.api.post("/session", request).await.expect(201)
    }

    pub(super) async fn describe(&self, id: &str) -> Reply {
        self.api.get(&format!("/session/{id}")).await
    }

    pub(super) async fn becomes(&self, id: &str, status: &str) -> Value {
        eventually(&format!("{id} is {status}"), LONG, async || {
            let reply = self.describe(id).await;
            if reply.body["status"] == status { Ok(reply.body) } else { Err(format!("{:#}", reply.body)) }
        })
        .await
    }

    /// Ends the gateway and leaves nothing on the engine.
    pub(super) async fn finish(self) {
        self.gateway.finish().await;
        for tag in TAGS {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            let _ = self
                .engine
                .docker
                .remove_image(&format!("{}:{tag}", self.repository), Some(options), None)
                .await;
        }
    }
}

fn repository_of(reference: &str) -> &str {
    reference.rsplit_once(':').map_or(reference, |(repository, _)| repository)
}

fn tag_of(reference: &str) -> &str {
    reference.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}
