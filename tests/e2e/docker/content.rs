//! Images from a real registry through a real engine.

use crate::support::registry::{PASSWORD, Registry, USER};
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, PushImageOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::TryStreamExt;
use playgate::config::{DockerConfig, RegistryConfig};
use playgate::content::{Content, ContentCache, ContentError, ContentSource, Progress, Ready};
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
            let part = seen.wait_for(|progress| progress.percent.is_some_and(|percent| percent > 5.0)).await;
            let percent = part.unwrap().percent.unwrap();
            assert!(percent < 100.0, "{percent} of a half");
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
    let mut seen = progress.subscribe();
    tokio::select! {
        _ = cache.fetch(&image(&reference), &progress) => panic!("it cannot be here yet"),
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
