//! The environment of a hosted session's container (contract 2.5).

use crate::driver::Port;
use std::collections::BTreeMap;

/// The caller's variables and this gateway's, which win. A value of the caller's may name one of ours: `${GAMEYE_HOST}` or
/// `$(GAMEYE_HOST)`.
pub(in crate::session) fn environment(
    caller: &BTreeMap<String, String>,
    external_id: &str,
    host: &str,
    ports: &[Port],
) -> BTreeMap<String, String> {
    let mut own = BTreeMap::from([
        ("GAMEYE_SESSION_ID".to_owned(), external_id.to_owned()),
        ("GAMEYE_CONTAINER".to_owned(), external_id.to_owned()),
        ("GAMEYE_HOST".to_owned(), host.to_owned()),
        ("GAMEYE_IP".to_owned(), host.to_owned()),
    ]);
    for port in ports {
        let protocol = port.protocol.name().to_ascii_uppercase();
        own.insert(format!("GAMEYE_PORT_{protocol}_{}", port.container), port.host.to_string());
    }
    let mut all: BTreeMap<String, String> =
        caller.iter().map(|(name, value)| (name.clone(), filled_in(value, &own))).collect();
    all.extend(own);
    all
}

fn filled_in(value: &str, own: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(rest).and_then(|(name, length)| Some((own.get(name)?, length))) {
            Some((value, length)) => {
                out.push_str(value);
                rest = &rest[length..];
            }
            None => {
                out.push('$');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A name in braces or parentheses behind a dollar sign, and how long the whole of it is.
fn reference(text: &str) -> Option<(&str, usize)> {
    let close = match text.as_bytes().get(1)? {
        b'{' => '}',
        b'(' => ')',
        _ => return None,
    };
    let end = text.find(close)?;
    Some((&text[2..end], end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Protocol;

    fn made(value: &str) -> String {
        let caller = BTreeMap::from([("A".to_owned(), value.to_owned())]);
        let ports = [Port { protocol: Protocol::Udp, container: 7777, host: 20_001 }];
        environment(&caller, "match-1", "192.0.2.1", &ports).remove("A").unwrap()
    }

    #[test]
    fn the_gateways_variables_win_and_name_every_port() {
        let caller = BTreeMap::from([("GAMEYE_HOST".to_owned(), "mine".to_owned())]);
        let ports = [
            Port { protocol: Protocol::Udp, container: 7777, host: 20_001 },
            Port { protocol: Protocol::Tcp, container: 80, host: 20_002 },
        ];
        let all = environment(&caller, "match-1", "192.0.2.1", &ports);
        let expected = [
            ("GAMEYE_CONTAINER", "match-1"),
            ("GAMEYE_HOST", "192.0.2.1"),
            ("GAMEYE_IP", "192.0.2.1"),
            ("GAMEYE_PORT_TCP_80", "20002"),
            ("GAMEYE_PORT_UDP_7777", "20001"),
            ("GAMEYE_SESSION_ID", "match-1"),
        ];
        assert_eq!(all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_callers_value_may_name_the_gateways_variables() {
        assert_eq!(made("${GAMEYE_HOST}:$(GAMEYE_PORT_UDP_7777)"), "192.0.2.1:20001");
        assert_eq!(made("$5 ${HOME} $(GAMEYE_HOST ${"), "$5 ${HOME} $(GAMEYE_HOST ${");
        assert_eq!(made("$${GAMEYE_HOST}é$"), "$192.0.2.1é$");
    }
}
