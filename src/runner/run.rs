//! Puts a runner together: the game's side, the control channel, the media sockets, the threads; then lets it play.
//!
//! A built-in game exists before the first hello, so that a save it cannot read is told at once; a program's screen after
//! the first welcome, which says its size.

use super::built_in::BuiltIn;
use super::client::{Client, FromGateway, Welcome};
use super::desktop::desk::Desktop;
use super::encoder::open_h264::MakeOpenH264;
use super::encoder::{Format, MakeEncoder};
use super::host::Host;
use super::key_requests::Way;
use super::life::StopCause;
use super::media::MediaStream;
use super::rtcp::Feedback;
use super::rtp::{AUDIO_CLOCK_HZ, Clock, VIDEO_CLOCK_HZ};
use super::settings::Settings;
use super::signal::Signal;
use super::threads::{Part, Shared, Threads};
use super::video::{self, Video};
use super::{AUDIO_PAYLOAD_TYPE, Event, HostedGame, RunnerError, VIDEO_PAYLOAD_TYPE, audio, stage};
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::{RunnerMessage, Stream, VERSION};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The first welcome has to come within this time.
const FIRST_WELCOME: Duration = Duration::from_secs(30);
/// For the goodbyes after the last save.
const GOODBYE: Duration = Duration::from_millis(700);
/// Messages of either direction that wait; the gateway's make its socket wait, ours are dropped and logged.
const QUEUE: usize = 256;

/// What a stream shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Most pictures a second.
    pub(super) fps: u32,
}

/// The game's side of a runner: where pictures, sound and saves come from, and where input goes.
pub(super) trait Side: Sized {
    fn pads(&self) -> u8;
    fn pointer(&self) -> PointerMode;
    /// Everything that takes time, after the first welcome. May be dropped at any point.
    fn open(&mut self, welcome: &Welcome) -> impl Future<Output = Result<Picture, RunnerError>> + Send;
    /// Its threads, [`Part::Game`](super::threads::Part::Game) and [`Part::Save`](super::threads::Part::Save) among them;
    /// they read the stage's inbox and end when that says so, the save when the game has ended.
    fn start(
        self,
        shared: &Shared,
        threads: &mut Threads,
        events: &mpsc::Sender<Event>,
    ) -> std::io::Result<()>;
}

/// Runs a built-in game under the contract until the gateway, `stop` or the game ends it. The save is on disk when this
/// returns, whatever the result. Needs a tokio runtime.
pub async fn run(
    settings: Settings,
    game: HostedGame,
    marker: bool,
    stop: impl Future<Output = StopCause>,
) -> Result<(), RunnerError> {
    run_with(settings, game, marker, Arc::new(MakeOpenH264), stop).await
}

/// As [`run`], with encoders of the caller's choice.
pub async fn run_with(
    settings: Settings,
    game: HostedGame,
    marker: bool,
    encoders: Arc<dyn MakeEncoder>,
    stop: impl Future<Output = StopCause>,
) -> Result<(), RunnerError> {
    let side = BuiltIn::new(&settings, game, marker)?;
    play(settings, side, encoders, stop).await
}

/// Runs any program with a window under the contract until the gateway, `stop` or the program ends it. The program is
/// asked to end (SIGTERM) and gets `PLAYGATE_STOP_GRACE_MS` to save. Needs a tokio runtime, an X server and an audio server to start.
pub async fn run_program_with(
    settings: Settings,
    command: Vec<OsString>,
    encoders: Arc<dyn MakeEncoder>,
    stop: impl Future<Output = StopCause>,
) -> Result<(), RunnerError> {
    let side = Desktop::new(&settings, command)?;
    play(settings, side, encoders, stop).await
}

async fn play<S: Side>(
    settings: Settings,
    mut side: S,
    encoders: Arc<dyn MakeEncoder>,
    stop: impl Future<Output = StopCause>,
) -> Result<(), RunnerError> {
    tokio::pin!(stop);
    let [video_ssrc, audio_ssrc, video_offset, audio_offset, sequences, cname] = random()?;
    let hello = RunnerMessage::Hello {
        v: VERSION,
        video: Some(Stream {
            codec: encoders.codec().name().to_owned(),
            pt: VIDEO_PAYLOAD_TYPE,
            ssrc: video_ssrc,
        }),
        audio: Some(Stream { codec: "opus".to_owned(), pt: AUDIO_PAYLOAD_TYPE, ssrc: audio_ssrc }),
        pads: side.pads(),
        pointer: Some(pointer_name(side.pointer()).to_owned()),
    };
    let (incoming, mut from_gateway) = mpsc::channel(QUEUE);
    let (to_gateway, outgoing) = mpsc::channel(QUEUE);
    let (url, token) = (settings.control_url.clone(), settings.token.clone());
    let client = tokio::spawn(Client { url, token, hello, incoming, outgoing }.run());
    let welcome = tokio::select! {
        welcome = timeout(FIRST_WELCOME, first_welcome(&mut from_gateway)) => match welcome {
            Ok(Ok(welcome)) => welcome,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(RunnerError::NoGateway(FIRST_WELCOME.as_secs())),
        },
        _ = &mut stop => return Ok(()),
    };
    let picture = tokio::select! {
        picture = side.open(&welcome) => picture?,
        _ = &mut stop => return Ok(()),
    };
    if (welcome.width, welcome.height) != (picture.width, picture.height) {
        let Picture { width, height, .. } = picture;
        tracing::warn!(width, height, "this game has a picture size of its own");
    }
    let start = Instant::now();
    let connect = |target: &str, ssrc, clock| {
        let failed = |source| RunnerError::Media { target: target.to_owned(), source };
        MediaStream::connect(target, ssrc, clock).map(Arc::new).map_err(failed)
    };
    let video_stream =
        connect(&welcome.rtp_video, video_ssrc, Clock::new(start, video_offset, VIDEO_CLOCK_HZ))?;
    let audio_stream =
        connect(&welcome.rtp_audio, audio_ssrc, Clock::new(start, audio_offset, AUDIO_CLOCK_HZ))?;
    let shared = Shared {
        stage: Arc::new(Signal::new(stage::Inbox::new(welcome.fps.max(1)))),
        video: Arc::new(Signal::new(video::Inbox::new(welcome.kbps))),
        audio: Arc::default(),
        save: Arc::default(),
        stats: Arc::default(),
        video_stream,
        audio_stream,
    };
    let [sequence_a, sequence_b, sequence_c, sequence_d] = sequences.to_be_bytes();
    let (mut threads, events) = Threads::new();
    let video = Video {
        inbox: Arc::clone(&shared.video),
        stream: Arc::clone(&shared.video_stream),
        stats: Arc::clone(&shared.stats),
        events: events.clone(),
        encoders,
        format: Format { width: picture.width & !1, height: picture.height & !1, fps: picture.fps },
        first_sequence: u16::from_be_bytes([sequence_a, sequence_b]),
    };
    let audio = audio::Audio {
        inbox: Arc::clone(&shared.audio),
        stream: Arc::clone(&shared.audio_stream),
        offset: audio_offset,
        first_sequence: u16::from_be_bytes([sequence_c, sequence_d]),
    };
    threads.spawn(Part::Audio, "audio encoder", &events, move || {
        audio.run().map_err(|error| error.to_string())
    })?;
    threads.spawn(Part::Video, "video encoder", &events, move || {
        video.run().map_err(|error| error.to_string())
    })?;
    side.start(&shared, &mut threads, &events)?;
    drop(events);
    let rtcp = tokio::spawn(feedback(shared.video_stream.receiver()?, Arc::clone(&shared.video), video_ssrc));
    let cname = format!("playgate-{cname:08x}");
    tracing::info!(session = settings.session, "playing");
    let mut host = Host::new(settings, shared, threads, to_gateway, welcome, cname, rtcp.abort_handle());
    host.play(&mut from_gateway, stop).await;
    let result = host.finish().await;
    drop(from_gateway);
    let _ = timeout(GOODBYE, client).await;
    result
}

async fn first_welcome(from_gateway: &mut mpsc::Receiver<FromGateway>) -> Result<Welcome, RunnerError> {
    loop {
        match from_gateway.recv().await {
            Some(FromGateway::Welcome(welcome)) => return Ok(welcome),
            Some(FromGateway::Replaced) | None => return Err(RunnerError::Replaced),
            Some(FromGateway::Message(_) | FromGateway::Input(..) | FromGateway::Lost) => {}
        }
    }
}

/// Key frame requests of the relay.
async fn feedback(socket: tokio::net::UdpSocket, video: Arc<Signal<video::Inbox>>, ssrc: u32) {
    let mut feedback = Feedback::default();
    let mut buffer = [0; 2048];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) => {
                if let Some(number) = feedback.key_frame_request(&buffer[..length], ssrc) {
                    video.change(|inbox| inbox.key_frames.request(Instant::now(), Way::Rtcp, number));
                }
            }
            // A refused port: the relay is not there yet, or not any more.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn pointer_name(mode: PointerMode) -> &'static str {
    match mode {
        PointerMode::Absolute => "absolute",
        PointerMode::Relative => "relative",
        PointerMode::None => "none",
    }
}

/// Random starts of everything RFC 3550 wants random.
fn random() -> Result<[u32; 6], RunnerError> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| std::io::Error::other("no random numbers"))?;
    let mut words = bytes.chunks_exact(4).filter_map(|four| four.first_chunk::<4>());
    Ok(std::array::from_fn(|_| words.next().map_or(0, |four| u32::from_be_bytes(*four))))
}
