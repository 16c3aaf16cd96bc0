//! Still pictures of sessions: how often they are made, what is refused, and what the child process may do.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use bytes::Bytes;
use playgate::games::Rect;
use playgate::model::ids::SessionId;
use playgate::relay::{Codec, KeyFrame, RelayError};
use playgate::runner::encoder::open_h264::OpenH264;
use playgate::runner::encoder::{Format, VideoEncoder};
use playgate::runner::i420::I420;
use playgate::thumbnail::{KeyFrames, Refusal, Thumbnailer};
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// What a session's key frames are.
#[derive(Clone)]
pub(crate) enum Stream {
    Frame(Vec<u8>),
    None,
    Codec(Codec),
}

/// Key frames from a table; what is asked waits for the gate, where it is shut.
#[derive(Default)]
pub(crate) struct FakeFrames {
    streams: Mutex<HashMap<SessionId, (Stream, watch::Sender<()>)>>,
    asked: Mutex<u32>,
    shut: Mutex<bool>,
    gate: Notify,
}

impl FakeFrames {
    pub(crate) fn set(&self, session: SessionId, stream: Stream) {
        self.streams.lock().unwrap().insert(session, (stream, watch::Sender::new(())));
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }

    fn shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.gate.notify_waiters();
    }

    async fn until_asked(&self, times: u32) {
        while self.asked() < times {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait::async_trait]
impl KeyFrames for FakeFrames {
    async fn key_frame(&self, session: SessionId, _: bool) -> Result<KeyFrame, RelayError> {
        *self.asked.lock().unwrap() += 1;
        loop {
            let opened = self.gate.notified();
            if !*self.shut.lock().unwrap() {
                break;
            }
            opened.await;
        }
        match self.streams.lock().unwrap().get(&session) {
            Some((Stream::Frame(frame), alive)) => {
                Ok(KeyFrame::Here { annex_b: Bytes::from(frame.clone()), ended: alive.subscribe() })
            }
            Some((Stream::None, _)) => Ok(KeyFrame::NotYet),
            Some((Stream::Codec(codec), _)) => Ok(KeyFrame::Unshown(*codec)),
            None => Err(RelayError::NotFound),
        }
    }
}

pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_playgate"))
}

/// A key frame of stripes.
pub(crate) fn key_frame(width: u32, height: u32) -> Vec<u8> {
    let pixel =
        |n: u32| if (n % width / 40).is_multiple_of(2) { [230, 200, 20, 255] } else { [10, 30, 90, 255] };
    let rgba: Vec<u8> = (0..width * height).flat_map(pixel).collect();
    let mut picture = I420::new(width, height);
    picture.update(&rgba, width as usize * 4, Rect { x: 0, y: 0, width, height });
    let mut encoder = OpenH264::new(Format::of(&picture, 30), 4000).expect("an encoder");
    encoder.encode(&picture, &[], Instant::now()).expect("encodes").expect("a frame").bytes.to_vec()
}

struct Stand {
    frames: Arc<FakeFrames>,
    thumbnailer: Thumbnailer,
    registry: Registry,
    session: SessionId,
}

impl Stand {
    fn new(program: PathBuf, stream: Stream) -> Self {
        let (frames, session) = (Arc::new(FakeFrames::default()), SessionId::new());
        frames.set(session, stream);
        let mut registry = Registry::default();
        let thumbnailer = Thumbnailer::new(Arc::clone(&frames) as Arc<dyn KeyFrames>, program, &mut registry);
        Self { frames, thumbnailer, registry, session }
    }

    fn counted(&self, outcome: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("encodes");
        let line = format!("thumbnails_total{{outcome=\"{outcome}\"}} ");
        text.lines()
            .find_map(|found| found.strip_prefix(&line))
            .map_or(0, |count| count.parse().expect("a count"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_share_one_picture_and_so_do_those_who_come_soon_after() {
    let stand = Stand::new(program(), Stream::Frame(key_frame(1280, 720)));
    let crowd = (0..20).map(|_| stand.thumbnailer.get(stand.session));
    let pictures = futures_util::future::join_all(crowd).await;
    let first = pictures[0].clone().expect("a picture");
    assert!(first.starts_with(&[0xff, 0xd8]) && first.len() > 1000, "{} bytes", first.len());
    assert!(pictures.iter().all(|picture| picture.as_ref() == Ok(&first)));
    assert_eq!(stand.thumbnailer.get(stand.session).await, Ok(first));
    assert_eq!((stand.frames.asked(), stand.counted("made")), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_does_not_stop_the_making() {
    let stand = Stand::new(program(), Stream::Frame(key_frame(320, 180)));
    stand.frames.shut(true);
    let impatient = tokio::spawn({
        let (thumbnailer, session) = (stand.thumbnailer.clone(), stand.session);
        async move { thumbnailer.get(session).await }
    });
    stand.frames.until_asked(1).await;
    impatient.abort();
    stand.frames.shut(false);
    assert!(stand.thumbnailer.get(stand.session).await.is_ok());
    assert_eq!(stand.counted("made"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_ends_with_its_session() {
    let stand = Stand::new(program(), Stream::Frame(key_frame(320, 180)));
    let first = stand.thumbnailer.get(stand.session).await.expect("a picture");
    // The end of one, and another one of that id: nothing of the first is shown.
    stand.frames.set(stand.session, Stream::None);
    loop {
        match stand.thumbnailer.get(stand.session).await {
            Ok(picture) => assert_eq!(picture, first),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::NotYet);
                break;
            }
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_shown_is_said_in_words() {
    let stand = Stand::new(program(), Stream::Codec(Codec::Vp9));
    let refusal = stand.thumbnailer.get(stand.session).await.expect_err("VP9");
    assert!(refusal.to_string().contains("VP9"), "{refusal}");
    let unknown = stand.thumbnailer.get(SessionId::new()).await;
    assert_eq!(unknown, Err(Refusal::NotYet));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_stream_is_refused_and_the_next_one_shown() {
    let mut torn = key_frame(640, 360);
    let keep = torn.len() / 2;
    torn.truncate(40);
    torn.extend((0..keep).map(|n| (n * 37 % 251) as u8));
    let garbage = [&[0, 0, 0, 1, 0x67], [0x5a; 300].as_slice(), &[0, 0, 0, 1, 0x65], &[0xff; 300]].concat();
    let stand = Stand::new(program(), Stream::Frame(garbage));
    assert_eq!(stand.thumbnailer.get(stand.session).await, Err(Refusal::Unreadable));
    let (other, third) = (SessionId::new(), SessionId::new());
    stand.frames.set(other, Stream::Frame(torn));
    // Refused, or what could be read of it.
    let _ = stand.thumbnailer.get(other).await;
    stand.frames.set(third, Stream::Frame(key_frame(640, 360)));
    assert!(stand.thumbnailer.get(third).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_can_wait_are_refused_and_counted() {
    let stand = Stand::new(program(), Stream::None);
    stand.frames.shut(true);
    let ask = |session| {
        let thumbnailer = stand.thumbnailer.clone();
        tokio::spawn(async move { thumbnailer.get(session).await })
    };
    let waiting: Vec<_> = (0..16).map(|_| ask(SessionId::new())).collect();
    stand.frames.until_asked(16).await;
    assert_eq!(stand.thumbnailer.get(stand.session).await, Err(Refusal::Busy));
    assert_eq!(stand.counted("busy"), 1);
    stand.frames.shut(false);
    for refused in waiting {
        assert_eq!(refused.await.expect("ends"), Err(Refusal::NotYet));
    }
    assert_eq!(stand.thumbnailer.get(stand.session).await, Err(Refusal::NotYet));
}

/// A program that is no thumbnailer.
fn script(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("program");
    std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("executable");
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_does_not_end_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let program = script(folder.path(), &format!("echo $$ > {}\nexec /bin/sleep 3600", pid.display()));
    let stand = Stand::new(program, Stream::Frame(key_frame(320, 180)));
    assert_eq!(stand.thumbnailer.get(stand.session).await, Err(Refusal::Slow));
    let pid = std::fs::read_to_string(&pid).expect("it ran");
    let proc = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
    let begun = Instant::now();
    // Gone, or dead and not waited for yet.
    while std::fs::read_to_string(&proc).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it still runs");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_answers_with_no_picture_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    for text in ["echo hello", "exit 0", "exec cat /dev/zero"] {
        let stand = Stand::new(script(folder.path(), text), Stream::Frame(key_frame(320, 180)));
        assert_eq!(stand.thumbnailer.get(stand.session).await, Err(Refusal::Unreadable), "{text}");
    }
}

fn child(input: &[u8]) -> Output {
    let mut child = Command::new(program())
        .arg("thumbnail")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let _ = child.stdin.take().expect("piped").write_all(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn the_child_takes_no_more_than_it_should() {
    let large = child(&vec![0; (2 << 20) + 2]);
    assert!(!large.status.success() && large.stdout.is_empty());
    assert!(String::from_utf8_lossy(&large.stderr).contains("2097152"), "{large:?}");
}

#[test]
fn the_largest_picture_an_encoder_of_ours_makes_is_decoded_within_the_childs_limits() {
    let picture = child(&key_frame(3840, 2160));
    assert!(picture.status.success(), "{}", String::from_utf8_lossy(&picture.stderr));
}

#[test]
fn the_child_limits_itself_before_it_reads() {
    let mut child = Command::new(program())
        .arg("thumbnail")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let limits = PathBuf::from(format!("/proc/{}/limits", child.id()));
    let begun = Instant::now();
    let is_limited = || {
        let text = std::fs::read_to_string(&limits).unwrap_or_default();
        let most = |what: &str| {
            let line = text.lines().find(|line| line.starts_with(what))?;
            line.get(what.len()..)?.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        most("Max address space") == Some(768 << 20)
            && most("Max cpu time") == Some(2)
            && most("Max open files") == Some(3)
            && most("Max processes") == Some(0)
            && most("Max core file size") == Some(0)
    };
    while !is_limited() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{}",
            std::fs::read_to_string(&limits).unwrap_or_default()
        );
        std::thread::yield_now();
    }
    drop(child.stdin.take());
    assert!(!child.wait().expect("it ends").success(), "nothing is no picture");
}
