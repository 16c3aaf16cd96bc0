//! Captures what the game plays from the audio server's monitor, in blocks of 10 ms.

use super::super::audio;
use super::super::media::MediaStream;
use super::super::signal::Signal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The capture thread's work.
pub(crate) struct SoundCapture {
    /// The audio server's socket.
    pub(crate) socket: PathBuf,
    pub(crate) audio: Arc<Signal<audio::Inbox>>,
    /// For the position of sound: its clock is the audio stream's.
    pub(crate) stream: Arc<MediaStream>,
    /// Set to end it; looked at once a block.
    pub(crate) end: Arc<AtomicBool>,
}

impl SoundCapture {
    /// The thread's body: captures until told to end; a server that goes away is connected to again. Blocks of silence are
    /// not handed over.
    pub(crate) fn run(self) {
        unimplemented!()
    }
}
