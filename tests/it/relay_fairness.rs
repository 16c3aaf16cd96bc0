//! Viewers that do not play along: what they do costs the others nothing.

use crate::raw_viewer::RawViewer;
use crate::relay_viewer::{Stage, Traits, Watcher, event, run, until};
use crate::rtp_source::RtpSource;
use playgate::relay::RelayEvent;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::time::Instant;

#[test]
fn of_twenty_spectators_five_stop_reading_and_fifteen_lose_nothing() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let mut viewers = Vec::new();
        for _ in 0..20 {
            viewers.push(RawViewer::connect(&stage, session).await);
        }
        source.key_frame(4);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        // More than a socket that nobody reads holds.
        for _ in 0..200 {
            source.frame(6);
            let readers = &mut viewers[..15];
            until("the frame", || readers.iter_mut().all(|viewer| viewer.read() == source.sent.len())).await;
        }
        assert_eq!(stage.counted("retransmits"), 0);
        assert_eq!(stage.counted("would_block"), 0);
    });
}

#[test]
fn storms_of_reports_are_answered_from_a_budget_and_the_others_get_every_packet() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let hostile = Watcher::new(Traits::default()).await;
        hostile.watch(&stage, session, None).await.expect("answered");
        hostile.connected().await;
        let mut other = RawViewer::connect(&stage, session).await;
        source.key_frame(4);
        until("the frame", || hostile.seen.video_count() >= 6).await;
        let track = hostile.seen.track().expect("a track");
        let ssrc = hostile.seen.video.lock().expect("lock")[0].header.ssrc;
        let (began, asked) = (Instant::now(), stage.counted("sent_to_source"));
        for _ in 0..150 {
            source.frame(4);
            until("the frame", || other.read() == source.sent.len()).await;
            let newest =
                hostile.seen.video.lock().expect("lock").last().map_or(0, |p| p.header.sequence_number);
            let nacks = (1..=8)
                .map(|back| NackPair { packet_id: newest.wrapping_sub(back * 17), lost_packets: 0xffff });
            let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: ssrc, nacks: nacks.collect() };
            let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc: ssrc };
            track.write_rtcp(vec![Box::new(nack), Box::new(pli)]).await.expect("sent");
        }
        until("the storm", || stage.counted("retransmits") > 100).await;
        let seconds = began.elapsed().as_secs() + 1;
        // Four at once, then one in four seconds; requests that the source leaves unanswered are repeated.
        let wishes = stage.counted("viewer") + stage.counted("loss");
        assert!(wishes <= 4 + seconds / 4 + 1, "{wishes} wishes in {seconds} s");
        assert!(stage.counted("sent_to_source") - asked <= 4 + 5 * seconds);
        assert!(stage.counted("retransmits") <= 256 + 1500 * seconds);
    });
}
