//! How the camera is told what to do while it waits for the X server: the newest orders win, and a bell wakes it.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the camera is to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orders {
    /// Most pictures a second, at least 1.
    pub(super) fps: u32,
    pub(super) paused: bool,
    pub(super) end: bool,
}

#[derive(Debug)]
pub(super) struct Wheel {
    orders: Mutex<Orders>,
    bell: OwnedFd,
}

impl Wheel {
    pub(super) fn new(fps: u32) -> io::Result<Self> {
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        Ok(Self { orders: Mutex::new(Orders { fps: fps.max(1), paused: false, end: false }), bell })
    }

    /// Changes the orders and wakes the camera.
    pub(super) fn steer(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.lock());
        // The counter is full after 2^64 rings that nobody heard.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }

    /// The orders; the bell is silent again.
    pub(super) fn read(&self) -> Orders {
        // Nothing to read means that it has not rung.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        *self.lock()
    }

    /// Readable once it has rung.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
