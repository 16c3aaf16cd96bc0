//! Ports of this machine, each lent to one container at a time (contract section 2.5, G24).
//!
//! What must hold: a number is lent once, whatever the protocol; one that the engine has published, or that another
//! process has bound, is passed over; it is given back when the last holder of its lease is gone. The next one is looked
//! for behind the last one lent, so that packets for the dead do not reach the living, and the first one anywhere, so that
//! two gateways of one machine rarely meet. When they do, the engine refuses the second at its start.

use super::error::{DockerError, Refused};
use crate::model::instance::{ExposedPort, Port, Protocol};
use bollard::Docker;
use bollard::models::{ContainerInspectResponse, PortBinding, PortMap};
use bollard::query_parameters::ListContainersOptions;
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    first: u16,
    last: u16,
    address: IpAddr,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lent: HashSet<u16>,
    /// Where to look next.
    next: u16,
}

/// Cheap to clone; the ports are free when every clone is gone.
#[derive(Debug, Clone)]
pub(super) struct Lease(Arc<Held>);

#[derive(Debug)]
struct Held {
    ports: Vec<Port>,
    shared: Arc<Shared>,
}

/// What a look at a port finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Free,
    Bound,
}

impl Pool {
    /// Published at `address`.
    pub(super) fn new(ports: &RangeInclusive<u16>, address: IpAddr) -> Self {
        let (first, last) = (*ports.start(), *ports.end());
        let count = u128::from(last.saturating_sub(first)) + 1;
        let anywhere = u16::try_from(Uuid::new_v4().as_u128() % count).unwrap_or_default();
        let state = State { lent: HashSet::new(), next: first.saturating_add(anywhere) };
        Self(Arc::new(Shared { first, last, address, state: Mutex::new(state) }))
    }

    pub(super) fn address(&self) -> IpAddr {
        self.0.address
    }

    /// A port of this machine for each of `exposed`, none of them in `taken`: those that the engine has published.
    pub(super) fn lend(&self, exposed: &[ExposedPort], taken: &HashSet<u16>) -> Result<Lease, DockerError> {
        let mut held = Held { ports: Vec::with_capacity(exposed.len()), shared: Arc::clone(&self.0) };
        // Kept taken until all are found: else the same would be looked at again.
        let mut bound = Held { ports: Vec::new(), shared: Arc::clone(&self.0) };
        for wanted in exposed {
            loop {
                let (first, last) = (self.0.first, self.0.last);
                let host = self.0.reserve(taken).ok_or(DockerError::NoPort { first, last })?;
                let port = Port { protocol: wanted.protocol, container: wanted.container, host };
                bound.ports.push(port);
                let look = look(self.0.address, wanted.protocol, host);
                match look.map_err(|error| DockerError::PortAddress { address: self.0.address, error })? {
                    Look::Free => {
                        held.ports.extend(bound.ports.pop());
                        break;
                    }
                    Look::Bound => {}
                }
            }
        }
        Ok(Lease(Arc::new(held)))
    }

    /// Takes ports back that an earlier gateway has lent, as far as nobody else has them.
    pub(super) fn take_back(&self, ports: &[Port]) -> Lease {
        let mut state = self.0.state();
        let fresh = ports.iter().filter(|port| state.lent.insert(port.host)).copied().collect();
        drop(state);
        Lease(Arc::new(Held { ports: fresh, shared: Arc::clone(&self.0) }))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reserve(&self, taken: &HashSet<u16>) -> Option<u16> {
        let mut state = self.state();
        let from = state.next.clamp(self.first, self.last);
        let found = (from..=self.last)
            .chain(self.first..from)
            .find(|port| !state.lent.contains(port) && !taken.contains(port))?;
        state.lent.insert(found);
        state.next = if found == self.last { self.first } else { found + 1 };
        Some(found)
    }
}

impl Lease {
    pub(super) fn ports(&self) -> &[Port] {
        &self.0.ports
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        for port in &self.ports {
            state.lent.remove(&port.host);
        }
    }
}

/// Whether a process of this machine has it. What we may not bind ourselves, the engine perhaps may.
fn look(address: IpAddr, protocol: Protocol, port: u16) -> io::Result<Look> {
    let bound = match protocol {
        Protocol::Tcp => TcpListener::bind((address, port)).map(drop),
        Protocol::Udp => UdpSocket::bind((address, port)).map(drop),
    };
    match bound {
        Ok(()) => Ok(Look::Free),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(Look::Bound),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Look::Free),
        Err(error) => Err(error),
    }
}

/// Ports of this machine that the engine has published, for containers of ours or not.
pub(super) async fn published(engine: &Docker) -> Result<HashSet<u16>, DockerError> {
    let running = engine
        .list_containers(None::<ListContainersOptions>)
        .await
        .map_err(DockerError::engine("tell which ports are published"))?;
    let ports = running.into_iter().filter_map(|container| container.ports).flatten();
    Ok(ports.filter_map(|port| port.public_port).collect())
}

/// As the engine names a container's port: `27015/udp`.
pub(super) fn spelled(protocol: Protocol, container: u16) -> String {
    format!("{container}/{}", protocol.name())
}

/// The engine's spelling; without a protocol TCP is meant. `None` for other protocols.
pub(super) fn parse(text: &str) -> Option<ExposedPort> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let container = number.parse().ok().filter(|number| *number > 0)?;
    Some(ExposedPort { protocol, container })
}

/// What the engine is asked to publish.
pub(super) fn bindings(ports: &[Port], address: IpAddr) -> PortMap {
    let binding = |port: &Port| PortBinding {
        host_ip: Some(address.to_string()),
        host_port: Some(port.host.to_string()),
    };
    let bindings = ports.iter();
    bindings.map(|port| (spelled(port.protocol, port.container), Some(vec![binding(port)]))).collect()
}

/// What the engine was asked to publish for a container, running or not. In order.
pub(super) fn bound(found: &ContainerInspectResponse) -> Vec<Port> {
    let bindings = found.host_config.as_ref().and_then(|host| host.port_bindings.as_ref());
    let mut ports: Vec<Port> = bindings
        .into_iter()
        .flatten()
        .filter_map(|(name, bindings)| {
            let ExposedPort { protocol, container } = parse(name)?;
            let host = bindings.as_ref()?.first()?.host_port.as_ref()?.parse().ok()?;
            Some(Port { protocol, container, host })
        })
        .collect();
    ports.sort();
    ports
}

/// Whether a start failed because somebody else has a port by now. The engine says so only in words: its own allocator's,
/// its proxy's, or the kernel's.
pub(super) fn refused(error: DockerError) -> DockerError {
    let DockerError::Engine { error, what } = error else { return error };
    let text = error.to_string().to_lowercase();
    let taken = text.contains("port is already allocated")
        || (text.contains("address already in use") && (text.contains("listen") || text.contains("bind")));
    if taken { DockerError::PortTaken(Refused(error)) } else { DockerError::Engine { what, error } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn tcp(container: u16) -> ExposedPort {
        ExposedPort { protocol: Protocol::Tcp, container }
    }

    fn udp(container: u16) -> ExposedPort {
        ExposedPort { protocol: Protocol::Udp, container }
    }

    /// So many numbers that nobody on this machine has, as far as one look tells.
    fn free_range(count: u16) -> RangeInclusive<u16> {
        let starts = (10_000..20_000_u16).step_by(usize::from(count));
        let mut ranges = starts.map(|first| first..=first + count - 1);
        let free = |port| {
            [Protocol::Tcp, Protocol::Udp]
                .iter()
                .all(|protocol| look(HERE, *protocol, port).is_ok_and(|look| look == Look::Free))
        };
        // Tests run side by side, each in its own process or thread: begin somewhere.
        let skip = usize::try_from(Uuid::new_v4().as_u128() % 20).unwrap();
        ranges.by_ref().nth(skip);
        ranges.find(|range| range.clone().all(free)).expect("some ports are free")
    }

    fn hosts(lease: &Lease) -> Vec<u16> {
        lease.ports().iter().map(|port| port.host).collect()
    }

    #[test]
    fn every_exposed_port_gets_a_number_of_its_own_whatever_its_protocol() {
        let pool = Pool::new(&free_range(3), HERE);
        let lease = pool.lend(&[tcp(80), udp(80), udp(27015)], &HashSet::new()).unwrap();
        let different: HashSet<u16> = hosts(&lease).into_iter().collect();
        assert_eq!(different.len(), 3);
        assert_eq!(lease.ports()[1].protocol, Protocol::Udp);
        let none = pool.lend(&[tcp(1)], &HashSet::new()).unwrap_err().to_string();
        assert!(none.contains("no port is free"), "{none}");
        drop(lease);
        assert!(pool.lend(&[tcp(1)], &HashSet::new()).is_ok());
    }

    #[test]
    fn a_request_that_cannot_be_met_keeps_nothing() {
        let pool = Pool::new(&free_range(2), HERE);
        assert!(pool.lend(&[tcp(1), tcp(2), tcp(3)], &HashSet::new()).is_err());
        assert!(pool.lend(&[tcp(1), tcp(2)], &HashSet::new()).is_ok());
    }

    #[test]
    fn what_is_published_or_bound_is_passed_over() {
        let range = free_range(4);
        let first = *range.start();
        let listener = TcpListener::bind((HERE, first)).unwrap();
        let socket = UdpSocket::bind((HERE, first + 1)).unwrap();
        let pool = Pool::new(&range, HERE);
        let taken = HashSet::from([first + 2]);
        let lease = pool.lend(&[tcp(1)], &taken).unwrap();
        assert!([first + 1, first + 3].contains(&hosts(&lease)[0]));
        drop(lease);
        let leases: Vec<Lease> = std::iter::from_fn(|| pool.lend(&[udp(1)], &taken).ok()).collect();
        let lent: HashSet<u16> = leases.iter().flat_map(hosts).collect();
        assert_eq!(lent, HashSet::from([first, first + 3]), "UDP beside a TCP listener is fine");
        drop((listener, socket, leases));
        let all: Vec<Lease> = std::iter::from_fn(|| pool.lend(&[tcp(1)], &HashSet::new()).ok()).collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_port_comes_back_with_its_last_holder_and_is_not_lent_again_at_once() {
        let pool = Pool::new(&free_range(3), HERE);
        let lease = pool.lend(&[tcp(1)], &HashSet::new()).unwrap();
        let (port, other) = (hosts(&lease)[0], lease.clone());
        drop(lease);
        assert!(pool.take_back(other.ports()).ports().is_empty());
        let before: Vec<Port> = other.ports().to_vec();
        drop(other);
        assert_ne!(hosts(&pool.lend(&[tcp(1)], &HashSet::new()).unwrap())[0], port);
        let back = pool.take_back(&before);
        assert_eq!(hosts(&back), [port]);
        let rest: Vec<Lease> = std::iter::from_fn(|| pool.lend(&[tcp(1)], &HashSet::new()).ok()).collect();
        assert!(rest.len() == 2 && rest.iter().all(|lease| hosts(lease)[0] != port));
    }

    #[test]
    fn racing_borrowers_never_share_a_port() {
        let pool = Pool::new(&free_range(200), HERE);
        let lent: Vec<Lease> = std::thread::scope(|scope| {
            let borrow = || {
                let lend = || pool.lend(&[tcp(1), udp(2)], &HashSet::new());
                (0..20).filter_map(|_| lend().ok()).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(borrow)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let all: Vec<u16> = lent.iter().flat_map(hosts).collect();
        let different: HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert!(all.len() > 150, "{}", all.len());
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        let pool = Pool::new(&(20_000..=20_010), "192.0.2.1".parse().unwrap());
        let error = pool.lend(&[tcp(1)], &HashSet::new()).unwrap_err().to_string();
        assert!(error.contains("192.0.2.1") && error.contains("port_address"), "{error}");
    }

    #[test]
    fn the_engines_spelling_is_read_and_written() {
        assert_eq!(parse("27015/udp"), Some(udp(27015)));
        assert_eq!((parse("80/tcp"), parse("80")), (Some(tcp(80)), Some(tcp(80))));
        for text in ["132/sctp", "0/tcp", "", "/tcp", "70000/tcp", "1-2/tcp", "x"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let ports = [
            Port { protocol: Protocol::Tcp, container: 80, host: 20_000 },
            Port { protocol: Protocol::Udp, container: 80, host: 20_001 },
        ];
        let mut found = ContainerInspectResponse::default();
        assert_eq!(bound(&found), []);
        found.host_config = Some(bollard::models::HostConfig {
            port_bindings: Some(bindings(&ports, HERE)),
            ..bollard::models::HostConfig::default()
        });
        assert_eq!(bound(&found), ports);
    }
}
