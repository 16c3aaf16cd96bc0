//! Captures what the game plays from the audio server's monitor, in blocks of 10 ms.
//!
//! One thread that reads a socket. The server's clock is the system's, so sound and picture do not drift apart; what the
//! server renders late after a stall comes in a burst and is put right by [`ear`].

mod ear;
mod server;

use super::super::audio;
use super::super::media::MediaStream;
use super::super::signal::Signal;
use crate::games::AUDIO_BLOCK;
use ear::Ear;
use server::Server;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two attempts to reach a server that is gone: doubled up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(1);
/// How often the wish to end is looked at while nothing comes in.
const LOOK: Duration = Duration::from_millis(20);
/// A stream that brings nothing for this long, not even silence, is dead.
const DEAF: Duration = Duration::from_secs(3);

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

/// True when an audio server answers on the socket and has the game's sink. Blocks for 2 s at most.
pub(super) fn answers(socket: &Path) -> Result<(), server::ServerError> {
    Server::connect(socket)?.look_up_monitor()
}

impl SoundCapture {
    /// The thread's body: captures until told to end; a server that goes away is connected to again. Blocks of silence are
    /// not handed over.
    pub(crate) fn run(self) {
        let mut ear = Ear::default();
        let mut retry = FIRST_RETRY;
        while !self.ended() {
            let heard = Server::connect(&self.socket).and_then(|mut server| {
                server.record()?;
                tracing::debug!("listening to the game");
                retry = FIRST_RETRY;
                self.listen(&mut server, &mut ear)
            });
            self.put(ear.fall_silent());
            let Err(error) = heard else { break };
            tracing::debug!(%error, "the audio server is gone");
            self.pause(retry);
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }

    /// Until told to end.
    fn listen(&self, server: &mut Server, ear: &mut Ear) -> Result<(), server::ServerError> {
        let mut heard = Instant::now();
        let mut block = Box::new([0; AUDIO_BLOCK]);
        let mut filled = 0;
        while !self.ended() {
            let samples = server.samples()?;
            let now = Instant::now();
            if samples.is_empty() {
                if now.duration_since(heard) > DEAF {
                    return Err(server::ServerError::Deaf);
                }
                continue;
            }
            heard = now;
            let real = self.stream.clock.elapsed_units(now);
            for sample in samples {
                block[filled] = sample;
                filled += 1;
                if filled == AUDIO_BLOCK {
                    filled = 0;
                    let full = std::mem::replace(&mut block, Box::new([0; AUDIO_BLOCK]));
                    self.put(ear.hear(full, real));
                }
            }
        }
        Ok(())
    }

    fn put(&self, block: Option<audio::Block>) {
        if let Some(block) = block {
            self.audio.change(|inbox| inbox.put(block));
        }
    }

    fn ended(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }

    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.ended() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests;
