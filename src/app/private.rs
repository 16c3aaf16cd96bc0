//! The private listener's port, kept across restarts: a container that plays on cannot be told another.

use crate::http::Private;
use crate::store::DataDir;
use anyhow::{Context, Result};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Binds the private listener, on the bridges too where there are any.
pub(super) fn bind(address: SocketAddr, bridges: &[IpAddr], data_dir: &DataDir) -> Result<Private> {
    let file = data_dir.root().join("private-port");
    // Without an engine nothing outlives the gateway, and any port will do.
    let remembered = if bridges.is_empty() { None } else { read(&file) };
    let private = Private::bind(address, bridges, remembered).context("--private-listen")?;
    let port = private.address.port();
    if bridges.is_empty() || remembered == Some(port) {
        return Ok(private);
    }
    if let Some(remembered) = remembered {
        tracing::warn!(
            remembered,
            port,
            "the private listener has another port than before: games in containers that play on cannot come back"
        );
    }
    if let Err(error) = std::fs::write(&file, format!("{port}\n")) {
        tracing::warn!(file = %file.display(), %error, "the private listener's port could not be kept");
    }
    Ok(private)
}

fn read(file: &Path) -> Option<u16> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const BRIDGE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

    #[test]
    fn the_port_is_one_for_all_and_stays_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::lock(dir.path()).unwrap();
        let any = SocketAddr::new(LOOPBACK, 0);
        let first = bind(any, &[BRIDGE], &data_dir).unwrap();
        let port = first.address.port();
        assert!(std::net::TcpStream::connect((BRIDGE, port)).is_ok());
        // Taken: another one, so that the gateway runs all the same.
        let other = bind(any, &[BRIDGE], &data_dir).unwrap();
        assert_ne!(other.address.port(), port);
        let kept = other.address.port();
        drop(other);
        assert_eq!(bind(any, &[BRIDGE], &data_dir).unwrap().address.port(), kept);
        drop(first);
    }
}
