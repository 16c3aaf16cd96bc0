//! What an emulator's thread and its handle both see: the two directions, their counters, and the end.

use super::course::{Conditions, Course, Lane};
use super::flights::Taken;
use super::shape::Shape;
use super::shaper::Fate;
use super::{Counters, Direction};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Locks are held for a moment only.
#[derive(Debug)]
pub(super) struct Running {
    /// Up, then down.
    lanes: Mutex<[Lane; 2]>,
    counters: Mutex<[Counters; 2]>,
    /// Written to: the thread ends.
    ended: OwnedFd,
}

impl Running {
    pub(super) fn new(up: Course, down: Course) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            lanes: Mutex::new([up, down].map(|course| Lane::new(course, now))),
            counters: Mutex::default(),
            ended: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    pub(super) fn set(&self, direction: Direction, course: Course) {
        lock(&self.lanes)[direction as usize].set(course, Instant::now());
    }

    pub(super) fn outage(&self, direction: Direction, lasts: Duration) {
        lock(&self.lanes)[direction as usize].outage(lasts, Instant::now());
    }

    pub(super) fn conditions(&self, direction: Direction, now: Instant) -> Conditions {
        lock(&self.lanes)[direction as usize].conditions(now)
    }

    pub(super) fn shape(&self, direction: Direction) -> Shape {
        self.conditions(direction, Instant::now()).shape
    }

    pub(super) fn counters(&self, direction: Direction) -> Counters {
        lock(&self.counters)[direction as usize]
    }

    /// Counts a packet that came in, and what became of it.
    pub(super) fn came(&self, direction: Direction, bytes: usize, fate: Fate, taken: Taken) {
        let mut counters = lock(&self.counters);
        let counters = &mut counters[direction as usize];
        counters.record(bytes, fate);
        counters.queued += taken.queued;
        counters.dropped += taken.dropped;
    }

    /// Counts a packet that was due.
    pub(super) fn left(&self, direction: Direction, bytes: usize, sent: bool) {
        let mut counters = lock(&self.counters);
        let counters = &mut counters[direction as usize];
        counters.queued -= 1;
        if sent {
            counters.delivered += 1;
            counters.delivered_bytes += bytes as u64;
        } else {
            counters.dropped += 1;
        }
    }

    pub(super) fn stop(&self) {
        // Only a counter at its end could refuse, and then the thread has been told.
        let _ = rustix::io::write(&self.ended, &1_u64.to_ne_bytes());
    }

    /// Waits until one of `sources` can be read or `until` has come; gives which can. `None`: it is over. The timer of
    /// `ppoll` is finer than a tenth of a millisecond; timers of whole milliseconds would be seen as jitter.
    pub(super) fn wait(&self, sources: Vec<PollFd<'_>>, until: Instant) -> Option<Vec<usize>> {
        let timeout = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(1),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let mut fds = sources;
        fds.push(PollFd::new(&self.ended, PollFlags::IN));
        // An interrupt is a short wait.
        let _ = poll(&mut fds, Some(&timeout));
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let ended = fds.pop().is_some_and(|fd| is_ready(&fd));
        let ready = fds.iter().enumerate().filter(|(_, fd)| is_ready(fd)).map(|(at, _)| at);
        (!ended).then(|| ready.collect())
    }
}

/// Values are whole at any time: a holder that panicked leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
