//! A session's picture from the real gateway: it looks like the game, for whoever may see that.

use super::{arcade, joined};
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::wait::{PATIENT, eventually};
use playgate_signaling::message::Role;
use reqwest::header::HeaderMap;
use std::net::UdpSocket;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// What the gateway says in the end: on a machine that is busy with other tests a picture may take too long.
async fn thumbnail(client: &Client, session: &str) -> Answer {
    eventually("the picture is made or refused", PATIENT, async || {
        let answer = asked(client, session).await;
        if answer.status == 503 {
            Err(String::from_utf8_lossy(&answer.body).into_owned())
        } else {
            Ok(answer)
        }
    })
    .await
}

async fn asked(client: &Client, session: &str) -> Answer {
    let request = client.http().get(format!("{}/session/{session}/thumbnail.jpg", client.base));
    let response = request.bearer_auth(client.token()).send().await.expect("the gateway answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, body: response.bytes().await.expect("a body").to_vec() }
}

/// Width, and full-range luma, as ffmpeg reads it: of 640 columns, whatever the picture's size.
async fn decoded(jpeg: &[u8]) -> Vec<u8> {
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "mjpeg", "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("ffmpeg is installed (bash tests/run does it)");
    let mut stdin = ffmpeg.stdin.take().expect("piped");
    let jpeg = jpeg.to_vec();
    tokio::spawn(async move {
        let _ = stdin.write_all(&jpeg).await;
    });
    let output = ffmpeg.wait_with_output().await.expect("ffmpeg ends");
    assert!(output.status.success());
    output.stdout
}

/// Mean brightness of 16 by 9 parts of a picture.
fn parts(luma: &[u8], width: usize, height: usize) -> Vec<u32> {
    assert_eq!(luma.len(), width * height);
    let (across, down) = (width / 16, height / 9);
    let mean = |part: usize| {
        let (left, top) = (part % 16 * across, part / 16 * down);
        let rows = (top..top + down).map(|y| &luma[y * width + left..][..across]);
        rows.flatten().map(|luma| u32::from(*luma)).sum::<u32>()
            / u32::try_from(across * down).expect("small")
    };
    (0..144).map(mean).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_picture_looks_like_the_game_to_its_owner_and_to_a_spectator_and_is_not_there_for_others() {
    let gateway = Gateway::start().await;
    let (owner, other) = tokio::join!(gateway.guest(), gateway.guest());
    let session = owner.launch_running(&arcade(&owner).await).await;
    let view = joined(&owner, &session, Role::Player).await.unwrap();
    view.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 0).await.unwrap();

    let answer = thumbnail(&owner, &session).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    let seen = view.viewer.picture().expect("a picture");
    assert_eq!(answer.headers["content-type"], "image/jpeg");
    assert_eq!(answer.headers["cache-control"], "private, max-age=10");
    let luma = decoded(&answer.body).await;
    assert_eq!(luma.len(), 640 * 360, "the shape of 1280x720");
    let shown = parts(&luma, 640, 360);
    // The viewer's luma is of limited range.
    let full = seen
        .luma
        .iter()
        .map(|luma| u8::try_from(u32::from(luma.saturating_sub(16)) * 255 / 219).unwrap_or(255));
    let full: Vec<u8> = full.collect();
    let played = parts(&full, seen.width as usize, seen.height as usize);
    let darkest = shown.iter().min().copied().unwrap_or_default();
    assert!(shown.iter().any(|part| *part > darkest + 10), "one colour: {shown:?}");
    // Things move in between; the scene is the same.
    let different = shown.iter().zip(&played).filter(|(shown, played)| shown.abs_diff(**played) > 24).count();
    assert!(different <= 14, "{different} of 144 parts differ: {shown:?} and {played:?}");

    let grant = owner.share(&session, "spectator", 3600).await;
    let spectator = gateway.client().with_token(grant["token"].as_str().expect("a token"));
    let same = thumbnail(&spectator, &session).await;
    assert_eq!((same.status, &same.body), (200, &answer.body), "made once for both");
    assert_eq!(same.headers["etag"], answer.headers["etag"]);

    let refused = thumbnail(&other, &session).await;
    assert_eq!(refused.status, 404);
    let refused: serde_json::Value = serde_json::from_slice(&refused.body).expect("JSON");
    let told = other.get(&format!("/api/game/session-status?sessionId={session}")).await.expect(404);
    assert_eq!(refused, told);

    view.viewer.close().await;
    owner.stop(&session).await;
    assert_eq!(thumbnail(&owner, &session).await.status, 404);
    gateway.finish().await;
}

/// RTP of H.264 that is none: a key frame by its headers, and garbage within.
fn garbage(round: u16) -> Vec<Vec<u8>> {
    let mut payloads = vec![vec![0x67; 40], vec![0x68; 12], vec![0x65; 900]];
    payloads[2].iter_mut().enumerate().skip(1).for_each(|(at, byte)| *byte = (at * 31 % 251) as u8);
    let last = payloads.len() - 1;
    let packet = |(at, payload): (usize, Vec<u8>)| {
        let number = round * 3 + u16::try_from(at).expect("small");
        let marker = if at == last { 0x80 } else { 0 };
        let mut packet = vec![0x80, marker | 96];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(round) * 3000).to_be_bytes());
        packet.extend([0, 0, 0, 7]);
        packet.extend(payload);
        packet
    };
    payloads.into_iter().enumerate().map(packet).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_no_picture_is_said_to_be_none_and_the_gateway_goes_on() {
    let sockets: Vec<UdpSocket> = (0..2).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let port = sockets[0].local_addr().unwrap().port();
    drop(sockets);
    let gateway = Gateway::with_toml(&format!(
        r#"
[[games]]
slug = "garbage"
title = "No game"
driver = "external"
ingest.video = {{ listen = "127.0.0.1:{port}", codec = "H264", payload_type = 96 }}
ingest.allow = ["127.0.0.1"]
"#
    ))
    .await;
    let (hostile, player) = tokio::join!(gateway.guest(), gateway.guest());
    let session = hostile.launch("garbage").await;
    assert_eq!(thumbnail(&hostile, &session).await.status, 409, "it starts");
    let source = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut round = 0;
    eventually("a session of garbage runs", PATIENT, async || {
        for packet in garbage(round) {
            source.send_to(&packet, ("127.0.0.1", port)).unwrap();
        }
        round += 1;
        let status = hostile.status(&session).await;
        if status["status"] == "running" { Ok(()) } else { Err(format!("{status:#}")) }
    })
    .await;
    let answer = thumbnail(&hostile, &session).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 409, "{text}");
    assert!(text.contains("not_ready") && text.contains("cannot be read"), "{text}");
    assert_eq!(answer.headers["retry-after"], "10");

    let real = player.launch_running(&super::arcade(&player).await).await;
    assert_eq!(thumbnail(&player, &real).await.status, 200);
    tokio::join!(hostile.stop(&session), player.stop(&real));
    gateway.finish().await;
}
