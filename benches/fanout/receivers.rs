//! All viewers of a run, on one thread that empties their sockets every few milliseconds.
//!
//! Times of arrival are the kernel's, so the thread need not hurry, wakes for no packet and costs the senders nothing.

use crate::load::{Outcome, TICKS};
use crate::viewer::{Viewer, buffers};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SWEEP: Duration = Duration::from_millis(3);
/// While connections are being made.
const HANDSHAKE_SWEEP: Duration = Duration::from_millis(1);
/// Between two rounds of the connections' own deadlines, once connected.
const UPKEEP: Duration = Duration::from_millis(250);
/// Without an arrival: nothing is on its way any more.
const QUIET: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(10);
enum Command {
    Add(Box<Viewer>),
    /// The source's newest frame, which all viewers have: learns what the server makes of timestamps.
    Begin {
        newest: u32,
        first: u32,
        frames: u32,
        /// Of the first viewer only.
        alone: bool,
    },
    Count(mpsc::Sender<Counts>),
}

/// One frame, over all viewers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Frame {
    pub(crate) packets: u64,
    /// The last arrival, in nanoseconds since 1970.
    pub(crate) last_ns: u64,
}

/// What has arrived so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    pub(crate) frames: Vec<Frame>,
    pub(crate) packets: u64,
    /// Media packets of any time.
    pub(crate) arrivals: u64,
    /// Size of a media datagram.
    pub(crate) bytes: usize,
    pub(crate) cipher: Option<String>,
}

/// A handle to the thread, which ends with it.
pub(crate) struct Receivers {
    commands: Option<mpsc::Sender<Command>>,
    connected: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Receivers {
    pub(crate) fn start() -> Outcome<Self> {
        let (commands, receiver) = mpsc::channel();
        let connected = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connected);
        let thread = std::thread::Builder::new().name("receivers".to_owned()).spawn(move || {
            if let Err(error) = sweep(&receiver, &count) {
                crate::tell(&format!("receivers: {error}"));
            }
        })?;
        Ok(Self { commands: Some(commands), connected, thread: Some(thread) })
    }

    pub(crate) fn add(&self, viewer: Viewer) -> Outcome<()> {
        self.command(Command::Add(Box::new(viewer)))
    }

    /// Waits until so many are connected.
    pub(crate) fn connected(&self, viewers: usize) -> Outcome<()> {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let connected = self.connected.load(Ordering::Relaxed);
            if connected >= viewers {
                return Ok(());
            }
            if connected > last {
                (last, since) = (connected, Instant::now());
            }
            if since.elapsed() > PATIENCE || self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                return Err(format!("only {connected} of {viewers} viewers connected").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many are connected now.
    pub(crate) fn now_connected(&self) -> usize {
        self.connected.load(Ordering::Relaxed)
    }

    /// Waits until nothing more arrives, for so long at most.
    pub(crate) fn quiet(&self, most: Duration) -> Outcome<()> {
        let (began, mut last) = (Instant::now(), u64::MAX);
        while began.elapsed() < most {
            let arrivals = self.counts()?.arrivals;
            if arrivals == last {
                return Ok(());
            }
            last = arrivals;
            std::thread::sleep(QUIET);
        }
        Ok(())
    }

    /// `alone`: only what the first viewer gets counts.
    pub(crate) fn begin(&self, newest: u32, first: u32, frames: u32, alone: bool) -> Outcome<()> {
        self.command(Command::Begin { newest, first, frames, alone })
    }

    pub(crate) fn counts(&self) -> Outcome<Counts> {
        let (reply, counts) = mpsc::channel();
        self.command(Command::Count(reply))?;
        Ok(counts.recv_timeout(PATIENCE)?)
    }

    fn command(&self, command: Command) -> Outcome<()> {
        let commands = self.commands.as_ref().ok_or("the receivers have ended")?;
        commands.send(command).map_err(|_| "the receivers have ended".into())
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn sweep(commands: &mpsc::Receiver<Command>, connected: &AtomicUsize) -> Outcome<()> {
    let mut viewers: Vec<Viewer> = Vec::new();
    let mut buffers = buffers();
    let (mut counts, mut first, mut counted) = (Counts::default(), 0, usize::MAX);
    let mut upkeep = Instant::now();
    loop {
        loop {
            match commands.try_recv() {
                Ok(Command::Add(viewer)) => viewers.push(*viewer),
                Ok(Command::Begin { newest, first: from, frames, alone }) => {
                    counted = if alone { 1 } else { usize::MAX };
                    counts.frames = vec![Frame::default(); frames as usize];
                    (counts.packets, first) = (0, from);
                    for viewer in &mut viewers {
                        viewer.offset = viewer.newest.unwrap_or(newest).wrapping_sub(newest);
                    }
                }
                Ok(Command::Count(reply)) => {
                    counts.cipher = viewers.first_mut().and_then(Viewer::cipher);
                    let _ = reply.send(counts.clone());
                }
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
            }
        }
        let due = upkeep.elapsed() >= UPKEEP;
        if due {
            upkeep = Instant::now();
        }
        let mut number = 0;
        for (index, viewer) in viewers.iter_mut().enumerate() {
            if due || !viewer.connected {
                viewer.live()?;
            }
            viewer.receive(&mut buffers, |viewer, arrival| {
                counts.arrivals += 1;
                counts.bytes = counts.bytes.max(arrival.bytes);
                let frame = (arrival.timestamp.wrapping_sub(viewer.offset) / TICKS).wrapping_sub(first);
                if let Some(frame) = counts.frames.get_mut(frame as usize).filter(|_| index < counted) {
                    frame.packets += 1;
                    frame.last_ns = frame.last_ns.max(arrival.at_ns);
                    counts.packets += 1;
                }
            })?;
            viewer.report()?;
            number += usize::from(viewer.connected);
        }
        connected.store(number, Ordering::Relaxed);
        std::thread::sleep(if number < viewers.len() { HANDSHAKE_SWEEP } else { SWEEP });
    }
}
