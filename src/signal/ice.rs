//! ICE servers for a viewer, with TURN credentials of its own.
//!
//! The TURN REST scheme (draft-uberti-behave-turn-rest-00): the username is `expiry:viewer`, the credential the base64
//! of HMAC-SHA1 over it under the secret shared with the TURN server. Nothing is stored.

use crate::config::{IceConfig, is_turn};
use crate::model::ids::ViewerId;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use playgate_signaling::message::IceServer;
use time::OffsetDateTime;

/// The servers of the configuration; TURN is left out when there is no secret to sign with.
pub fn ice_servers(config: &IceConfig, viewer: ViewerId, now: OffsetDateTime) -> Vec<IceServer> {
    let (turn, stun): (Vec<_>, Vec<_>) = config.urls.iter().cloned().partition(|url| is_turn(url));
    let mut servers = Vec::new();
    if !stun.is_empty() {
        servers.push(IceServer { urls: stun, username: None, credential: None });
    }
    if let Some(secret) = &config.secret
        && !turn.is_empty()
    {
        let lifetime = i64::try_from(config.credential_ttl_s).unwrap_or(i64::MAX);
        let username = format!("{}:{viewer}", now.unix_timestamp().saturating_add(lifetime));
        let credential = sign(secret, &username);
        servers.push(IceServer { urls: turn, username: Some(username), credential: Some(credential) });
    }
    servers
}

fn sign(secret: &str, username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(secret: Option<&str>) -> IceConfig {
        IceConfig {
            urls: ["stun:a.example", "turn:b.example:3478", "turns:b.example?transport=tcp"]
                .map(str::to_owned)
                .to_vec(),
            secret: secret.map(str::to_owned),
            credential_ttl_s: 60,
        }
    }

    #[test]
    fn the_signature_is_hmac_sha1() {
        // RFC 2202, section 3, case 2.
        assert_eq!(
            sign("Jefe", "what do ya want for nothing?"),
            STANDARD.encode([
                0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74, 0x16, 0xd5, 0xf1, 0x84, 0xdf,
                0x9c, 0x25, 0x9a, 0x7c, 0x79,
            ])
        );
    }

    #[test]
    fn turn_servers_carry_credentials_of_this_viewer_and_stun_servers_none() {
        let viewer = ViewerId::new();
        let now = OffsetDateTime::from_unix_timestamp(1_000).unwrap();
        let servers = ice_servers(&config(Some("secret")), viewer, now);
        assert_eq!(servers.len(), 2);
        assert_eq!((servers[0].urls.len(), &servers[0].username), (1, &None));
        let username = format!("1060:{viewer}");
        assert_eq!(servers[1].credential, Some(sign("secret", &username)));
        assert_eq!(servers[1].username, Some(username));
        assert_eq!(servers[1].urls.len(), 2);
    }

    #[test]
    fn without_a_secret_turn_is_left_out() {
        let servers = ice_servers(&config(None), ViewerId::new(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(servers.len(), 1);
    }
}
