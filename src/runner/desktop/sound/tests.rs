//! Against a real PulseAudio.

use super::*;
use crate::runner::desktop::supervise::{House, HouseEvent, HouseSpec};
use crate::runner::rtp::Clock;
use std::process::Stdio;
use std::thread::JoinHandle;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// For anything that happens on a machine that is busy with everything else.
const SOON: Duration = Duration::from_secs(30);

/// A capture at work, and what it has heard.
struct Heard {
    audio: Arc<Signal<audio::Inbox>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Heard {
    fn begin(socket: &Path) -> Self {
        let audio: Arc<Signal<audio::Inbox>> = Arc::default();
        let end = Arc::new(AtomicBool::new(false));
        let clock = Clock::new(Instant::now(), 0, 48_000);
        let stream = Arc::new(MediaStream::connect("127.0.0.1:9", 1, clock).expect("socket"));
        let capture = SoundCapture {
            socket: socket.to_owned(),
            audio: Arc::clone(&audio),
            stream,
            paused: Arc::default(),
            end: Arc::clone(&end),
        };
        Self { audio, end, thread: Some(std::thread::spawn(move || capture.run())) }
    }

    /// The next block; `None`: nothing came in time.
    async fn next(&self) -> Option<audio::Block> {
        let audio = Arc::clone(&self.audio);
        let wait = tokio::task::spawn_blocking(move || {
            audio.wait(
                Some(Instant::now() + SOON),
                |inbox| !inbox.blocks.is_empty(),
                |inbox| inbox.blocks.pop_front(),
            )
        });
        wait.await.expect("waits")
    }

    /// Blocks of sound in a row, from the next one that is the tone; skips what is before it.
    async fn tone(&self, count: usize) -> Vec<audio::Block> {
        let mut blocks = Vec::new();
        while blocks.len() < count {
            let block = self.next().await.expect("the tone is heard");
            let is_tone = block.samples.as_ref().is_some_and(|samples| energy(&samples[..]) > 1_000_000);
            if is_tone || (!blocks.is_empty() && block.samples.is_some()) {
                blocks.push(block);
            } else {
                blocks.clear();
            }
        }
        blocks
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends without a panic");
        }
    }
}

fn energy(samples: &[i16]) -> i64 {
    let count = i64::try_from(samples.len()).expect("small");
    samples.iter().map(|sample| i64::from(*sample).pow(2)).sum::<i64>() / count
}

/// Of the left channel, in Hz, by the median time between two crossings of zero upwards: a player that ran dry for a moment,
/// as on a busy machine, plays the same pitch.
fn pitch(blocks: &[audio::Block]) -> f64 {
    let left: Vec<i16> = blocks
        .iter()
        .filter_map(|block| block.samples.as_deref())
        .flat_map(|samples| samples.iter().step_by(2).copied())
        .collect();
    let rises = left.windows(2).enumerate().filter(|(_, pair)| pair[0] < 0 && pair[1] >= 0).map(|(at, _)| at);
    let rises: Vec<usize> = rises.collect();
    let mut periods: Vec<usize> = rises.windows(2).map(|pair| pair[1] - pair[0]).collect();
    periods.sort_unstable();
    48_000.0 / f64::from(u32::try_from(periods[periods.len() / 2]).expect("few"))
}

async fn house(directory: &Path) -> House {
    let spec = HouseSpec {
        command: vec!["true".into()],
        width: 64,
        height: 64,
        runtime_dir: directory.join("run"),
        home: directory.to_owned(),
    };
    House::open(spec).await.expect("opens")
}

/// Plays 440 Hz for some seconds, through the same library games use.
fn play(socket: &Path, seconds: u32) -> Child {
    let mut player = Command::new("pacat")
        .args(["--playback", "--format=s16le", "--rate=48000", "--channels=2", "--latency-msec=40"])
        .env("PULSE_SERVER", format!("unix:{}", socket.display()))
        .env_remove("DISPLAY")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("pacat (package pulseaudio-utils)");
    let mut input = player.stdin.take().expect("pipe");
    let samples = (0..seconds * 48_000).flat_map(|frame| {
        let value = (f64::from(frame) * 440.0 / 48_000.0 * std::f64::consts::TAU).sin() * 8_000.0;
        #[expect(clippy::cast_possible_truncation, reason = "an amplitude of 8000")]
        let bytes = (value as i16).to_le_bytes();
        bytes.into_iter().chain(bytes)
    });
    let sound: Vec<u8> = samples.collect();
    tokio::spawn(async move {
        // The server may be killed meanwhile.
        let _ = input.write_all(&sound).await;
    });
    player
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tone_is_heard_with_its_pitch_and_continuous_positions_and_silence_ends_it() {
    let directory = tempfile::tempdir().expect("directory");
    let house = house(directory.path()).await;
    let heard = Heard::begin(&house.sound_socket);
    let mut player = play(&house.sound_socket, 2);
    let blocks = heard.tone(100).await;
    let pitch = pitch(&blocks[10..90]);
    assert!((430.0..450.0).contains(&pitch), "{pitch} Hz");
    let level = energy(&blocks[50].samples.as_ref().expect("sound")[..]);
    assert!((20_000_000..40_000_000).contains(&level), "as loud as it was played: {level}");
    let jumps: Vec<u64> = blocks.windows(2).map(|pair| pair[1].position - pair[0].position).collect();
    // A machine that stalls for longer than the drift makes a jump; blocks are never closer.
    assert!(jumps.iter().all(|jump| *jump == 480 || *jump > 9_600), "{jumps:?}");
    assert!(jumps.iter().filter(|jump| **jump == 480).count() > 90, "{jumps:?}");
    timeout(SOON, player.wait()).await.expect("it ends").expect("waits");
    let mut last = heard.next().await.expect("a block");
    while last.samples.is_some() {
        last = heard.next().await.expect("silence begins");
    }
    drop(heard);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_comes_back_and_is_heard_again() {
    let directory = tempfile::tempdir().expect("directory");
    let mut house = house(directory.path()).await;
    let heard = Heard::begin(&house.sound_socket);
    let player = play(&house.sound_socket, 60);
    let before = heard.tone(10).await;
    kill_server(&house.sound_socket).await;
    let event = timeout(SOON, house.events.recv()).await.expect("in time");
    assert_eq!(event, Some(HouseEvent::Restarted("audio server")));
    drop(player);
    let _player = play(&house.sound_socket, 60);
    let after = heard.tone(10).await;
    assert!(after[0].position > before[9].position, "time has gone on");
    drop(heard);
    house.close().await;
}

/// Kills the process whose command line names the socket.
async fn kill_server(socket: &Path) {
    let socket = socket.display().to_string();
    for entry in std::fs::read_dir("/proc").expect("proc").flatten() {
        let command = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if command.starts_with("pulseaudio") && command.contains(&socket) {
            let pid = entry.file_name().to_string_lossy().parse().expect("a number");
            let pid = rustix::process::Pid::from_raw(pid).expect("a process");
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
        }
    }
}

#[tokio::test]
async fn a_capture_without_a_server_ends_when_it_is_told_to() {
    let directory = tempfile::tempdir().expect("directory");
    let heard = Heard::begin(&directory.path().join("nobody"));
    drop(heard);
}
