//! A small runner that keeps the contract, or breaks one clause of it: what `playgate image check` is tested with. The
//! test binary plays it: its ignored tests of this module are the programs of the broken images.

use futures_util::{SinkExt, StreamExt};
use playgate::games::Rect;
use playgate::runner::encoder::open_h264::OpenH264;
use playgate::runner::encoder::{Format, VideoEncoder};
use playgate::runner::i420::I420;
use playgate::runner::rtcp::{Feedback, Report, sender_report};
use playgate::runner::rtp::{Packets, nal_units};
use playgate_signaling::runner::{GatewayMessage, RunnerMessage, Stream, VERSION, env};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A variable that names the recorded H.264 stream to send instead of an own one.
pub(crate) const STREAM: &str = "FAULTY_STREAM";

/// Two seconds of main profile with B-frames.
pub(crate) fn record(stream: &std::path::Path) {
    let made = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=30", "-t", "2"])
        .args([
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-profile:v",
            "main",
            "-bf",
            "2",
            "-g",
            "60",
            "-f",
            "h264",
        ])
        .arg(stream)
        .status()
        .expect("ffmpeg is installed (bash tests/run does it)");
    assert!(made.success());
}

const SSRC: u32 = 0x00c0_ffee;
const FRAME: Duration = Duration::from_millis(33);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Silent,
    Recorded,
    LargePackets,
    DeafToPli,
    StaysAndSavesNothing,
}

#[test]
#[ignore = "a program of the broken images"]
fn keeps_the_contract() {
    play(Fault::None);
}

#[test]
#[ignore = "a program of the broken images"]
fn says_nothing() {
    play(Fault::Silent);
}

#[test]
#[ignore = "a program of the broken images"]
fn sends_a_recording() {
    play(Fault::Recorded);
}

#[test]
#[ignore = "a program of the broken images"]
fn sends_large_packets() {
    play(Fault::LargePackets);
}

#[test]
#[ignore = "a program of the broken images"]
fn is_deaf_to_pli() {
    play(Fault::DeafToPli);
}

#[test]
#[ignore = "a program of the broken images"]
fn stays_and_saves_nothing() {
    play(Fault::StaysAndSavesNothing);
}

fn play(fault: Fault) {
    // Run by hand, outside of a check: nothing to play to.
    if std::env::var_os(env::SESSION_ID).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(fault));
    std::process::exit(0);
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is set"))
}

/// What is sent, picture by picture.
struct Video {
    encoder: OpenH264,
    key_frame_requests: u64,
    picture: I420,
    presses: u32,
    recorded: Vec<Vec<u8>>,
    at: usize,
}

impl Video {
    fn new(fault: Fault) -> Self {
        let number = |name| variable(name).parse().expect("a number");
        let recorded = if fault == Fault::Recorded {
            pictures(&std::fs::read(variable(STREAM)).expect("the recording"))
        } else {
            Vec::new()
        };
        let picture = I420::new(number(env::WIDTH), number(env::HEIGHT));
        let mut video = Self {
            encoder: OpenH264::new(Format::of(&picture, 30), number(env::VIDEO_KBPS)).expect("an encoder"),
            key_frame_requests: 0,
            picture,
            presses: 0,
            recorded,
            at: 0,
        };
        video.draw();
        video
    }

    /// Coarse noise that is another one after each press.
    fn draw(&mut self) {
        let (width, height) = (320_u32, 180_u32);
        let seed = self.presses.wrapping_mul(0x9e37_79b9) | 1;
        let rgba: Vec<u8> = (0..width * height)
            .flat_map(|at| {
                let cell = (at % width / 8 + at / width / 8 * 40 + 1).wrapping_mul(seed);
                let shade = (cell.wrapping_mul(cell) >> 11) as u8;
                [shade, shade, shade, 255]
            })
            .collect();
        self.picture.update(&rgba, 320 * 4, Rect { x: 0, y: 0, width, height });
    }

    /// The next picture, in Annex B form; nothing where the encoder leaves it out.
    fn next(&mut self, key: bool) -> Vec<u8> {
        if !self.recorded.is_empty() {
            self.at += 1;
            return self.recorded[(self.at - 1) % self.recorded.len()].clone();
        }
        if key {
            self.key_frame_requests += 1;
            self.encoder.request_key_frame(self.key_frame_requests);
        }
        self.encoder
            .encode(&self.picture, &[Rect { x: 0, y: 0, width: 320, height: 180 }], Instant::now())
            .expect("encodes")
            .map_or_else(Vec::new, |encoded| encoded.bytes.to_vec())
    }
}

/// A recording cut behind each slice.
fn pictures(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut pictures = vec![Vec::new()];
    for nal in nal_units(stream) {
        let picture = pictures.last_mut().expect("never empty");
        picture.extend_from_slice(&[0, 0, 0, 1]);
        picture.extend_from_slice(nal);
        if matches!(nal[0] & 0x1f, 1 | 5) {
            pictures.push(Vec::new());
        }
    }
    pictures.retain(|picture| !picture.is_empty());
    pictures
}

async fn run(fault: Fault) {
    let mut term = signal(SignalKind::terminate()).expect("a handler");
    if fault == Fault::Silent {
        term.recv().await;
        return;
    }
    let mut request = variable(env::CONTROL_URL).into_client_request().expect("a URL");
    let bearer = format!("Bearer {}", variable(env::TOKEN)).parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    let (mut control, _) = tokio_tungstenite::connect_async(request).await.expect("the control channel");
    let text = |message: RunnerMessage| Message::Text(message.to_json().into());
    let video = Stream { codec: "H264".to_owned(), pt: 96, ssrc: SSRC };
    let pointer = Some("absolute".to_owned());
    let hello = RunnerMessage::Hello { v: VERSION, video: Some(video), audio: None, pads: 0, pointer };
    control.send(text(hello)).await.expect("sent");
    let socket = UdpSocket::bind("0.0.0.0:0").await.expect("a port");
    socket.connect(variable(env::RTP_VIDEO)).await.expect("connected");
    control.send(text(RunnerMessage::Ready)).await.expect("sent");

    let mut source = Video::new(fault);
    let (mut packets, mut feedback) = (Packets::new(96, SSRC, 1), Feedback::default());
    let started = Instant::now();
    let mut tick = tokio::time::interval(FRAME);
    let (mut wanted, mut reported, mut buffer) = (true, None::<Instant>, [0; 2048]);
    loop {
        tokio::select! {
            _ = term.recv() => {
                if fault != Fault::StaysAndSavesNothing {
                    return;
                }
            }
            received = socket.recv(&mut buffer) => {
                let Ok(length) = received else { continue };
                if fault != Fault::DeafToPli {
                    wanted |= feedback.key_frame_request(&buffer[..length], SSRC).is_some();
                }
            }
            message = control.next() => match message {
                Some(Ok(Message::Text(message))) => match GatewayMessage::parse(&message) {
                    Ok(GatewayMessage::Keyframe { .. }) => wanted = true,
                    Ok(GatewayMessage::FlushSave) => {
                        if fault != Fault::StaysAndSavesNothing {
                            std::fs::write(format!("{}/state", variable(env::SAVE_DIR)), "a save").expect("written");
                        }
                        control.send(text(RunnerMessage::Saved)).await.expect("sent");
                    }
                    Ok(_) | Err(_) => {}
                },
                Some(Ok(Message::Binary(_))) => {
                    source.presses += 1;
                    source.draw();
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            _ = tick.tick() => {
                let elapsed = started.elapsed();
                let timestamp = u32::try_from(elapsed.as_micros() * 9 / 100).expect("a short test");
                if reported.is_none_or(|at| at.elapsed() > Duration::from_millis(500)) {
                    reported = Some(Instant::now());
                    let report = Report { ssrc: SSRC, at: SystemTime::now(), timestamp, packets: 1, octets: 1 };
                    let _ = socket.send(&sender_report(&report, "faulty")).await;
                }
                let unit = source.next(std::mem::take(&mut wanted));
                let mut out = Vec::new();
                if fault == Fault::LargePackets {
                    let nals: Vec<&[u8]> = nal_units(&unit).collect();
                    for (n, nal) in nals.iter().enumerate() {
                        packets.packet(timestamp, n + 1 == nals.len(), &[nal], &mut |packet| out.push(packet.to_vec()));
                    }
                } else {
                    packets.h264(&unit, timestamp, |packet| out.push(packet.to_vec()));
                }
                for packet in out {
                    let _ = socket.send(&packet).await;
                }
            }
        }
    }
}
