//! Packages: downloaded, checked, unpacked once, kept within a budget.
//!
//! Below its own directory: `incoming/` (partial archives, trees being filled, trees being removed) and `packages/`
//! (only whole ones). Both are on one file system, so that a package comes and goes by one rename.

mod download;
pub(crate) mod fuzz;
mod shelf;
mod unpack;

use super::flight::{Flights, Gate, Reporter};
use super::metrics::{ContentMetrics, Kind};
use super::{ContentError, Package, PackageLease, Progress, Sha256};
pub use download::Retry;
use download::{Downloader, Part, shown};
use shelf::{Manifest, Shelf};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use unpack::UnpackLimits;

/// A partial archive nobody asked for again is kept this long.
const KEEP_PARTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// How much and how often.
#[derive(Debug, Clone, Copy)]
pub struct PackageLimits {
    /// Of all unpacked packages, in bytes on disk. No archive may be larger either.
    pub budget: u64,
    /// Files, directories and links of one package.
    pub max_entries: u64,
    pub retry: Retry,
}

impl PackageLimits {
    pub fn new(budget_mb: u64) -> Self {
        let budget = budget_mb.saturating_mul(1024 * 1024);
        Self { budget, max_entries: 200_000, retry: Retry::default() }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct PackageCache {
    inner: Arc<Inner>,
    flights: Flights<Sha256, PackageLease>,
}

struct Inner {
    incoming: PathBuf,
    limits: PackageLimits,
    shelf: Mutex<Shelf>,
    downloader: Downloader,
    metrics: ContentMetrics,
    /// Makes names in `incoming` unique.
    removed: AtomicU64,
}

impl PackageCache {
    /// `root` is this cache's own directory. What an earlier process left there is kept when it is whole, or part of an
    /// archive that can be resumed; everything else is removed.
    pub async fn open(
        root: &Path,
        limits: PackageLimits,
        gate: Gate,
        metrics: ContentMetrics,
    ) -> Result<Self, ContentError> {
        let downloader = Downloader::new(limits.retry, metrics.clone())?;
        let (incoming, packages) = (root.join("incoming"), root.join("packages"));
        let here = incoming.clone();
        let opened = blocking(move || {
            fs::create_dir_all(&here)?;
            tidy(&here)?;
            Shelf::open(packages)
        });
        let shelf = opened.await?.map_err(|error| {
            ContentError::Other(format!("the package cache in {} cannot be used: {error}", root.display()))
        })?;
        let flights = Flights::new(Kind::Package, gate, metrics.clone());
        let (shelf, removed) = (Mutex::new(shelf), AtomicU64::new(0));
        Ok(Self { inner: Arc::new(Inner { incoming, limits, shelf, downloader, metrics, removed }), flights })
    }

    /// Waits until the package is here, as [`super::ContentSource::fetch`] says.
    pub async fn fetch(
        &self,
        package: &Package,
        progress: &watch::Sender<Progress>,
    ) -> Result<PackageLease, ContentError> {
        let here = self.inner.shelf().lease(&package.sha256);
        let lease = match here {
            Some(lease) => lease,
            None => {
                let (inner, wanted) = (self.inner.clone(), package.clone());
                self.flights.join(package.sha256, progress, |reporter| inner.bring(wanted, reporter)).await?
            }
        };
        // The same archive may have been asked for with another launcher.
        let (dir, launcher) = (lease.dir.clone(), package.launcher.clone());
        let ready = blocking(move || unpack::ready_launcher(&dir, &launcher)).await?;
        ready.map_err(|error| error.of(&shown(&package.url)))?;
        Ok(lease)
    }

    pub fn has(&self, sha256: &Sha256) -> bool {
        self.inner.shelf().has(sha256)
    }
}

impl Inner {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn bring(
        self: Arc<Self>,
        package: Package,
        reporter: Reporter<PackageLease>,
    ) -> Result<PackageLease, ContentError> {
        // The caller looked before an earlier task ended, and asked after.
        let here = self.shelf().lease(&package.sha256);
        if let Some(lease) = here {
            return Ok(lease);
        }
        self.archive(&package, &reporter).await?;
        blocking(move || self.install(&package)).await?
    }

    /// The whole archive in its part file, its hash checked.
    async fn archive(
        &self,
        package: &Package,
        reporter: &Reporter<PackageLease>,
    ) -> Result<(), ContentError> {
        let part = self.part(&package.sha256);
        let budget = self.limits.budget;
        for again in [true, false] {
            let report = |done, total| reporter.report(done, total);
            let fetched = self.downloader.download(&package.url, &part, budget, report).await?;
            let file = part.file.clone();
            let hash = blocking(move || download::hash(&file)).await?.map_err(|error| self.disk(&error))?;
            if hash == package.sha256.0 {
                return Ok(());
            }
            part.remove().map_err(|error| self.disk(&error))?;
            // Pieces of two versions make neither of them.
            if !(fetched.pieced && again) {
                break;
            }
        }
        Err(ContentError::WrongHash { url: shown(&package.url) })
    }

    /// From the archive to the shelf. Blocks.
    fn install(&self, package: &Package) -> Result<PackageLease, ContentError> {
        let staging = self.incoming.join(format!("{}.tree", package.sha256));
        let installed = self.install_by(package, &staging);
        // After a success it is not there any more.
        if let Err(error) = shelf::remove(&staging) {
            tracing::warn!(%error, "a package that was not wanted cannot be removed");
        }
        let lasting = match &installed {
            Ok(_) | Err(ContentError::Unsafe { .. } | ContentError::TooLarge { .. }) => true,
            Err(_) => false,
        };
        if lasting && let Err(error) = self.part(&package.sha256).remove() {
            tracing::warn!(%error, "a package's archive cannot be removed");
        }
        installed
    }

    fn install_by(&self, package: &Package, staging: &Path) -> Result<PackageLease, ContentError> {
        let url = shown(&package.url);
        let disk = |error: io::Error| self.disk(&error);
        shelf::remove(staging).map_err(disk)?;
        fs::create_dir(staging).map_err(disk)?;
        let in_use = self.shelf().bytes_in_use();
        let max_bytes = self.limits.budget.saturating_sub(in_use);
        let limits = UnpackLimits { max_entries: self.limits.max_entries, max_bytes };
        let (archive, tree) = (self.part(&package.sha256).file, shelf::tree_in(staging));
        let unpacked = unpack::unpack(&archive, &tree, &package.launcher, limits);
        let unpacked = unpacked.map_err(|error| error.of(&url))?;
        let manifest = Manifest { top: unpacked.top, bytes: unpacked.bytes };
        shelf::seal(staging, &manifest).map_err(disk)?;
        let mut shelf = self.shelf();
        let room = shelf.make_room(manifest.bytes, self.limits.budget, |sha256| self.grave(sha256));
        let Some(gone) = room.map_err(disk)? else {
            let detail = "packages in use leave too little room".to_owned();
            return Err(ContentError::TooLarge { url, detail });
        };
        shelf.put(package.sha256, staging, manifest).map_err(disk)?;
        let lease = shelf.lease(&package.sha256);
        drop(shelf);
        for grave in gone {
            self.metrics.evicted();
            // A restart removes it otherwise.
            if let Err(error) = shelf::remove(&grave) {
                tracing::warn!(%error, "an evicted package cannot be removed");
            }
        }
        lease.ok_or_else(|| ContentError::Other("a package is gone as soon as it came".to_owned()))
    }

    fn part(&self, sha256: &Sha256) -> Part {
        let path = |ending: &str| self.incoming.join(format!("{sha256}.{ending}"));
        Part { file: path("part"), validator: path("validator") }
    }

    fn grave(&self, sha256: &Sha256) -> PathBuf {
        let number = self.removed.fetch_add(1, Ordering::Relaxed);
        self.incoming.join(format!("{sha256}.removed-{number}"))
    }

    fn disk(&self, error: &io::Error) -> ContentError {
        ContentError::Other(format!("the package cache cannot be written: {error}"))
    }
}

/// Leaves only parts of archives whose server can tell whether it still has the same one.
fn tidy(incoming: &Path) -> io::Result<()> {
    let names: HashSet<OsString> =
        fs::read_dir(incoming)?.map(|item| Ok(item?.file_name())).collect::<io::Result<_>>()?;
    let resumable = |path: &Path| {
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let whole_pair =
            ["part", "validator"].iter().all(|end| names.contains(&*OsString::from(format!("{name}.{end}"))));
        let fits = Sha256::parse(name).is_some()
            && path.extension().is_some_and(|ending| ending == "part" || ending == "validator");
        let part = fs::metadata(path.with_extension("part")).and_then(|there| there.modified());
        let recent = part.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < KEEP_PARTS));
        fits && whole_pair && recent
    };
    let paths = names.iter().map(|name| incoming.join(name));
    let lost: Vec<PathBuf> = paths.filter(|path| !resumable(path)).collect();
    lost.iter().try_for_each(|path| shelf::remove(path))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ContentError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ContentError::Other(format!("work on a package broke off: {error}")))
}
