//! Where a runner stands in its tests: the hub it talks to, the sockets it sends to, and a decoder that looks.

use super::steps::steps_game;
use super::{HEIGHT, PATIENCE, WIDTH};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use playgate::control::{ControlEvent, ControlHub, ControlLink, WelcomeSpec};
use playgate::ids::SessionId;
use playgate::marker::{self, Marker};
use playgate::runner::{self, OnGatewayLoss, RunnerError, Settings, StopCause, Token};
use playgate_signaling::input::InputFrame;
use playgate_signaling::runner::RunnerMessage;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A gateway's control hub, the relay's two sockets, and a runner between them.
pub(super) struct Stand {
    pub(super) link: ControlLink,
    pub(super) video: UdpSocket,
    pub(super) audio: UdpSocket,
    pub(super) stop: Option<oneshot::Sender<StopCause>>,
    pub(super) runner: JoinHandle<Result<(), RunnerError>>,
    pub(super) decoder: Decoder,
    pub(super) partial: Vec<u8>,
    pub(super) runner_address: Option<SocketAddr>,
    pub(super) video_bytes: usize,
    pub(super) video_frames: usize,
    pub(super) ssrc: u32,
}

/// One decoded frame.
pub(super) struct Picture {
    pub(super) key: bool,
    pub(super) timestamp: u32,
    pub(super) luma: Vec<u8>,
    pub(super) stride: usize,
}

impl Picture {
    pub(super) fn marker(&self) -> Option<Marker> {
        marker::read(&self.luma, self.stride, WIDTH, HEIGHT)
    }

    /// Where the white square is, in steps.
    pub(super) fn steps(&self) -> Vec<usize> {
        (0..10).filter(|step| self.luma[96 * self.stride + step * 64 + 32] > 126).collect()
    }
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

    /// The next whole frame, decoded.
    pub(super) async fn picture(&mut self) -> Picture {
        timeout(PATIENCE, self.next_picture()).await.expect("a picture")
    }

    pub(super) async fn next_picture(&mut self) -> Picture {
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
    pub(super) async fn until(&mut self, good: impl Fn(&Picture) -> bool) -> Picture {
        loop {
            let picture = self.picture().await;
            if good(&picture) {
                return picture;
            }
        }
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
