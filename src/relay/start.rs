//! How shards come to be: their sockets bound, the addresses they are reached at, their queues, and their threads.

use super::supervisor::Supervisor;
use super::{Handle, RelayConfig, RelayError, addresses, peer, shard, socket, stats};
use rtc::crypto::RTCCryptoProvider;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tokio::sync::mpsc;

/// Commands waiting for a shard. When full, callers wait, for [`super::PATIENCE`] at most.
const COMMANDS: usize = 256;
/// What handshake workers have to tell a shard. When full, they keep it and try again.
const NEWS: usize = 1024;

/// A shard that is bound, before its thread runs.
pub(super) struct Prepared {
    number: usize,
    pub(super) socket: socket::Socket,
    candidates: Vec<SocketAddr>,
    poll: mio::Poll,
    waker: Arc<mio::Waker>,
    shared: Arc<peer::Shared>,
    news: (mpsc::Sender<peer::News>, mpsc::Receiver<peer::News>),
    passing: (mpsc::Sender<peer::Passing>, mpsc::Receiver<peer::Passing>),
}

impl Prepared {
    pub(super) fn bind(
        number: usize,
        address: SocketAddr,
        config: &RelayConfig,
        crypto: &Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, RelayError> {
        let bind = |source| RelayError::Bind { address, source };
        let (socket, candidates) = listen(address, config).map_err(bind)?;
        let poll = mio::Poll::new().map_err(bind)?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), shard::WAKER).map_err(bind)?);
        let shared = Arc::new(peer::Shared {
            certificate: peer::certificate(crypto.as_ref()).ok_or(RelayError::Unavailable)?,
            crypto: Arc::clone(crypto),
            candidates: candidates.clone(),
        });
        let (news, passing) = (mpsc::channel(NEWS), mpsc::channel(NEWS));
        Ok(Self { number, socket, candidates, poll, waker, shared, news, passing })
    }

    /// A handshake worker's end of it.
    pub(super) fn link(&self, metrics: &stats::Metrics) -> std::io::Result<peer::Link> {
        Ok(peer::Link {
            shared: Arc::clone(&self.shared),
            socket: self.socket.for_another_thread()?,
            news: self.news.0.clone(),
            passing: self.passing.0.clone(),
            waker: Arc::clone(&self.waker),
            stats: metrics.shard(self.number),
        })
    }

    pub(super) fn start(
        self,
        config: &RelayConfig,
        workers: &Arc<peer::Workers>,
        metrics: &stats::Metrics,
    ) -> std::io::Result<Handle> {
        let Self { number, socket, candidates, poll, waker, news, passing, .. } = self;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let inlets = shard::Inlets { commands: receiver, news: news.1, passing: passing.1 };
        let shard = shard::Shard::new(
            number,
            poll,
            socket,
            config.ingest_ip,
            inlets,
            Arc::clone(workers),
            metrics.shard(number),
        )?;
        let supervisor = Supervisor::start(number, shard, metrics.panics(number))?;
        Ok(Handle {
            commands,
            waker,
            candidates,
            sessions: AtomicUsize::new(0),
            viewers: metrics.viewers(number),
            supervisor,
        })
    }
}

/// One less than there are processors, which the shards and encoders need too.
pub(super) fn handshake_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() - 1).max(1))
}

/// The media socket of a shard and the addresses it is reached at.
fn listen(address: SocketAddr, config: &RelayConfig) -> std::io::Result<(socket::Socket, Vec<SocketAddr>)> {
    if !config.whole_machine || !address.ip().is_loopback() || !config.public_ip.is_empty() {
        let socket = socket::Socket::bind(address)?;
        let candidates = addresses::candidates(socket.address(), &config.public_ip);
        return Ok((socket, candidates));
    }
    let everywhere = [IpAddr::from(Ipv6Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::UNSPECIFIED)]
        .map(|ip| SocketAddr::new(ip, address.port()));
    for wildcard in everywhere.into_iter().filter(|wildcard| wildcard.is_ipv6() || address.is_ipv4()) {
        let Ok(mut socket) = socket::Socket::bind(wildcard) else { continue };
        let candidates = addresses::of_everybody_here(address.ip(), socket.address());
        socket.accept_only_from(candidates.iter().map(SocketAddr::ip).collect());
        return Ok((socket, candidates));
    }
    tracing::warn!(
        %address,
        "the media port is taken at another address of this machine: Firefox, which sends from no loopback address, cannot play"
    );
    let socket = socket::Socket::bind(address)?;
    let candidates = addresses::candidates(socket.address(), &[]);
    Ok((socket, candidates))
}
