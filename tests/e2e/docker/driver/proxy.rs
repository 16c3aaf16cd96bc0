//! A socket before the engine's that can be cut: an engine that is restarted, as its clients see it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

const ENGINE: &str = "/var/run/docker.sock";

pub(super) struct Proxy {
    path: PathBuf,
    shared: Arc<Shared>,
    /// Raised at each cut.
    cuts: watch::Sender<u64>,
    _dir: TempDir,
}

#[derive(Default)]
struct Shared {
    is_cut: AtomicBool,
    refused: AtomicUsize,
    open: AtomicUsize,
}

impl Proxy {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let shared = Arc::new(Shared::default());
        let (cuts, cuts_rx) = watch::channel(0);
        tokio::spawn(serve(listener, Arc::clone(&shared), cuts_rx));
        Self { path, shared, cuts, _dir: dir }
    }

    pub(super) fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Ends every connection and lets none through; returns when none is left.
    pub(super) async fn cut(&mut self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        self.cuts.send_modify(|cuts| *cuts += 1);
        crate::support::wait::eventually("the connections end", crate::support::wait::SOON, async || {
            match self.shared.open.load(Ordering::SeqCst) {
                0 => Ok(()),
                open => Err(format!("{open} are left")),
            }
        })
        .await;
    }

    pub(super) fn mend(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }

    /// Connections that came while it was cut.
    pub(super) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }
}

async fn serve(listener: UnixListener, shared: Arc<Shared>, cuts: watch::Receiver<u64>) {
    while let Ok((client, _)) = listener.accept().await {
        if shared.is_cut.load(Ordering::SeqCst) {
            shared.refused.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        shared.open.fetch_add(1, Ordering::SeqCst);
        let (shared, cuts) = (Arc::clone(&shared), cuts.clone());
        tokio::spawn(async move {
            carry(client, cuts).await;
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn carry(mut client: UnixStream, mut cuts: watch::Receiver<u64>) {
    cuts.mark_unchanged();
    let Ok(mut engine) = UnixStream::connect(ENGINE).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut engine) => {}
        _ = cuts.changed() => {}
    }
}
