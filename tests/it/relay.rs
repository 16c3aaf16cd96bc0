//! The relay with real viewers and a synthetic source.

use crate::relay_viewer::{Stage, Traits, Watcher, event, run, until};
use crate::rtp_source::RtpSource;
use bytes::BytesMut;
use playgate::model::ids::{SessionId, ViewerId};
use playgate::relay::{AddViewer, Codec, RelayError, RelayEvent};
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::time::Duration;
use webrtc::data_channel::DataChannelEvent;

#[test]
fn a_viewer_gets_every_packet_in_order_with_playout_delay() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, Some(0)).await.expect("answered");
        let connected = event(&mut opened, |event| matches!(event, RelayEvent::ViewerConnected { .. })).await;
        assert_eq!(
            connected,
            RelayEvent::ViewerConnected { viewer: watcher.id, cipher: "AEAD_AES_128_GCM".to_owned() }
        );

        let mut source = RtpSource::video(opened.rtp_video);
        let mut audio = RtpSource::audio(opened.rtp_audio.expect("audio"));
        source.key_frame(10);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        for _ in 0..30 {
            source.frame(5);
            audio.sound();
            // All at once would be more than a socket holds while its reader waits for the processor.
            until("each frame", || watcher.seen.video_count() >= source.sent.len()).await;
        }
        assert!(watcher.seen.pictures() == source.sent, "complete and in order");
        until("all sound", || watcher.seen.audio.lock().expect("lock").len() >= 30).await;
        assert!(watcher.playout_delays().iter().all(|extensions| extensions == &[vec![0, 0, 0]]));
    });
}

#[test]
fn every_packet_opens_over_a_rollover_and_a_restart_of_the_source() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, Some(0)).await.expect("answered");
        watcher.connected().await;
        source.key_frame(2);
        // Numbering begins below 2^15, so the rollover counter rises once at least.
        while source.sent.len() < 70_000 {
            if source.sent.len() / 30_000 > source.restarts {
                source.restart();
                source.key_frame(2);
            }
            for _ in 0..100 {
                source.packet(true, vec![0x41; 20]);
            }
            until("the packets", || watcher.seen.video_count() >= source.sent.len()).await;
        }
        assert!(watcher.seen.payloads() == source.sent, "complete and in order");
        assert_eq!(stage.counted("viewers_sealed_here"), 1);
        assert_eq!(stage.counted("unsealed"), 0);
    });
}

#[test]
fn a_joiner_starts_with_a_key_frame_from_the_cache() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.frame(3);
        source.key_frame(10);
        let key_frame = source.sent.len() - 12;
        for _ in 0..40 {
            source.frame(4);
        }
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        until("the group", || watcher.seen.video_count() >= source.sent.len() - key_frame).await;
        assert!(watcher.seen.pictures() == source.sent[key_frame..], "from the key frame on, nothing else");
        source.frame(2);
        until("live packets", || watcher.seen.video_count() >= source.sent.len() - key_frame).await;
        assert_eq!(watcher.seen.pictures().last(), source.sent.last());
    });
}

#[test]
fn a_joiner_without_a_cached_group_waits_for_the_key_frame_it_asked_for() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(2);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        for _ in 0..200 {
            source.frame(2);
            tokio::task::yield_now().await;
        }
        until("ingest", || stage.counted("ingest_packets") >= source.sent.len() as u64).await;
        source.picture_loss_requests();
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        event(&mut opened, |event| matches!(event, RelayEvent::KeyFrameRequested { .. })).await;
        until("the request", || source.picture_loss_requests() > 0).await;
        source.frame(2);
        let key_frame = source.sent.len();
        source.key_frame(4);
        until("the key frame", || watcher.seen.video_count() >= 6).await;
        assert!(watcher.seen.pictures() == source.sent[key_frame..]);
    });
}

#[test]
fn a_viewer_that_opens_more_data_channels_than_anybody_needs_is_ended() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let [few, many] = [
            Watcher::new(Traits { data: true, ..Traits::default() }).await,
            Watcher::new(Traits { data: true, ..Traits::default() }).await,
        ];
        for watcher in [&few, &many] {
            watcher.watch(&stage, session, None).await.expect("answered");
            // Channels that are made before there is a way for them are not opened.
            let channel = watcher.input.clone().expect("a channel");
            while !matches!(channel.poll().await, Some(DataChannelEvent::OnOpen)) {}
        }
        let mut open = Vec::new();
        for (watcher, channels) in [(&few, 3), (&many, 40)] {
            for number in 0..channels {
                let channel = watcher.pc.create_data_channel(&format!("another {number}"), None).await;
                open.push(channel.expect("a channel"));
            }
        }
        let gone = event(&mut opened, |event| matches!(event, RelayEvent::ViewerGone { .. })).await;
        let ended = matches!(&gone, RelayEvent::ViewerGone { viewer, reason } if *viewer == many.id && reason.contains("data channels"));
        assert!(ended, "{gone:?}");
    });
}

#[test]
fn a_reported_loss_is_repaired_by_rtx() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        watcher.connected().await;
        source.key_frame(10);
        until("the frame", || watcher.seen.video_count() >= 12).await;
        let (ssrc, lost) = {
            let video = watcher.seen.video.lock().expect("lock");
            (video[0].header.ssrc, video[4].header.sequence_number)
        };
        let track = watcher.seen.track().expect("a track");
        let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: ssrc, nacks: vec![NackPair::new(lost)] };
        track.write_rtcp(vec![Box::new(nack)]).await.expect("sent");
        until("the repair", || watcher.seen.video_count() >= 13).await;
        let video = watcher.seen.video.lock().expect("lock").clone();
        assert_eq!(video[12].header.sequence_number, lost);
        assert_eq!(video[12].payload, video[4].payload);
        until("the count", || stage.counted("retransmits") == 1).await;
    });
}

#[test]
fn key_frame_requests_of_all_viewers_are_merged() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let mut watchers = Vec::new();
        for _ in 0..3 {
            let watcher = Watcher::new(Traits::default()).await;
            watcher.watch(&stage, session, None).await.expect("answered");
            watcher.connected().await;
            watchers.push(watcher);
        }
        source.key_frame(2);
        for watcher in &watchers {
            until("the frame", || watcher.seen.video_count() >= 4).await;
        }
        source.picture_loss_requests();
        let before = stage.counted("sent_to_source");
        while opened.events.try_recv().is_ok() {}
        for watcher in &watchers {
            let ssrc = watcher.seen.video.lock().expect("lock")[0].header.ssrc;
            let pli = PictureLossIndication { sender_ssrc: 1, media_ssrc: ssrc };
            watcher.seen.track().expect("a track").write_rtcp(vec![Box::new(pli)]).await.expect("sent");
        }
        until("all requests", || stage.counted("viewer") >= 3).await;
        event(&mut opened, |event| matches!(event, RelayEvent::KeyFrameRequested { .. })).await;
        until("the merged request", || source.picture_loss_requests() > 0).await;
        source.key_frame(2);
        until("the answer", || watchers.iter().all(|watcher| watcher.seen.video_count() >= 8)).await;
        assert!(stage.counted("sent_to_source") - before <= 3, "merged");
    });
}

#[test]
fn a_restarted_source_goes_on() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        watcher.connected().await;
        source.key_frame(3);
        source.frame(2);
        until("the first", || watcher.seen.video_count() >= source.sent.len()).await;
        source.restart();
        source.key_frame(3);
        source.frame(2);
        until("the second", || watcher.seen.video_count() >= source.sent.len()).await;
        assert!(watcher.seen.pictures() == source.sent);
        let video = watcher.seen.video.lock().expect("lock").clone();
        assert!(
            video
                .windows(2)
                .all(|pair| pair[1].header.sequence_number == pair[0].header.sequence_number.wrapping_add(1))
        );
        assert!(
            video
                .windows(2)
                .all(|pair| pair[1].header.timestamp.wrapping_sub(pair[0].header.timestamp) < 1 << 31)
        );
        until("the count", || stage.counted("source_restarts") == 1).await;
    });
}

#[test]
fn forged_and_malformed_packets_are_ignored_and_counted() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        watcher.connected().await;
        source.key_frame(2);
        let forger = std::net::UdpSocket::bind("127.0.0.2:0").expect("another loopback address");
        forger.send_to(&source.datagram(false, &[0x65, 6, 6, 6]), opened.rtp_video).expect("sent");
        let mut other_port = RtpSource::video(opened.rtp_video);
        other_port.key_frame(1);
        source.raw(&[0x80]);
        source.raw(&[0x80, 200, 0, 99]);
        source.frame(1);
        until("the packets", || watcher.seen.video_count() >= source.sent.len()).await;
        until("the counts", || {
            ["foreign_source", "unlatched_port", "malformed", "malformed_rtcp"]
                .iter()
                .all(|reason| stage.counted(reason) > 0)
        })
        .await;
        assert!(watcher.seen.pictures() == source.sent);
    });
}

#[test]
fn an_ice_restart_keeps_the_peer_and_the_picture() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        watcher.connected().await;
        source.key_frame(2);
        until("the picture", || watcher.seen.video_count() >= 4).await;
        let offer = watcher.offer(true).await;
        let answer = stage.relay.renegotiate(session, watcher.id, offer).await.expect("answered");
        watcher.accept(answer).await;
        until("packets again", || {
            source.frame(1);
            watcher.seen.pictures().last() == source.sent.last()
        })
        .await;
        while let Ok(event) = opened.events.try_recv() {
            assert!(!matches!(event, RelayEvent::ViewerGone { .. }));
        }
    });
}

#[test]
fn another_connection_of_a_viewer_takes_its_place() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(2);
        let first = Watcher::new(Traits::default()).await;
        first.watch(&stage, session, Some(0)).await.expect("answered");
        until("the picture", || first.seen.video_count() >= 4).await;
        let second = Watcher::new(Traits::default()).await;
        let answer =
            stage.relay.renegotiate(session, first.id, second.offer(false).await).await.expect("answered");
        second.accept(answer).await;
        until("the picture again", || second.seen.video_count() >= 4).await;
    });
}

#[test]
fn viewers_come_back_after_a_panic_of_their_shard() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(2);
        let first = Watcher::new(Traits::default()).await;
        first.watch(&stage, session, Some(0)).await.expect("answered");
        until("the picture", || first.seen.video_count() >= 2).await;
        stage.relay.panic_shard(0).expect("told");
        let gone = event(&mut opened, |event| matches!(event, RelayEvent::ViewerGone { .. })).await;
        let reason = "the game server had to start its media again".to_owned();
        assert_eq!(gone, RelayEvent::ViewerGone { viewer: first.id, reason });
        event(&mut opened, |event| *event == RelayEvent::Watched(false)).await;

        // What a page does that is told so; nobody tells the source anything.
        let again = Watcher { id: first.id, ..Watcher::new(Traits::default()).await };
        again.watch(&stage, session, Some(0)).await.expect("answered");
        event(&mut opened, |event| matches!(event, RelayEvent::ViewerConnected { .. })).await;
        event(&mut opened, |event| matches!(event, RelayEvent::KeyFrameRequested { .. })).await;
        source.key_frame(2);
        until("the picture again", || again.seen.video_count() >= 2).await;
    });
}

#[test]
fn input_arrives_only_with_a_slot() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let watcher = Watcher::new(Traits { data: true, ..Traits::default() }).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        let channel = watcher.input.clone().expect("a channel");
        while !matches!(channel.poll().await, Some(DataChannelEvent::OnOpen)) {}
        channel.send(BytesMut::from(&[1, 0, 4, 1][..])).await.expect("sent");
        until("the count", || stage.counted("input_without_slot") == 1).await;
        stage.relay.set_slot(session, watcher.id, Some(2)).await.expect("set");
        channel.send(BytesMut::from(&vec![4; 258][..])).await.expect("sent");
        channel.send(BytesMut::from(&[1, 0, 5, 1][..])).await.expect("sent");
        let input = event(&mut opened, |event| matches!(event, RelayEvent::Input { .. })).await;
        let frame = bytes::Bytes::from_static(&[1, 0, 5, 1]);
        assert_eq!(input, RelayEvent::Input { viewer: watcher.id, slot: 2, frame });
        until("the count", || stage.counted("input_oversized") == 1).await;
    });
}

#[test]
fn a_viewer_without_gcm_plays_at_its_first_offer() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(2);
        let watcher = Watcher::new(Traits { only_aes_cm: true, ..Traits::default() }).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        let connected = event(&mut opened, |event| matches!(event, RelayEvent::ViewerConnected { .. })).await;
        assert!(
            matches!(connected, RelayEvent::ViewerConnected { cipher, .. } if cipher == "AES128_CM_HMAC_SHA1_80")
        );
        until("the picture", || watcher.seen.video_count() >= 4).await;
        until("the count", || stage.counted("viewers_sealed_by_crate") == 1).await;

        // Its answer was made before the connection that plays; an ICE restart goes through that one.
        let answer = stage.relay.renegotiate(session, watcher.id, watcher.offer(true).await).await;
        watcher.accept(answer.expect("answered")).await;
        until("packets again", || {
            source.frame(1);
            watcher.seen.pictures().last() == source.sent.last()
        })
        .await;
    });
}

#[test]
fn packets_are_sealed_here_in_both_dtls_roles() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(2);
        for (count, setup) in ["actpass", "active", "passive"].into_iter().enumerate() {
            let watcher = Watcher::new(Traits::default()).await;
            let offer = watcher.offer(false).await.replace("setup:actpass", &format!("setup:{setup}"));
            let spec = AddViewer { session, viewer: watcher.id, slot: None, offer };
            watcher.accept(stage.relay.add_viewer(spec).await.expect("answered")).await;
            until("the picture", || watcher.seen.video_count() >= 4).await;
            until("the count", || stage.counted("viewers_sealed_here") == count as u64 + 1).await;
        }
        assert_eq!(stage.counted("viewers_sealed_by_crate"), 0);
    });
}

#[test]
fn a_viewer_that_lacks_the_codec_is_told_its_name() {
    run(async {
        let stage = Stage::new();
        let (session, _opened) = stage.open().await;
        let watcher = Watcher::new(Traits { vp8: true, ..Traits::default() }).await;
        let refused = watcher.watch(&stage, session, None).await;
        assert!(matches!(refused, Err(RelayError::UnsupportedCodec("H.264"))));
        stage.relay.set_source(session, Some((Codec::Vp8, 97)), None).await.expect("set");
        let watcher = Watcher::new(Traits { vp8: true, ..Traits::default() }).await;
        watcher.watch(&stage, session, None).await.expect("VP8 is what is sent now");
    });
}

#[test]
fn two_sessions_do_not_mix() {
    run(async {
        let stage = Stage::new();
        let (one, opened_one) = stage.open().await;
        let (two, opened_two) = stage.open().await;
        let (first, second) = (Watcher::new(Traits::default()).await, Watcher::new(Traits::default()).await);
        first.watch(&stage, one, None).await.expect("answered");
        second.watch(&stage, two, None).await.expect("answered");
        first.connected().await;
        second.connected().await;
        let (mut source_one, mut source_two) =
            (RtpSource::video(opened_one.rtp_video), RtpSource::video(opened_two.rtp_video));
        source_one.key_frame(3);
        source_two.key_frame(6);
        until("both", || first.seen.video_count() >= 5 && second.seen.video_count() >= 8).await;
        stage.relay.close(one).await;
        source_two.frame(4);
        until("the other goes on", || second.seen.video_count() >= 12).await;
        assert!(first.seen.pictures() == source_one.sent);
        assert!(second.seen.pictures() == source_two.sent);
        let gone = stage.relay.set_slot(one, first.id, None).await;
        assert!(matches!(gone, Err(RelayError::NotFound)));
    });
}

#[test]
fn floods_of_garbage_change_nothing() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        watcher.connected().await;
        source.key_frame(2);
        until("the picture", || watcher.seen.video_count() >= 4).await;
        let media = stage.relay.candidates()[0];
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        for n in 0..3000u32 {
            let first = [0, 1, 20, 22, 63, 128, 144, 191, 200, 255][n as usize % 10];
            let mut junk: Vec<u8> = (0..n % 300).map(|at| (at.wrapping_mul(n) >> 3) as u8).collect();
            junk.insert(0, first);
            socket.send_to(&junk, media).expect("sent");
        }
        for junk in ["", "v=0", "v=0\r\nm=video 9 X 96\r\na=mid:0\r\n", &"x".repeat(70_000)] {
            let spec = AddViewer { session, viewer: ViewerId::new(), slot: None, offer: junk.to_owned() };
            assert!(matches!(stage.relay.add_viewer(spec).await, Err(RelayError::InvalidOffer(_))));
        }
        source.frame(3);
        until("packets", || watcher.seen.video_count() >= source.sent.len()).await;
        assert!(watcher.seen.pictures() == source.sent);
        until("the counts", || stage.counted("unknown_peer") > 0 && stage.counted("malformed_stun") > 0)
            .await;
        let unknown = stage.relay.renegotiate(SessionId::new(), watcher.id, String::new()).await;
        assert!(matches!(unknown, Err(RelayError::NotFound)));
    });
}

#[test]
fn a_viewer_that_never_reads_does_not_hurt_the_others() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let (deaf, watcher) = (Watcher::new(Traits::default()).await, Watcher::new(Traits::default()).await);
        deaf.watch(&stage, session, Some(0)).await.expect("answered");
        watcher.watch(&stage, session, None).await.expect("answered");
        deaf.connected().await;
        watcher.connected().await;
        // Its socket closes without a word.
        drop(deaf);
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(5);
        for _ in 0..100 {
            source.frame(3);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        until("all packets", || watcher.seen.video_count() >= source.sent.len()).await;
        assert!(watcher.seen.pictures() == source.sent);
    });
}

#[test]
fn a_removed_viewer_is_told_and_the_last_one_ends_the_watching() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let watcher = Watcher::new(Traits::default()).await;
        watcher.watch(&stage, session, None).await.expect("answered");
        event(&mut opened, |event| *event == RelayEvent::Watched(true)).await;
        watcher.connected().await;
        stage.relay.remove_viewer(session, watcher.id).await;
        event(&mut opened, |event| *event == RelayEvent::Watched(false)).await;
        let again = Watcher::new(Traits::default()).await;
        again.watch(&stage, session, None).await.expect("answered");
        event(&mut opened, |event| matches!(event, RelayEvent::ViewerConnected { .. })).await;
        // The relay is done first; a viewer that is not has no keys to say goodbye with.
        again.connected().await;
        again.pc.close().await.expect("closed");
        let gone = event(&mut opened, |event| matches!(event, RelayEvent::ViewerGone { .. })).await;
        assert_eq!(
            gone,
            RelayEvent::ViewerGone { viewer: again.id, reason: "closed by the viewer".to_owned() }
        );
    });
}
