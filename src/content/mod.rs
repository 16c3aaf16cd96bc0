//! What games are made of: images of the engine's and packages of our cache. Brings them here, once for everybody who waits.

use crate::config::DockerConfig;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

/// A SHA-256 digest.
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

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// 0 to 100, once the size is known.
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

/// Each text is a sentence for players and operators, without its full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    #[error("the image {reference} cannot be found: {detail}")]
    NoSuchImage { reference: String, detail: String },
    #[error("the registry of {reference} cannot be reached: {detail}")]
    RegistryUnreachable { reference: String, detail: String },
    #[error("the registry of {reference} refused our credentials: {detail}")]
    RegistryRefused { reference: String, detail: String },
    #[error("the package at {url} cannot be downloaded: {detail}")]
    Download { url: String, detail: String },
    #[error("the package at {url} has another SHA-256 than configured")]
    WrongHash { url: String },
    #[error("the package at {url} is not safe to unpack: {detail}")]
    Unsafe { url: String, detail: String },
    #[error("{0}")]
    Other(String),
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
}

/// Images of one engine and packages below one directory. Cheap to clone.
#[derive(Clone)]
pub struct ContentCache {}

impl ContentCache {
    /// `root` is this cache's own directory; leftovers of an earlier process in it are kept when whole, else removed.
    pub async fn open(
        _engine: bollard::Docker,
        _config: &DockerConfig,
        _root: &Path,
    ) -> Result<Self, ContentError> {
        unimplemented!()
    }
}

#[async_trait::async_trait]
impl ContentSource for ContentCache {
    async fn fetch(
        &self,
        _content: &Content,
        _progress: &watch::Sender<Progress>,
    ) -> Result<Ready, ContentError> {
        unimplemented!()
    }

    async fn is_cached(&self, _content: &Content) -> bool {
        unimplemented!()
    }
}
