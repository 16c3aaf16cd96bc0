//! Images from a real registry through a real engine.

use crate::support::registry::{PASSWORD, Registry, USER};
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, PushImageOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::TryStreamExt;
use playgate::config::{DockerConfig, RegistryConfig};
use playgate::content::{
    Content, ContentCache, ContentError, ContentSource, Package, Progress, Ready, Sha256,
};
use prometheus_client::registry::Registry as Metrics;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Of each of an image's two layers; nothing makes them smaller.
const LAYER: usize = 3 << 20;

/// A registry, the images a test brings to the engine, and what it pulls by. Removes every image in the end.
struct Stand {
    engine: Docker,
    registry: Registry,
    names: Mutex<HashSet<String>>,
    root: tempfile::TempDir,
}

impl Stand {
    async fn new(registry: Registry) -> Self {
        let engine = Docker::connect_with_local_defaults().unwrap();
        let engine = engine.negotiate_version().await.expect("a Docker engine answers");
        Self { engine, registry, names: Mutex::default(), root: tempfile::tempdir().unwrap() }
    }

    /// `HOST/content-test/NAME:TAG`, noted for removal.
    fn reference(&self, host: &str, rest: &str) -> String {
        let name = format!("{host}/content-test/{rest}");
        self.names.lock().unwrap().insert(name.clone());
        name
    }

    async fn cache(&self, password: Option<&str>) -> ContentCache {
        let account = password.map(|password| RegistryConfig {
            host: self.registry.host.clone(),
            username: USER.to_owned(),
            password: Some(password.to_owned()),
        });
        let config = DockerConfig { registries: account.into_iter().collect(), ..DockerConfig::default() };
        let mut metrics = Metrics::default();
        ContentCache::open(self.engine.clone(), &config, self.root.path(), &mut metrics).await.unwrap()
    }

    /// Builds an image of two layers, pushes it, and removes it from the engine. Its digest in the registry.
    async fn publish(&self, reference: &str) -> String {
        let mut context = tar::Builder::new(Vec::new());
        let dockerfile = b"FROM scratch\nCOPY a /a\nCOPY b /b\n";
        for (name, content) in [("Dockerfile", dockerfile.to_vec()), ("a", noise()), ("b", noise())] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            context.append_data(&mut header, name, content.as_slice()).unwrap();
        }
        let context = bollard::body_full(context.into_inner().unwrap().into());
        let options = BuildImageOptionsBuilder::new().t(reference).rm(true).forcerm(true).build();
        let built = self.engine.build_image(options, None, Some(context));
        built.try_collect::<Vec<_>>().await.unwrap();
        let (name, tag) = reference.rsplit_once(':').unwrap();
        let account = DockerCredentials {
            username: Some(USER.to_owned()),
            password: Some(PASSWORD.to_owned()),
            ..DockerCredentials::default()
        };
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let pushed = self.engine.push_image(name, Some(options), Some(account));
        pushed.try_collect::<Vec<_>>().await.unwrap();
        let image = self.engine.inspect_image(reference).await.unwrap();
        let digests = image.repo_digests.unwrap_or_default();
        let digest = digests.iter().find_map(|known| known.strip_prefix(&format!("{name}@")));
        let digest = digest.expect("a pushed image has a digest").to_owned();
        remove(&self.engine, reference).await;
        digest
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let names = std::mem::take(&mut *self.names.lock().unwrap());
        // A failed test's runtime does not wait for anything.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let engine = Docker::connect_with_local_defaults().unwrap();
                let engine = engine.negotiate_version().await.unwrap();
                for name in names {
                    remove(&engine, &name).await;
                }
            });
        });
        let _ = cleaning.join();
    }
}

/// That it is not there is fine.
async fn remove(engine: &Docker, reference: &str) {
    let options = RemoveImageOptionsBuilder::new().force(true).build();
    let _ = engine.remove_image(reference, Some(options), None).await;
}

async fn fetch(cache: &ContentCache, reference: &str) -> Result<Ready, ContentError> {
    cache.fetch(&image(reference), &watch::Sender::default()).await
}

fn image(reference: &str) -> Content {
    Content::Image { reference: reference.to_owned() }
}

/// Never the same: the engine would know the layer.
fn noise() -> Vec<u8> {
    let mut bytes = vec![0; LAYER];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

/// Stands before a registry and lets so many bytes of answers pass, a permit for each KiB.
async fn throttle(registry: &str, budget: Arc<Semaphore>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let registry = registry.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (registry, budget) = (registry.clone(), budget.clone());
            tokio::spawn(async move {
                let server = TcpStream::connect(registry).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut buffer = [0; 16 * 1024];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    let permits = u32::try_from(read.div_ceil(1024)).unwrap();
                    budget.acquire_many(permits).await.unwrap().forget();
                    if to_client.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn two_launches_at_once_cause_one_pull_whose_progress_both_see() {
    let stand = Stand::new(Registry::open()).await;
    let budget = Arc::new(Semaphore::new(LAYER / 1024));
    let host = throttle(&stand.registry.host, budget.clone()).await.to_string();
    let reference = stand.reference(&host, "game:1");
    stand.publish(&reference).await;
    let cache = stand.cache(None).await;
    assert!(!cache.is_cached(&image(&reference)).await);
    let wanted = image(&reference);
    let (first, second) = (watch::Sender::<Progress>::default(), watch::Sender::<Progress>::default());
    let (mut first_seen, mut second_seen) = (first.subscribe(), second.subscribe());
    let watching = async {
        for seen in [&mut first_seen, &mut second_seen] {
            // The engine tells ten times a second at most, so what it told of a short burst is no more than a beginning.
            let begun = seen.wait_for(|progress| progress.percent.is_some_and(|percent| percent > 0.0)).await;
            let percent = begun.unwrap().percent.unwrap();
            assert!(percent < 100.0, "{percent} while half of it is held back");
        }
        budget.add_permits(1 << 20);
    };
    let (one, two, ()) = tokio::join!(cache.fetch(&wanted, &first), cache.fetch(&wanted, &second), watching);
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.image.starts_with("sha256:"), "{}", one.image);
    assert_eq!(one.image, two.image);
    assert_eq!(first_seen.borrow().percent, Some(100.0));
    // The configuration and two layers, once each.
    assert_eq!(stand.registry.count(&["\"GET /v2/content-test/game/blobs/", " 200 "]), 3);
    assert!(cache.is_cached(&wanted).await);
}

#[tokio::test]
async fn a_pull_goes_on_when_its_caller_gives_up() {
    let stand = Stand::new(Registry::open()).await;
    let budget = Arc::new(Semaphore::new(LAYER / 1024));
    let host = throttle(&stand.registry.host, budget.clone()).await.to_string();
    let reference = stand.reference(&host, "slow:1");
    stand.publish(&reference).await;
    let cache = stand.cache(None).await;
    let progress = watch::Sender::<Progress>::default();
    let (mut seen, wanted) = (progress.subscribe(), image(&reference));
    tokio::select! {
        _ = cache.fetch(&wanted, &progress) => panic!("it cannot be here yet"),
        begun = seen.wait_for(|progress| progress.percent.is_some()) => drop(begun.unwrap()),
    }
    budget.add_permits(1 << 20);
    fetch(&cache, &reference).await.unwrap();
    assert_eq!(stand.registry.count(&["\"GET /v2/content-test/slow/blobs/", " 200 "]), 3);
}

#[tokio::test]
async fn a_digest_is_matched_and_what_is_not_there_is_told() {
    let stand = Stand::new(Registry::open()).await;
    let host = stand.registry.host.clone();
    let tagged = stand.reference(&host, "digest:1");
    let digest = stand.publish(&tagged).await;
    let cache = stand.cache(None).await;
    let by_digest = stand.reference(&host, &format!("digest@{digest}"));
    let id = fetch(&cache, &by_digest).await.unwrap().image;
    assert!(cache.is_cached(&image(&by_digest)).await);
    assert!(!cache.is_cached(&image(&tagged)).await, "a tag is another question");
    assert_eq!(fetch(&cache, &tagged).await.unwrap().image, id);

    let wrong = stand.reference(&host, &format!("digest@sha256:{}", "0".repeat(64)));
    for missing in [wrong, stand.reference(&host, "digest:2"), stand.reference(&host, "nothing:1")] {
        assert!(!cache.is_cached(&image(&missing)).await);
        let error = fetch(&cache, &missing).await.unwrap_err();
        assert!(
            matches!(&error, ContentError::NoSuchImage { reference, .. } if *reference == missing),
            "{error}"
        );
    }
    let error = fetch(&cache, "Not A Reference").await.unwrap_err();
    assert!(error.to_string().contains("its path must be"), "{error}");
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_told() {
    let stand = Stand::new(Registry::open()).await;
    let cache = stand.cache(None).await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = fetch(&cache, &format!("{free}/content-test/game:1")).await.unwrap_err();
    assert!(matches!(error, ContentError::RegistryUnreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_protected_registry_takes_the_configured_password_and_no_other() {
    let stand = Stand::new(Registry::protected()).await;
    let reference = stand.reference(&stand.registry.host, "secret:1");
    stand.publish(&reference).await;
    for password in [None, Some("wrong"), Some("~~~")] {
        let error = fetch(&stand.cache(password).await, &reference).await.unwrap_err();
        assert!(matches!(error, ContentError::RegistryRefused { .. }), "{password:?}: {error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    fetch(&stand.cache(Some(PASSWORD)).await, &reference).await.unwrap();
}

#[tokio::test]
async fn layers_that_are_not_what_they_are_called_are_refused() {
    let stand = Stand::new(Registry::open()).await;
    let reference = stand.reference(&stand.registry.host, "spoilt:1");
    stand.publish(&reference).await;
    stand.registry.spoil_blobs();
    let error = fetch(&stand.cache(None).await, &reference).await.unwrap_err();
    assert!(matches!(error, ContentError::WrongDigest { .. }), "{error}");
}

#[tokio::test]
async fn a_package_comes_with_the_image_it_runs_in() {
    let stand = Stand::new(Registry::open()).await;
    let runner_image = stand.reference(&stand.registry.host, "runner:1");
    stand.publish(&runner_image).await;
    let archive = game();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &archive);
    let sha256 = Sha256(digest.as_ref().try_into().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/game.tar.gz", listener.local_addr().unwrap());
    let serve = axum::Router::new().route("/game.tar.gz", axum::routing::get(async || archive));
    let server = tokio::spawn(async move { axum::serve(listener, serve).await.unwrap() });
    let package = Package { url, sha256, launcher: "start.sh".to_owned(), runner_image };
    let content = Content::Package(package.clone());
    let cache = stand.cache(None).await;
    assert!(!cache.is_cached(&content).await);
    let progress = watch::Sender::<Progress>::default();
    let ready = cache.fetch(&content, &progress).await.unwrap();
    server.abort();
    let inspected = stand.engine.inspect_image(&package.runner_image).await.unwrap();
    assert_eq!(Some(ready.image), inspected.id);
    assert!(ready.package.unwrap().dir.join("start.sh").is_file());
    assert!(cache.is_cached(&content).await);
    remove(&stand.engine, &package.runner_image).await;
    assert!(!cache.is_cached(&content).await, "without its image a package is not here");
    fetch(&cache, &package.runner_image).await.unwrap();
    assert!(cache.fetch(&content, &progress).await.is_ok(), "neither has to come again");
}

/// A package with nothing but its launcher.
fn game() -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let script = b"#!/bin/sh\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(script.len() as u64);
    header.set_mode(0o755);
    tar.append_data(&mut header, "game/start.sh", script.as_slice()).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

/// Brings an image to the registry of the stand that says of itself it was made then (RFC 3339). Not to the engine.
async fn put(stand: &Stand, name: &str, tag: &str, created: &str) {
    let http = reqwest::Client::new();
    let at = |rest: &str| format!("http://{}/v2/{name}/{rest}", stand.registry.host);
    let config = format!(
        r#"{{"created":"{created}","architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}}}}"#
    );
    let begun = http.post(at("blobs/uploads/")).basic_auth(USER, Some(PASSWORD)).send().await.unwrap();
    let place = begun.headers()["location"].to_str().unwrap().to_owned();
    let digest = digest_of(config.as_bytes());
    let done = http
        .put(format!("{place}&digest={digest}"))
        .basic_auth(USER, Some(PASSWORD))
        .body(config.clone())
        .send()
        .await
        .unwrap();
    assert!(done.status().is_success(), "{done:?}");
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":{},"digest":"{digest}"}},"layers":[]}}"#,
        config.len()
    );
    let done = http
        .put(at(&format!("manifests/{tag}")))
        .basic_auth(USER, Some(PASSWORD))
        .header("content-type", kind)
        .body(manifest)
        .send()
        .await
        .unwrap();
    assert!(done.status().is_success(), "{done:?}");
}

fn digest_of(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test]
async fn tags_of_engine_and_registry_come_newest_first_and_are_asked_for_once() {
    let stand = Stand::new(Registry::open()).await;
    let host = stand.registry.host.clone();
    // Made now; it goes to both, then is gone from the engine, then is back by a pull.
    stand.publish(&stand.reference(&host, "tags:now")).await;
    put(&stand, "content-test/tags", "old", "2001-01-01T00:00:00Z").await;
    put(&stand, "content-test/tags", "newer", "2011-01-01T00:00:00.5Z").await;
    put(&stand, "content-test/tags", "future", "2100-01-01T00:00:00Z").await;
    let cache = stand.cache(None).await;
    let repository = format!("{host}/content-test/tags");
    let expected = ["future", "now", "newer", "old"];
    assert_eq!(cache.tags(&repository).await.unwrap(), expected);
    let asked = stand.registry.count(&["GET", "/blobs/"]);
    assert_eq!(asked, 4);
    assert_eq!(cache.tags(&repository).await.unwrap(), expected);
    assert_eq!(stand.registry.count(&["GET", "/blobs/"]), asked);
    assert_eq!(stand.registry.count(&["GET", "/manifests/"]), 4);

    // One that only the engine has.
    let local = stand.reference(&host, "tags:local");
    fetch(&cache, &format!("{repository}:now")).await.unwrap();
    let options =
        bollard::query_parameters::TagImageOptionsBuilder::new().repo(&repository).tag("local").build();
    stand.engine.tag_image(&format!("{repository}:now"), Some(options)).await.unwrap();
    let all = cache.tags(&repository).await.unwrap();
    assert_eq!(all, ["future", "now", "local", "newer", "old"]);

    let Stand { registry, .. } = &stand;
    let missing = cache.tags(&format!("{}/content-test/nothing", registry.host)).await.unwrap_err();
    assert!(matches!(missing, ContentError::NoSuchImage { .. }), "{missing}");
    drop(local);
}

/// Debian's registry gives every list at once; this one is asked page by page.
#[tokio::test]
async fn many_tags_come_over_several_pages() {
    use axum::extract::Query;
    use axum::http::header::LINK;
    use axum::response::IntoResponse;
    let stand = Stand::new(Registry::open()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let list = async |Query(asked): Query<std::collections::HashMap<String, String>>| {
        let from = asked.get("last").map_or(0, |last| last[1..].parse::<usize>().unwrap() + 1);
        let tags: Vec<String> = (from..(from + 5).min(12)).map(|number| format!("v{number:02}")).collect();
        let link = format!("</v2/games/a/tags/list?n=5&last=v{:02}>; rel=\"next\"", from + 4);
        let body = serde_json::json!({ "tags": tags }).to_string();
        if from + 5 < 12 { ([(LINK, link)], body).into_response() } else { body.into_response() }
    };
    let router = axum::Router::new().route("/v2/games/a/tags/list", axum::routing::get(list));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let tags = stand.cache(None).await.tags(&format!("{host}/games/a")).await.unwrap();
    // Nobody tells when they were made: what sorts last comes first.
    let expected: Vec<String> = (0..12).rev().map(|number| format!("v{number:02}")).collect();
    assert_eq!(tags, expected);
}

#[tokio::test]
async fn a_registry_that_is_away_leaves_the_engines_tags_and_is_told_when_there_are_none() {
    let stand = Stand::new(Registry::protected()).await;
    let host = stand.registry.host.clone();
    stand.publish(&stand.reference(&host, "away:1")).await;
    put(&stand, "content-test/away", "0", "2001-01-01T00:00:00Z").await;
    let repository = format!("{host}/content-test/away");
    let refused = stand.cache(None).await.tags(&repository).await.unwrap_err();
    assert!(matches!(refused, ContentError::RegistryRefused { .. }), "{refused}");
    let refused = stand.cache(Some("wrong")).await.tags(&repository).await.unwrap_err();
    assert!(matches!(refused, ContentError::RegistryRefused { .. }), "{refused}");
    assert!(!refused.to_string().contains("wrong"));
    let cache = stand.cache(Some(PASSWORD)).await;
    assert_eq!(cache.tags(&repository).await.unwrap(), ["1", "0"]);
    fetch(&cache, &format!("{repository}:1")).await.unwrap();
    assert_eq!(stand.cache(None).await.tags(&repository).await.unwrap(), ["1"]);

    // Nobody listens there.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = cache.tags(&format!("{dead}/content-test/away")).await.unwrap_err();
    assert!(matches!(error, ContentError::RegistryUnreachable { .. }), "{error}");
    // And without a host there is no registry to ask.
    assert_eq!(cache.tags("playgate-test-there-is-no-such-image").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_registry_that_wants_tokens_gets_one_from_the_service_it_names() {
    use axum::extract::{Query, State};
    use axum::http::{HeaderMap, StatusCode, header};
    use axum::response::IntoResponse;
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let stand = Stand::new(Registry::open()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let tokens = Arc::new(AtomicUsize::new(0));
    let token = async |State(given): State<Arc<AtomicUsize>>,
                       Query(asked): Query<HashMap<String, String>>,
                       headers: HeaderMap| {
        let account = format!("Basic {}", base64_of(&format!("{USER}:{PASSWORD}")));
        let right = headers.get(header::AUTHORIZATION).is_some_and(|value| *value == *account)
            && asked.get("scope").is_some_and(|scope| scope == "repository:games/a:pull")
            && asked.get("service").is_some_and(|service| service == "the registry");
        if !right {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        given.fetch_add(1, Ordering::SeqCst);
        r#"{"access_token":"secret-token"}"#.into_response()
    };
    let realm = format!("http://{host}/token");
    let api = async move |headers: HeaderMap, uri: axum::http::Uri| {
        if headers.get(header::AUTHORIZATION).is_none_or(|value| value != "Bearer secret-token") {
            let wanted = format!(
                "Bearer realm=\"{realm}\",service=\"the registry\",scope=\"repository:games/a:pull\""
            );
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, wanted)]).into_response();
        }
        let path = uri.path();
        if path.ends_with("/tags/list") {
            r#"{"name":"games/a","tags":["one","two","../evil"]}"#.into_response()
        } else if path.ends_with("/manifests/one") {
            r#"{"config":{"digest":"sha256:1"}}"#.into_response()
        } else if path.ends_with("/blobs/sha256:1") {
            r#"{"created":"2001-01-01T00:00:00Z"}"#.into_response()
        } else {
            StatusCode::NOT_FOUND.into_response()
        }
    };
    let router = axum::Router::new()
        .route("/token", axum::routing::get(token))
        .route("/v2/{*path}", axum::routing::get(api))
        .with_state(tokens.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let cache = async |password: &str| {
        let account = RegistryConfig {
            host: host.clone(),
            username: USER.to_owned(),
            password: Some(password.to_owned()),
        };
        let config = DockerConfig { registries: vec![account], ..DockerConfig::default() };
        let root = tempfile::tempdir().unwrap();
        ContentCache::open(stand.engine.clone(), &config, root.path(), &mut Metrics::default()).await.unwrap()
    };
    let repository = format!("{host}/games/a");
    // Two is a tag whose image nobody knows: without a date it comes last.
    let right = cache(PASSWORD).await;
    assert_eq!(right.tags(&repository).await.unwrap(), ["one", "two"]);
    let given = tokens.load(Ordering::SeqCst);
    assert_eq!(right.tags(&repository).await.unwrap(), ["one", "two"]);
    assert_eq!(tokens.load(Ordering::SeqCst), given, "a token serves for a while");
    let refused = cache("wrong").await.tags(&repository).await.unwrap_err();
    assert!(matches!(refused, ContentError::RegistryRefused { .. }), "{refused}");
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
