//! A gateway for one session: control channel, media ports, a decoder. Starts a runner through a driver, records what
//! it does, takes it down again.
//!
//! Works with any driver, so that the check itself can be tested without an engine.

use super::facts::{Asked, EarlyEnd, Facts, Hello, SaveFacts};
use super::pictures::decoder;
use super::tape::Recorder;
use super::{CheckError, script};
use crate::control::{ControlEvent, ControlHub, ControlSender, WelcomeSpec};
use crate::driver::{ContainerSpec, Driver, DriverEvent, Instance, Site, SiteRequest, StartSpec};
use crate::h264::AccessUnit;
use crate::model::ids::{Generation, SessionId};
use crate::model::instance::InstanceRef;
use crate::save_tree::SaveLimits;
use axum::serve::ListenerExt;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt;
use playgate_signaling::runner::{RunnerMessage, env};
use socket2::SockRef;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Holds a key frame of a painted scene many times over.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Driver's events; the driver waits when it is full.
const EVENTS: usize = 16;
/// Lines of a container's output shown when it ended by itself, and bytes read for them.
const LAST_WORDS: usize = 20;
const MAX_LAST_WORDS: usize = 64 * 1024;

/// What is started.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    pub container: Option<ContainerSpec>,
    /// Variables besides the contract's.
    pub env: BTreeMap<String, String>,
    /// The driver's name of the game.
    pub game: String,
    /// Where a container's last words are asked for.
    pub engine: Option<bollard::Docker>,
}

/// The stand while the subject runs.
pub(super) struct Stand {
    pub(super) recorder: Recorder,
    pub(super) control: ControlSender,
    pub(super) asked: Asked,
    video: Arc<UdpSocket>,
}

impl Stand {
    /// Asks for a key frame by RTCP: an empty receiver report and a PLI (RFC 4585 section 6.3.1). False when nothing came
    /// that could be asked.
    pub(super) async fn send_pli(&self) -> bool {
        let (from, ssrc) = {
            let tape = self.recorder.tape();
            (tape.from, tape.video.ssrc())
        };
        let (Some(from), Some(ssrc)) = (from, ssrc) else { return false };
        let mut compound = vec![0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 206, 0, 2, 0, 0, 0, 1];
        compound.extend_from_slice(&ssrc.to_be_bytes());
        self.video.send_to(&compound, from).await.is_ok()
    }
}

/// A directory that is deleted when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("playgate-check-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(path.join("save"))?;
        Ok(Self(path))
    }

    fn save(&self) -> PathBuf {
        self.0.join("save")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts the subject, plays the script, stops it and leaves nothing behind. `cancel` ends it early.
pub async fn observe(
    driver: &dyn Driver,
    subject: &Subject,
    asked: &Asked,
    cancel: impl Future<Output = ()>,
) -> Result<Facts, CheckError> {
    let session = SessionId::new();
    let site = driver.site(session, &SiteRequest::default()).await?;
    let ip = site.gateway.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let scratch = Scratch::new().map_err(io("no directory for the save can be made"))?;
    let (video, audio) = (media_socket(ip).await?, media_socket(ip).await?);
    let listener = TcpListener::bind((ip, 0)).await.map_err(io("no control port can be opened"))?;
    let address = |socket: &UdpSocket| socket.local_addr().map_err(io("a media port has no address"));
    let welcome = WelcomeSpec {
        rtp_video: address(&video)?.to_string(),
        rtp_audio: address(&audio)?.to_string(),
        width: asked.width,
        height: asked.height,
        fps: asked.fps,
        kbps: asked.kbps,
    };
    let hub = ControlHub::default();
    let link = hub.register(session, welcome.clone());
    let control_at = listener.local_addr().map_err(io("the control port has no address"))?;
    let mut variables = variables(session, asked, &welcome);
    variables.insert(env::CONTROL_URL.to_owned(), format!("ws://{control_at}{}", link.path));
    variables.insert(env::TOKEN.to_owned(), link.token.clone());
    if subject.container.is_none() {
        variables.insert(env::SAVE_DIR.to_owned(), scratch.save().display().to_string());
    }
    let mut env = subject.env.clone();
    env.extend(variables);
    let recorder = Recorder::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, hub.router()));
    let units = decoder(recorder.clone());
    tasks.spawn(receive_video(recorder.clone(), Arc::clone(&video), site.address, units));
    tasks.spawn(receive_audio(recorder.clone(), audio, site.address));
    tasks.spawn(listen(recorder.clone(), link.events));
    let (events, driver_events) = mpsc::channel(EVENTS);
    tasks.spawn(watch(recorder.clone(), driver_events));
    let spec = StartSpec {
        session,
        generation: Generation(1),
        game: subject.game.clone(),
        env,
        save_dir: scratch.save(),
        seed: Some(1),
        marker: false,
        container: subject.container.clone(),
    };
    let instance = start(driver, spec, site, events).await?;
    let stand = Stand { recorder, control: link.sender.clone(), asked: asked.clone(), video };
    let played = tokio::select! {
        facts = script::play(&stand, instance.as_ref()) => Some(facts),
        () = cancel => None,
    };
    let facts = match played {
        Some(mut facts) => {
            let collected = instance.collect_save(&scratch.save(), SaveLimits::default()).await;
            let mut save = count(&scratch.save());
            save.error = collected.err().map(|error| error.to_string());
            facts.save = Some(save);
            if facts.ended_early.is_some() {
                facts.last_words = last_words(subject.engine.as_ref(), instance.as_ref()).await;
            }
            Ok(facts)
        }
        None => {
            instance.stop(Duration::ZERO).await;
            Err(CheckError::Cancelled)
        }
    };
    if let Err(error) = instance.remove().await {
        tracing::warn!(%error, "not everything of the check could be removed");
    }
    tasks.shutdown().await;
    drop(link.guard);
    facts
}

/// The end of what a container wrote.
async fn last_words(engine: Option<&bollard::Docker>, instance: &dyn Instance) -> Vec<String> {
    let (Some(engine), Some(InstanceRef::Container { container })) = (engine, instance.reference()) else {
        return Vec::new();
    };
    let tail = LAST_WORDS.to_string();
    let options = LogsOptions { stdout: true, stderr: true, tail, ..LogsOptions::default() };
    let mut output = std::pin::pin!(engine.logs(&container, Some(options)));
    let mut bytes = Vec::new();
    while let Some(Ok(piece)) = output.next().await {
        bytes.extend_from_slice(piece.as_ref());
        if bytes.len() > MAX_LAST_WORDS {
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(|line| line.replace(char::is_control, " ")).collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].to_vec()
}

async fn start(
    driver: &dyn Driver,
    spec: StartSpec,
    site: Site,
    events: mpsc::Sender<DriverEvent>,
) -> Result<Box<dyn Instance>, CheckError> {
    Ok(driver.start(spec, site, events).await?)
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> CheckError {
    move |source| CheckError::Io { what, source }
}

async fn media_socket(ip: IpAddr) -> Result<Arc<UdpSocket>, CheckError> {
    let socket = UdpSocket::bind((ip, 0)).await.map_err(io("no media port can be opened"))?;
    // Fewer bytes than asked for are still a buffer.
    let _ = SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(Arc::new(socket))
}

fn variables(session: SessionId, asked: &Asked, welcome: &WelcomeSpec) -> BTreeMap<String, String> {
    [
        (env::SESSION_ID, session.to_string()),
        (env::RTP_VIDEO, welcome.rtp_video.clone()),
        (env::RTP_AUDIO, welcome.rtp_audio.clone()),
        (env::WIDTH, asked.width.to_string()),
        (env::HEIGHT, asked.height.to_string()),
        (env::FPS, asked.fps.to_string()),
        (env::VIDEO_KBPS, asked.kbps.to_string()),
        (env::SAVE_DIR, asked.save_path.clone()),
        (env::ON_GATEWAY_LOSS, "reconnect".to_owned()),
    ]
    .into_iter()
    .chain(asked.encoder.iter().map(|name| (env::ENCODER, name.clone())))
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

async fn serve(listener: TcpListener, router: axum::Router) {
    if let Err(error) = axum::serve(listener.tap_io(no_delay), router).await {
        tracing::warn!(%error, "the check's control port is closed");
    }
}

/// Input frames are small: they may not wait for each other's receipt.
fn no_delay(connection: &mut TcpStream) {
    let _ = connection.set_nodelay(true);
}

async fn receive_video(
    recorder: Recorder,
    socket: Arc<UdpSocket>,
    only: Option<IpAddr>,
    units: SyncSender<(Duration, AccessUnit)>,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        if only.is_some_and(|only| only != from.ip()) {
            continue;
        }
        let now = recorder.now();
        recorder.write(|tape| {
            tape.from = Some(from);
            for unit in tape.video.push(now, &buffer[..length]) {
                if units.try_send((now, unit)).is_err() {
                    tape.pictures.undecodable += 1;
                }
            }
        });
    }
}

async fn receive_audio(recorder: Recorder, socket: Arc<UdpSocket>, only: Option<IpAddr>) {
    let mut buffer = vec![0; 65_536];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        if only.is_none_or(|only| only == from.ip()) {
            recorder.write(|tape| tape.audio.push(&buffer[..length]));
        }
    }
}

async fn listen(recorder: Recorder, mut events: mpsc::Receiver<ControlEvent>) {
    while let Some(event) = events.recv().await {
        let now = recorder.now();
        recorder.write(|tape| match event {
            ControlEvent::Connected { video, audio, pads: _, pointer } => {
                if video.as_ref().is_some_and(|video| !video.codec.eq_ignore_ascii_case("h264")) {
                    tape.video.set_opaque();
                }
                tape.control.hello.get_or_insert(Hello { at: now, video, audio, pointer });
            }
            ControlEvent::Disconnected => tape.control.disconnects += 1,
            ControlEvent::Message(message) => match message {
                RunnerMessage::Ready => tape.control.ready = tape.control.ready.or(Some(now)),
                RunnerMessage::Saved => tape.control.saved.push(now),
                RunnerMessage::Exit { code } => tape.control.exit = Some(code),
                RunnerMessage::Hello { .. }
                | RunnerMessage::SaveDirty
                | RunnerMessage::Cursor { .. }
                | RunnerMessage::Rumble { .. }
                | RunnerMessage::Health { .. } => {}
            },
        });
    }
}

async fn watch(recorder: Recorder, mut events: mpsc::Receiver<DriverEvent>) {
    while let Some(event) = events.recv().await {
        let DriverEvent::Exited { code, signal, out_of_memory } = event;
        let at = recorder.now();
        recorder.write(|tape| tape.ended = Some(EarlyEnd { at, code, signal, out_of_memory }));
    }
}

/// Files below a directory and their bytes.
fn count(directory: &Path) -> SaveFacts {
    let mut found = SaveFacts::default();
    let Ok(entries) = std::fs::read_dir(directory) else { return found };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                let below = count(&entry.path());
                found.files += below.files;
                found.bytes += below.bytes;
            }
            Ok(_) => {
                found.files += 1;
                found.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
            Err(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_counted_with_its_directories() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/one"), "12345").unwrap();
        std::fs::write(dir.path().join("two"), "1").unwrap();
        assert_eq!(count(dir.path()), SaveFacts { files: 2, bytes: 6, error: None });
        assert_eq!(count(Path::new("/nowhere")), SaveFacts::default());
    }
}
