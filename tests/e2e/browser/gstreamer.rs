//! Games that the GStreamer runner encodes, played by Chromium.
//!
//! `bash tests/run` builds that runner where GStreamer is installed; where it was not built these tests say so and are left out.

/// The arcade game: something moves always.
const EMBER: &str = "ember";
use crate::support::chrome::Chrome;
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use std::path::{Path, PathBuf};

/// Beside the program under test, in one build.
fn runner() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_BIN_EXE_playgate")).with_file_name("playgate-runner-gstreamer");
    if !path.exists() {
        eprintln!("left out: {} was not built", path.display());
        return None;
    }
    Some(path)
}

async fn chromium_plays(encoder: &str, codec: &str) {
    let Some(program) = runner() else { return };
    let gateway = Gateway::with_toml(&format!(
        r#"
[runner]
program = "{}"

[[games]]
slug = "{EMBER}"
title = "Ember"
width = 640
height = 360
encoder = "{encoder}"
"#,
        program.display()
    ))
    .await;
    let page = Chrome::start().await;
    page.play_until_picture(&gateway.url, EMBER).await;
    assert_eq!(page.stats().await.unwrap()["codec"], codec);
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded + 60.0).await;
    let picture = page.picture().await.unwrap();
    assert!(picture.shows_something(), "{picture:?}");
    page.until_changed(&picture).await;
    page.screenshot(&format!("gstreamer-{encoder}")).await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_plays_h264_of_x264() {
    chromium_plays("x264enc", "H264").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_plays_vp9() {
    chromium_plays("vp9enc", "VP9").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_plays_av1() {
    chromium_plays("av1enc", "AV1").await;
}
