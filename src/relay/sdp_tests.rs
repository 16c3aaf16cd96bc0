use super::*;
use proptest::prelude::*;

pub(in crate::relay) const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=extmap-allow-mixed\r\n\
m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n\
a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n\
a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 106 107\r\nc=IN IP4 0.0.0.0\r\na=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n\
a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:1\r\n\
a=extmap:1 urn:ietf:params:rtp-hdrext:toffset\r\na=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n\
a=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
a=rtpmap:102 H264/90000\r\na=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\n\
a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\na=rtpmap:106 H264/90000\r\na=rtcp-fb:106 nack pli\r\n\
a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:107 rtx/90000\r\na=fmtp:107 apt=106\r\n\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n\
a=fingerprint:sha-256 AA:BB\r\na=setup:actpass\r\na=mid:2\r\na=sctp-port:5000\r\n";

#[test]
fn constrained_baseline_and_its_rtx_are_chosen() {
    let offer = Offer::parse(OFFER, Codec::H264, true).expect("usable");
    assert_eq!(offer.video.payload_type, 106);
    assert_eq!(offer.video.rtx, Some((107, "apt=106".to_owned())));
    assert_eq!(offer.audio.map(|audio| (audio.payload_type, audio.channels)), Some((111, 2)));
    assert_eq!(offer.playout_delay, Some(5));
    assert!(offer.reduced.contains("m=video 9 UDP/TLS/RTP/SAVPF 106 107\r\n"));
    assert!(offer.reduced.contains("a=rtcp-fb:106 nack pli"));
    for gone in ["VP8", "toffset", "candidate", "42001f", "red/"] {
        assert!(!offer.reduced.contains(gone), "{gone}");
    }
}

#[test]
fn redundant_audio_is_kept_where_it_carries_the_format_twice() {
    let offered = OFFER.replace("a=rtpmap:63 red/48000/2", "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111");
    let offer = Offer::parse(&offered, Codec::H264, true).expect("usable");
    assert_eq!(offer.audio.and_then(|audio| audio.redundant), Some((63, "111/111".to_owned())));
    assert!(offer.reduced.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n"));
    let other = offered.replace("111/111", "110/110");
    let offer = Offer::parse(&other, Codec::H264, true).expect("usable");
    assert_eq!(offer.audio.and_then(|audio| audio.redundant), None);
}

#[test]
fn a_link_can_be_measured_where_the_viewer_reports_on_it() {
    let numbered = "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n";
    let offered = OFFER
        .replace("a=extmap:5 ", &format!("{numbered}a=extmap:5 "))
        .replace("a=rtcp-fb:106 nack pli", "a=rtcp-fb:106 nack pli\r\na=rtcp-fb:106 transport-cc");
    let offer = Offer::parse(&offered, Codec::H264, true).expect("usable");
    assert_eq!(offer.transport, Some(3));
    for word in [numbered.trim_end(), "106 transport-cc"] {
        assert!(offer.reduced.contains(word), "{word}");
    }
    let numbered_only = OFFER.replace("a=extmap:5 ", &format!("{numbered}a=extmap:5 "));
    let silent = Offer::parse(&numbered_only, Codec::H264, true).expect("usable");
    assert_eq!(silent.transport, None, "nothing would be reported");
    assert!(!silent.reduced.contains(numbered.trim_end()));
}

#[test]
fn a_receivers_clock_is_taken_for_the_format_that_is_sent() {
    let parse = |text: &str| Offer::parse(text, Codec::H264, true).expect("usable");
    assert!(!parse(OFFER).receiver_clock);
    let offered = OFFER.replace("a=rtcp-fb:106 nack pli", "a=rtcp-fb:106 nack pli\r\na=rtcp-fb:106 rrtr");
    let offer = parse(&offered);
    assert!(offer.receiver_clock && offer.reduced.contains("a=rtcp-fb:106 rrtr\r\n"));
}

#[test]
fn a_missing_codec_is_named() {
    let offer = OFFER.replace("H264", "H265");
    assert!(matches!(Offer::parse(&offer, Codec::H264, true), Err(RelayError::UnsupportedCodec("H.264"))));
    assert!(Offer::parse(&offer, Codec::Vp8, true).is_ok());
    assert!(matches!(Offer::parse(OFFER, Codec::Av1, true), Err(RelayError::UnsupportedCodec("AV1"))));
}

#[test]
fn single_nal_unit_mode_alone_is_not_enough() {
    let offer = OFFER.replace("packetization-mode=1", "packetization-mode=0");
    assert!(matches!(Offer::parse(&offer, Codec::H264, true), Err(RelayError::UnsupportedCodec("H.264"))));
}

#[test]
fn what_cannot_be_used_is_refused_with_a_reason() {
    for (from, to) in [
        ("a=mid:1\r\n", ""),
        ("a=ice-ufrag:abcd", "a=ice-ufrag:a"),
        ("sha-256", "sha-1"),
        ("m=video", "m=text"),
        ("s=-\r\n", "s=-\r\na=ice-lite\r\n"),
        ("v=0", "hello"),
        ("a=recvonly", "a=inactive"),
    ] {
        assert!(
            matches!(
                Offer::parse(&OFFER.replace(from, to), Codec::H264, true),
                Err(RelayError::InvalidOffer(_))
            ),
            "{from} as {to}"
        );
    }
}

#[test]
fn candidates_go_into_every_accepted_section() {
    let answer = "v=0\r\nm=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\nm=video 9 X 96\r\na=mid:1\r\na=ice-ufrag:abcd\r\na=ice-pwd:secret\r\n\
                  a=candidate:9 1 udp 1 192.0.2.2 9 typ host\r\n";
    let candidates =
        ["198.51.100.1:8080".parse().expect("address"), "[2001:db8::1]:8080".parse().expect("address")];
    let local = Credentials { ufrag: "ours".to_owned(), password: "our-secret".to_owned() };
    let text = finish_answer(answer, &candidates, &local).expect("finished");
    assert_eq!(credentials(answer).map(|theirs| theirs.password), Some("secret".to_owned()));
    assert_eq!(credentials(&text), Some(local));
    assert!(!text.contains("192.0.2.2") && !text.contains("secret\r\na=candidate:9"));
    assert!(text.contains("a=candidate:1 1 udp 2130706431 198.51.100.1 8080 typ host\r\n"));
    assert!(text.contains("a=candidate:2 1 udp 2130706175 2001:db8::1 8080 typ host\r\n"));
    assert_eq!(text.matches("end-of-candidates").count(), 1);
}

proptest! {
    #[test]
    fn no_offer_is_a_panic(at in 0usize..OFFER.len(), len in 0usize..40, junk in "\\PC{0,20}") {
        let mut text = OFFER.to_owned();
        let end = (at + len).min(text.len());
        text.replace_range(at..end, &junk);
        let _ = Offer::parse(&text, Codec::H264, true);
        let local = Credentials { ufrag: "ours".to_owned(), password: "our-secret".to_owned() };
        let finished = finish_answer(&text, &[], &local);
        prop_assert!(finished.is_none_or(|finished| credentials(&finished) == Some(local)));
        let _ = Offer::parse(&junk, Codec::H264, true);
    }
}
