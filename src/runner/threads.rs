//! The runner's four threads: started together, each says when it has ended and why, also by a panic.

use super::audio::{self, Audio};
use super::media::MediaStream;
use super::signal::Signal;
use super::stage::{self, Stage};
use super::video::{self, Video};
use super::{Event, save};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Game,
    Video,
    Audio,
    Save,
}

/// What the runtime shares with the threads.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub(super) stage: Arc<Signal<stage::Inbox>>,
    pub(super) video: Arc<Signal<video::Inbox>>,
    pub(super) audio: Arc<Signal<audio::Inbox>>,
    pub(super) save: Arc<Signal<save::Inbox>>,
    pub(super) stats: Arc<video::Stats>,
    pub(super) video_stream: Arc<MediaStream>,
    pub(super) audio_stream: Arc<MediaStream>,
}

/// Handles of all four, and what they still have to say.
pub(super) struct Threads {
    pub(super) events: mpsc::Receiver<Event>,
    handles: Vec<(Part, JoinHandle<()>)>,
}

impl Threads {
    pub(super) fn start(
        stage: impl FnOnce(mpsc::Sender<Event>) -> Stage,
        video: impl FnOnce(mpsc::Sender<Event>) -> Video,
        audio: Audio,
        save: (PathBuf, Arc<Signal<save::Inbox>>),
    ) -> io::Result<Self> {
        // 64 events are minutes of them; a thread that finds no room waits.
        let (sender, events) = mpsc::channel(64);
        let mut threads = Self { events, handles: Vec::new() };
        let (directory, inbox) = save;
        let saved = sender.clone();
        threads.spawn(Part::Save, "save", &sender, move || {
            save::run(&directory, &inbox, &saved);
            Ok(())
        })?;
        threads.spawn(Part::Audio, "audio encoder", &sender, move || {
            audio.run().map_err(|error| error.to_string())
        })?;
        let video = video(sender.clone());
        threads.spawn(Part::Video, "video encoder", &sender, move || {
            video.run().map_err(|error| error.to_string())
        })?;
        let stage = stage(sender.clone());
        threads.spawn(Part::Game, "game", &sender, move || {
            stage.run();
            Ok(())
        })?;
        Ok(threads)
    }

    fn spawn(
        &mut self,
        part: Part,
        name: &'static str,
        events: &mpsc::Sender<Event>,
        body: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) -> io::Result<()> {
        let events = events.clone();
        let handle = Builder::new().name(name.to_owned()).spawn(move || {
            let failed = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(result) => result.err(),
                Err(panic) => Some(words(panic.as_ref())),
            };
            if let Some(message) = failed {
                let _ = events.blocking_send(Event::Crashed { part: name, message });
            }
            let _ = events.blocking_send(Event::Ended(part));
        })?;
        self.handles.push((part, handle));
        Ok(())
    }

    /// Waits for a thread that has said `Ended`: only its last instructions are left.
    pub(super) fn join(&mut self, ended: Part) {
        if let Some(index) = self.handles.iter().position(|(part, _)| *part == ended) {
            let (_, handle) = self.handles.swap_remove(index);
            let _ = handle.join();
        }
    }

    /// True when none runs any more.
    pub(super) fn all_ended(&self) -> bool {
        self.handles.is_empty()
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic: {}", text.unwrap_or("without words"))
}
