//! What can be done to the X server by XTEST (XTEST Extension Protocol 2.2), one request each. Decides nothing.
//!
//! Key repeat is the server's: a key that is held repeats by itself, as on a real keyboard.

use super::InjectError;
use super::held::Thing;
use x11rb::connection::{Connection, RequestConnection};
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::xproto::{self, ConnectionExt as _};
use x11rb::protocol::xtest::{self, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;

pub(super) struct Hands {
    connection: RustConnection,
    root: xproto::Window,
}

/// Modifiers as the server has them now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Modifiers {
    pub(super) shift: bool,
    pub(super) caps_lock: bool,
}

impl From<ConnectionError> for InjectError {
    fn from(error: ConnectionError) -> Self {
        Self::Gone(error.to_string())
    }
}

impl From<ReplyError> for InjectError {
    fn from(error: ReplyError) -> Self {
        Self::Gone(error.to_string())
    }
}

impl Hands {
    pub(super) fn new(connection: RustConnection, screen: usize) -> Result<Self, InjectError> {
        let root = connection.setup().roots.get(screen).map(|screen| screen.root);
        let root = root.ok_or_else(|| InjectError::Gone("it has no screen".to_owned()))?;
        if connection.extension_information(xtest::X11_EXTENSION_NAME)?.is_none() {
            return Err(InjectError::NoXtest);
        }
        connection.xtest_get_version(2, 2)?.reply()?;
        Ok(Self { connection, root })
    }

    pub(super) fn set(&self, thing: Thing, down: bool) -> Result<(), InjectError> {
        match (thing, down) {
            (Thing::Key(key), true) => self.fake(xproto::KEY_PRESS_EVENT, key, 0, 0),
            (Thing::Key(key), false) => self.fake(xproto::KEY_RELEASE_EVENT, key, 0, 0),
            (Thing::Button(button), true) => self.fake(xproto::BUTTON_PRESS_EVENT, button, 0, 0),
            (Thing::Button(button), false) => self.fake(xproto::BUTTON_RELEASE_EVENT, button, 0, 0),
        }
    }

    pub(super) fn tap(&self, thing: Thing) -> Result<(), InjectError> {
        self.set(thing, true)?;
        self.set(thing, false)
    }

    /// In pixels of the screen.
    pub(super) fn move_to(&self, x: i16, y: i16) -> Result<(), InjectError> {
        self.fake(xproto::MOTION_NOTIFY_EVENT, 0, x, y)
    }

    /// In pixels, without acceleration.
    pub(super) fn move_by(&self, dx: i16, dy: i16) -> Result<(), InjectError> {
        self.fake(xproto::MOTION_NOTIFY_EVENT, 1, dx, dy)
    }

    fn fake(&self, event: u8, detail: u8, x: i16, y: i16) -> Result<(), InjectError> {
        // Time 0 is "now", device 0 the core devices. A refusal arrives as an error event.
        self.connection.xtest_fake_input(event, detail, 0, self.root, x, y, 0)?;
        Ok(())
    }

    /// Keysyms by keycode, from the first keycode on; as many for each as the second value says.
    pub(super) fn keyboard(&self) -> Result<(u8, usize, Vec<u32>), InjectError> {
        let setup = self.connection.setup();
        let first = setup.min_keycode;
        let count = setup.max_keycode.saturating_sub(first).saturating_add(1);
        let reply = self.connection.get_keyboard_mapping(first, count)?.reply()?;
        Ok((first, usize::from(reply.keysyms_per_keycode), reply.keysyms))
    }

    /// Gives a key one meaning, with and without Shift. Every client has been told when this returns.
    pub(super) fn remap(&self, keycode: u8, keysym: u32) -> Result<(), InjectError> {
        self.connection.change_keyboard_mapping(1, keycode, 2, &[keysym, keysym])?.check()?;
        Ok(())
    }

    pub(super) fn modifiers(&self) -> Result<Modifiers, InjectError> {
        let mask = self.connection.query_pointer(self.root)?.reply()?.mask;
        Ok(Modifiers {
            shift: mask.contains(xproto::KeyButMask::SHIFT),
            caps_lock: mask.contains(xproto::KeyButMask::LOCK),
        })
    }

    /// Sends what is queued and throws away what came in: mapping changes we made ourselves, and errors.
    pub(super) fn flush(&self) -> Result<(), InjectError> {
        self.connection.flush()?;
        while let Some(event) = self.connection.poll_for_event()? {
            if let x11rb::protocol::Event::Error(error) = event {
                tracing::debug!(?error, "the X server refused an input");
            }
        }
        Ok(())
    }
}
