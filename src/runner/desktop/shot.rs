//! Pixels of the screen: what changed since the last look, and pictures of it that no request of a program's divides.
//!
//! A look is one turn of the X server: while the server is grabbed it forgets what changed, tells what that was and copies
//! every wanted rectangle into shared memory (MIT-SHM with a memory file of ours). Pixels are read out of that with `pread`,
//! only those that were wanted and each once: no memory is mapped here.

use super::super::damage::Damage;
use super::super::i420::I420;
use super::screen::ScreenError;
use crate::games::Rect;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::damage::{self, ConnectionExt as _, ReportLevel};
use x11rb::protocol::shm::{ConnectionExt as _, Seg};
use x11rb::protocol::xfixes::{ConnectionExt as _, Region};
use x11rb::protocol::xproto::{ConnectionExt as _, ImageFormat, Rectangle};
use x11rb::rust_connection::RustConnection;

/// Pixels are read in pieces of about this size: they are converted while they are in the processor's cache.
const PIECE_BYTES: usize = 1 << 16;
/// Of more rectangles than this only the whole is looked at.
const MOST_RECTANGLES: usize = 128;

/// The means of looking at one screen.
pub(super) struct Shots {
    root: u32,
    segment: Seg,
    memory: File,
    /// Bytes of the memory.
    room: u64,
    damage: damage::Damage,
    /// Of the X server's, to move damage through.
    region: Region,
    piece: Vec<u8>,
}

/// One look.
#[derive(Debug)]
pub(super) struct Shot {
    /// What changed since the look before: when there is anything, a program may be in the middle of drawing.
    pub(super) changed: Damage,
    /// What is in shared memory until the next look, where it begins there.
    taken: Vec<(Rect, u64)>,
}

impl Shots {
    /// With shared memory for so many pixels. The X server tells of the first change after every look.
    pub(super) fn new(conn: &RustConnection, root: u32, pixels: u64) -> Result<Self, ScreenError> {
        let memory =
            File::from(memfd_create("playgate-screen", MemfdFlags::CLOEXEC).map_err(io::Error::from)?);
        let room = pixels * 4;
        memory.set_len(room)?;
        let (segment, damage, region) = (conn.generate_id()?, conn.generate_id()?, conn.generate_id()?);
        conn.shm_attach_fd(segment, OwnedFd::from(memory.try_clone()?), false)?.check()?;
        conn.xfixes_create_region(region, &[])?.check()?;
        conn.damage_create(damage, root, ReportLevel::NON_EMPTY)?.check()?;
        Ok(Self { root, segment, memory, room, damage, region, piece: Vec::new() })
    }

    /// What changed since the last look, without one. The next change is told of again.
    pub(super) fn changed(&self, conn: &RustConnection) -> Result<Damage, ScreenError> {
        conn.damage_subtract(self.damage, x11rb::NONE, self.region)?;
        let reply = conn.xfixes_fetch_region(self.region)?.reply()?;
        Ok(damage_of(reply.extents, &reply.rectangles))
    }

    /// Looks at these rectangles, which the screen has. `None`: it does not have them any more, and its event is on the way.
    pub(super) fn look(&self, conn: &RustConnection, rects: &[Rect]) -> Result<Option<Shot>, ScreenError> {
        conn.grab_server()?;
        conn.damage_subtract(self.damage, x11rb::NONE, self.region)?;
        let changed = conn.xfixes_fetch_region(self.region)?;
        let (mut taken, mut images, mut offset) = (Vec::with_capacity(rects.len()), Vec::new(), 0);
        for rect in rects {
            let (Ok(x), Ok(y), Ok(width), Ok(height), Ok(start)) = (
                i16::try_from(rect.x),
                i16::try_from(rect.y),
                u16::try_from(rect.width),
                u16::try_from(rect.height),
                u32::try_from(offset),
            ) else {
                continue;
            };
            let bytes = u64::from(rect.width) * u64::from(rect.height) * 4;
            if bytes == 0 || offset + bytes > self.room {
                continue;
            }
            let (format, segment) = (ImageFormat::Z_PIXMAP.into(), self.segment);
            images.push(conn.shm_get_image(
                self.root,
                x,
                y,
                width,
                height,
                u32::MAX,
                format,
                segment,
                start,
            )?);
            taken.push((*rect, offset));
            offset += bytes;
        }
        conn.ungrab_server()?;
        let changed = changed.reply()?;
        let changed = damage_of(changed.extents, &changed.rectangles);
        for image in images {
            match image.reply() {
                Ok(_) => {}
                Err(ReplyError::X11Error(error)) => {
                    tracing::debug!(kind = ?error.error_kind, "no picture");
                    return Ok(None);
                }
                Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
            }
        }
        Ok(Some(Shot { changed, taken }))
    }

    /// Converts what the last look took into a picture.
    pub(super) fn convert(&mut self, shot: &Shot, picture: &mut I420) -> io::Result<()> {
        for &(rect, start) in &shot.taken {
            let row = usize::try_from(rect.width).unwrap_or(0) * 4;
            let rows = (PIECE_BYTES / row.max(1)).max(2) & !1;
            self.piece.resize(self.piece.len().max(rows * row), 0);
            let step = u32::try_from(rows).unwrap_or(2);
            let mut offset = start;
            for top in (0..rect.height).step_by(rows) {
                let height = step.min(rect.height - top);
                let bytes = row * usize::try_from(height).unwrap_or(0);
                let Some(piece) = self.piece.get_mut(..bytes) else { continue };
                self.memory.read_exact_at(piece, offset)?;
                picture.update_bgrx(piece, Rect { y: rect.y + top, height, ..rect });
                offset += u64::try_from(bytes).unwrap_or(0);
            }
        }
        Ok(())
    }
}

/// Damage beyond the left and upper edges is of no interest, nor is there any.
fn damage_of(extents: Rectangle, rectangles: &[Rectangle]) -> Damage {
    let rectangles =
        if rectangles.len() > MOST_RECTANGLES { std::slice::from_ref(&extents) } else { rectangles };
    let mut damage = Damage::default();
    for area in rectangles {
        let (x, y) = (u32::try_from(area.x).unwrap_or(0), u32::try_from(area.y).unwrap_or(0));
        damage.add(Rect { x, y, width: area.width.into(), height: area.height.into() });
    }
    damage
}
