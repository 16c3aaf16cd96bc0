//! One window over the whole screen, its pixels in shared memory.

use super::scene::Area;
use super::{HEIGHT, WIDTH};
use crate::Outcome;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xproto::{
    ConnectionExt, CreateGCAux, CreateWindowAux, EventMask, ImageFormat, InputFocus, WindowClass,
};
use x11rb::rust_connection::RustConnection;

/// The X server of a contestant may still be starting.
const PATIENCE: Duration = Duration::from_secs(10);

/// What has happened since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) presses: u8,
    /// The window's content is gone.
    pub(super) exposed: bool,
}

pub(super) struct Window {
    conn: RustConnection,
    window: u32,
    gc: u32,
    depth: u8,
    memory: File,
    segment: u32,
}

impl Window {
    pub(super) fn open() -> Outcome<Self> {
        let began = Instant::now();
        let (conn, number) = loop {
            match x11rb::connect(None) {
                Ok(connected) => break connected,
                Err(error) if began.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let screen = conn.setup().roots.get(number).ok_or("no screen")?;
        let (root, depth) = (screen.root, screen.root_depth);
        let (window, gc, segment) = (conn.generate_id()?, conn.generate_id()?, conn.generate_id()?);
        let events = EventMask::EXPOSURE | EventMask::KEY_PRESS;
        let (width, height) = (u16::try_from(WIDTH)?, u16::try_from(HEIGHT)?);
        let values = CreateWindowAux::new().event_mask(events);
        let class = WindowClass::INPUT_OUTPUT;
        conn.create_window(COPY_DEPTH_FROM_PARENT, window, root, 0, 0, width, height, 0, class, 0, &values)?
            .check()?;
        conn.create_gc(gc, window, &CreateGCAux::new())?.check()?;
        conn.map_window(window)?.check()?;
        // Where nobody manages windows, nobody gives them the keyboard.
        let _ = conn.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME)?.check();
        let memory = File::from(memfd_create("program", MemfdFlags::CLOEXEC)?);
        memory.set_len(u64::from(WIDTH * HEIGHT * 4))?;
        conn.shm_query_version()?.reply()?;
        conn.shm_attach_fd(segment, OwnedFd::from(memory.try_clone()?), false)?.check()?;
        Ok(Self { conn, window, gc, depth, memory, segment })
    }

    /// What has come in.
    #[expect(clippy::wildcard_enum_match_arm, reason = "every event of every extension is one of these")]
    pub(super) fn news(&mut self) -> Outcome<News> {
        let mut news = News::default();
        while let Some(event) = self.conn.poll_for_event()? {
            match event {
                Event::KeyPress(_) => news.presses = news.presses.wrapping_add(1),
                Event::Expose(_) => news.exposed = true,
                _ => {}
            }
        }
        Ok(news)
    }

    /// Draws a part of a picture, in one request.
    pub(super) fn put(&self, pixels: &[u8], area: Area) -> Outcome<()> {
        let rows = area.y..area.y + area.height;
        if area.width == WIDTH {
            let bytes = (rows.start * WIDTH * 4) as usize..(rows.end * WIDTH * 4) as usize;
            self.memory
                .write_all_at(pixels.get(bytes).unwrap_or_default(), u64::from(rows.start * WIDTH * 4))?;
        } else {
            for y in rows {
                let start = (y * WIDTH + area.x) * 4;
                let bytes = start as usize..(start + area.width * 4) as usize;
                self.memory.write_all_at(pixels.get(bytes).unwrap_or_default(), u64::from(start))?;
            }
        }
        let edge = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        let place = |value: u32| i16::try_from(value).unwrap_or(i16::MAX);
        self.conn.shm_put_image(
            self.window,
            self.gc,
            edge(WIDTH),
            edge(HEIGHT),
            edge(area.x),
            edge(area.y),
            edge(area.width),
            edge(area.height),
            place(area.x),
            place(area.y),
            self.depth,
            ImageFormat::Z_PIXMAP.into(),
            false,
            self.segment,
            0,
        )?;
        Ok(self.conn.flush()?)
    }

    /// Waits until all that was drawn is on the screen: the memory is written again for the next picture.
    pub(super) fn settle(&self) -> Outcome<()> {
        self.conn.get_input_focus()?.reply()?;
        Ok(())
    }
}
