//! What games are made of: images of the engine's and packages of our cache. Brings them here, once for everybody who waits.
//!
//! [`ContentCache`] puts together [`images`] and [`packages`], which share how downloads are shared ([`flight`]). A time
//! limit is the caller's: it drops its future, and the download goes on for the next one.

mod errors;
mod flight;
mod images;
mod metrics;
pub mod packages;
pub mod references;
pub(crate) mod registry;
mod tags;

use crate::config::DockerConfig;
pub use errors::ContentError;
pub use flight::Gate;
use images::Images;
pub use metrics::ContentMetrics;
use packages::{PackageCache, PackageLimits};
use prometheus_client::registry::Registry;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tags::Tags;
use tokio::sync::watch;

/// What a game in a container is run from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Content {
    Image {
        /// Repository and tag or digest.
        reference: String,
    },
    Package(Package),
}

/// An archive that runs in the generic runner image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Package {
    pub url: String,
    pub sha256: Sha256,
    /// Below the archive's one top-level directory.
    pub launcher: String,
    pub runner_image: String,
}

/// A SHA-256 digest. Displayed as 64 lower case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// 64 hexadecimal digits of either case.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if hex.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(pair).ok().filter(|text| !text.starts_with('+'))?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// 0 to 100, once the size is known. Never falls.
    pub percent: Option<f32>,
}

/// Content that is here. Dropping it lets a package be evicted.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The image's id on the engine, `sha256:...`.
    pub image: String,
    pub package: Option<PackageLease>,
}

/// A package in use.
#[derive(Debug, Clone)]
pub struct PackageLease {
    /// The archive's top-level directory, unpacked.
    pub dir: PathBuf,
    pub hold: Arc<()>,
}

/// Where launches get their content.
#[async_trait::async_trait]
pub trait ContentSource: Send + Sync {
    /// Waits until the content is here. Several callers share one download, which goes on when this future is dropped.
    async fn fetch(
        &self,
        content: &Content,
        progress: &watch::Sender<Progress>,
    ) -> Result<Ready, ContentError>;

    async fn is_cached(&self, content: &Content) -> bool;

    /// The tags of a repository, on the engine and in its registry, the newest first. A registry that does not answer has
    /// none, as long as the engine has any.
    async fn tags(&self, _repository: &str) -> Result<Vec<String>, ContentError> {
        Ok(Vec::new())
    }
}

/// Images of one engine and packages below one directory. Cheap to clone.
#[derive(Clone)]
pub struct ContentCache {
    images: Images,
    tags: Tags,
    packages: PackageCache,
}

impl ContentCache {
    /// `root` is this cache's own directory; leftovers of an earlier process in it are kept when whole (or part of an archive
    /// that can be resumed), else removed.
    pub async fn open(
        engine: bollard::Docker,
        config: &DockerConfig,
        root: &Path,
        registry: &mut Registry,
    ) -> Result<Self, ContentError> {
        let (gate, metrics) = (Gate::default(), ContentMetrics::register(registry));
        let tags = Tags::new(engine.clone(), &config.registries);
        let images = Images::new(engine, &config.registries, gate.clone(), metrics.clone());
        let limits = PackageLimits::new(config.package_cache_mb);
        let packages = PackageCache::open(root, limits, gate, metrics).await?;
        Ok(Self { images, tags, packages })
    }

    /// A package and the image it runs in come side by side; one that fails leaves the other to go on by itself.
    async fn package(
        &self,
        package: &Package,
        progress: &watch::Sender<Progress>,
    ) -> Result<Ready, ContentError> {
        let (image_progress, package_progress) = (watch::Sender::default(), watch::Sender::default());
        let image_here = self.images.has(&package.runner_image).await;
        if self.packages.has(&package.sha256) {
            package_progress.send_replace(Progress { percent: Some(100.0) });
        }
        let both = async {
            tokio::try_join!(
                self.images.fetch(&package.runner_image, &image_progress),
                self.packages.fetch(package, &package_progress),
            )
        };
        tokio::pin!(both);
        let (mut image_seen, mut package_seen) = (image_progress.subscribe(), package_progress.subscribe());
        loop {
            let told = tokio::select! {
                biased;
                done = &mut both => {
                    let (image, lease) = done?;
                    return Ok(Ready { image, package: Some(lease) });
                }
                told = package_seen.changed() => told,
                told = image_seen.changed() => told,
            };
            // Both senders live as long as this function.
            let (image, package) = (*image_seen.borrow(), *package_seen.borrow());
            if told.is_ok() {
                flight::advance(progress, if image_here { package } else { mean(image, package) });
            }
        }
    }
}

/// Of two downloads, of which the size may not be known yet.
fn mean(a: Progress, b: Progress) -> Progress {
    let percent = match (a.percent, b.percent) {
        (None, None) => None,
        (a, b) => Some(f32::midpoint(a.unwrap_or_default(), b.unwrap_or_default())),
    };
    Progress { percent }
}

#[async_trait::async_trait]
impl ContentSource for ContentCache {
    async fn fetch(
        &self,
        content: &Content,
        progress: &watch::Sender<Progress>,
    ) -> Result<Ready, ContentError> {
        match content {
            Content::Image { reference } => {
                let image = self.images.fetch(reference, progress).await?;
                Ok(Ready { image, package: None })
            }
            Content::Package(package) => self.package(package, progress).await,
        }
    }

    async fn is_cached(&self, content: &Content) -> bool {
        match content {
            Content::Image { reference } => self.images.has(reference).await,
            Content::Package(package) => {
                self.packages.has(&package.sha256) && self.images.has(&package.runner_image).await
            }
        }
    }

    async fn tags(&self, repository: &str) -> Result<Vec<String>, ContentError> {
        self.tags.of(repository).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_shown_as_it_is_read() {
        let hex = "00ff7f".repeat(10) + "a1b2";
        assert_eq!(Sha256::parse(&hex).unwrap().to_string(), hex);
        assert_eq!(Sha256::parse(&hex.to_uppercase()).unwrap().to_string(), hex);
        assert_eq!(Sha256::parse("+f"), None);
    }

    #[test]
    fn two_downloads_make_one_progress() {
        let at = |percent| Progress { percent };
        assert_eq!(mean(at(None), at(None)), at(None));
        assert_eq!(mean(at(Some(50.0)), at(None)), at(Some(25.0)));
        assert_eq!(mean(at(Some(100.0)), at(Some(50.0))), at(Some(75.0)));
    }
}
