//! The gateway's end of a child process that makes one picture: bytes in, bytes out, killed when it takes too long.

use super::refusal::Refusal;
use bytes::Bytes;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// A child's whole life.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest picture taken from it, in bytes.
const MAX_JPEG_BYTES: usize = 256 << 10;

/// Makes the picture of a key frame in Annex B form.
pub(super) async fn make(program: &Path, annex_b: &[u8]) -> Result<Bytes, Refusal> {
    let mut child = match start(program) {
        Ok(child) => child,
        Err(error) => {
            tracing::warn!(%error, "no child process for a still picture");
            return Err(Refusal::Busy);
        }
    };
    match tokio::time::timeout(PATIENCE, talk(&mut child, annex_b)).await {
        Ok(Some(jpeg)) => Ok(jpeg),
        Ok(None) => Err(Refusal::Unreadable),
        // A stream made to be slow, or a machine that is.
        Err(_) => Err(Refusal::Slow),
    }
    // Dropped, a child that still runs is killed.
}

fn start(program: &Path) -> std::io::Result<Child> {
    Command::new(program)
        .arg("thumbnail")
        .env_clear()
        .current_dir("/")
        // No terminal's signals: it is over in a moment.
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// What it answers; nothing when it fails, or answers with no picture.
async fn talk(child: &mut Child, annex_b: &[u8]) -> Option<Bytes> {
    let (mut stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    let give = async move {
        // One that refuses what it reads does not read all.
        let _ = stdin.write_all(annex_b).await;
        drop(stdin);
    };
    let mut jpeg = Vec::new();
    let take = async {
        let mut stdout = stdout.take(MAX_JPEG_BYTES as u64 + 1);
        stdout.read_to_end(&mut jpeg).await.is_ok()
    };
    let ((), taken) = tokio::join!(give, take);
    if !taken || jpeg.len() > MAX_JPEG_BYTES {
        return None;
    }
    let status = child.wait().await.ok()?;
    let is_jpeg = jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]);
    (status.success() && is_jpeg).then(|| jpeg.into())
}
