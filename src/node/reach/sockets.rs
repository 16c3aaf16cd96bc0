//! What listens on this machine, from `/proc` (proc(5)): sockets from `/proc/net`, their owners from `/proc/PID/fd`.
//!
//! Owners of other users' processes are told only to root.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// `TCP_LISTEN` and, for UDP, `TCP_CLOSE`: not connected to anybody (linux/net/tcp_states.h).
const TCP_LISTEN: &str = "0A";
const UDP_UNCONNECTED: &str = "07";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
}

/// A socket that takes what comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    pub transport: Transport,
    pub address: SocketAddr,
    pub uid: u32,
    /// Absent when it is not ours to know.
    pub owner: Option<Owner>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub pid: u32,
    pub program: String,
    /// It is the gateway that holds the data directory.
    pub gateway: bool,
}

/// Everything that listens in this process's network, loopback too. `lock` is the file a running gateway holds open.
pub fn listening(lock: &Path) -> io::Result<Vec<Listening>> {
    let owners = owners(lock);
    let mut found = Vec::new();
    let tables = [
        (Transport::Tcp, "tcp", TCP_LISTEN),
        (Transport::Tcp, "tcp6", TCP_LISTEN),
        (Transport::Udp, "udp", UDP_UNCONNECTED),
        (Transport::Udp, "udp6", UDP_UNCONNECTED),
    ];
    for (transport, table, state) in tables {
        let text = match std::fs::read_to_string(Path::new("/proc/net").join(table)) {
            // A kernel without IPv6 has no such table.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read?,
        };
        found.extend(text.lines().skip(1).filter_map(row).filter(|row| row.state == state).map(|row| {
            Listening {
                transport,
                address: row.address,
                uid: row.uid,
                owner: owners.get(&row.inode).cloned(),
            }
        }));
    }
    Ok(found)
}

struct Row<'t> {
    address: SocketAddr,
    state: &'t str,
    uid: u32,
    inode: u64,
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...`
fn row(line: &str) -> Option<Row<'_>> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    Some(Row {
        address: address(fields.get(1)?)?,
        state: fields.get(3)?,
        uid: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// `0100007F:1F90`: words of 32 bits as this machine holds them, each in network order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let words: Vec<u32> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| {
            let digits = std::str::from_utf8(word).ok().filter(|_| word.len() == 8)?;
            u32::from_str_radix(digits, 16).ok()
        })
        .collect::<Option<_>>()?;
    let ip = match *words.as_slice() {
        [word] => IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes())),
        [a, b, c, d] => {
            let mut bytes = [0; 16];
            for (part, word) in bytes.chunks_exact_mut(4).zip([a, b, c, d]) {
                part.copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Processes by their sockets' inodes, as far as this process may look.
fn owners(lock: &Path) -> HashMap<u64, Owner> {
    let lock = lock.canonicalize().ok();
    let mut owners = HashMap::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let files = std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        let files: Vec<_> = files.filter_map(|file| std::fs::read_link(file.path()).ok()).collect();
        let gateway = lock.as_ref().is_some_and(|lock| files.contains(lock));
        let sockets: Vec<u64> = files.iter().filter_map(|file| socket_inode(file)).collect();
        if !sockets.is_empty() {
            let program = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let owner = Owner { pid, program: program.trim().to_owned(), gateway };
            for inode in sockets {
                // A socket that was handed down has several owners; the gateway's is the gateway's.
                if gateway || !owners.contains_key(&inode) {
                    owners.insert(inode, owner.clone());
                }
            }
        }
    }
    owners
}

/// `socket:[1060]`
fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn an_address_is_read_as_the_kernel_writes_it() {
        #[cfg(target_endian = "little")]
        {
            assert_eq!(address("0100007F:1F90"), Some("127.0.0.1:8080".parse().unwrap()));
            let v6 = "00000000000000000000000001000000:0016";
            assert_eq!(address(v6), Some("[::1]:22".parse().unwrap()));
        }
        for bad in ["", ":", "0100007F", "01007F:1F90", "0100007F:1F9000", "é100007F:1"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_listens_here_is_found_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("gateway.lock");
        let _held = std::fs::File::create(&lock).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0")).unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect("127.0.0.1:9").unwrap();
        let found = listening(&lock).unwrap();
        for address in [tcp.local_addr().unwrap(), udp.local_addr().unwrap()] {
            let one = found.iter().find(|one| one.address == address).unwrap();
            let owner = one.owner.as_ref().unwrap();
            assert_eq!((owner.pid, owner.gateway), (std::process::id(), true), "{one:?}");
        }
        let address = connected.local_addr().unwrap();
        assert!(!found.iter().any(|one| one.address == address && one.transport == Transport::Udp));
    }
}
