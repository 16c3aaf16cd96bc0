//! Content that comes as fast as the test says.

use playgate::content::{Content, ContentError, ContentSource, PackageLease, Progress, Ready};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

#[derive(Debug, Clone, Default)]
pub(crate) enum Download {
    #[default]
    Here,
    Coming(Option<f32>),
    Failed(ContentError),
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct FakeContent {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    download: watch::Sender<Download>,
    tags: Mutex<Vec<String>>,
    /// Held once more for each lease.
    hold: Arc<()>,
}

impl FakeContent {
    /// From now on.
    pub(crate) fn is(&self, download: Download) {
        self.shared.download.send_replace(download);
    }

    /// Of every repository, the newest first.
    pub(crate) fn has_tags(&self, tags: &[&str]) {
        *self.shared.tags.lock().unwrap() = tags.iter().map(|tag| (*tag).to_owned()).collect();
    }

    /// Packages in use.
    pub(crate) fn leases(&self) -> usize {
        Arc::strong_count(&self.shared.hold) - 1
    }
}

#[async_trait::async_trait]
impl ContentSource for FakeContent {
    async fn fetch(
        &self,
        content: &Content,
        progress: &watch::Sender<Progress>,
    ) -> Result<Ready, ContentError> {
        let mut download = self.shared.download.subscribe();
        loop {
            match download.borrow_and_update().clone() {
                Download::Here => break,
                Download::Coming(percent) => drop(progress.send_replace(Progress { percent })),
                Download::Failed(error) => return Err(error),
            }
            // The sender is in `self`.
            let _ = download.changed().await;
        }
        let lease = || PackageLease { dir: "/cache/game".into(), hold: Arc::clone(&self.shared.hold) };
        let package = matches!(content, Content::Package(_)).then(lease);
        Ok(Ready { image: "sha256:0123".to_owned(), package })
    }

    async fn is_cached(&self, content: &Content) -> bool {
        let tags = self.shared.tags.lock().unwrap();
        let known = match content {
            Content::Image { reference } if !tags.is_empty() => {
                tags.iter().any(|tag| reference.ends_with(&format!(":{tag}")))
            }
            Content::Image { .. } | Content::Package(_) => true,
        };
        known && matches!(*self.shared.download.borrow(), Download::Here)
    }

    async fn tags(&self, _repository: &str) -> Result<Vec<String>, ContentError> {
        Ok(self.shared.tags.lock().unwrap().clone())
    }
}
