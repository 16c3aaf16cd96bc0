//! ffmpeg as the source of an `external` game: VP8 and Opus by plain RTP, shown by Chromium and Firefox ESR; and H.264 as
//! ffmpeg makes it without a word, which is shown or said to be the cause.

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

/// x264 as ffmpeg sets it up, packets of 1472 bytes included.
fn x264(options: &[&str], port: u16) -> Child {
    Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-re"])
        .args(["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"])
        .args(["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-b:v", "3M"])
        .args(options)
        .args(["-f", "rtp", &format!("rtp://127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("ffmpeg is installed (bash tests/run does it)")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_shows_h264_of_a_plain_ffmpeg_or_says_what_is_wrong_with_it() {
    let (port, _) = free_ports();
    let gateway = Gateway::with_toml(&format!(
        r#"
[[games]]
slug = "{SLUG}"
title = "An external source"
driver = "external"
ingest.video = {{ listen = "127.0.0.1:{port}", codec = "H264", payload_type = 96 }}
ingest.allow = ["127.0.0.1"]
"#
    ))
    .await;
    let page = Chrome::start().await;
    page.play(&gateway.url, SLUG).await;
    let without_sets = x264(&["-bf", "0", "-flags", "+global_header"], port);
    eventually("the page names the cause", SOON, async || {
        let said = page.run("return document.getElementById('source-fault')?.innerText ?? ''").await?;
        let named = said.as_str().is_some_and(|said| said.contains("can't be shown") && said.contains("SPS"));
        if named { Ok(()) } else { Err(said.to_string()) }
    })
    .await;
    page.screenshot("source-without-sets").await;
    drop(without_sets);
    // Another payload type, and frames out of order.
    let _with_b_frames = x264(&["-bf", "2", "-b_strategy", "0", "-payload_type", "100"], port);
    page.until_state("playing").await;
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded + 30.0).await;
    let picture = page.picture().await.unwrap();
    assert!(picture.shows_something(), "{picture:?}");
    eventually("the page says that it may stutter", SOON, async || {
        let said = page.run("return document.getElementById('toast')?.innerText ?? ''").await?;
        if said.as_str().is_some_and(|said| said.contains("B-frames")) {
            Ok(())
        } else {
            Err(said.to_string())
        }
    })
    .await;
    page.screenshot("source-with-b-frames").await;
    assert!(!page.shows("#source-fault").await.unwrap());
    let log = gateway.log();
    for code in ["no_parameter_sets", "b_frames"] {
        assert_eq!(log.iter().filter(|line| line.contains(code)).count(), 1, "{log:#?}");
    }
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
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
