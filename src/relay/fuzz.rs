//! What fuzzing sees of the relay's parsers: any bytes in, and what must hold checked. Called by `crate::fuzz` only.
//!
//! A check that fails panics; a parser that panics is the other thing to find.

use super::Codec;
use super::demux::{Demux, Kind, classify};
use super::down_track::KeyFrame;
use super::dtls::{ClientHello, Content, Inflow, LARGEST_MESSAGE, records};
use super::feedback::{Feedback, FeedbackQueue};
use super::group::Group;
use super::keyframe::starts_key_frame;
use super::pacer::{Arrived, Due, Pacer, Video, on_the_link};
use super::parameter_sets::ParameterSets;
use super::payload_type::OtherType;
use super::rate::Estimator;
use super::ring::{self, Ring};
use super::rtp::{Rtp, is_rtcp, key_frame_request, sender_report};
use super::sdp::{MAX_OFFER_BYTES, Offer, credentials, finish_answer};
use super::source::Source;
use super::split::{MAX_PAYLOAD, Pieces, split as cut};
use super::still::find_any;
use super::stun::{Credentials, Request, nominating_request, request_transaction};
use bytes::Bytes;
use rtc::interceptor::{AttributedPacket, Packet, TaggedPacket};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::sansio::Protocol;
use rtc::shared::{TransportContext, TransportProtocol};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const CODECS: [Codec; 5] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];
/// The password of RFC 5769's samples, and the one of the corpus.
const PASSWORDS: [&str; 2] = ["VOkJxbRl1RmTxUk/WvJxBt", "a-password-of-22-chars"];

/// A datagram on the media port, as far as it is read before a peer is known; and the two maps, driven by its bytes.
pub(crate) fn demux(data: &[u8]) {
    match classify(data) {
        Kind::Stun => assert!(Request::parse(data).is_err() || request_transaction(data).is_some()),
        Kind::Dtls | Kind::Media | Kind::Unknown => {}
    }
    let (mut maps, now, mut owners) = (Demux::new(), Instant::now(), HashMap::new());
    for step in data.chunks_exact(3).take(200) {
        let (address, peer) = (SocketAddr::from(([192, 0, 2, step[1]], 1)), step[2]);
        match step[0] % 3 {
            0 => {
                maps.seen(address, peer);
                owners.insert(address, peer);
            }
            1 => maps.enter(now, &step[1].to_string(), peer),
            _ => {
                maps.remove(peer);
                owners.retain(|_, owner| *owner != peer);
            }
        }
        // The oldest address of a peer may be forgotten, but never given to another.
        for (address, owner) in &owners {
            assert!(maps.by_address(*address).is_none_or(|found| found == *owner));
        }
    }
}

/// A source's datagram, and the same fields and payload written again.
pub(crate) fn rtp(data: &[u8]) {
    let _ = is_rtcp(data);
    let Some(read) = Rtp::parse(data) else { return };
    let mut plain = vec![0x80, u8::from(read.marker) << 7 | read.payload_type];
    plain.extend(read.sequence.to_be_bytes());
    plain.extend(read.timestamp.to_be_bytes());
    plain.extend(read.ssrc.to_be_bytes());
    plain.extend(read.payload);
    assert_eq!(Rtp::parse(&plain), Some(read));
}

/// A run of datagrams from a source, through numbering, ring and group to what a viewer is sent: each sequence number
/// stands for one packet, whose payload is what came. The bytes: pause, port and length, then a datagram, again and again.
pub(crate) fn ingest(data: &[u8]) {
    let mut now = Instant::now();
    let ip = std::net::Ipv4Addr::LOCALHOST;
    let mut source = Source::new(vec![ip.into()], 96, 90_000);
    let (mut ring, mut group, mut pacer) = (Ring::new(ring::VIDEO), Group::default(), Pacer::new(now, 7));
    let (mut rest, mut used) = (data, HashSet::new());
    while let [pause, len, tail @ ..] = rest {
        let (datagram, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        now += Duration::from_millis(u64::from(*pause) * 16);
        let from = SocketAddr::from((ip, 5000 + u16::from(pause % 2)));
        let Some(rtp) = Rtp::parse(datagram) else { continue };
        if source.restart(now, from, &rtp).is_some() {
            group.clear();
        }
        let Ok(place) = source.accept(now, from, &rtp) else { continue };
        let index = place.index;
        if place.newest {
            // Some take more places than one: the last of them, here.
            source.widen(u64::from(pause % 4));
            assert_eq!(source.next_index(), index + u64::from(pause % 4) + 1);
        }
        if !ring.insert(index, place.timestamp, rtp.marker, rtp.payload) {
            continue;
        }
        let key = starts_key_frame(Codec::H264, rtp.payload);
        let mut key_frame = None;
        if let Some(start) = group.packet(&ring, index, key) {
            assert!(start <= index);
            key_frame = Some(KeyFrame { start, missing: ring.missing_before(start) });
        }
        if let Some(key_frame) = key_frame.filter(|key_frame| pacer.closes(*key_frame)) {
            pacer.track_mut().close(key_frame);
        }
        let newest = source.next_index() - 1;
        let video = Video { ring: &ring, newest, frame_time: source.frame_time() };
        let bytes = on_the_link(rtp.payload.len());
        pacer.arrived(now, Arrived { indices: &[index], bytes, key_frame }, video);
        let at_once = if pacer.wants(index) { index..index + 1 } else { 0..0 };
        let due = match pacer.due(now, video) {
            Due::Send(due) => due,
            Due::GaveUp => 0..0,
        };
        for sent in at_once.chain(due).filter_map(|index| ring.get(index)) {
            let packet = pacer.track().packet_index(sent.index);
            assert!(used.insert(packet), "one number for two packets");
            pacer.sent(sent.index);
            #[expect(clippy::cast_possible_truncation, reason = "sequence numbers are modulo 2^16")]
            let found = pacer.track().find(packet as u16);
            assert_eq!(found.map(|found| (found.index, found.packet)), Some((sent.index, packet)));
        }
        assert_eq!(ring.get(index).map(|kept| &kept.payload[..]), Some(rtp.payload));
    }
}

/// Packets in a ring, each of two bytes of header (marker, timestamp step, hole; length) and its payload: what is put
/// together of them from any of them on.
pub(crate) fn still(data: &[u8]) {
    let (mut ring, mut index, mut timestamp, mut rest) = (Ring::new(64), 1, 0_u32, data);
    while let [head, len, tail @ ..] = rest {
        let (payload, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        index += u64::from(head & 1) + 1;
        timestamp = timestamp.wrapping_add(u32::from(head >> 1 & 1));
        ring.insert(index, timestamp, head & 0x80 != 0, payload);
    }
    for start in index.saturating_sub(8)..=index {
        find_any(&ring, start, index);
    }
}

/// A binding request; what is read of it makes a request that reads the same and is proven.
pub(crate) fn stun(data: &[u8]) {
    let _ = request_transaction(data);
    let Ok(read) = Request::parse(data) else { return };
    for password in PASSWORDS {
        let _ = read.verify(password);
    }
    if data.len() > 2000 {
        return;
    }
    let ours = Credentials { ufrag: read.local_ufrag.to_owned(), password: PASSWORDS[0].to_owned() };
    let written = nominating_request(read.transaction, &ours, read.remote_ufrag);
    match Request::parse(&written) {
        Ok(again) => {
            assert_eq!((again.local_ufrag, again.remote_ufrag), (read.local_ufrag, read.remote_ufrag));
            assert!(again.transaction == read.transaction && again.verify(PASSWORDS[0]));
        }
        Err(error) => panic!("a request of our own: {error}"),
    }
}

/// A viewer's DTLS, as plaintext and after a handshake: datagrams, each behind its length. What is handed on is made of
/// well-formed records, and each plaintext handshake message is handed on whole and once.
pub(crate) fn dtls(data: &[u8]) {
    let _ = ClientHello::parse(data);
    for connected in [false, true] {
        let (mut inflow, mut numbers, mut rest) = (Inflow::default(), HashSet::new(), data);
        while let [high, low, tail @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let (datagram, tail) = tail.split_at(length.min(tail.len()));
            rest = tail;
            let admitted = inflow.admit(datagram, connected);
            let mut length = 0;
            for record in records(&admitted.records) {
                length += record.bytes.len();
                if record.epoch != 0 {
                    continue;
                }
                assert!(!connected, "plaintext after the handshake");
                if record.content == Content::Handshake
                    && let [_, l0, l1, l2, n0, n1, 0, 0, 0, f0, f1, f2, body @ ..] = record.body
                {
                    assert_eq!([l0, l1, l2], [f0, f1, f2]);
                    let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
                    assert!(length == body.len() && length <= LARGEST_MESSAGE);
                    assert!(numbers.insert((*n0, *n1)), "handed on twice");
                }
            }
            assert_eq!(length, admitted.records.len());
        }
    }
}

/// A source's RTCP; a report before it changes nothing.
pub(crate) fn sender_reports(data: &[u8]) {
    let mut longer = key_frame_request(1, 2, 3).to_vec();
    longer.extend(data);
    assert_eq!(sender_report(&longer), sender_report(data));
}

/// A viewer's RTCP, decrypted: what is left of it is bounded.
pub(crate) fn feedback(data: &[u8]) {
    let Ok(packets) = rtc::rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(data)) else { return };
    let address = SocketAddr::from(([192, 0, 2, 1], 9));
    let transport = TransportContext {
        local_addr: address,
        peer_addr: address,
        ecn: None,
        transport_protocol: TransportProtocol::UDP,
    };
    let message = AttributedPacket::new(Packet::Rtcp(packets));
    let queue = FeedbackQueue::default();
    let mut tap = queue.tap();
    let taken = tap.handle_read(TaggedPacket { now: Instant::now(), transport, message });
    assert!(taken.is_ok() && tap.poll_read().is_none(), "no RTCP goes further");
    let (mut estimator, now) = (Estimator::new(), Instant::now());
    for _ in 0..100 {
        estimator.sent(now, 1000);
    }
    let taken = queue.take();
    assert!(taken.len() <= 256);
    for feedback in taken {
        match feedback {
            Feedback::Transport(report) => estimator.feedback(now + Duration::from_millis(50), &report),
            Feedback::KeyFrame | Feedback::Lost { .. } | Feedback::Reception(_) | Feedback::Clock { .. } => {}
        }
    }
    assert!(estimator.target().is_finite() && estimator.target() > 0.0);
}

/// A payload of a source that is not ours, behind the size that packets may have: what it is cut into fits, and a key
/// frame is still one.
pub(crate) fn split(data: &[u8]) {
    let [limit, payload @ ..] = data else { return };
    let (mut pieces, mut sets) = (Pieces::default(), ParameterSets::default());
    let limit = usize::from(*limit) + 20;
    for codec in CODECS {
        if cut(codec, payload, limit, &mut pieces).is_some() {
            assert!(pieces.iter().all(|piece| piece.len() <= limit));
            let key = starts_key_frame(codec, payload);
            assert!(!key || pieces.is_empty() || pieces.iter().any(|piece| starts_key_frame(codec, piece)));
        }
        let rtp = Rtp { marker: true, payload_type: 97, sequence: 1, timestamp: 2, ssrc: 3, payload };
        OtherType::default().proves(codec, &rtp);
    }
    for timestamp in 0..2 {
        sets.payload(timestamp, payload);
        assert!(sets.packet().len() <= MAX_PAYLOAD);
    }
}

/// A payload: the rest of a packet does not take back what its beginning said.
pub(crate) fn key_frames(data: &[u8]) {
    for codec in CODECS {
        let whole = starts_key_frame(codec, data);
        for len in 0..data.len().min(64) {
            assert!(whole || !starts_key_frame(codec, &data[..len]), "{codec:?}, {len}");
        }
    }
}

/// An offer: what `rtc` is given of it asks for the same.
pub(crate) fn offer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for codec in [Codec::H264, Codec::Vp8, Codec::Av1] {
        let Ok(offer) = Offer::parse(text, codec, true) else { continue };
        let _ = RTCSessionDescription::offer(offer.reduced.clone());
        if offer.reduced.len() > MAX_OFFER_BYTES {
            continue;
        }
        match Offer::parse(&offer.reduced, codec, true) {
            Ok(again) => {
                assert_eq!((&again.video, &again.audio), (&offer.video, &offer.audio));
                assert_eq!((&again.ufrag, &again.password), (&offer.ufrag, &offer.password));
                assert_eq!(
                    (&again.fingerprint, again.viewer_is_server, again.playout_delay, again.transport),
                    (&offer.fingerprint, offer.viewer_is_server, offer.playout_delay, offer.transport)
                );
            }
            Err(error) => panic!("reduced, it cannot be used: {error}"),
        }
    }
}

/// An answer (of `rtc`'s making): candidates stand in each section that has credentials, and nowhere else.
pub(crate) fn answer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let candidate = SocketAddr::from(([127, 0, 0, 2], 4000));
    let local = Credentials { ufrag: "ours".to_owned(), password: "a-password-of-22-chars".to_owned() };
    let Some(finished) = finish_answer(text, &[candidate], &local) else { return };
    let count = |wanted: fn(&str) -> bool| finished.lines().filter(|line| wanted(line)).count();
    let ours = count(|line| line.starts_with("a=candidate:1 1 udp "));
    assert!(ours >= 1 && ours == count(|line| line == "a=end-of-candidates"));
    assert_eq!(ours, count(|line| line.starts_with("a=candidate")));
    assert_eq!(credentials(&finished), Some(local));
}
