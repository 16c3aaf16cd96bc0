//! A TCP relay that lets so many bytes through and holds the rest until it is opened: a download as slow as a test wants it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Ends with its test's runtime.
pub(crate) struct Valve {
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
    limit: watch::Sender<usize>,
    passed: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Valve {
    /// In front of `to`, open.
    pub(crate) async fn before(to: &str) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let limit = watch::Sender::new(usize::MAX);
        let (passed, connections) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (to, receiver, counter, count) =
            (to.to_owned(), limit.subscribe(), Arc::clone(&passed), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let Ok(server) = TcpStream::connect(&to).await else { continue };
                tokio::spawn(relay(client, server, receiver.clone(), Arc::clone(&counter)));
            }
        });
        Self { address, limit, passed, connections }
    }

    /// Lets this many more bytes come back, over all connections.
    pub(crate) fn allow(&self, bytes: usize) {
        self.limit.send_replace(self.passed.load(Ordering::Relaxed).saturating_add(bytes));
    }

    pub(crate) fn open(&self) {
        self.limit.send_replace(usize::MAX);
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn relay(
    client: TcpStream,
    server: TcpStream,
    mut limit: watch::Receiver<usize>,
    passed: Arc<AtomicUsize>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
        if limit.wait_for(|limit| passed.load(Ordering::Relaxed) < *limit).await.is_err() {
            return;
        }
        passed.fetch_add(count, Ordering::Relaxed);
        if to_client.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    let _ = to_client.shutdown().await;
}
