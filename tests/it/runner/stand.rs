//! Where a runner stands in its tests: the hub it talks to, the sockets it sends to, and a decoder that looks.

use super::steps::steps_game;
use super::view::{Picture, View};
use super::{HEIGHT, PATIENCE, WIDTH};
use playgate::control::{ControlEvent, ControlHub, ControlLink, WelcomeSpec};
use playgate::model::ids::SessionId;
use playgate::runner::{self, OnGatewayLoss, RunnerError, Settings, StopCause, Token};
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::RunnerMessage;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A gateway's control hub, the relay's two sockets, and a runner between them.
pub(super) struct Stand {
    pub(super) link: ControlLink,
    pub(super) view: View,
    pub(super) audio: UdpSocket,
    pub(super) stop: Option<oneshot::Sender<StopCause>>,
    pub(super) runner: JoinHandle<Result<(), RunnerError>>,
}

pub(super) async fn settings(save_dir: &Path) -> (ControlLink, Settings, UdpSocket, UdpSocket) {
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
        pads: 0,
        pad_map: BTreeMap::new(),
        pointer: PointerMode::Absolute,
        stop_grace: std::time::Duration::from_millis(1500),
        encoder: None,
    };
    (link, settings, video, audio)
}

impl Stand {
    pub(super) async fn start(save_dir: &Path) -> Self {
        let (link, settings, video, audio) = settings(save_dir).await;
        let (stop, stopped) = oneshot::channel();
        let runner = tokio::spawn(runner::run(settings, steps_game(), true, async move {
            match stopped.await {
                Ok(cause) => cause,
                Err(_) => std::future::pending().await,
            }
        }));
        Self { link, view: View::new(video), audio, stop: Some(stop), runner }
    }

    /// Up to the first picture.
    pub(super) async fn playing(save_dir: &Path) -> (Self, Picture) {
        let mut stand = Self::start(save_dir).await;
        let first = stand.picture().await;
        stand.message(&RunnerMessage::Ready).await;
        (stand, first)
    }

    pub(super) async fn event(&mut self) -> ControlEvent {
        timeout(PATIENCE, self.link.events.recv()).await.expect("an event").expect("the hub is there")
    }

    /// Waits until the runner says this.
    pub(super) async fn message(&mut self, wanted: &RunnerMessage) {
        loop {
            match self.event().await {
                ControlEvent::Message(message) if message == *wanted => return,
                ControlEvent::Message(_) | ControlEvent::Connected { .. } => {}
                ControlEvent::Disconnected => panic!("the runner left before it said {wanted:?}"),
            }
        }
    }

    pub(super) fn press(&self, usage: u16, down: bool) {
        let mut frame = Vec::new();
        InputFrame::Key { usage, down }.encode(&mut frame);
        assert!(self.link.sender.input(0, frame.into()));
    }

    /// The next RTP packet of the sound; its length.
    pub(super) async fn sound(&self, buffer: &mut [u8]) -> usize {
        loop {
            let length = self.audio.recv(buffer).await.expect("receives");
            if !(192..=223).contains(&buffer[1]) {
                return length;
            }
        }
    }

    pub(super) async fn end(mut self, cause: StopCause) -> Result<(), RunnerError> {
        let _ = self.stop.take().expect("not ended yet").send(cause);
        timeout(PATIENCE, self.runner).await.expect("the runner ends").expect("no panic")
    }
}

impl Deref for Stand {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

impl DerefMut for Stand {
    fn deref_mut(&mut self) -> &mut View {
        &mut self.view
    }
}
