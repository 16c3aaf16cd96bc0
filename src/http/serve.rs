//! Binds listeners and serves a router on them, plain or with TLS, with limits on slow, greedy and idle clients.
//!
//! A connection ends [`IDLE`] after its last answer was sent, whatever the protocol; [`HEAD_TIMEOUT`] after it was accepted, or
//! after a request's head began, when no request comes of it; when its peer reads nothing for two minutes ([`Socket`]); and
//! when it is idle and all places are taken ([`super::connections`]).

use super::connections::{AtWork, Connection, Connections, Sent};
use super::places::Places;
use super::stalled::Socket;
use super::tls;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::ServiceExt;

/// A client has this long to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection without a request lives so long. Browsers keep theirs for minutes and open new ones without a word.
const IDLE: Duration = Duration::from_secs(60);
/// An idle connection that was told to end (HTTP/2: GOAWAY) has so long to do so.
const GOODBYE: Duration = Duration::from_secs(5);
/// HTTP/2 connections whose peer is gone without a word are found out in twice this time (RFC 9113, section 6.7).
const PING_EVERY: Duration = Duration::from_secs(20);
/// Connections the kernel keeps waiting for us.
const BACKLOG: i32 = 1024;
/// Of a request's head, in bytes (HTTP/1) and of its headers (HTTP/2).
const MAX_HEAD_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;
/// At the end, running requests have this long.
const GRACE: Duration = Duration::from_secs(2);
/// After a failed accept (most likely no file descriptor is left) the next try waits so long.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// At most one warning about failed accepts in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

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
        let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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

/// How a listener treats its connections.
#[derive(Clone, Default)]
pub(super) struct Rules {
    pub(super) tls: Option<RustlsConfig>,
    /// Connections of one address. Absent: no limit.
    pub(super) places: Option<Places>,
    /// All connections. Absent: no limit.
    pub(super) connections: Option<Connections>,
}

/// A listener being served; stops when told to.
#[derive(Debug)]
pub(super) struct Listening {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Serves until stopped.
pub(super) fn serve(listener: TcpListener, router: Router, rules: Rules) -> io::Result<Listening> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (stop, stopped) = watch::channel(false);
    let server = Arc::new(Server { router, rules, http: http(), stopped });
    Ok(Listening { stop, task: tokio::spawn(accept(listener, server)) })
}

impl Listening {
    /// Refuses new connections and gives running requests a moment.
    pub(super) async fn stop(self) {
        let _ = self.stop.send(true);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "a listener did not end in order");
        }
    }
}

/// Resolves when the listener stops.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped, too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn http() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX));
    builder
}

struct Server {
    router: Router,
    rules: Rules,
    http: Builder<TokioExecutor>,
    stopped: watch::Receiver<bool>,
}

async fn accept(listener: tokio::net::TcpListener, server: Arc<Server>) {
    let mut stopped = server.stopped.clone();
    let mut tasks = JoinSet::new();
    let mut warned: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop(&mut stopped) => break,
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(socket) = server.admit(stream, peer) {
                    tasks.spawn(Arc::clone(&server).connection(socket, peer));
                }
            }
            Err(error) => {
                if warned.is_none_or(|at| Instant::now() >= at + WARN_EVERY) {
                    warned = Some(Instant::now());
                    tracing::warn!(%error, "a connection could not be accepted");
                }
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    // Without a listener new connections are refused at once.
    drop(listener);
    let all = async { while tasks.join_next().await.is_some() {} };
    let _ = timeout(GRACE, all).await;
    tasks.shutdown().await;
}

/// An accepted connection before anything was read of it.
struct Admitted {
    stream: TcpStream,
    address: Option<super::places::Place>,
    place: Option<super::connections::Place>,
}

impl Server {
    /// Takes the connection's places, or closes it.
    fn admit(&self, stream: TcpStream, peer: SocketAddr) -> Option<Admitted> {
        let address = match &self.rules.places {
            None => None,
            Some(places) => Some(places.take(peer.ip())?),
        };
        let place = match &self.rules.connections {
            None => None,
            Some(connections) => Some(connections.enter()?),
        };
        let _ = stream.set_nodelay(true);
        Some(Admitted { stream, address, place })
    }

    /// Serves a connection to its end.
    async fn connection(self: Arc<Self>, admitted: Admitted, peer: SocketAddr) {
        let Admitted { stream, address, place } = admitted;
        let connection = place.as_ref().map_or_else(Arc::default, super::connections::Place::connection);
        let mut stopped = self.stopped.clone();
        let opened = async {
            let Some(config) = &self.rules.tls else {
                return Ok(Opened::Plain(Socket::new(stream, address, place)));
            };
            let stream = tls::expect_tls(stream).await?;
            let socket = Socket::new(stream, address, place);
            let (stream, _) = RustlsAcceptor::new(config.clone()).accept(socket, ()).await?;
            Ok::<_, io::Error>(Opened::Tls(Box::new(stream)))
        };
        let opened = tokio::select! {
            biased;
            () = stop(&mut stopped) => return,
            () = connection.evicted() => return,
            opened = opened => opened,
        };
        match opened {
            Ok(Opened::Plain(socket)) => self.requests(socket, peer, connection).await,
            Ok(Opened::Tls(stream)) => self.requests(*stream, peer, connection).await,
            // A client that went away, or speaks no TLS and was answered.
            Err(_) => {}
        }
    }

    async fn requests(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: SocketAddr,
        connection: Arc<Connection>,
    ) {
        let service = service_fn(|request: Request<Incoming>| {
            let work = connection.begin();
            answer(self.router.clone(), request, peer, Arc::clone(&connection), work)
        });
        let mut serving = pin!(self.http.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let mut stopped = self.stopped.clone();
        let mut deadline = Instant::now() + HEAD_TIMEOUT;
        loop {
            tokio::select! {
                biased;
                _ = serving.as_mut() => return,
                () = connection.evicted() => return,
                () = stop(&mut stopped) => {
                    serving.as_mut().graceful_shutdown();
                    // The listener ends this task when the time is up.
                    let _ = serving.as_mut().await;
                    return;
                }
                () = sleep_until(deadline) => {}
            }
            if !connection.had_request() {
                return;
            }
            deadline = match connection.idle_since() {
                None => Instant::now() + IDLE,
                Some(since) => since + IDLE,
            };
            if deadline <= Instant::now() {
                serving.as_mut().graceful_shutdown();
                let _ = timeout(GOODBYE, serving.as_mut()).await;
                return;
            }
        }
    }
}

/// A connection that requests can come on.
enum Opened {
    Plain(Socket),
    Tls(Box<<RustlsAcceptor as Accept<Socket, ()>>::Stream>),
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    connection: Arc<Connection>,
    work: AtWork,
) -> Result<axum::response::Response, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.oneshot(request.map(Body::new)).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        connection.upgrade();
    }
    Ok(response.map(|body| Body::new(Sent::new(body, work))))
}
