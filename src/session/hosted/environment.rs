//! The environment of a hosted session's container (contract 2.5).

use crate::model::instance::Port;
use playgate_signaling::steps;
use std::collections::BTreeMap;

/// Longest name and value of one variable together, in bytes: Linux gives a program no longer one (`MAX_ARG_STRLEN`
/// with `=` and the final NUL).
const MAX_VARIABLE_BYTES: usize = 128 * 1024 - 2;
/// Longest address of a node and longest port number.
const LONGEST_OTHER_VALUE: usize = 15;

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
        caller.iter().map(|(name, value)| (name.clone(), expand(value, &own))).collect();
    all.extend(own);
    all
}

/// Whether a variable could become longer than a program can be given, once references in its value are replaced. Counts
/// every `${` and `$(` as a reference.
pub fn may_become_too_long(name: &str, value: &str, external_id_bytes: usize) -> bool {
    let references = steps::split(value, '$').skip(1).filter(|rest| rest.starts_with(['{', '('])).count();
    let longest = external_id_bytes.max(LONGEST_OTHER_VALUE);
    name.len() + value.len() + references.saturating_mul(longest) > MAX_VARIABLE_BYTES
}

/// Replaces references to the gateway's own variables; anything else stays as it is. Passes each byte twice at most.
fn expand(value: &str, own: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = steps::find(rest, '$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match reference(rest).and_then(|(name, length)| Some((own.get(name)?, length))) {
            Some((value, length)) => {
                steps::spend(value.len());
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

/// A name in braces or parentheses behind a dollar sign, and the length of the whole. Names of ours are capital letters,
/// digits and underscores: a search for the closing bracket must not go further, or many open brackets would each search
/// the whole text.
fn reference(text: &str) -> Option<(&str, usize)> {
    let close = match text.as_bytes().get(1)? {
        b'{' => b'}',
        b'(' => b')',
        _ => return None,
    };
    let of_a_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let end = 2 + steps::leading(&text[2..], of_a_name);
    (text.as_bytes().get(end) == Some(&close)).then(|| (&text[2..end], end + 1))
}

/// What fuzzing sees of it: nothing but what was named is replaced, and an expansion of an expansion by no variables is
/// the same.
pub(crate) fn fuzz(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let caller = BTreeMap::from([("A".to_owned(), text.to_owned())]);
    let all = environment(&caller, "match-1", "192.0.2.1", &[]);
    let expanded = all.get("A").map_or("", String::as_str);
    assert_eq!(expand(expanded, &BTreeMap::new()), expanded);
    if !text.contains("GAMEYE_") {
        assert_eq!(expanded, text);
    }
    assert!(may_become_too_long("A", text, 7) || expanded.len() < MAX_VARIABLE_BYTES);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::Protocol;

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
