use super::handshake::{LONGEST, Progress};
use super::paths::CONSENT;
use super::*;
use crate::relay::Codec;
use crate::relay::dtls::hello_message;
use crate::relay::outbox::Outbox;
use crate::relay::ring::MediaPacket;
use crate::relay::sdp::Offer;
use crate::relay::sdp::tests::OFFER;
use crate::relay::stats::Drop;
use crate::relay::stun;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, RunLengthChunk, StatusChunkTypeTcc, SymbolTypeTcc, TransportLayerCc,
};
use std::time::Duration;

fn shared() -> Arc<Shared> {
    let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(rtc::crypto::providers::AwsLcRsProvider::default());
    let candidates = vec!["198.51.100.1:8080".parse().expect("address")];
    Arc::new(Shared { certificate: certificate(crypto.as_ref()).expect("certificate"), crypto, candidates })
}

/// A peer that counts as connected and seals with this key; with or without RTX.
pub(in crate::relay) fn connected(now: Instant, rtx: bool, sealer: Sealer) -> Peer {
    let offered = if rtx {
        OFFER.to_owned()
    } else {
        OFFER
            .replace(" 106 107\r\n", " 106\r\n")
            .replace("a=rtpmap:107 rtx/90000\r\na=fmtp:107 apt=106\r\n", "")
    };
    let offer = Offer::parse(&offered, Codec::H264, true).expect("usable");
    assert_eq!(offer.video.rtx.is_some(), rtx);
    let (Handshaking { mut peer, .. }, _) =
        Handshaking::new(now, &offer, Codec::H264, &shared()).expect("answered");
    peer.sealer = Some(sealer);
    peer
}

fn handshaking(now: Instant) -> Handshaking {
    answered(now, OFFER).0
}

/// The peer of an offer, and its answer.
fn answered(now: Instant, offer: &str) -> (Handshaking, String) {
    let offer = Offer::parse(offer, Codec::H264, true).expect("usable");
    let (handshaking, answer) = Handshaking::new(now, &offer, Codec::H264, &shared()).expect("answered");
    assert!(answer.contains(&format!("a=ice-ufrag:{}", handshaking.peer.ufrag())));
    (handshaking, answer)
}

fn path(port: u16) -> Path {
    Path { remote: SocketAddr::from(([203, 0, 113, 7], port)), local: None }
}

/// A proven nomination from a port, with the peer's present credentials.
fn nominate(peer: &mut Peer, now: Instant, port: u16) {
    let datagram = stun::nominating_request(random(), &peer.local, &peer.remote.ufrag);
    let request = stun::Request::parse(&datagram).expect("a request");
    assert!(matches!(peer.binding(now, path(port), &request), Binding::Proven(_)));
}

fn sent(handshaking: &mut Handshaking) -> Vec<Vec<u8>> {
    let mut out = Outbox::default();
    handshaking.drain(&mut out);
    out.runs(1, usize::MAX).map(|(datagram, _)| datagram.to_vec()).collect()
}

/// A whole ClientHello in one record.
fn hello(profiles: &[u16]) -> Vec<u8> {
    let body = hello_message(profiles, &[], 20);
    let [.., l0, l1] = (body.len() as u64).to_be_bytes();
    let message = [&[1, 0, l0, l1, 0, 0, 0, 0, 0, 0, l0, l1], body.as_slice()].concat();
    let [.., l0, l1] = (message.len() as u64).to_be_bytes();
    [&[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, l0, l1], message.as_slice()].concat()
}

#[test]
fn we_are_the_server_unless_the_viewer_insists_on_it() {
    let now = Instant::now();
    for (setup, ours) in [("actpass", "passive"), ("active", "passive"), ("passive", "active")] {
        let (mut viewer, answer) = answered(now, &OFFER.replace("actpass", setup));
        assert!(answer.contains(&format!("a=setup:{ours}\r\n")), "{setup}: {answer}");
        nominate(&mut viewer.peer, now, 1000);
        let first = sent(&mut viewer);
        assert!(first.iter().all(|datagram| datagram.first() > Some(&3)), "none of rtc's own checks");
        assert_eq!(first.iter().any(|datagram| datagram.first() == Some(&22)), ours == "active");
    }
}

#[test]
fn a_hello_without_gcm_builds_the_connection_again_behind_the_same_answer() {
    let now = Instant::now();
    for (profiles, rebuilt) in [([7, 1].as_slice(), false), (&[1, 7], false), (&[1], true)] {
        let mut viewer = handshaking(now);
        nominate(&mut viewer.peer, now, 1000);
        let (agent, local) = (viewer.peer.agent.clone(), viewer.peer.local.clone());
        let ssrcs = (viewer.peer.video_ssrc(), viewer.peer.audio_ssrc());
        assert_eq!(viewer.datagram(now, path(1000), &hello(profiles)), Ok(()));
        assert_eq!(viewer.peer.agent != agent, rebuilt, "{profiles:?}");
        assert_eq!(
            (&viewer.peer.local, (viewer.peer.video_ssrc(), viewer.peer.audio_ssrc())),
            (&local, ssrcs)
        );
        assert!(viewer.handshake.is_decided());
        // HelloVerifyRequest, and the same again when the ClientHello is repeated.
        let verify = sent(&mut viewer);
        assert!(matches!(verify.as_slice(), [datagram] if datagram.get(13) == Some(&3)), "{verify:?}");
        assert_eq!(viewer.datagram(now, path(1000), &hello(profiles)), Ok(()));
        assert_eq!(sent(&mut viewer), verify);
    }
}

#[test]
fn a_handshake_over_two_addresses_is_answered_where_it_comes_from() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    for port in [1000, 2000] {
        let datagram = stun::nominating_request(random(), &viewer.peer.local, &viewer.peer.remote.ufrag);
        let mut request = stun::Request::parse(&datagram).expect("a request");
        request.use_candidate = false;
        assert!(matches!(viewer.peer.binding(now, path(port), &request), Binding::Proven(_)));
    }
    assert_eq!(viewer.peer.path(), Some(path(1000)));
    assert_eq!(viewer.datagram(now, path(2000), &hello(&[7])), Ok(()));
    assert_eq!(viewer.peer.path(), Some(path(2000)));
}

#[test]
fn a_peer_can_move_to_another_thread() {
    const fn movable<T: Send>() {}
    const { movable::<Peer>() };
}

#[test]
fn a_forged_request_moves_nothing() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    nominate(&mut viewer.peer, now, 1000);
    let forged = Credentials {
        ufrag: viewer.peer.local.ufrag.clone(),
        password: "guessed-password-22-chars".to_owned(),
    };
    let datagram = stun::nominating_request([3; 12], &forged, &viewer.peer.remote.ufrag);
    let request = stun::Request::parse(&datagram).expect("a request");
    assert_eq!(viewer.peer.binding(now, path(666), &request), Binding::Forged);
    assert_eq!(viewer.peer.path(), Some(path(1000)));
}

#[test]
fn consent_ends_thirty_seconds_after_the_last_check() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    nominate(&mut viewer.peer, now, 1000);
    let later = now + Duration::from_secs(15);
    assert_eq!(viewer.poll(later), Progress::UnderWay);
    nominate(&mut viewer.peer, later, 1000);
    assert!(viewer.deadline().is_some_and(|at| at <= later + CONSENT));
    viewer.established = Some(Established::for_test(now));
    assert_eq!(viewer.poll(later), Progress::Connected);
    let mut peer = viewer.into_peer();
    assert!(matches!(peer.poll(later).as_slice(), [PeerEvent::Connected { .. }]));
    assert!(!peer.poll(later + Duration::from_secs(29)).contains(&PeerEvent::Gone("consent expired")));
    assert!(peer.poll(later + Duration::from_secs(30)).contains(&PeerEvent::Gone("consent expired")));
    assert_eq!(peer.deadline(), None);
}

#[test]
fn a_viewer_that_never_comes_is_given_up() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    assert_eq!(viewer.poll(now + LONGEST), Progress::Gone("no connection within 30 seconds"));
}

#[test]
fn an_ice_restart_keeps_the_path_until_the_new_nomination() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    nominate(&mut viewer.peer, now, 1000);
    let old = viewer.peer.local.clone();
    let text = OFFER.replace("ice-ufrag:abcd", "ice-ufrag:wxyz");
    let offer = Offer::parse(&text, Codec::H264, true).expect("usable");
    viewer.renegotiate(now, &offer).expect("answered");
    assert_ne!(viewer.peer.ufrag(), old.ufrag);
    assert_eq!(viewer.peer.path(), Some(path(1000)));
    let datagram = stun::nominating_request([4; 12], &old, "abcd");
    let request = stun::Request::parse(&datagram).expect("a request");
    assert!(
        matches!(viewer.peer.binding(now, path(1000), &request), Binding::Proven(_)),
        "the old generation still checks"
    );
    nominate(&mut viewer.peer, now, 3000);
    assert!(matches!(viewer.peer.binding(now, path(1000), &request), Binding::Proven(_)));
    assert_eq!(viewer.peer.path(), Some(path(3000)), "but moves nothing after the new one");
}

/// An offer with transport-wide feedback.
fn numbered() -> String {
    let extension = "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    OFFER
        .replace("a=extmap:5 ", &format!("{extension}\r\na=extmap:5 "))
        .replace("a=rtcp-fb:106 nack pli", "a=rtcp-fb:106 nack pli\r\na=rtcp-fb:106 transport-cc")
}

#[test]
fn only_who_plays_is_measured_and_nothing_is_offered_again_for_it() {
    let now = Instant::now();
    let (mut viewer, answer) = answered(now, &numbered());
    assert!(answer.contains("transport-wide-cc") && answer.contains("transport-cc"), "{answer}");
    let measured = |peer: &mut Peer| (peer.rate().is_some(), peer.video.extensions.transport);
    assert_eq!(measured(&mut viewer.peer), (false, None), "who watches costs no feedback");
    viewer.peer.measure(true);
    assert_eq!(measured(&mut viewer.peer), (true, Some(3)));
    viewer.peer.measure(false);
    assert_eq!(measured(&mut viewer.peer), (false, None));
}

/// A viewer's report on the transport-wide numbers from `first` on, a millisecond apart; of some it has only every other.
fn transport_report(first: u16, count: u16, reference_time: u32, half: bool) -> TransportLayerCc {
    let came = |at: u16| !half || at.is_multiple_of(2);
    let chunk = |at| {
        let packet_status_symbol =
            if came(at) { SymbolTypeTcc::PacketReceivedSmallDelta } else { SymbolTypeTcc::PacketNotReceived };
        let type_tcc = StatusChunkTypeTcc::RunLengthChunk;
        PacketStatusChunk::RunLengthChunk(RunLengthChunk { type_tcc, packet_status_symbol, run_length: 1 })
    };
    let delta = if half { 2000 } else { 1000 };
    let delta = RecvDelta { type_tcc_packet: SymbolTypeTcc::PacketReceivedSmallDelta, delta };
    TransportLayerCc {
        base_sequence_number: first,
        packet_status_count: count,
        reference_time,
        packet_chunks: (0..count).map(chunk).collect(),
        recv_deltas: (0..count).filter(|at| came(*at)).map(|_| delta.clone()).collect(),
        ..Default::default()
    }
}

#[test]
fn transport_wide_numbers_and_the_target_go_on_over_five_hand_overs() {
    let start = Instant::now();
    let mut peer = answered(start, &numbered()).0.peer;
    peer.sealer = Sealer::new(&[7; 16], [9; 12]);
    let (mut out, mut now, mut packets) = (Outbox::default(), start, 0u64);
    let mut write = |peer: &mut Peer, now| {
        packets += 1;
        let packet = MediaPacket { index: packets, payload: vec![1; 1000], ..Default::default() };
        out.clear();
        assert!(peer.write_video(now, packets, &packet, &mut out));
        out.last().to_vec()
    };
    // As a browser counts: it has one numbering, and reports on all between what it reported and the greatest number.
    let (mut reported, mut greatest, mut target) = (0u16, 0u16, None);
    for turn in 0..5 {
        peer.measure(true);
        let before = peer.rate().expect("measured").target();
        assert!(target.is_none_or(|target: f64| (before - target).abs() < 1.0), "turn {turn}: {before}");
        for _ in 0..20 {
            for _ in 0..100 {
                now += Duration::from_millis(1);
                let datagram = write(&mut peer, now);
                // Fixed header, extension header, playout delay in a word, and the number behind its own first byte.
                assert_eq!(datagram[20], 3 << 4 | 1, "the extension with the number");
                greatest = greatest.max(u16::from_be_bytes([datagram[21], datagram[22]]));
            }
            let count = greatest + 1 - reported;
            assert_eq!(count, 100, "turn {turn}");
            let reference = u32::try_from((now - start).as_millis() / 64).expect("a time");
            let report = transport_report(reported, count, reference, turn == 4);
            peer.rate().expect("measured").feedback(now, &report);
            reported = greatest + 1;
        }
        target = peer.rate().map(|rate| rate.target());
        peer.measure(false);
        assert_eq!(write(&mut peer, now).len(), 12 + 8 + 1000 + 16, "no number while it watches");
        now += Duration::from_secs(20);
    }
    peer.measure(true);
    let last = peer.rate().expect("measured").target();
    assert!(last < 8e6, "half of the last turn's packets were lost: {last}");
}

#[test]
fn a_plaintext_alert_ends_nothing() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    nominate(&mut viewer.peer, now, 1000);
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 2, 71];
    assert_eq!(viewer.datagram(now, path(1000), &alert), Ok(()));
    assert_eq!(viewer.poll(now), Progress::UnderWay);
    assert_eq!(viewer.datagram(now, path(1000), &hello(&[7])), Ok(()));
    assert_eq!(sent(&mut viewer).len(), 1, "the handshake goes on");
    let end = Progress::Gone("the viewer refused the DTLS handshake");
    assert_eq!(viewer.poll(now + LONGEST), end, "named when nothing came of it");
}

#[test]
fn a_hello_without_any_known_cipher_is_named() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    nominate(&mut viewer.peer, now, 1000);
    let _ = viewer.datagram(now, path(1000), &hello(&[5, 6]));
    let end = Progress::Gone("the viewer offers no SRTP cipher that is supported here");
    assert_eq!(viewer.poll(now + LONGEST), end);
}

#[test]
fn a_replayed_check_moves_nothing() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    let datagram = stun::nominating_request([3; 12], &viewer.peer.local, &viewer.peer.remote.ufrag);
    let request = stun::Request::parse(&datagram).expect("a request");
    assert!(matches!(viewer.peer.binding(now, path(1000), &request), Binding::Proven(_)));
    assert_eq!(viewer.peer.binding(now, path(666), &request), Binding::Replayed);
    assert_eq!(viewer.peer.path(), Some(path(1000)));
}

#[test]
fn rtp_and_rtcp_of_countless_senders_are_dropped() {
    let now = Instant::now();
    let mut viewer = handshaking(now);
    nominate(&mut viewer.peer, now, 1000);
    assert_eq!(viewer.datagram(now, path(1000), &[0x80; 40]), Err(Drop::MediaFromViewer));
    let report = |sender: u32| [[0x80, 201, 0, 1].as_slice(), &sender.to_be_bytes(), &[0; 20]].concat();
    let dropped = (0..2000).filter(|sender| viewer.datagram(now, path(1000), &report(*sender)).is_err());
    assert_eq!(dropped.count(), 2000 - 1024);
    assert_eq!(viewer.datagram(now, path(1000), &report(5)), Ok(()));
}
