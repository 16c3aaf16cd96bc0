//! ffmpeg as the source of an `external` game: VP8 and Opus by plain RTP, shown by Chromium and Firefox ESR.

use crate::support::chrome::Chrome;
use crate::support::firefox::Firefox;
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::wait::{SOON, eventually};
use std::net::UdpSocket;
use std::process::Stdio;
use tokio::process::{Child, Command};

pub(crate) const SLUG: &str = "camera";

/// Even ports that are free now: video and audio.
pub(crate) fn free_ports() -> (u16, u16) {
    let sockets: Vec<UdpSocket> = (0..2).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    (sockets[0].local_addr().unwrap().port(), sockets[1].local_addr().unwrap().port())
}

pub(crate) fn config(video: u16, audio: u16) -> String {
    format!(
        r#"
[[games]]
slug = "{SLUG}"
title = "An external source"
driver = "external"
ingest.video = {{ listen = "127.0.0.1:{video}", codec = "VP8", payload_type = 96 }}
ingest.audio = {{ listen = "127.0.0.1:{audio}", codec = "opus", payload_type = 111 }}
ingest.allow = ["127.0.0.1"]
"#
    )
}

/// A test picture with a moving part and a tone. It ignores requests for key frames, so it sends one a second.
pub(super) fn ffmpeg(video: u16, audio: u16) -> Child {
    let picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"];
    let tone = ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"];
    let vp8 = [
        "-map",
        "0:v",
        "-c:v",
        "libvpx",
        "-deadline",
        "realtime",
        "-cpu-used",
        "12",
        "-threads",
        "1",
        "-g",
        "30",
        "-b:v",
        "1500k",
        "-payload_type",
        "96",
        "-f",
        "rtp",
    ];
    let opus =
        ["-map", "1:a", "-c:a", "libopus", "-ac", "2", "-b:a", "64k", "-payload_type", "111", "-f", "rtp"];
    Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin"])
        .args(picture)
        .args(tone)
        .args(vp8)
        .arg(format!("rtp://127.0.0.1:{video}?pkt_size=1200"))
        .args(opus)
        .arg(format!("rtp://127.0.0.1:{audio}?pkt_size=1200"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("ffmpeg is installed (bash tests/run does it)")
}

async fn shows_the_source(page: &impl Page, base: &str, name: &str) {
    page.play_until_picture(base, SLUG).await;
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded + 30.0).await;
    let picture = page.picture().await.unwrap();
    assert!(picture.shows_something(), "{picture:?}");
    page.until_changed(&picture).await;
    page.click("#stage").await;
    page.until_above("totalAudioEnergy", 0.0).await;
    page.screenshot(name).await;
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_shows_vp8_from_ffmpeg() {
    let (video, audio) = free_ports();
    let gateway = Gateway::with_toml(&config(video, audio)).await;
    let _ffmpeg = ffmpeg(video, audio);
    let page = Chrome::start().await;
    shows_the_source(&page, &gateway.url, "external-chromium").await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firefox_shows_vp8_from_ffmpeg() {
    let (video, audio) = free_ports();
    let gateway = Gateway::with_toml(&config(video, audio)).await;
    let _ffmpeg = ffmpeg(video, audio);
    let page = Firefox::start().await;
    shows_the_source(&page, &gateway.url, "external-firefox").await;
    assert_eq!(gateway.sealed().await, (1, 0), "AES-GCM, at the first handshake");
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_without_h264_is_told_the_codec_by_name() {
    let gateway = Gateway::start().await;
    let page = Firefox::start().await;
    page.play(&gateway.url, crate::GARDEN).await;
    page.until_state("failed").await;
    // Firefox may give no text at the very moment the panel comes: what counts is what people can read then.
    eventually("the page names the codec", SOON, async || {
        let said = page.run("return document.getElementById('ended')?.innerText ?? ''").await?;
        let named = said.as_str().is_some_and(|said| said.contains("H.264") || said.contains("H264"));
        if named { Ok(()) } else { Err(said.to_string()) }
    })
    .await;
    let faded = "const running = document.getElementById('ended').getAnimations(); \
                 await Promise.all(running.map(animation => animation.finished))";
    page.run(faded).await.unwrap();
    page.screenshot("codec-missing-firefox").await;
    page.quit().await;
    gateway.finish().await;
}
