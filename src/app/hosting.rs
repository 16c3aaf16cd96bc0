//! What organisations may start here, and the address their players are told.

use crate::config::Config;
use crate::session::hosted::{Hosting, ImageError, Images};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

pub(super) fn load(config: &Config) -> Result<Hosting, ImageError> {
    Ok(Hosting {
        images: Images::load(config)?,
        config: config.session_api.clone(),
        host: host(config).to_string(),
    })
}

fn host(config: &Config) -> Ipv4Addr {
    let public = config.public_ip.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    });
    config.session_api.host.or(public).unwrap_or_else(|| {
        if config.listen.ip().is_loopback() { Ipv4Addr::LOCALHOST } else { this_machine() }
    })
}

/// The address that this machine's packets to elsewhere bear. Nothing is sent.
fn this_machine() -> Ipv4Addr {
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // An address for documentation (RFC 5737): any that is not ours will do.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    };
    match ask().map(|address| address.ip()) {
        Ok(IpAddr::V4(address)) => address,
        Ok(IpAddr::V6(_)) | Err(_) => Ipv4Addr::LOCALHOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_comes_first_then_the_public_address_then_what_this_machine_has() {
        let mut config = Config::default();
        assert_eq!(host(&config), Ipv4Addr::LOCALHOST);
        config.public_ip = vec!["2001:db8::1".parse().unwrap(), "192.0.2.7".parse().unwrap()];
        assert_eq!(host(&config), Ipv4Addr::new(192, 0, 2, 7));
        config.session_api.host = Some(Ipv4Addr::new(192, 0, 2, 9));
        assert_eq!(host(&config), Ipv4Addr::new(192, 0, 2, 9));
    }
}
