//! Binds listeners and serves a router on them, plain or with TLS, with limits on slow and greedy clients.

use super::places::{Limited, Places};
use super::tls::PlainAnswer;
use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A client has this long to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections the kernel keeps waiting for us.
const BACKLOG: i32 = 1024;
/// Of a request's head, in bytes (HTTP/1) and of its headers (HTTP/2).
const MAX_HEAD_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
/// At the end, running requests have this long.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "cannot listen on {address}: the port is taken. Stop the program that has it, or choose another port"
    )]
    Taken { address: SocketAddr },
    #[error("cannot listen on {address}")]
    Io { address: SocketAddr, source: io::Error },
}

/// Binds a TCP listener. On `[::]` it takes IPv4 too.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified())?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listener().map_err(|source| {
        if source.kind() == io::ErrorKind::AddrInUse {
            ListenError::Taken { address }
        } else {
            ListenError::Io { address, source }
        }
    })
}

/// A listener being served; stops when told to.
#[derive(Debug)]
pub(super) struct Listening {
    handle: Handle<SocketAddr>,
    task: JoinHandle<()>,
}

/// Serves until stopped.
pub(super) fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    places: Option<Places>,
) -> io::Result<Listening> {
    let handle = Handle::new();
    let mut server =
        axum_server::from_tcp(listener)?.handle(handle.clone()).first_request_timeout(HEAD_TIMEOUT);
    let builder = server.http_builder();
    builder.http1().header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
    builder.http2().max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let task = match tls {
        Some(config) => {
            let server =
                server.acceptor(RustlsAcceptor::new(config).acceptor(Limited { places, inner: PlainAnswer }));
            tokio::spawn(async move { report(server.serve(service).await) })
        }
        None => {
            let inner = axum_server::accept::NoDelayAcceptor::new();
            let server = server.acceptor(Limited { places, inner });
            tokio::spawn(async move { report(server.serve(service).await) })
        }
    };
    Ok(Listening { handle, task })
}

impl Listening {
    /// Refuses new connections and gives running requests a moment.
    pub(super) async fn stop(self) {
        self.handle.graceful_shutdown(Some(GRACE));
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "a listener did not end in order");
        }
    }
}

fn report(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "a listener has failed");
    }
}
