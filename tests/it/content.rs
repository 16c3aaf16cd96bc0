//! The package cache against a real HTTP server that misbehaves on demand.

mod archives;
mod downloads;
mod keeping;
mod origin;
mod safety;

use origin::Origin;
use playgate::content::packages::{PackageCache, PackageLimits, Retry};
use playgate::content::{ContentError, ContentMetrics, Gate, Package, PackageLease, Progress, Sha256};
use prometheus_client::registry::Registry;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

const MIB: u64 = 1024 * 1024;

/// A cache in a directory of its own, and what it counted.
struct Stand {
    root: tempfile::TempDir,
    limits: PackageLimits,
    cache: PackageCache,
    registry: Registry,
}

impl Stand {
    async fn new() -> Self {
        let retry = Retry { in_vain: 3, total: 10, pause: Duration::from_millis(1) };
        Self::with(PackageLimits { budget: 64 * MIB, max_entries: 100, retry }).await
    }

    async fn with(limits: PackageLimits) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (cache, registry) = open(&root, limits).await;
        Self { root, limits, cache, registry }
    }

    /// What a new process finds.
    async fn restart(&mut self) {
        (self.cache, self.registry) = open(&self.root, self.limits).await;
    }

    async fn fetch(&self, package: &Package) -> Result<PackageLease, ContentError> {
        self.cache.fetch(package, &watch::Sender::default()).await
    }

    /// Names in one of its directories.
    fn names(&self, dir: &str) -> Vec<String> {
        let items = std::fs::read_dir(self.root.path().join(dir)).unwrap();
        items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn incoming(&self, package: &Package, ending: &str) -> PathBuf {
        self.root.path().join("incoming").join(format!("{}.{ending}", package.sha256))
    }

    #[track_caller]
    fn assert_nothing_kept(&self) {
        assert_eq!(self.names("packages"), Vec::<String>::new());
        assert_eq!(self.names("incoming"), Vec::<String>::new());
    }

    fn counted(&self, line: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }
}

async fn open(root: &tempfile::TempDir, limits: PackageLimits) -> (PackageCache, Registry) {
    let mut registry = Registry::default();
    let metrics = ContentMetrics::register(&mut registry);
    let cache = PackageCache::open(root.path(), limits, Gate::default(), metrics).await.unwrap();
    (cache, registry)
}

/// The package at an origin's path whose hash is that of `archive`.
fn package(origin: &Origin, archive: &[u8]) -> Package {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, archive);
    let sha256 = Sha256(digest.as_ref().try_into().unwrap());
    let url = origin.url(&sha256.to_string());
    Package { url, sha256, launcher: "start.sh".to_owned(), runner_image: String::new() }
}

fn progress() -> (watch::Sender<Progress>, watch::Receiver<Progress>) {
    watch::channel(Progress::default())
}
