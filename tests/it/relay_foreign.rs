//! The relay with sources that keep to none of our habits: what can be played is, the rest is named.

use crate::relay_viewer::{Stage, Traits, Watcher, event, run, until};
use crate::rtp_source::RtpSource;
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use playgate::h264::{Depacketizer, nal_type, nal_units};
use playgate::model::ids::SessionId;
use playgate::relay::{KeyFrame, OpenedSession, RelayEvent, SourceFault};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{NackPair, TransportLayerNack};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The most a packet to a player carries: 1200 bytes with its header.
const MAX_PAYLOAD: usize = 1188;

/// The NAL units of these payloads, put together as one picture each.
fn pictures<'a>(packets: impl Iterator<Item = (u16, u32, bool, &'a [u8])>) -> Vec<Vec<u8>> {
    let mut depacketizer = Depacketizer::new();
    packets
        .flat_map(|(sequence, timestamp, marker, payload)| {
            let pushed = depacketizer.push(sequence, timestamp, marker, payload);
            assert!(!pushed.damaged, "a picture with a hole");
            pushed.units
        })
        .map(|unit| unit.data)
        .collect()
}

/// What the watcher has received, in the order of its numbers.
fn received(watcher: &Watcher) -> Vec<Vec<u8>> {
    let mut video = watcher.seen.video.lock().expect("lock").clone();
    let first = video.first().map_or(0, |packet| packet.header.sequence_number);
    video.sort_by_key(|packet| packet.header.sequence_number.wrapping_sub(first));
    video.dedup_by_key(|packet| packet.header.sequence_number);
    assert!(video.iter().all(|packet| packet.payload.len() <= MAX_PAYLOAD));
    pictures(video.iter().map(|packet| {
        let header = &packet.header;
        (header.sequence_number, header.timestamp, header.marker, &packet.payload[..])
    }))
}

fn kinds(picture: &[u8]) -> Vec<u8> {
    nal_units(picture).map(nal_type).collect()
}

async fn watched(stage: &Stage, session: SessionId) -> Watcher {
    let watcher = Watcher::new(Traits::default()).await;
    watcher.watch(stage, session, Some(0)).await.expect("answered");
    watcher.connected().await;
    watcher
}

async fn faults(opened: &mut OpenedSession) -> Vec<SourceFault> {
    let event = event(opened, |event| matches!(event, RelayEvent::SourceFaults(_))).await;
    let RelayEvent::SourceFaults(faults) = event else { panic!("{event:?}") };
    faults
}

/// A NAL unit of this size whose bytes are no start code.
fn unit(header: u8, size: usize) -> Vec<u8> {
    std::iter::once(header).chain((1..size).map(|at| u8::try_from(at % 250 + 3).expect("small"))).collect()
}

#[test]
fn packets_larger_than_players_paths_arrive_in_pieces_and_lost_pieces_are_repaired() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let watcher = watched(&stage, session).await;
        let mut source = RtpSource::video(opened.rtp_video);
        let mut sent = Vec::new();
        source.key_frame(3);
        let whole = source.sent.iter().zip(0..).map(|(payload, n)| (n, 0, n == 4, payload.as_slice()));
        sent.extend(pictures(whole));
        let aggregate = |sizes: [usize; 3]| -> Vec<u8> {
            let units = sizes.into_iter().flat_map(|size| {
                [&u16::try_from(size).expect("small").to_be_bytes()[..], &unit(0x41, size)].concat()
            });
            std::iter::once(0x78).chain(units).collect()
        };
        let fragment = |header| [&[0x5c, header][..], &unit(9, 1457)].concat();
        let frames: [Vec<Vec<u8>>; 4] = [
            vec![unit(0x41, 5000)],
            vec![fragment(0x81), fragment(0x01), fragment(0x41)],
            vec![aggregate([600, 580, 200])],
            vec![aggregate([300, 1300, 100]), unit(0x41, 40)],
        ];
        for frame in frames {
            source.timestamp = source.timestamp.wrapping_add(3000);
            let last = frame.len() - 1;
            let packets = frame.iter().enumerate().zip(0..);
            sent.extend(pictures(packets.map(|((at, payload), n)| (n, 0, at == last, payload.as_slice()))));
            for (at, payload) in frame.into_iter().enumerate() {
                source.send(at == last, payload);
            }
        }
        until("every picture", || received(&watcher).len() == sent.len()).await;
        assert!(received(&watcher) == sent, "the same NAL units");

        let (ssrc, lost) = {
            let video = watcher.seen.video.lock().expect("lock");
            let pieces = video.iter().filter(|packet| packet.payload.first() == Some(&0x5c));
            let piece = pieces.clone().nth(1).expect("pieces");
            (piece.header.ssrc, piece.clone())
        };
        let nacks = vec![NackPair::new(lost.header.sequence_number)];
        let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc: ssrc, nacks };
        let before = watcher.seen.video_count();
        watcher.seen.track().expect("a track").write_rtcp(vec![Box::new(nack)]).await.expect("sent");
        until("the repair", || watcher.seen.video_count() > before).await;
        let again = watcher.seen.video.lock().expect("lock").last().cloned().expect("a packet");
        assert_eq!(
            (again.header.sequence_number, again.payload),
            (lost.header.sequence_number, lost.payload)
        );
        assert_eq!(stage.counted("oversized"), 0);
    });
}

#[test]
fn a_packet_that_cannot_be_split_is_dropped_and_named() {
    run(async {
        let stage = Stage::new();
        let (_, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(1);
        // STAP-B, of the interleaved mode.
        source.send(true, unit(0x79, 1460));
        assert_eq!(faults(&mut opened).await, [SourceFault::LargePackets { bytes: 1460 }]);
        assert_eq!(stage.counted("oversized"), 1);
    });
}

#[test]
fn parameter_sets_that_came_once_go_before_every_key_frame_and_into_the_still_picture() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(2);
        for _ in 0..130 {
            source.frame(1);
            tokio::task::yield_now().await;
        }
        // An access unit delimiter goes first, as from encoders for broadcasting.
        source.timestamp = source.timestamp.wrapping_add(3000);
        source.send(false, vec![0x09, 0x10]);
        source.send(true, unit(0x65, 2000));
        source.frame(1);
        until("the key frame", || stage.counted("parameter_sets_inserted") == 1).await;
        let watcher = watched(&stage, session).await;
        until("the key frame", || received(&watcher).len() == 2).await;
        assert_eq!(kinds(&received(&watcher)[0]), [9, 7, 8, 5]);
        let still = stage.relay.key_frame(session, false).await.expect("a key frame");
        let KeyFrame::Here { annex_b, .. } = still else { panic!("{still:?}") };
        assert_eq!(kinds(&annex_b), [9, 7, 8, 5]);
        source.key_frame(2);
        until("the next one", || received(&watcher).len() == 3).await;
        assert_eq!(kinds(&received(&watcher)[2]), [7, 8, 5], "brings its own");
        assert_eq!(stage.counted("parameter_sets_inserted"), 1);
    });
}

#[test]
fn a_source_without_parameter_sets_is_named_until_it_sends_some() {
    run(async {
        let stage = Stage::new();
        let (_, mut opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.send(true, unit(0x65, 200));
        assert_eq!(faults(&mut opened).await, [SourceFault::NoParameterSets]);
        until("the fault's end", || {
            source.key_frame(1);
            std::iter::from_fn(|| opened.events.try_recv().ok())
                .any(|event| event == RelayEvent::SourceFaults(Vec::new()))
        })
        .await;
    });
}

#[test]
fn a_stray_packet_of_another_ssrc_disturbs_nobody() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let watcher = watched(&stage, session).await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.key_frame(3);
        for n in 0..20 {
            source.frame(2);
            let own = (source.ssrc, source.sequence);
            (source.ssrc, source.sequence) = (0x0bad_0bad, n * 100);
            let stray = source.datagram(true, &[0x41, 1, 2, 3]);
            source.raw(&stray);
            (source.ssrc, source.sequence) = own;
        }
        until("every packet", || watcher.seen.video_count() >= source.sent.len()).await;
        assert!(watcher.seen.pictures() == source.sent, "nothing else");
        assert_eq!((stage.counted("new_ssrc"), stage.counted("source_restarts")), (20, 0));
    });
}

#[test]
fn another_payload_type_is_taken_for_the_source_where_it_is_beyond_doubt() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let watcher = watched(&stage, session).await;
        let mut source = RtpSource::video(opened.rtp_video);
        source.payload_type = 97;
        for _ in 0..30 {
            source.frame(2);
        }
        assert_eq!(faults(&mut opened).await, [SourceFault::PayloadType { agreed: 96, sent: 97 }]);
        // The sequence parameter set of a picture of 640x480.
        source.timestamp = source.timestamp.wrapping_add(3000);
        source.send(false, vec![0x67, 0x42, 0xc0, 0x1e, 0xda, 0x02, 0x80, 0xf6, 0x40]);
        source.send(false, vec![0x68, 0xce, 0x3c, 0x80]);
        source.send(true, unit(0x65, 500));
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        until("the key frame", || received(&watcher).len() == 1).await;
        assert_eq!(kinds(&received(&watcher)[0]), [7, 8, 5]);
    });
}

/// ffmpeg as a source, and the pictures that a viewer decodes of it.
struct Producer(Child);

impl Producer {
    /// `input` and `encoder`: as on its command line.
    fn start(input: &[&str], encoder: &[&str], to: SocketAddr) -> Self {
        let child = Command::new("ffmpeg")
            .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-re"])
            .args(input)
            .args(encoder)
            .args(["-f", "rtp", &format!("rtp://{to}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("ffmpeg is installed (bash tests/run does it)");
        Self(child)
    }

    /// Of a test picture, by x264 as it is set up without a word, with a key frame each second.
    fn x264(options: &[&str], to: SocketAddr) -> Self {
        let picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"];
        let encoder =
            ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-b:v", "3M"];
        Self::start(&picture, &[&encoder, options].concat(), to)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many pictures the viewer could decode, and the height of the last.
fn decoded(watcher: &Watcher) -> (usize, usize) {
    let mut decoder = Decoder::new().expect("a decoder");
    let (mut count, mut height) = (0, 0);
    for picture in received(watcher) {
        if let Ok(Some(image)) = decoder.decode(&picture) {
            count += 1;
            height = image.dimensions().1;
        }
    }
    (count, height)
}

async fn plays(watcher: &Watcher) {
    until("pictures", || watcher.seen.video_count() > 150 && decoded(watcher).0 >= 30).await;
    assert_eq!(decoded(watcher).1, 360);
}

#[test]
fn ffmpeg_plays_with_its_own_packet_size_and_another_payload_type() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let watcher = watched(&stage, session).await;
        let _producer = Producer::x264(&["-bf", "0", "-payload_type", "100"], opened.rtp_video);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        plays(&watcher).await;
        assert!(stage.counted("split_packets") > 10);
        assert_eq!(stage.counted("oversized"), 0);
    });
}

/// A stream whose parameter sets are in front of its first key frame only.
fn sets_once(stream: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-t", "20"])
        .args([
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-bf",
            "0",
            "-g",
            "30",
            "-f",
            "h264",
        ])
        .arg(stream)
        .status()
        .expect("ffmpeg is installed (bash tests/run does it)");
    assert!(made.success());
    let bytes = std::fs::read(stream).expect("made");
    let (mut sets, mut out) = (0, Vec::new());
    for unit in nal_units(&bytes) {
        let is_set = matches!(nal_type(unit), 7 | 8);
        sets += usize::from(is_set);
        if !is_set || sets <= 2 {
            out.extend([0, 0, 0, 1]);
            out.extend(unit);
        }
    }
    assert!(sets > 10, "one pair for each key frame before");
    std::fs::write(stream, out).expect("written");
}

#[test]
fn who_joins_ffmpeg_after_its_only_parameter_sets_sees_a_picture() {
    let directory = tempfile::tempdir().expect("a directory");
    let stream = directory.path().join("stream.h264");
    sets_once(&stream);
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let input = ["-framerate", "30", "-f", "h264", "-i", stream.to_str().expect("UTF-8")];
        let _producer = Producer::start(&input, &["-c:v", "copy", "-payload_type", "96"], opened.rtp_video);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        until("key frames without sets", || stage.counted("parameter_sets_inserted") >= 1).await;
        plays(&watched(&stage, session).await).await;
    });
}

#[test]
fn ffmpeg_without_parameter_sets_or_with_b_frames_is_named() {
    run(async {
        let stage = Stage::new();
        let (_, mut opened) = stage.open().await;
        let options = ["-bf", "0", "-flags", "+global_header", "-payload_type", "96"];
        let producer = Producer::x264(&options, opened.rtp_video);
        assert_eq!(faults(&mut opened).await, [SourceFault::NoParameterSets]);
        drop(producer);

        let (_, mut opened) = stage.open().await;
        let options = ["-bf", "2", "-b_strategy", "0", "-payload_type", "96"];
        let _producer = Producer::x264(&options, opened.rtp_video);
        assert_eq!(faults(&mut opened).await, [SourceFault::BFrames]);
    });
}
