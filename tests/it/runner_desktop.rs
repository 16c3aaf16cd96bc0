//! The real binary runs X11 programs: what they show, hear, save and end with arrives where the contract says.

mod client;
mod stand;

use crate::runner::view::Picture;
use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use playgate::control::ControlEvent;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage, VERSION};
use stand::{HEIGHT, PATIENCE, Stand, WIDTH, welcome};
use std::path::Path;
use std::time::Duration;
use tiny_skia::Pixmap;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

/// Y, Cb, Cr of BT.601, limited range.
const RED: [u8; 3] = [82, 90, 240];
const BLUE: [u8; 3] = [41, 240, 110];
const GREEN: [u8; 3] = [145, 54, 34];
const BLACK: [u8; 3] = [16, 128, 128];

fn is(picture: &Picture, (x, y): (usize, usize), colour: [u8; 3]) -> bool {
    picture.at(x, y).iter().zip(colour).all(|(have, want)| have.abs_diff(want) < 12)
}

/// The corners of both halves, up to the last pixels.
fn is_red_and_blue(picture: &Picture) -> bool {
    let (right, bottom) = (WIDTH - 2, HEIGHT - 2);
    [(1, 1), (1, bottom), (WIDTH / 2 - 8, 1)].iter().all(|&at| is(picture, at, RED))
        && [(right, 1), (right, bottom), (WIDTH / 2 + 8, bottom)].iter().all(|&at| is(picture, at, BLUE))
}

fn is_green(picture: &Picture) -> bool {
    [(1, 1), (WIDTH / 2, HEIGHT / 2), (WIDTH - 2, HEIGHT - 2)].iter().all(|&at| is(picture, at, GREEN))
}

#[tokio::test]
async fn a_window_gets_the_whole_screen_and_its_colours_arrive() {
    let directory = tempfile::tempdir().expect("directory");
    let mut stand = Stand::start("shows", directory.path()).await;
    let ControlEvent::Connected { video, audio, pads, pointer } = stand.event().await else {
        panic!("hello comes first")
    };
    assert_eq!((video.expect("video").codec, audio.expect("audio").codec), ("H264".into(), "opus".into()));
    assert_eq!((pads, pointer.as_deref()), (1, Some("relative")));
    let first = timeout(PATIENCE, stand.view.next_picture()).await.expect("a picture");
    assert_eq!((first.key, first.width, first.height), (true, WIDTH, HEIGHT));
    assert!(!is(&first, (60, 70), BLACK), "the first picture is the game's");
    if !is_red_and_blue(&first) {
        stand.view.until(is_red_and_blue).await;
    }
    stand.end().await;
}

#[tokio::test]
async fn a_still_window_costs_next_to_nothing() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("shows", directory.path()).await;
    stand.view.until(is_red_and_blue).await;
    // The refinement of the last change.
    stand.view.picture().await;
    let (bytes, frames, since) = (stand.view.video_bytes, stand.view.video_frames, Instant::now());
    for _ in 0..3 {
        assert!(!stand.view.picture().await.key);
    }
    let seconds = since.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few thousand bits")]
    let rate = (8 * (stand.view.video_bytes - bytes)) as f64 / seconds;
    assert!(rate < 15_000.0, "{rate} bit/s");
    assert!(stand.view.video_frames - frames <= 3);
    stand.end().await;
}

#[tokio::test]
async fn a_key_reaches_the_program_and_its_answer_arrives_and_is_saved() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("shows", directory.path()).await;
    stand.view.until(is_red_and_blue).await;
    stand.step();
    stand.view.until(is_green).await;
    stand.message(|message| *message == RunnerMessage::SaveDirty).await;
    stand.message(|message| *message == RunnerMessage::Saved).await;
    assert_eq!(std::fs::read(directory.path().join("steps")).expect("the save"), b"1");
    // Nothing moves any more: asked for, it is said again.
    stand.say(GatewayMessage::FlushSave);
    stand.message(|message| *message == RunnerMessage::Saved).await;
    stand.end().await;
}

#[tokio::test]
async fn the_pointers_shape_comes_apart_from_the_picture_and_goes_when_the_program_hides_it() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("shows", directory.path()).await;
    let shape = stand.message(|message| matches!(message, RunnerMessage::Cursor { png: Some(_), .. })).await;
    let RunnerMessage::Cursor { visible, png: Some(png), hotspot_x, hotspot_y } = shape else {
        panic!("a picture")
    };
    assert_eq!((visible, hotspot_x, hotspot_y), (true, 3, 5));
    let png = base64::prelude::BASE64_STANDARD.decode(png).expect("base64");
    let picture = Pixmap::decode_png(&png).expect("png");
    let pixel = picture.pixel(2, 2).expect("a pixel");
    assert_eq!((picture.width(), picture.height()), (16, 16));
    assert_eq!((pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()), (255, 0, 0, 255));
    stand.step();
    stand.step();
    stand.message(|message| matches!(message, RunnerMessage::Cursor { visible: false, .. })).await;
    stand.end().await;
}

#[tokio::test]
async fn a_window_that_cannot_be_larger_is_in_the_middle() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("insists", directory.path()).await;
    let centred = |picture: &Picture| {
        let (left, top) = ((WIDTH - 320) / 2, (HEIGHT - 200) / 2);
        is(picture, (left + 4, top + 4), RED)
            && is(picture, (left + 316, top + 196), BLUE)
            && is(picture, (left - 4, top - 4), BLACK)
            && is(picture, (left + 324, top + 204), BLACK)
    };
    stand.view.until(centred).await;
    stand.end().await;
}

#[tokio::test]
async fn while_nobody_watches_nothing_is_sent_and_then_all_that_happened() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("shows", directory.path()).await;
    stand.view.until(is_red_and_blue).await;
    stand.say(GatewayMessage::Pause);
    stand.step();
    // The program went on: it has saved its step.
    stand.message(|message| *message == RunnerMessage::Saved).await;
    let mut packet = [0; 2048];
    while stand.view.video.try_recv(&mut packet).is_ok() {}
    stand.say(GatewayMessage::FlushSave);
    stand.message(|message| *message == RunnerMessage::Saved).await;
    while let Ok(length) = stand.view.video.try_recv(&mut packet) {
        assert!((192..=223).contains(&packet[1]), "{length} bytes of a picture");
    }
    stand.say(GatewayMessage::Resume);
    stand.view.until(|picture| picture.key).await;
    stand.view.until(is_green).await;
    stand.end().await;
}

#[tokio::test]
async fn at_sigterm_the_program_saves_and_what_stays_is_killed() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("saves_when_asked_to_end", directory.path()).await;
    appears(&directory.path().join("listens")).await;
    stand.terminate();
    stand.message(|message| *message == RunnerMessage::Saved).await;
    assert_eq!(std::fs::read(directory.path().join("autosave")).expect("the save"), b"complete");
    assert_eq!(stand.ended().await, Some(0));
}

#[tokio::test]
async fn shutdown_ends_a_program_like_sigterm_does() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("saves_when_asked_to_end", directory.path()).await;
    appears(&directory.path().join("listens")).await;
    stand.say(GatewayMessage::Shutdown);
    stand.message(|message| *message == RunnerMessage::Saved).await;
    assert_eq!(std::fs::read(directory.path().join("autosave")).expect("the save"), b"complete");
    assert_eq!(stand.ended().await, Some(0));
}

#[tokio::test]
async fn a_program_that_ends_gives_its_code_to_gateway_and_container() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("shows", directory.path()).await;
    for _ in 0..3 {
        stand.step();
    }
    stand.message(|message| *message == RunnerMessage::Exit { code: 7 }).await;
    assert_eq!(stand.ended().await, Some(7));
    assert_eq!(std::fs::read(directory.path().join("steps")).expect("the save"), b"3");
}

#[tokio::test]
async fn a_program_that_a_signal_ends_is_told_apart() {
    let directory = tempfile::tempdir().expect("directory");
    let mut stand = Stand::start("dies", directory.path()).await;
    stand.message(|message| *message == RunnerMessage::Exit { code: 137 }).await;
    assert_eq!(stand.ended().await, Some(137));
}

#[tokio::test]
async fn without_its_screen_a_program_cannot_go_on() {
    let directory = tempfile::tempdir().expect("directory");
    let (mut stand, _) = Stand::playing("shows", directory.path()).await;
    let runner = stand.runner.id().expect("it runs");
    let server = children(runner).into_iter().find(|(_, name)| name == "Xvfb").expect("a screen").0;
    let pid = rustix::process::Pid::from_raw(server).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("dies");
    stand.message(|message| matches!(message, RunnerMessage::Exit { code } if *code != 0)).await;
    assert!(stand.ended().await.is_some_and(|code| code != 0));
}

#[tokio::test]
async fn either_a_built_in_game_or_a_program_is_asked_for() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["runner", "--game", "garden-of-forking-paths", "--", "true"])
        .output()
        .await
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["runner"])
        .output()
        .await
        .expect("runs");
    assert_eq!(output.status.code(), Some(2));
}

/// The gateway is killed and comes back on the same port with other ports and another address for media.
#[tokio::test]
async fn the_program_plays_on_over_a_restart_of_the_gateway() {
    let directory = tempfile::tempdir().expect("directory");
    let front = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = front.local_addr().expect("address").to_string();
    let (mut stand, hub) = Stand::start_behind("shows", directory.path(), &address).await;
    let back = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let first = back.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(back, hub.router()).await });
    // What is between the runner and its first gateway.
    let (mut runner, _) = timeout(PATIENCE, front.accept()).await.expect("in time").expect("accepts");
    let between = tokio::spawn(async move {
        let mut gateway = tokio::net::TcpStream::connect(first).await.expect("connects");
        let _ = tokio::io::copy_bidirectional(&mut runner, &mut gateway).await;
    });
    stand.view.until(is_red_and_blue).await;
    stand.step();
    stand.view.until(is_green).await;
    between.abort();
    let killed = Instant::now();

    // The first attempts find nobody who knows the session yet.
    for _ in 0..3 {
        drop(timeout(PATIENCE, front.accept()).await.expect("it tries again").expect("accepts"));
    }
    let (spec, mut view, _audio) = welcome("127.0.0.2").await;
    let (socket, _) = timeout(PATIENCE, front.accept()).await.expect("it tries again").expect("accepts");
    assert!(killed.elapsed() < Duration::from_secs(20), "it does not wait long between attempts");
    let mut socket = tokio_tungstenite::accept_async(socket).await.expect("upgrades");
    let hello = next(&mut socket).await;
    assert!(matches!(hello, RunnerMessage::Hello { v: VERSION, .. }), "{hello:?}");
    let welcome = GatewayMessage::Welcome {
        v: VERSION,
        rtp_video: spec.rtp_video,
        rtp_audio: spec.rtp_audio,
        width: spec.width,
        height: spec.height,
        fps: spec.fps,
        kbps: spec.kbps,
    };
    socket.send(Message::Text(welcome.to_json().into())).await.expect("says");
    let (mut ready, mut cursor) = (false, false);
    while !(ready && cursor) {
        match next(&mut socket).await {
            RunnerMessage::Ready => ready = true,
            RunnerMessage::Cursor { visible: true, png: Some(_), .. } => cursor = true,
            RunnerMessage::Hello { .. }
            | RunnerMessage::Saved
            | RunnerMessage::SaveDirty
            | RunnerMessage::Cursor { .. }
            | RunnerMessage::Rumble { .. }
            | RunnerMessage::Health { .. }
            | RunnerMessage::Exit { .. } => {}
        }
    }
    let back = view.picture().await;
    assert!(back.key, "a new viewer can begin with it");
    assert!(is_green(&back), "the same game, where it was");
    socket.send(Message::Text(GatewayMessage::Shutdown.to_json().into())).await.expect("says");
    assert_eq!(stand.ended().await, Some(0));
}

async fn next(socket: &mut tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>) -> RunnerMessage {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("in time").expect("open").expect("whole");
        if let Message::Text(text) = message {
            return RunnerMessage::parse(&text).expect("a message of the contract");
        }
    }
}

async fn appears(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < PATIENCE, "{} does not appear", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Process ids and names of a process's children.
fn children(parent: u32) -> Vec<(i32, String)> {
    let entries = std::fs::read_dir("/proc").expect("lists").flatten();
    let status = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
        Some((pid, std::fs::read_to_string(entry.path().join("stat")).ok()?))
    });
    let child = |(pid, stat): (i32, String)| {
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let of = tail.split_whitespace().nth(1)?.parse::<u32>().ok()?;
        (of == parent).then_some((pid, name))
    };
    status.filter_map(child).collect()
}
