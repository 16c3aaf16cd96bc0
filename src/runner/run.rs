//! Puts a runner together: the save, the control channel, the media sockets, the threads; then lets it play.
//!
//! The game exists before the first hello, so that a save it cannot read is told at once.

use super::client::{Client, FromGateway, Welcome};
use super::host::Host;
use super::life::StopCause;
use super::media::MediaStream;
use super::rtcp::Feedback;
use super::rtp::{AUDIO_CLOCK_HZ, Clock, VIDEO_CLOCK_HZ};
use super::settings::Settings;
use super::signal::Signal;
use super::stage::{self, Stage};
use super::threads::{Shared, Threads};
use super::video::{self, Video};
use super::{AUDIO_PAYLOAD_TYPE, HostedGame, RunnerError, VIDEO_PAYLOAD_TYPE, audio, save};
use crate::games::GameError;
use crate::runner::i420::I420;
use playgate_signaling::message::PointerMode;
use playgate_signaling::runner::{RunnerMessage, Stream, VERSION};
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

/// Runs a game under the contract until the gateway, `stop` or the game ends it. The save is on disk when this returns,
/// whatever the result. Needs a tokio runtime.
pub async fn run(
    settings: Settings,
    game: HostedGame,
    marker: bool,
    stop: impl Future<Output = StopCause>,
) -> Result<(), RunnerError> {
    tokio::pin!(stop);
    let directory = settings.save_dir.clone();
    let unreadable = |source| RunnerError::SaveUnreadable { directory: directory.clone(), source };
    let saved = save::load(&directory).map_err(unreadable)?;
    let hosted = (game.create)(saved.as_deref()).map_err(|error| match error {
        GameError::Unknown(slug) => RunnerError::UnknownGame(slug),
        GameError::BadSave(why) => RunnerError::BadSave(why),
    })?;
    let [video_ssrc, audio_ssrc, video_offset, audio_offset, sequences, cname] = random()?;
    let hello = RunnerMessage::Hello {
        v: VERSION,
        video: Some(Stream { codec: "H264".to_owned(), pt: VIDEO_PAYLOAD_TYPE, ssrc: video_ssrc }),
        audio: Some(Stream { codec: "opus".to_owned(), pt: AUDIO_PAYLOAD_TYPE, ssrc: audio_ssrc }),
        pads: game.pads,
        pointer: Some(pointer_name(game.pointer).to_owned()),
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
    if (welcome.width, welcome.height) != (game.width, game.height) {
        tracing::warn!(width = game.width, height = game.height, "this game has a picture size of its own");
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
        video: Arc::new(Signal::new(video::Inbox::new(&I420::new(game.width, game.height), welcome.kbps))),
        audio: Arc::default(),
        save: Arc::default(),
        stats: Arc::default(),
        video_stream,
        audio_stream,
    };
    let [sequence_a, sequence_b, sequence_c, sequence_d] = sequences.to_be_bytes();
    let threads = Threads::start(
        |events| Stage {
            game: hosted,
            width: game.width,
            height: game.height,
            tick_hz: game.tick_hz,
            marker,
            inbox: Arc::clone(&shared.stage),
            video: Arc::clone(&shared.video),
            audio: Arc::clone(&shared.audio),
            save: Arc::clone(&shared.save),
            audio_stream: Arc::clone(&shared.audio_stream),
            events,
        },
        |events| Video {
            inbox: Arc::clone(&shared.video),
            stream: Arc::clone(&shared.video_stream),
            stats: Arc::clone(&shared.stats),
            events,
            fps: welcome.fps.min(game.tick_hz),
            first_sequence: u16::from_be_bytes([sequence_a, sequence_b]),
        },
        audio::Audio {
            inbox: Arc::clone(&shared.audio),
            stream: Arc::clone(&shared.audio_stream),
            offset: audio_offset,
            first_sequence: u16::from_be_bytes([sequence_c, sequence_d]),
        },
        (directory, Arc::clone(&shared.save)),
    )?;
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

/// Key frame wishes of the relay.
async fn feedback(socket: tokio::net::UdpSocket, video: Arc<Signal<video::Inbox>>, ssrc: u32) {
    let mut feedback = Feedback::default();
    let mut buffer = [0; 2048];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) if feedback.wants_key_frame(&buffer[..length], ssrc) => {
                video.change(|inbox| inbox.key_frame = true)
            }
            Ok(_) => {}
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
