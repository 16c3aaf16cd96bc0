//! A real runner with a small game, against a real control hub and UDP sockets in the relay's place.

mod stand;
mod steps;
pub(crate) mod view;

use playgate::control::{ControlEvent, ControlHub, WelcomeSpec};
use playgate::games::AUDIO_BLOCK;
use playgate::marker::Marker;
use playgate::model::ids::SessionId;
use playgate::runner::{self, OnGatewayLoss, RunnerError, Settings, StopCause, Token};
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage};
use stand::Stand;
use std::time::Duration;
use steps::{BREAK, HUM, STEP, steps_game};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 368;
const PATIENCE: Duration = Duration::from_secs(20);
#[tokio::test]
async fn the_first_frame_is_a_key_frame_of_what_was_drawn() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, first) = Stand::playing(directory.path()).await;
    assert!(first.key);
    assert_eq!(first.steps(), [0]);
    assert_eq!(first.marker(), Some(Marker { frame: 1, input: 0 }));
    // It said hello with what it sends.
    stand.link.sender.send(GatewayMessage::FlushSave);
    stand.message(&RunnerMessage::Saved).await;
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn hello_names_the_streams() {
    let directory = tempfile::tempdir().expect("directory");
    let mut stand = Stand::start(directory.path()).await;
    let ControlEvent::Connected { video: Some(video), audio: Some(audio), pads, pointer } =
        stand.event().await
    else {
        panic!("hello comes first")
    };
    assert_eq!((video.codec.as_str(), video.pt, audio.codec.as_str(), audio.pt), ("H264", 96, "opus", 111));
    assert_eq!((pads, pointer.as_deref()), (0, Some("none")));
    stand.picture().await;
    assert_eq!(stand.ssrc, video.ssrc);
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn an_input_to_an_idle_game_is_answered_at_once_with_a_picture() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, first) = Stand::playing(directory.path()).await;
    let mut last = first.timestamp;
    for step in 1..=5_u8 {
        stand.press(STEP, true);
        stand.press(STEP, false);
        let input = u16::from(step);
        let answer =
            stand.until(|picture| picture.marker().is_some_and(|marker| marker.input == input)).await;
        assert_eq!(answer.steps(), [usize::from(step)]);
        assert!(!answer.key, "no key frame that nobody asked for");
        assert!(answer.timestamp.wrapping_sub(last) < 1 << 31 && answer.timestamp != last, "timestamps rise");
        last = answer.timestamp;
    }
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn pli_fir_and_the_control_message_each_give_a_key_frame_of_a_still_picture() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing(directory.path()).await;
    let runner = stand.runner_address.expect("it has sent");
    let ssrc = stand.ssrc.to_be_bytes();
    let mut pli = vec![0x81, 206, 0, 2, 0, 0, 0, 9];
    pli.extend_from_slice(&ssrc);
    let mut fir = vec![0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0];
    fir.extend_from_slice(&ssrc);
    fir.extend_from_slice(&[1, 0, 0, 0]);
    for feedback in [pli, fir] {
        stand.video.send_to(&feedback, runner).await.expect("sends");
        let key = stand.until(|picture| picture.key).await;
        assert_eq!(key.steps(), [0]);
    }
    assert!(stand.link.sender.send(GatewayMessage::Keyframe { number: 1 }));
    stand.until(|picture| picture.key).await;
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn a_still_picture_costs_next_to_nothing_and_silence_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing(directory.path()).await;
    // The refinement after the first picture.
    stand.picture().await;
    let (bytes, frames, since) = (stand.video_bytes, stand.video_frames, Instant::now());
    for _ in 0..4 {
        assert!(!stand.picture().await.key);
    }
    let seconds = since.elapsed().as_secs_f64();
    let bits = 8 * (stand.video_bytes - bytes);
    assert!(stand.video_frames - frames <= 4);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand bits")]
    let rate = bits as f64 / seconds;
    assert!(rate < 15_000.0, "{rate} bit/s");
    let mut buffer = [0; 2048];
    assert!(stand.audio.try_recv(&mut buffer).is_err(), "silence is not sent");
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn sound_is_sent_while_there_is_some_and_ends_with_it() {
    let directory = tempfile::tempdir().expect("directory");
    let (stand, _) = Stand::playing(directory.path()).await;
    let mut decoder = ropus::Decoder::new(48_000, ropus::Channels::Stereo).expect("decoder");
    let mut buffer = [0; 2048];
    let mut ended_at = None;
    for _ in 0..2 {
        stand.press(HUM, true);
        for index in 0..20 {
            let length = timeout(PATIENCE, stand.sound(&mut buffer)).await.expect("sound");
            assert_eq!(
                buffer[1],
                if index == 0 { 0x80 | 111 } else { 111 },
                "the first of a spurt is marked"
            );
            let timestamp = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
            match (index, ended_at) {
                (0, None) => {}
                (0, Some(ended)) => {
                    assert!((960..1 << 31).contains(&timestamp.wrapping_sub(ended)), "it counts on")
                }
                (_, before) => {
                    assert_eq!(Some(timestamp.wrapping_sub(960)), before, "20 ms a packet, no hole")
                }
            }
            ended_at = Some(timestamp);
            let mut pcm = [0; 2 * AUDIO_BLOCK];
            assert_eq!(
                decoder.decode(&buffer[12..length], &mut pcm, ropus::DecodeMode::Normal).expect("decodes"),
                960
            );
        }
        stand.press(HUM, false);
        // Silence is when nothing comes for many packets' time.
        while timeout(Duration::from_millis(300), stand.sound(&mut buffer)).await.is_ok() {
            ended_at = Some(u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]));
        }
    }
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn a_sender_report_follows_what_was_sent() {
    let directory = tempfile::tempdir().expect("directory");
    let (stand, _) = Stand::playing(directory.path()).await;
    let mut buffer = [0; 2048];
    let report = async {
        loop {
            let length = stand.video.recv(&mut buffer).await.expect("receives");
            if buffer[1] == 200 {
                return length;
            }
        }
    };
    let length = timeout(PATIENCE, report).await.expect("a report");
    assert!(length > 28);
    assert_eq!(&buffer[4..8], &stand.ssrc.to_be_bytes());
    assert!(u32::from_be_bytes([buffer[20], buffer[21], buffer[22], buffer[23]]) >= 1, "packets are counted");
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn a_change_is_announced_flushed_and_continued_from() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing(directory.path()).await;
    stand.press(STEP, true);
    stand.message(&RunnerMessage::SaveDirty).await;
    assert!(stand.link.sender.send(GatewayMessage::FlushSave));
    stand.message(&RunnerMessage::Saved).await;
    assert_eq!(std::fs::read(directory.path().join("save.bin")).expect("the save"), [b'S', 1]);

    // What came after the last save is written at the end, before the runner is gone.
    stand.press(STEP, true);
    stand.until(|picture| picture.steps() == [2]).await;
    stand.end(StopCause::GatewayGone).await.expect("ends well");
    assert_eq!(std::fs::read(directory.path().join("save.bin")).expect("the save"), [b'S', 2]);

    let (stand, first) = Stand::playing(directory.path()).await;
    assert_eq!(first.steps(), [2], "the game stands where it was left");
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn shutdown_saves_says_so_and_ends() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing(directory.path()).await;
    assert!(stand.link.sender.send(GatewayMessage::Shutdown));
    stand.message(&RunnerMessage::Saved).await;
    assert_eq!(stand.event().await, ControlEvent::Disconnected);
    timeout(PATIENCE, stand.runner).await.expect("the runner ends").expect("no panic").expect("ends well");
    assert_eq!(std::fs::read(directory.path().join("save.bin")).expect("the save"), [b'S', 0]);
}

#[tokio::test]
async fn a_save_that_cannot_be_read_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("directory");
    std::fs::write(directory.path().join("save.bin"), b"garbage").expect("writes");
    let stand = Stand::start(directory.path()).await;
    let error =
        timeout(PATIENCE, stand.runner).await.expect("ends").expect("no panic").expect_err("is refused");
    assert!(matches!(error, RunnerError::BadSave(_)), "{error}");
    assert_eq!(error.exit_code(), 3);
    assert_eq!(std::fs::read(directory.path().join("save.bin")).expect("the save"), b"garbage");
}

#[tokio::test]
async fn a_game_that_breaks_leaves_its_last_save_and_a_reason() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing(directory.path()).await;
    stand.press(STEP, true);
    stand.until(|picture| picture.steps() == [1]).await;
    assert!(stand.link.sender.send(GatewayMessage::FlushSave));
    stand.message(&RunnerMessage::Saved).await;
    stand.press(BREAK, true);
    stand.message(&RunnerMessage::Exit { code: 5 }).await;
    let error =
        timeout(PATIENCE, stand.runner).await.expect("ends").expect("no panic").expect_err("it failed");
    assert!(error.to_string().contains("the game breaks"), "{error}");
    assert_eq!(std::fs::read(directory.path().join("save.bin")).expect("the save"), [b'S', 1]);
}

#[tokio::test]
async fn pause_stops_the_picture_and_resume_begins_with_a_key_frame() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing(directory.path()).await;
    assert!(stand.link.sender.send(GatewayMessage::Pause));
    stand.press(STEP, true);
    // A flush is answered in order, so the pause has been heard.
    assert!(stand.link.sender.send(GatewayMessage::FlushSave));
    stand.message(&RunnerMessage::Saved).await;
    assert_eq!(
        std::fs::read(directory.path().join("save.bin")).expect("the save"),
        [b'S', 0],
        "time stands still"
    );
    assert!(stand.link.sender.send(GatewayMessage::Resume));
    let key = stand.until(|picture| picture.key).await;
    assert!(key.marker().is_some());
    stand.until(|picture| picture.steps() == [1]).await;
    stand.end(StopCause::Terminated).await.expect("ends well");
}

#[tokio::test]
async fn the_game_goes_on_over_a_new_connection_and_tells_how_things_stand() {
    let directory = tempfile::tempdir().expect("directory");
    let hub = ControlHub::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("address");
    let video = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let audio = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let session = SessionId::new();
    let welcome = WelcomeSpec {
        rtp_video: video.local_addr().expect("address").to_string(),
        rtp_audio: audio.local_addr().expect("address").to_string(),
        width: WIDTH,
        height: HEIGHT,
        fps: 60,
        kbps: 4000,
    };
    let mut link = hub.register(session, welcome);
    // A proxy of one connection at a time stands for the network.
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let proxied = proxy.local_addr().expect("address");
    let (cut, mut cut_now) = tokio::sync::mpsc::channel::<()>(1);
    tokio::spawn(async move {
        loop {
            let (mut runner, _) = proxy.accept().await.expect("accepts");
            let mut gateway = tokio::net::TcpStream::connect(address).await.expect("connects");
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut runner, &mut gateway) => {}
                _ = cut_now.recv() => {}
            }
        }
    });
    let router = hub.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = Settings {
        session: session.to_string(),
        control_url: format!("ws://{proxied}{}", link.path),
        token: Token(link.token.clone()),
        rtp_video: "127.0.0.1:9".to_owned(),
        rtp_audio: "127.0.0.1:9".to_owned(),
        width: WIDTH,
        height: HEIGHT,
        fps: 60,
        kbps: 4000,
        save_dir: directory.path().to_owned(),
        on_gateway_loss: OnGatewayLoss::Reconnect,
        pads: 0,
        pad_map: std::collections::BTreeMap::new(),
        pointer: PointerMode::Absolute,
        stop_grace: std::time::Duration::from_millis(1500),
        encoder: None,
    };
    let (stop, stopped) = oneshot::channel();
    let runner =
        tokio::spawn(runner::run(settings, steps_game(), false, async { stopped.await.expect("told to") }));
    let mut wait_for = async |wanted: &dyn Fn(&ControlEvent) -> bool| {
        loop {
            let event =
                timeout(PATIENCE, link.events.recv()).await.expect("an event").expect("the hub is there");
            if wanted(&event) {
                return;
            }
        }
    };
    let ready = |event: &ControlEvent| *event == ControlEvent::Message(RunnerMessage::Ready);
    wait_for(&ready).await;
    cut.send(()).await.expect("cuts");
    wait_for(&|event| *event == ControlEvent::Disconnected).await;
    wait_for(&|event| matches!(event, ControlEvent::Connected { .. })).await;
    wait_for(&ready).await;
    stop.send(StopCause::Terminated).expect("still there");
    timeout(PATIENCE, runner).await.expect("ends").expect("no panic").expect("ends well");
}
