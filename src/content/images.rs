//! Images of the engine's: whether one is there, and pulling it when not.
//!
//! The engine does the pulling; what is ours is one pull at a time for a reference, the registry's credentials, one
//! percentage out of many layers, and errors that say who has to do something.

mod layers;
mod refusals;

use super::flight::{Flights, Gate, Reporter};
use super::metrics::{ContentMetrics, Kind};
use super::references::{Reference, Version};
use super::{ContentError, Progress};
use crate::config::RegistryConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use layers::Layers;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A pull without a word from the engine for so long has ended. Unpacking a large layer is silent for a while.
const STALL_TIMEOUT: Duration = Duration::from_secs(600);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Images {
    engine: Docker,
    registries: Arc<[RegistryConfig]>,
    flights: Flights<Reference, String>,
    metrics: ContentMetrics,
}

impl Images {
    pub(super) fn new(
        engine: Docker,
        registries: &[RegistryConfig],
        gate: Gate,
        metrics: ContentMetrics,
    ) -> Self {
        let flights = Flights::new(Kind::Image, gate, metrics.clone());
        // A pull's first answer comes when the registry's did.
        let engine = engine.with_timeout(STALL_TIMEOUT);
        Self { engine, registries: registries.into(), flights, metrics }
    }

    pub(super) async fn has(&self, reference: &str) -> bool {
        let Ok(reference) = Reference::parse(reference) else { return false };
        matches!(self.present(&reference).await, Ok(Some(_)))
    }

    /// The image's id, `sha256:...`, once it is on the engine.
    pub(super) async fn fetch(
        &self,
        reference: &str,
        progress: &watch::Sender<Progress>,
    ) -> Result<String, ContentError> {
        let parsed = Reference::parse(reference).map_err(|error| ContentError::NoSuchImage {
            reference: reference.to_owned(),
            detail: error.to_string(),
        })?;
        if let Some(id) = self.present(&parsed).await? {
            return Ok(id);
        }
        let (images, wanted) = (self.clone(), parsed.clone());
        self.flights.join(parsed, progress, |reporter| images.bring(wanted, reporter)).await
    }

    async fn bring(self, reference: Reference, reporter: Reporter<String>) -> Result<String, ContentError> {
        // The caller looked before an earlier task ended, and asked after.
        if let Some(id) = self.present(&reference).await? {
            return Ok(id);
        }
        self.pull(&reference, &reporter).await?;
        self.present(&reference).await?.ok_or_else(|| ContentError::NoSuchImage {
            reference: reference.to_string(),
            detail: "the engine pulled it and does not have it".to_owned(),
        })
    }

    async fn present(&self, reference: &Reference) -> Result<Option<String>, ContentError> {
        let image = match self.engine.inspect_image(&reference.to_string()).await {
            Ok(image) => image,
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            Err(error) => return Err(refusals::of_engine(reference, &error)),
        };
        let matches =
            match &reference.version {
                Version::Tag(_) => true,
                Version::Digest(digest) => image.repo_digests.iter().flatten().any(|known| {
                    known.rsplit_once('@').is_some_and(|(_, of_manifest)| of_manifest == digest)
                }),
            };
        Ok(image.id.filter(|_| matches))
    }

    async fn pull(&self, reference: &Reference, reporter: &Reporter<String>) -> Result<(), ContentError> {
        let options = CreateImageOptionsBuilder::new()
            .from_image(&reference.repository())
            .tag(reference.version())
            .build();
        let credentials = self.credentials(reference)?;
        let mut messages = Box::pin(self.engine.create_image(Some(options), None, credentials));
        let mut layers = Layers::default();
        tracing::info!(%reference, "pulling an image");
        loop {
            let message = match tokio::time::timeout(STALL_TIMEOUT, messages.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return Err(refusals::of_engine(reference, &error)),
                Ok(None) => return Ok(()),
                Err(_) => {
                    let detail = "nothing came for ten minutes".to_owned();
                    return Err(ContentError::RegistryUnreachable {
                        reference: reference.to_string(),
                        detail,
                    });
                }
            };
            self.metrics.downloaded(Kind::Image, layers.hear(&message));
            let (done, total) = layers.sum();
            reporter.report(done, total);
        }
    }

    fn credentials(&self, reference: &Reference) -> Result<Option<DockerCredentials>, ContentError> {
        let Some(host) = &reference.host else { return Ok(None) };
        let Some(config) = self.registries.iter().find(|config| config.host.eq_ignore_ascii_case(host))
        else {
            return Ok(None);
        };
        let credentials = DockerCredentials {
            username: Some(config.username.clone()),
            password: Some(config.password.clone().unwrap_or_default()),
            serveraddress: Some(host.clone()),
            ..DockerCredentials::default()
        };
        if arrives(&credentials) {
            return Ok(Some(credentials));
        }
        Err(ContentError::RegistryRefused {
            reference: reference.to_string(),
            detail: "the engine cannot be given this user name and password: use ones of letters, digits and `-_.=+/` only"
                .to_owned(),
        })
    }
}

/// Engines read the credentials' header as URL-safe base64 and silently use none when they cannot; the client crate writes
/// the other alphabet. Both are the same as long as the two letters that differ do not occur.
fn arrives(credentials: &DockerCredentials) -> bool {
    let json = serde_json::to_vec(credentials).unwrap_or_default();
    !STANDARD.encode(json).contains(['+', '/'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_would_get_lost_are_noticed() {
        let with = |password: &str| DockerCredentials {
            username: Some("me".to_owned()),
            password: Some(password.to_owned()),
            ..DockerCredentials::default()
        };
        let plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/";
        for start in 0..3 {
            assert!(arrives(&with(&plain[start..])), "{start}");
        }
        assert!(!arrives(&with("~~~")));
        assert!(!arrives(&with("???")));
    }
}
