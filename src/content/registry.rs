//! A registry's side of tags: HTTP API v2, as far as listing a repository's tags and telling when an image was made.
//!
//! Credentials are the configuration's and go to the host they are for alone, or to the token service that host names.
//! Every answer is bounded in size, every request in time.

mod challenge;
pub(crate) mod fuzz;
mod transport;

use super::ContentError;
use super::references::Reference;
use crate::config::RegistryConfig;
use reqwest::header::{ACCEPT, LINK};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use std::collections::HashMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transport::{Failed, Transport};

/// Pages of tags, and tags of all of them together: a repository with more shows its first ones.
const MAX_PAGES: usize = 50;
const MAX_TAGS: usize = 5_000;
const PAGE: usize = 1_000;
/// Of lists, manifests and image configurations.
const MAX_ANSWER: usize = 4 << 20;

/// Both kinds of manifest, of images and of lists of images.
const MANIFESTS: &str = "application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.index.v1+json";

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct RegistryClient {
    transport: Transport,
}

/// One repository of a registry.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    /// Where the API begins: `https://HOST/v2/PATH/`.
    base: Url,
    /// As configured and told.
    name: String,
}

/// What a tag points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// `sha256:...` of the image's configuration, which tells when it was made.
    pub(super) config: String,
}

#[derive(Deserialize)]
struct TagPage {
    /// Some registries say `null` of a repository without tags.
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct AnyManifest {
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    platform: HashMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct ImageConfig {
    created: Option<String>,
}

impl RegistryClient {
    pub(super) fn new(registries: &[RegistryConfig]) -> Self {
        Self { transport: Transport::new(registries) }
    }

    /// `None` when it has no host: which registry is meant then only the engine knows.
    pub(super) fn repository(repository: &Reference) -> Option<Repository> {
        let host = repository.host.as_ref()?;
        let scheme = if is_local(host) { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/v2/{}/", repository.path)).ok()?;
        Some(Repository { base, name: repository.repository() })
    }

    /// All tags, in the registry's order.
    pub(super) async fn tags(&self, repository: &Repository) -> Result<Vec<String>, ContentError> {
        let mut next = Some(repository.at(&format!("tags/list?n={PAGE}"))?);
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            let answer =
                self.transport.get(&url, None, MAX_ANSWER).await.map_err(|failed| repository.told(failed))?;
            let page: TagPage = parse(&answer.body).map_err(|failed| repository.told(failed))?;
            tags.extend(page.tags.unwrap_or_default());
            if tags.len() >= MAX_TAGS {
                tracing::warn!(repository = repository.name, "a repository has more tags than are looked at");
                tags.truncate(MAX_TAGS);
                break;
            }
            let link = answer.headers.get(LINK).and_then(|link| link.to_str().ok());
            next = link.and_then(|link| next_page(&url, link));
        }
        Ok(tags)
    }

    /// Of a tag or a digest. Of a list of images, its first for this machine.
    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Manifest, ContentError> {
        let mut wanted = tag.to_owned();
        for _ in 0..2 {
            let url = repository.at(&format!("manifests/{wanted}"))?;
            let answer = self.transport.get(&url, Some((ACCEPT, MANIFESTS)), MAX_ANSWER).await;
            let body = answer.map_err(|failed| repository.told(failed))?.body;
            let manifest: AnyManifest = parse(&body).map_err(|failed| repository.told(failed))?;
            if let Some(config) = manifest.config {
                return Ok(Manifest { config: config.digest });
            }
            let Some(image) = best(&manifest.manifests) else { break };
            wanted.clone_from(&image.digest);
        }
        Err(repository.told(Failed::Answer("it tells of no image".to_owned())))
    }

    /// When an image was made, by its configuration's digest. `None` when it does not tell.
    pub(super) async fn created(
        &self,
        repository: &Repository,
        config: &str,
    ) -> Result<Option<OffsetDateTime>, ContentError> {
        let url = repository.at(&format!("blobs/{config}"))?;
        let answer = self.transport.get(&url, None, MAX_ANSWER).await;
        let body = answer.map_err(|failed| repository.told(failed))?.body;
        let config: ImageConfig = parse(&body).map_err(|failed| repository.told(failed))?;
        Ok(config.created.and_then(|created| OffsetDateTime::parse(&created, &Rfc3339).ok()))
    }
}

impl Repository {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn at(&self, below: &str) -> Result<Url, ContentError> {
        let url = self.base.join(below).ok().filter(|url| url.as_str().starts_with(self.base.as_str()));
        url.ok_or_else(|| self.told(Failed::Answer("it names what cannot be asked for".to_owned())))
    }

    fn told(&self, failed: Failed) -> ContentError {
        let reference = self.name.clone();
        match failed {
            Failed::Unreachable(detail) | Failed::Answer(detail) => {
                ContentError::RegistryUnreachable { reference, detail }
            }
            Failed::Refused(detail) => ContentError::RegistryRefused { reference, detail },
            Failed::Status(StatusCode::NOT_FOUND) => ContentError::NoSuchImage {
                reference,
                detail: "its registry has no such repository".to_owned(),
            },
            Failed::Status(status) => {
                ContentError::RegistryUnreachable { reference, detail: format!("it answers {status}") }
            }
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failed> {
    serde_json::from_slice(body)
        .map_err(|error| Failed::Answer(format!("its answer makes no sense: {error}")))
}

/// The image that this machine would run, else the first.
fn best(manifests: &[Descriptor]) -> Option<&Descriptor> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let fits = |image: &&Descriptor| {
        let is =
            |key: &str, value: &str| image.platform.get(key).and_then(|found| found.as_str()) == Some(value);
        is("architecture", architecture) && is("os", "linux")
    };
    manifests.iter().find(fits).or(manifests.first())
}

/// The target of `rel="next"` (RFC 8288), when it is of the same registry.
fn next_page(from: &Url, link: &str) -> Option<Url> {
    link.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim().to_ascii_lowercase();
            parameter == "rel=next" || parameter == "rel=\"next\""
        });
        let url = from.join(target).ok()?;
        (is_next && url.origin() == from.origin()).then_some(url)
    })
}

/// The engine speaks HTTP with these alone: loopback addresses and `localhost`.
fn is_local(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}")) else { return false };
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(repository: &str) -> Option<String> {
        RegistryClient::repository(&Reference::parse(repository).unwrap()).map(|found| found.base.to_string())
    }

    #[test]
    fn only_loopback_is_spoken_to_without_tls() {
        assert_eq!(base("127.0.0.1:5000/games/a").unwrap(), "http://127.0.0.1:5000/v2/games/a/");
        assert_eq!(base("localhost/a").unwrap(), "http://localhost/v2/a/");
        assert_eq!(base("[::1]:5000/a").unwrap(), "http://[::1]:5000/v2/a/");
        assert_eq!(base("registry.example/a").unwrap(), "https://registry.example/v2/a/");
        assert_eq!(base("localhost.example/a").unwrap(), "https://localhost.example/v2/a/");
        assert_eq!(base("127.0.0.1.example:80/a").unwrap(), "https://127.0.0.1.example:80/v2/a/");
        assert_eq!(base("10.0.0.1:5000/a").unwrap(), "https://10.0.0.1:5000/v2/a/");
        assert_eq!(base("games/a"), None);
    }

    #[test]
    fn the_next_page_is_of_the_same_registry() {
        let from = Url::parse("http://127.0.0.1:5000/v2/a/tags/list?n=2").unwrap();
        let next = |link: &str| next_page(&from, link).map(|url| url.to_string());
        let told = next("</v2/a/tags/list?last=b&n=2>; rel=\"next\"").unwrap();
        assert_eq!(told, "http://127.0.0.1:5000/v2/a/tags/list?last=b&n=2");
        assert!(next("</x>; rel=\"prev\", </y>; rel=next").unwrap().ends_with("/y"));
        for link in ["", "</x>", "</x>; rel=\"prev\"", "<http://other.example/x>; rel=next", "nonsense"] {
            assert_eq!(next(link), None, "{link}");
        }
    }

    #[test]
    fn nothing_but_the_repository_is_asked_for() {
        let repository = RegistryClient::repository(&Reference::parse("localhost/a").unwrap()).unwrap();
        assert!(repository.at("manifests/1.0").is_ok());
        for below in ["../b/manifests/1", "http://other.example/", "//other.example/", "/v2/b/"] {
            assert!(repository.at(below).is_err(), "{below}");
        }
    }

    #[test]
    fn of_many_platforms_this_machines_is_taken() {
        let json = r#"{"manifests":[{"digest":"a","platform":{"os":"plan9","architecture":"mips"}},
            {"digest":"b","platform":{"os":"linux","architecture":"amd64"}},
            {"digest":"c","platform":{"os":"linux","architecture":"arm64"}}]}"#;
        let list: AnyManifest = serde_json::from_str(json).unwrap();
        let expected = match std::env::consts::ARCH {
            "x86_64" => "b",
            "aarch64" => "c",
            _ => "a",
        };
        assert_eq!(best(&list.manifests).unwrap().digest, expected);
    }
}
