//! A real runner with a small game, against a real control hub and UDP sockets in the relay's place.

use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use playgate::control::{ControlEvent, ControlHub, ControlLink, WelcomeSpec};
use playgate::games::{AUDIO_BLOCK, Game, GameError, Rect};
use playgate::ids::SessionId;
use playgate::marker::{self, Marker};
use playgate::runner::{self, HostedGame, OnGatewayLoss, RunnerError, Settings, StopCause, Token};
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tiny_skia::{Color, Paint, Pixmap, Transform};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 368;
const PATIENCE: Duration = Duration::from_secs(20);
/// HID usages: what the test game understands.
const STEP: u16 = 0x04;
const HUM: u16 = 0x05;
const BREAK: u16 = 0x06;

/// A white square on black that moves one step to the right at each press. Still otherwise.
#[derive(Default)]
struct Steps {
    steps: u8,
    drawn: Option<u8>,
    pending: u8,
    hum: bool,
    dirty: bool,
}

impl Game for Steps {
    fn input(&mut self, _slot: u8, event: &InputFrame) {
        let InputFrame::Key { usage, down } = event else { return };
        match (*usage, *down) {
            (STEP, true) => self.pending += 1,
            (HUM, down) => self.hum = down,
            (BREAK, _) => panic!("the game breaks"),
            _ => {}
        }
    }

    fn tick(&mut self) {
        if self.pending > 0 {
            self.steps += std::mem::take(&mut self.pending);
            self.dirty = true;
        }
    }

    fn idle(&self) -> bool {
        self.pending == 0 && !self.hum
    }

    fn draw(&mut self, picture: &mut Pixmap) -> Option<Rect> {
        if self.drawn == Some(self.steps) {
            return None;
        }
        picture.fill(Color::BLACK);
        let square = tiny_skia::Rect::from_xywh(f32::from(self.steps) * 64.0, 64.0, 64.0, 64.0)?;
        let mut paint = Paint::default();
        paint.set_color(Color::WHITE);
        picture.fill_rect(square, &paint, Transform::identity(), None);
        self.drawn = Some(self.steps);
        Some(Rect { x: 0, y: 64, width: WIDTH, height: 64 })
    }

    fn sound(&mut self, block: &mut [i16; AUDIO_BLOCK]) -> bool {
        if self.hum {
            for (index, sample) in block.iter_mut().enumerate() {
                *sample = if index / 96 % 2 == 0 { 5000 } else { -5000 };
            }
        }
        self.hum
    }

    fn save(&self) -> Vec<u8> {
        vec![b'S', self.steps]
    }

    fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }
}

fn steps_game() -> HostedGame {
    HostedGame {
        width: WIDTH,
        height: HEIGHT,
        tick_hz: 60,
        pads: 0,
        pointer: PointerMode::None,
        create: Box::new(|save| match save {
            None => Ok(Box::new(Steps::default())),
            Some([b'S', steps]) => Ok(Box::new(Steps { steps: *steps, ..Steps::default() })),
            Some(_) => Err(GameError::BadSave("it does not begin with S".to_owned())),
        }),
    }
}

/// A gateway's control hub, the relay's two sockets, and a runner between them.
struct Stand {
    link: ControlLink,
    video: UdpSocket,
    audio: UdpSocket,
    stop: Option<oneshot::Sender<StopCause>>,
    runner: JoinHandle<Result<(), RunnerError>>,
    decoder: Decoder,
    partial: Vec<u8>,
    runner_address: Option<SocketAddr>,
    video_bytes: usize,
    video_frames: usize,
    ssrc: u32,
}

/// One decoded frame.
struct Picture {
    key: bool,
    timestamp: u32,
    luma: Vec<u8>,
    stride: usize,
}

impl Picture {
    fn marker(&self) -> Option<Marker> {
        marker::read(&self.luma, self.stride, WIDTH, HEIGHT)
    }

    /// Where the white square is, in steps.
    fn steps(&self) -> Vec<usize> {
        (0..10).filter(|step| self.luma[96 * self.stride + step * 64 + 32] > 126).collect()
    }
}

async fn settings(save_dir: &Path) -> (ControlLink, Settings, UdpSocket, UdpSocket) {
    let hub = ControlHub::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("address");
    let router = hub.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let video = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let audio = UdpSocket::bind("127.0.0.1:0").await.expect("binds");
    let welcome = WelcomeSpec {
        rtp_video: video.local_addr().expect("address").to_string(),
        rtp_audio: audio.local_addr().expect("address").to_string(),
        width: WIDTH,
        height: HEIGHT,
        fps: 60,
        kbps: 4000,
    };
    let session = SessionId::new();
    let link = hub.register(session, welcome);
    let settings = Settings {
        session: session.to_string(),
        control_url: format!("ws://{address}{}", link.path),
        token: Token(link.token.clone()),
        // The welcome's addresses count.
        rtp_video: "127.0.0.1:9".to_owned(),
        rtp_audio: "127.0.0.1:9".to_owned(),
        width: WIDTH,
        height: HEIGHT,
        fps: 60,
        kbps: 4000,
        save_dir: save_dir.to_owned(),
        on_gateway_loss: OnGatewayLoss::Exit,
    };
    (link, settings, video, audio)
}

impl Stand {
    async fn start(save_dir: &Path) -> Self {
        let (link, settings, video, audio) = settings(save_dir).await;
        let (stop, stopped) = oneshot::channel();
        let runner = tokio::spawn(runner::run(settings, steps_game(), true, async move {
            match stopped.await {
                Ok(cause) => cause,
                Err(_) => std::future::pending().await,
            }
        }));
        Self {
            link,
            video,
            audio,
            stop: Some(stop),
            runner,
            decoder: Decoder::new().expect("decoder"),
            partial: Vec::new(),
            runner_address: None,
            video_bytes: 0,
            video_frames: 0,
            ssrc: 0,
        }
    }

    /// Up to the first picture.
    async fn playing(save_dir: &Path) -> (Self, Picture) {
        let mut stand = Self::start(save_dir).await;
        let first = stand.picture().await;
        stand.message(&RunnerMessage::Ready).await;
        (stand, first)
    }

    async fn event(&mut self) -> ControlEvent {
        timeout(PATIENCE, self.link.events.recv()).await.expect("an event").expect("the hub is there")
    }

    /// Waits until the runner says this.
    async fn message(&mut self, wanted: &RunnerMessage) {
        loop {
            match self.event().await {
                ControlEvent::Message(message) if message == *wanted => return,
                ControlEvent::Message(_) | ControlEvent::Connected { .. } => {}
                ControlEvent::Disconnected => panic!("the runner left before it said {wanted:?}"),
            }
        }
    }

    fn press(&self, usage: u16, down: bool) {
        let mut frame = Vec::new();
        InputFrame::Key { usage, down }.encode(&mut frame);
        assert!(self.link.sender.input(0, frame.into()));
    }

    /// The next whole frame, decoded.
    async fn picture(&mut self) -> Picture {
        timeout(PATIENCE, self.next_picture()).await.expect("a picture")
    }

    async fn next_picture(&mut self) -> Picture {
        let mut buffer = [0; 2048];
        loop {
            let (length, from) = self.video.recv_from(&mut buffer).await.expect("receives");
            self.runner_address = Some(from);
            self.video_bytes += length + 28;
            let packet = &buffer[..length];
            if (192..=223).contains(&packet[1]) {
                continue;
            }
            assert!(length <= 1200);
            assert_eq!(packet[1] & 0x7F, 96);
            self.ssrc = u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]);
            let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
            let marker = packet[1] & 0x80 != 0;
            append(&mut self.partial, &packet[12..]);
            if marker {
                self.video_frames += 1;
                let unit = std::mem::take(&mut self.partial);
                let key = unit.windows(5).any(|w| w[..4] == [0, 0, 0, 1] && w[4] & 0x1F == 5);
                if let Some(decoded) = self.decoder.decode(&unit).expect("decodes") {
                    return Picture {
                        key,
                        timestamp,
                        luma: decoded.y().to_vec(),
                        stride: decoded.strides().0,
                    };
                }
            }
        }
    }

    /// Takes pictures until one is good.
    async fn until(&mut self, good: impl Fn(&Picture) -> bool) -> Picture {
        loop {
            let picture = self.picture().await;
            if good(&picture) {
                return picture;
            }
        }
    }

    /// The next RTP packet of the sound; its length.
    async fn sound(&self, buffer: &mut [u8]) -> usize {
        loop {
            let length = self.audio.recv(buffer).await.expect("receives");
            if !(192..=223).contains(&buffer[1]) {
                return length;
            }
        }
    }

    async fn end(mut self, cause: StopCause) -> Result<(), RunnerError> {
        let _ = self.stop.take().expect("not ended yet").send(cause);
        timeout(PATIENCE, self.runner).await.expect("the runner ends").expect("no panic")
    }
}

/// RFC 6184 payload to Annex B.
fn append(out: &mut Vec<u8>, payload: &[u8]) {
    match payload[0] & 0x1F {
        24 => {
            let mut rest = &payload[1..];
            while rest.len() > 2 {
                let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                out.extend_from_slice(&[0, 0, 0, 1]);
                out.extend_from_slice(&rest[2..2 + size]);
                rest = &rest[2 + size..];
            }
        }
        28 => {
            if payload[1] & 0x80 != 0 {
                out.extend_from_slice(&[0, 0, 0, 1, (payload[0] & 0xE0) | (payload[1] & 0x1F)]);
            }
            out.extend_from_slice(&payload[2..]);
        }
        _ => {
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(payload);
        }
    }
}

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
    assert!(stand.link.sender.send(GatewayMessage::Keyframe));
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
