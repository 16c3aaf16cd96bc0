//! The screen as this process sees it: one connection to the X server that tells what changed and hands over pixels
//! (see [`super::shot`]).

use super::super::damage::Damage;
use super::super::i420::I420;
use super::cursor::{DEFAULT_NAME, Shape};
use super::manager::Manager;
use super::shot::{Shot, Shots};
use super::windows::Size;
use super::x::{self, XError};
use crate::games::Rect;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::damage::ConnectionExt as _;
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xfixes::{ConnectionExt as _, CursorNotifyMask};
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, CreateGCAux, EventMask, ImageOrder, Rectangle,
};
use x11rb::rust_connection::RustConnection;

#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum ScreenError {
    #[error(transparent)]
    Connect(#[from] XError),
    #[error("the X server is gone: {0}")]
    Gone(#[from] ConnectionError),
    #[error("the X server refused a request: {0}")]
    Refused(String),
    #[error("the X server's screen is not of 24 bits in the order blue, green, red, with {0}")]
    Unfit(&'static str),
    #[error("no memory can be shared with the X server: {0}")]
    Memory(#[from] io::Error),
}

impl From<ReplyError> for ScreenError {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => Self::Gone(error),
            ReplyError::X11Error(error) => Self::Refused(format!("{:?}", error.error_kind)),
        }
    }
}

impl From<ReplyOrIdError> for ScreenError {
    fn from(error: ReplyOrIdError) -> Self {
        match error {
            ReplyOrIdError::ConnectionError(error) => Self::Gone(error),
            ReplyOrIdError::X11Error(error) => Self::Refused(format!("{:?}", error.error_kind)),
            ReplyOrIdError::IdsExhausted => Self::Refused("no more identifiers".to_owned()),
        }
    }
}

/// What has happened since it was last asked.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Something changed in the picture; told once, until what that was is asked for.
    pub(super) damaged: bool,
    /// The screen has another size than before.
    pub(super) resized: bool,
    /// The pointer has another shape.
    pub(super) cursor: Option<Shape>,
    /// Something to look at has come to the screen.
    pub(super) window: bool,
}

pub(super) struct Screen {
    conn: RustConnection,
    root: u32,
    /// What a stream shows, whatever size the screen has.
    size: Size,
    /// What the screen has now, at most `size`.
    actual: Size,
    shots: Shots,
    manager: Manager,
    cursor_changed: bool,
}

impl Screen {
    /// `display` as in `DISPLAY`, `authority` as in `XAUTHORITY` (absent: this process's own); the size in pixels is the
    /// stream's. Blocks for a few round trips.
    pub(super) fn connect(
        display: &str,
        authority: Option<&Path>,
        width: u32,
        height: u32,
    ) -> Result<Self, ScreenError> {
        let (conn, number) = x::connect(display, authority)?;
        let setup = conn.setup();
        let root = setup.roots.get(number).ok_or(ScreenError::Unfit("a screen of that number"))?;
        let format = setup.pixmap_formats.iter().find(|format| format.depth == root.root_depth);
        let visual = root
            .allowed_depths
            .iter()
            .flat_map(|depth| &depth.visuals)
            .find(|visual| visual.visual_id == root.root_visual);
        let ordered = setup.image_byte_order == ImageOrder::LSB_FIRST
            && visual.is_some_and(|visual| {
                (visual.red_mask, visual.green_mask, visual.blue_mask) == (0xFF_0000, 0xFF00, 0xFF)
            });
        if root.root_depth != 24 || !ordered || format.is_none_or(|format| format.bits_per_pixel != 32) {
            return Err(ScreenError::Unfit("four bytes a pixel"));
        }
        let (root, actual) = (root.root, Size { width: root.width_in_pixels, height: root.height_in_pixels });
        let edge = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        let size = Size { width: edge(width), height: edge(height) };
        for (name, missing) in
            [(shm::X11_EXTENSION_NAME, "MIT-SHM"), ("DAMAGE", "DAMAGE"), ("XFIXES", "XFIXES")]
        {
            if conn.extension_information(name)?.is_none() {
                return Err(ScreenError::Unfit(missing));
            }
        }
        let version = conn.shm_query_version()?.reply()?;
        if (version.major_version, version.minor_version) < (1, 2) {
            return Err(ScreenError::Unfit("MIT-SHM 1.2"));
        }
        conn.xfixes_query_version(5, 0)?.reply()?;
        conn.damage_query_version(1, 1)?.reply()?;

        let events = EventMask::SUBSTRUCTURE_NOTIFY | EventMask::STRUCTURE_NOTIFY;
        conn.change_window_attributes(root, &ChangeWindowAttributesAux::new().event_mask(events))?.check()?;
        conn.xfixes_select_cursor_input(root, CursorNotifyMask::DISPLAY_CURSOR)?.check()?;
        name_default_cursor(&conn, root)?;
        let manager = Manager::new(&conn, root, actual)?;
        let shots = Shots::new(&conn, root, u64::from(size.width) * u64::from(size.height))?;
        Ok(Self { conn, root, size, actual, shots, manager, cursor_changed: true })
    }

    /// Takes in everything that the X server has said, without waiting, and keeps the windows in their places.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every event of every extension is one of these; the rest is the windows' business"
    )]
    pub(super) fn news(&mut self) -> Result<News, ScreenError> {
        let mut news = News::default();
        loop {
            let Some((event, sequence)) = self.conn.poll_for_event_with_sequence()? else {
                // Asking for the shape may bring in more events, which nobody would be woken for.
                if !std::mem::take(&mut self.cursor_changed) {
                    break;
                }
                news.cursor = Some(self.cursor()?);
                continue;
            };
            match &event {
                Event::DamageNotify(_) => news.damaged = true,
                Event::XfixesCursorNotify(_) => self.cursor_changed = true,
                Event::ConfigureNotify(event) if event.window == self.root => {
                    let now = Size { width: event.width, height: event.height };
                    news.resized |= std::mem::replace(&mut self.actual, now) != now;
                }
                Event::Error(error) => {
                    tracing::debug!(kind = ?error.error_kind, "the X server refused a request")
                }
                _ => self.manager.take(&self.conn, &event, sequence)?,
            }
        }
        news.window = self.manager.any_window;
        Ok(news)
    }

    /// Sleeps until `bell` is readable, `until` has come or, unless `deaf`, the X server says something.
    pub(super) fn wait(&self, bell: BorrowedFd<'_>, until: Option<Instant>, deaf: bool) -> io::Result<()> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left: Duration| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        let mut ends = [
            PollFd::from_borrowed_fd(self.conn.stream().as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(bell, PollFlags::IN),
        ];
        match poll(&mut ends[usize::from(deaf)..], timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything that a stream shows.
    pub(super) fn whole(&self) -> Rect {
        Rect { x: 0, y: 0, width: self.size.width.into(), height: self.size.height.into() }
    }

    /// The parts of rectangles that the screen has, their right and lower edges even; all of it when that is no more work.
    pub(super) fn clip(&self, damage: &Damage) -> Damage {
        let edge = |wanted: u32, stream: u16, actual: u16| wanted.min(u32::from(stream.min(actual)) & !1);
        let clip = |rect: Rect| {
            let right = edge(rect.x.saturating_add(rect.width), self.size.width, self.actual.width);
            let bottom = edge(rect.y.saturating_add(rect.height), self.size.height, self.actual.height);
            let (x, y) = (rect.x.min(right), rect.y.min(bottom));
            Rect { x, y, width: right - x, height: bottom - y }
        };
        let mut clipped = Damage::default();
        damage.rects().iter().for_each(|rect| clipped.add(clip(*rect)));
        let whole = Damage::of(clip(self.whole()));
        if clipped.pixels() < whole.pixels() { clipped } else { whole }
    }

    /// What changed since this or a look was last asked for. Of the next change is told again.
    pub(super) fn changed(&self) -> Result<Damage, ScreenError> {
        self.shots.changed(&self.conn)
    }

    /// Looks at rectangles that [`Self::clip`] gave.
    pub(super) fn look(&self, damage: &Damage) -> Result<Option<Shot>, ScreenError> {
        self.shots.look(&self.conn, damage.rects())
    }

    /// Converts what the last look took into a picture.
    pub(super) fn convert(&mut self, shot: &Shot, picture: &mut I420) -> io::Result<()> {
        self.shots.convert(shot, picture)
    }

    fn cursor(&self) -> Result<Shape, ScreenError> {
        let image = self.conn.xfixes_get_cursor_image_and_name()?.reply()?;
        Ok(Shape {
            width: image.width,
            height: image.height,
            hotspot_x: image.xhot,
            hotspot_y: image.yhot,
            pixels: image.cursor_image,
            name: image.name,
        })
    }
}

/// Where a game says nothing about the pointer, X servers show none. The root gets one, with a name to know it by.
fn name_default_cursor(conn: &RustConnection, root: u32) -> Result<(), ScreenError> {
    let (pixmap, gc, cursor) = (conn.generate_id()?, conn.generate_id()?, conn.generate_id()?);
    conn.create_pixmap(1, pixmap, root, 8, 8)?;
    conn.create_gc(gc, pixmap, &CreateGCAux::new().foreground(1))?;
    conn.poly_fill_rectangle(pixmap, gc, &[Rectangle { x: 0, y: 0, width: 8, height: 8 }])?;
    conn.create_cursor(cursor, pixmap, pixmap, 0, 0, 0, u16::MAX, u16::MAX, u16::MAX, 0, 0)?.check()?;
    conn.xfixes_set_cursor_name(cursor, DEFAULT_NAME.as_bytes())?;
    conn.change_window_attributes(root, &ChangeWindowAttributesAux::new().cursor(cursor))?.check()?;
    conn.free_gc(gc)?;
    conn.free_pixmap(pixmap)?;
    Ok(())
}
