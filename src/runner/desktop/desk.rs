//! Puts a desktop together: processes up, screen and devices connected, game started; then a thread for each part.
//!
//! The end has an order: input first, then the game gets its SIGTERM while screen and sound still stand (it may save and
//! draw a last time), the save directory comes to rest and `saved` is said, the helpers end last.

use super::super::client::Welcome;
use super::super::run::{Picture, Side};
use super::super::threads::{Part, Shared, Threads};
use super::super::{Event, RunnerError, Settings};
use super::camera::Camera;
use super::hands::{Curtain, Hands};
use super::inject::Injector;
use super::pads::PadMap;
use super::saves;
use super::screen::Screen;
use super::sound::SoundCapture;
use super::supervise::{House, HouseEvent, HouseSpec};
use super::wheel::Wheel;
use playgate_signaling::message::PointerMode;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Between the end of the game and its being told: that of the screen may have come first.
const SECOND_THOUGHT: Duration = Duration::from_millis(250);

/// A program to run under the contract.
pub(in crate::runner) struct Desktop {
    command: Vec<OsString>,
    pads: u8,
    pad_map: PadMap,
    pointer: PointerMode,
    save_dir: PathBuf,
    /// From SIGTERM to SIGKILL.
    stop_grace: Duration,
    open: Option<Open>,
}

/// A desktop with its game running, before anybody looks at it.
struct Open {
    house: House,
    screen: Screen,
    injector: Injector,
    runtime_dir: RuntimeDir,
}

impl Desktop {
    /// Says at once what cannot work: the pad map and the save directory.
    pub(in crate::runner) fn new(settings: &Settings, command: Vec<OsString>) -> Result<Self, RunnerError> {
        let pad_map =
            if settings.pad_map.is_empty() { PadMap::default() } else { PadMap::new(&settings.pad_map)? };
        let save_dir = settings.save_dir.clone();
        std::fs::create_dir_all(&save_dir)
            .map_err(|source| RunnerError::SaveUnreadable { directory: save_dir.clone(), source })?;
        let Settings { pads, pointer, stop_grace, .. } = *settings;
        Ok(Self { command, pads, pad_map, pointer, save_dir, stop_grace, open: None })
    }
}

impl Side for Desktop {
    fn pads(&self) -> u8 {
        self.pads
    }

    fn pointer(&self) -> PointerMode {
        self.pointer
    }

    async fn open(&mut self, welcome: &Welcome) -> Result<Picture, RunnerError> {
        let picture = Picture { width: welcome.width, height: welcome.height, fps: welcome.fps };
        let runtime_dir = RuntimeDir::new()?;
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let mut house = House::open(HouseSpec {
            command: std::mem::take(&mut self.command),
            width: picture.width,
            height: picture.height,
            runtime_dir: runtime_dir.0.clone(),
            home: home.unwrap_or_else(|| self.save_dir.clone()),
        })
        .await?;
        let (display, authority) = (house.display.clone(), house.authority.clone());
        let (map, pointer) = (std::mem::take(&mut self.pad_map), self.pointer);
        let Picture { width, height, .. } = picture;
        let connect = move || {
            let failed = |part, error: &dyn std::error::Error| RunnerError::Crashed {
                part,
                message: error.to_string(),
            };
            let screen = Screen::connect(&display, Some(&authority), width, height)
                .map_err(|error| failed("screen", &error))?;
            let mut injector = Injector::connect(&display, Some(&authority), width, height, map)
                .map_err(|error| failed("input", &error))?;
            injector.set_pointer(pointer);
            Ok::<_, RunnerError>((screen, injector))
        };
        let connected = tokio::task::spawn_blocking(connect).await.map_err(io::Error::other)?;
        let (screen, injector) = connected?;
        // Everything listens already: not a window of the game's is missed.
        house.start_game().await?;
        self.open = Some(Open { house, screen, injector, runtime_dir });
        Ok(picture)
    }

    fn start(self, shared: &Shared, threads: &mut Threads, events: &mpsc::Sender<Event>) -> io::Result<()> {
        let Some(Open { house, screen, injector, runtime_dir }) = self.open else {
            return Err(io::Error::other("the desktop is not open"));
        };
        let wheel = Arc::new(Wheel::new(1)?);
        let sound_end = Arc::new(AtomicBool::new(false));
        let sound_paused = Arc::new(AtomicBool::new(false));
        let (end_game, game_ends) = oneshot::channel();
        // From here on, whatever fails brings the curtain down on the rest.
        let curtain =
            Curtain { wheel: Arc::clone(&wheel), sound: Arc::clone(&sound_end), game: Some(end_game) };
        let sound = SoundCapture {
            socket: house.sound_socket.clone(),
            audio: Arc::clone(&shared.audio),
            stream: Arc::clone(&shared.audio_stream),
            paused: Arc::clone(&sound_paused),
            end: sound_end,
        };
        threads.task(
            Part::House,
            keep(house, runtime_dir, self.stop_grace, game_ends, events.clone()),
            events,
        );
        let (directory, inbox, said) = (self.save_dir, Arc::clone(&shared.save), events.clone());
        threads.spawn(Part::Save, "save", events, move || {
            saves::watch(&directory, &inbox, &said);
            Ok(())
        })?;
        threads.spawn(Part::Sound, "sound", events, move || {
            sound.run();
            Ok(())
        })?;
        let camera = Camera { screen, wheel, video: Arc::clone(&shared.video), events: events.clone() };
        threads
            .spawn(Part::Screen, "screen", events, move || camera.run().map_err(|error| error.to_string()))?;
        let (inbox, save) = (Arc::clone(&shared.stage), Arc::clone(&shared.save));
        let hands = Hands { inbox, injector, save, sound_paused, curtain };
        threads.spawn(Part::Input, "input", events, move || hands.run().map_err(|error| error.to_string()))
    }
}

/// Watches over the processes and ends them in their order.
async fn keep(
    mut house: House,
    runtime_dir: RuntimeDir,
    grace: Duration,
    mut end: oneshot::Receiver<()>,
    events: mpsc::Sender<Event>,
) {
    let mut heard = true;
    loop {
        let event = tokio::select! {
            _ = &mut end => break,
            event = house.events.recv(), if heard => event,
        };
        let event = match event {
            Some(HouseEvent::Restarted(part)) => {
                tracing::warn!(part, "a helper of the game died and is up again");
                continue;
            }
            Some(HouseEvent::GameEnded { code, signal }) => {
                // A game ends when its screen does, with whatever code: then the screen is the reason.
                match timeout(SECOND_THOUGHT, house.events.recv()).await {
                    Ok(Some(HouseEvent::Lost { part, message })) => Event::Crashed { part, message },
                    Ok(Some(HouseEvent::GameEnded { .. } | HouseEvent::Restarted(_)) | None) | Err(_) => {
                        Event::GameEnded { code, signal }
                    }
                }
            }
            Some(HouseEvent::Lost { part, message }) => Event::Crashed { part, message },
            None => {
                heard = false;
                continue;
            }
        };
        let _ = events.send(event).await;
    }
    house.stop_game(grace).await;
    let _ = events.send(Event::Ended(Part::Game)).await;
    house.close().await;
    drop(runtime_dir);
}

/// A directory that nobody else can look into; gone when dropped.
struct RuntimeDir(PathBuf);

impl RuntimeDir {
    fn new() -> io::Result<Self> {
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
        let base = base.unwrap_or_else(std::env::temp_dir);
        // A process of this number may have left one.
        let mut last = io::Error::other("no free name");
        for attempt in 0..100_u32 {
            let path = base.join(format!("playgate-{}-{attempt}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "the runtime directory stays");
        }
    }
}
