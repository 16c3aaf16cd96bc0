//! The real binary with a program on its desktop, a control hub and the relay's sockets around it.

use crate::runner::view::{Picture, View};
use playgate::control::{ControlEvent, ControlHub, ControlLink, WelcomeSpec};
use playgate::model::ids::SessionId;
use playgate_signaling::input::InputFrame;
use playgate_signaling::runner::{GatewayMessage, RunnerMessage};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::{Child, Command};
use tokio::time::timeout;

pub(super) const WIDTH: usize = 640;
pub(super) const HEIGHT: usize = 368;
/// A desktop starts several programs, beside many other tests.
pub(super) const PATIENCE: Duration = Duration::from_secs(40);
/// USB's usage of the key A.
const KEY_A: u16 = 0x04;

pub(super) struct Stand {
    pub(super) link: ControlLink,
    pub(super) view: View,
    /// Held, so that what is sent there is not refused.
    pub(super) _audio: UdpSocket,
    pub(super) runner: Child,
    /// What was said so far and not waited for.
    pub(super) said: Vec<RunnerMessage>,
}

/// What the welcome says, with the sockets that are named there.
pub(super) async fn welcome(host: &str) -> (WelcomeSpec, View, UdpSocket) {
    let video = UdpSocket::bind((host, 0)).await.expect("binds");
    let audio = UdpSocket::bind((host, 0)).await.expect("binds");
    let spec = WelcomeSpec {
        rtp_video: video.local_addr().expect("address").to_string(),
        rtp_audio: audio.local_addr().expect("address").to_string(),
        width: u32::try_from(WIDTH).expect("small"),
        height: u32::try_from(HEIGHT).expect("small"),
        fps: 30,
        kbps: 3000,
    };
    (spec, View::new(video), audio)
}

impl Stand {
    /// With a program of [`super::client`].
    pub(super) async fn start(program: &str, save_dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address").to_string();
        let (stand, hub) = Self::start_behind(program, save_dir, &address).await;
        tokio::spawn(async move { axum::serve(listener, hub.router()).await });
        stand
    }

    /// The same, connecting to `control` (`host:port`), where the hub is not served yet.
    pub(super) async fn start_behind(program: &str, save_dir: &Path, control: &str) -> (Self, ControlHub) {
        let hub = ControlHub::default();
        let session = SessionId::new();
        let (spec, view, audio) = welcome("127.0.0.1").await;
        let (width, height, fps) = (spec.width.to_string(), spec.height.to_string(), spec.fps.to_string());
        let link = hub.register(session, spec);
        let program = format!("runner_desktop::client::{program}");
        let runner = Command::new(env!("CARGO_BIN_EXE_playgate"))
            .args(["runner", "--"])
            .arg(std::env::current_exe().expect("this binary"))
            .args(["--exact", &program, "--ignored", "--nocapture"])
            .env("PLAYGATE_SESSION_ID", session.to_string())
            .env("PLAYGATE_CONTROL_URL", format!("ws://{control}{}", link.path))
            .env("PLAYGATE_TOKEN", &link.token)
            .env("PLAYGATE_RTP_VIDEO", "127.0.0.1:9")
            .env("PLAYGATE_RTP_AUDIO", "127.0.0.1:9")
            .env("PLAYGATE_WIDTH", width)
            .env("PLAYGATE_HEIGHT", height)
            .env("PLAYGATE_FPS", fps)
            .env("PLAYGATE_VIDEO_KBPS", "3000")
            .env("PLAYGATE_SAVE_DIR", save_dir)
            .env("PLAYGATE_ON_GATEWAY_LOSS", "reconnect")
            .env("PLAYGATE_PADS", "1")
            .env("PLAYGATE_POINTER", "relative")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        (Self { link, view, _audio: audio, runner, said: Vec::new() }, hub)
    }

    /// Up to the first picture.
    pub(super) async fn playing(program: &str, save_dir: &Path) -> (Self, Picture) {
        let mut stand = Self::start(program, save_dir).await;
        let first = timeout(PATIENCE, stand.view.next_picture()).await.expect("a picture");
        stand.message(|message| *message == RunnerMessage::Ready).await;
        (stand, first)
    }

    pub(super) async fn event(&mut self) -> ControlEvent {
        timeout(PATIENCE, self.link.events.recv()).await.expect("an event").expect("the hub is there")
    }

    /// Waits until the runner says, or has said, something like this.
    pub(super) async fn message(&mut self, wanted: impl Fn(&RunnerMessage) -> bool) -> RunnerMessage {
        if let Some(index) = self.said.iter().position(&wanted) {
            return self.said.remove(index);
        }
        loop {
            match self.event().await {
                ControlEvent::Message(message) if wanted(&message) => return message,
                ControlEvent::Message(message) => self.said.push(message),
                ControlEvent::Connected { .. } => {}
                ControlEvent::Disconnected => panic!("the runner left; it said {:?}", self.said),
            }
        }
    }

    pub(super) fn say(&self, message: GatewayMessage) {
        assert!(self.link.sender.send(message));
    }

    /// Presses and lets go of the key that takes the program a step further.
    pub(super) fn step(&self) {
        for down in [true, false] {
            let mut frame = Vec::new();
            InputFrame::Key { usage: KEY_A, down }.encode(&mut frame);
            assert!(self.link.sender.input(0, frame.into()));
        }
    }

    pub(super) fn terminate(&self) {
        let pid = self.runner.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        kill_process(pid.expect("it runs"), Signal::TERM).expect("is there");
    }

    /// Waits for the end of the runner; its exit code.
    pub(super) async fn ended(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.runner.wait()).await.expect("the runner ends").expect("waits").code()
    }

    /// SIGTERM, and all is well.
    pub(super) async fn end(mut self) {
        self.terminate();
        assert_eq!(self.ended().await, Some(0));
    }
}
