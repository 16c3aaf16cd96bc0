//! Proxies whose `X-Forwarded-*` headers are believed: addresses and CIDR networks.

use std::net::IpAddr;
use std::str::FromStr;

/// The configured proxies. Empty: nobody's headers are believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Network>);

/// An address with the number of bits that must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// Neither an address nor `ADDRESS/BITS`.
#[derive(Debug, thiserror::Error)]
#[error("trusted_proxies: `{0}` is neither an address nor a network like 10.0.0.0/8")]
pub struct UnknownNetwork(String);

impl TrustedProxies {
    pub fn parse(list: &[String]) -> Result<Self, UnknownNetwork> {
        list.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        let unknown = || UnknownNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| unknown())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.trim().parse().map_err(|_| unknown()))?;
        if bits > most {
            return Err(unknown());
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    fn contains(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(list: &[&str], address: &str) -> bool {
        let list: Vec<_> = list.iter().map(|text| (*text).to_owned()).collect();
        TrustedProxies::parse(&list).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn networks_and_addresses_match_by_their_bits() {
        assert!(trusts(&["10.0.0.0/8"], "10.200.3.4"));
        assert!(!trusts(&["10.0.0.0/8"], "11.0.0.1"));
        assert!(trusts(&["0.0.0.0/0"], "203.0.113.9"));
        assert!(!trusts(&["0.0.0.0/0"], "2001:db8::1"));
        assert!(trusts(&["127.0.0.1"], "::ffff:127.0.0.1"));
        assert!(trusts(&["2001:db8::/32"], "2001:db8:ffff::1"));
        assert!(!trusts(&["2001:db8::1"], "2001:db8::2"));
        assert!(!trusts(&[], "127.0.0.1"));
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["", "proxy", "10.0.0.0/33", "10.0.0/8", "::1/129", "10.0.0.0/x"] {
            let error = TrustedProxies::parse(&[text.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
