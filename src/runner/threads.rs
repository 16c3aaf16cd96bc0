//! The runner's threads: each says when it has ended and why, also by a panic.

use super::media::MediaStream;
use super::signal::Signal;
use super::{Event, audio, save, stage, video};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The game itself: nothing of it draws, sounds or saves any more.
    Game,
    Video,
    Audio,
    Save,
    /// Of a program's desktop: what looks at the screen, what types and points, what listens, the processes.
    Screen,
    Input,
    Sound,
    House,
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

/// Handles of all, and what they still have to say.
pub(super) struct Threads {
    pub(super) events: mpsc::Receiver<Event>,
    /// `None`: a task of the runtime, which has no last instructions to wait for.
    handles: Vec<(Part, Option<JoinHandle<()>>)>,
}

impl Threads {
    /// None yet, and the sender for those to come: the end of the last is seen when everybody has dropped theirs.
    pub(super) fn new() -> (Self, mpsc::Sender<Event>) {
        // 64 events are minutes of them; a thread that finds no room waits.
        let (sender, events) = mpsc::channel(64);
        (Self { events, handles: Vec::new() }, sender)
    }

    /// Something on the runtime that ends like a thread does; it says `Ended` of other parts itself.
    pub(super) fn task(
        &mut self,
        part: Part,
        body: impl Future<Output = ()> + Send + 'static,
        events: &mpsc::Sender<Event>,
    ) {
        let events = events.clone();
        self.handles.push((part, None));
        tokio::spawn(async move {
            body.await;
            let _ = events.send(Event::Ended(part)).await;
        });
    }

    pub(super) fn spawn(
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
        self.handles.push((part, Some(handle)));
        Ok(())
    }

    /// Waits for a thread that has said `Ended`: only its last instructions are left.
    pub(super) fn join(&mut self, ended: Part) {
        if let Some(index) = self.handles.iter().position(|(part, _)| *part == ended) {
            let (_, handle) = self.handles.swap_remove(index);
            if let Some(handle) = handle {
                let _ = handle.join();
            }
        }
    }

    /// True when nothing but this part runs any more.
    pub(super) fn only(&self, left: Part) -> bool {
        self.handles.iter().all(|(part, _)| *part == left)
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
