use super::life::{CONSENT, HANDSHAKE};
use super::*;
use crate::relay::Codec;
use crate::relay::outbox::Outbox;
use crate::relay::sdp::Offer;
use crate::relay::sdp::tests::OFFER;
use crate::relay::stun;
use std::time::Duration;

fn peer(now: Instant) -> (Peer, Shared) {
    let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(rtc::crypto::providers::AwsLcRsProvider::default());
    let candidates = vec!["198.51.100.1:8080".parse().expect("address")];
    let shared =
        Shared { certificate: certificate(crypto.as_ref()).expect("certificate"), crypto, candidates };
    let offer = Offer::parse(OFFER, Codec::H264, true).expect("usable");
    let (peer, answer) = Peer::new(now, &offer, Codec::H264, &shared, true).expect("answered");
    assert!(answer.contains(&format!("a=ice-ufrag:{}", peer.ufrag())));
    (peer, shared)
}

fn path(port: u16) -> Path {
    Path { remote: SocketAddr::from(([203, 0, 113, 7], port)), local: None }
}

/// A proven nomination from a port, with the peer's present credentials.
fn nominate(peer: &mut Peer, now: Instant, port: u16) {
    let datagram = stun::nominating_request([3; 12], &peer.local, &peer.remote.ufrag);
    let request = stun::Request::parse(&datagram).expect("a request");
    assert!(matches!(peer.binding(now, path(port), &request), Binding::Proven(_)));
}

fn sent(peer: &mut Peer) -> Vec<Vec<u8>> {
    let mut out = Outbox::default();
    peer.drain(&mut out);
    out.runs(1, usize::MAX).map(|(datagram, _)| datagram.to_vec()).collect()
}

#[test]
fn dtls_begins_with_the_first_nomination_and_follows_the_last() {
    let now = Instant::now();
    let (mut peer, _) = peer(now);
    assert!(sent(&mut peer).is_empty());
    nominate(&mut peer, now, 1000);
    let hello = sent(&mut peer);
    assert!(hello.iter().any(|datagram| datagram.first() == Some(&22)), "a ClientHello");
    assert!(hello.iter().all(|datagram| datagram.first() > Some(&3)), "none of rtc's own checks");
    nominate(&mut peer, now, 2000);
    assert_eq!(peer.path(), Some(path(2000)));
}

#[test]
fn a_forged_request_moves_nothing() {
    let now = Instant::now();
    let (mut peer, _) = peer(now);
    nominate(&mut peer, now, 1000);
    let forged =
        Credentials { ufrag: peer.local.ufrag.clone(), password: "guessed-password-22-chars".to_owned() };
    let datagram = stun::nominating_request([3; 12], &forged, &peer.remote.ufrag);
    let request = stun::Request::parse(&datagram).expect("a request");
    assert_eq!(peer.binding(now, path(666), &request), Binding::Forged);
    assert_eq!(peer.path(), Some(path(1000)));
}

#[test]
fn consent_ends_twenty_seconds_after_the_last_check() {
    let now = Instant::now();
    let (mut peer, _) = peer(now);
    nominate(&mut peer, now, 1000);
    let later = now + Duration::from_secs(15);
    assert!(!peer.poll(later).iter().any(|event| matches!(event, PeerEvent::Gone(_))));
    nominate(&mut peer, later, 1000);
    assert!(peer.deadline().is_some_and(|at| at <= later + CONSENT));
    peer.connected = true;
    assert!(!peer.poll(later + Duration::from_secs(19)).contains(&PeerEvent::Gone("consent expired")));
    assert!(peer.poll(later + Duration::from_secs(20)).contains(&PeerEvent::Gone("consent expired")));
    assert_eq!(peer.deadline(), None);
}

#[test]
fn a_viewer_that_never_comes_is_given_up() {
    let now = Instant::now();
    let (mut peer, _) = peer(now);
    assert_eq!(peer.poll(now + HANDSHAKE), [PeerEvent::Gone("no connection within 30 seconds")]);
}

#[test]
fn an_ice_restart_keeps_the_path_until_the_new_nomination() {
    let now = Instant::now();
    let (mut peer, shared) = peer(now);
    nominate(&mut peer, now, 1000);
    let old = peer.local.clone();
    let text = OFFER.replace("ice-ufrag:abcd", "ice-ufrag:wxyz");
    let offer = Offer::parse(&text, Codec::H264, true).expect("usable");
    peer.renegotiate(now, &offer, &shared).expect("answered");
    assert_ne!(peer.ufrag(), old.ufrag);
    assert_eq!(peer.path(), Some(path(1000)));
    let datagram = stun::nominating_request([4; 12], &old, "abcd");
    let request = stun::Request::parse(&datagram).expect("a request");
    assert!(
        matches!(peer.binding(now, path(1000), &request), Binding::Proven(_)),
        "the old generation still checks"
    );
    nominate(&mut peer, now, 3000);
    assert!(matches!(peer.binding(now, path(1000), &request), Binding::Proven(_)));
    assert_eq!(peer.path(), Some(path(3000)), "but moves nothing after the new one");
}

#[test]
fn only_who_plays_is_measured_and_nothing_is_offered_again_for_it() {
    let now = Instant::now();
    let (_, shared) = peer(now);
    let numbered = "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    let offered = OFFER
        .replace("a=extmap:5 ", &format!("{numbered}\r\na=extmap:5 "))
        .replace("a=rtcp-fb:106 nack pli", "a=rtcp-fb:106 nack pli\r\na=rtcp-fb:106 transport-cc");
    let offer = Offer::parse(&offered, Codec::H264, true).expect("usable");
    let (mut peer, answer) = Peer::new(now, &offer, Codec::H264, &shared, true).expect("answered");
    assert!(answer.contains("transport-wide-cc") && answer.contains("transport-cc"), "{answer}");
    let measured = |peer: &mut Peer| (peer.rate().is_some(), peer.video.extensions.transport);
    assert_eq!(measured(&mut peer), (false, None), "who watches costs no feedback");
    peer.measure(true);
    assert_eq!(measured(&mut peer), (true, Some(3)));
    peer.measure(false);
    assert_eq!(measured(&mut peer), (false, None));
}

#[test]
fn a_fatal_alert_before_the_connection_is_a_missing_cipher() {
    let now = Instant::now();
    let (mut peer, _) = peer(now);
    nominate(&mut peer, now, 1000);
    peer.datagram(now, &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 71]);
    assert!(peer.poll(now).contains(&PeerEvent::NoCommonCipher));
}
