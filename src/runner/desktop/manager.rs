//! Carries out on the X server what [`super::windows`] decides: looks at windows that come, moves them, gives them the keys.
//!
//! Listens on the root (SubstructureNotify) and redirects nothing: a game never waits for us. Windows may be gone at any
//! moment, so an error of the X server about one of them means nothing.

use super::screen::ScreenError;
use super::windows::{Place, Size, Window, Windows, Wish};
use std::time::Instant;
use x11rb::connection::{Connection, SequenceNumber};
use x11rb::properties::WmSizeHints;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt, InputFocus, MapState, StackMode, WindowClass,
};
use x11rb::rust_connection::RustConnection;

x11rb::atom_manager! {
    /// What windows say about themselves.
    pub(super) Atoms: AtomsCookie {
        _NET_WM_STATE,
        _NET_WM_STATE_FULLSCREEN,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DIALOG,
    }
}

pub(super) struct Manager {
    root: u32,
    atoms: Atoms,
    windows: Windows,
    /// The last request that moved a window: what is told of an earlier time is no answer to it.
    asked: SequenceNumber,
    /// Something to look at has come to the screen, managed or not.
    pub(super) any_window: bool,
}

impl Manager {
    /// Also takes in the windows that are there already. The root's events are selected by the owner before this.
    pub(super) fn new(conn: &RustConnection, root: u32, screen: Size) -> Result<Self, ScreenError> {
        let atoms = Atoms::new(conn)?.reply()?;
        let windows = Windows::new(screen);
        let mut manager = Self { root, atoms, windows, asked: 0, any_window: false };
        for window in conn.query_tree(root)?.reply()?.children {
            manager.came(conn, window)?;
        }
        manager.arrange(conn)?;
        Ok(manager)
    }

    /// Does what an event asks for; what is no window's business is passed over.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every event of every extension is one of these; a window's life is only a few"
    )]
    pub(super) fn take(
        &mut self,
        conn: &RustConnection,
        event: &Event,
        sequence: SequenceNumber,
    ) -> Result<(), ScreenError> {
        match event {
            Event::MapNotify(event) if event.event == self.root => {
                if event.override_redirect {
                    self.any_window = true;
                    return Ok(());
                }
                self.came(conn, event.window)?;
            }
            Event::UnmapNotify(event) if event.event == self.root => self.windows.went(event.window),
            Event::DestroyNotify(event) if event.event == self.root => self.windows.went(event.window),
            Event::ReparentNotify(event) if event.parent != self.root => self.windows.went(event.window),
            Event::ConfigureNotify(event) if event.window != self.root => {
                let size = Size { width: event.width, height: event.height };
                self.windows.moved(event.window, Place { x: event.x, y: event.y, size });
                if sequence < self.asked {
                    return Ok(());
                }
            }
            Event::ClientMessage(event) if event.type_ == self.atoms._NET_WM_STATE => {
                let [action, first, second, ..] = event.data.as_data32();
                if first == self.atoms._NET_WM_STATE_FULLSCREEN
                    || second == self.atoms._NET_WM_STATE_FULLSCREEN
                {
                    // 0 remove, 1 add, 2 toggle: who toggles on a screen like this wants it.
                    self.windows.fullscreen(event.window, action != 0);
                }
            }
            _ => return Ok(()),
        }
        self.arrange(conn)
    }

    fn came(&mut self, conn: &RustConnection, id: u32) -> Result<(), ScreenError> {
        let attributes = conn.get_window_attributes(id)?;
        let geometry = conn.get_geometry(id)?;
        let list = |property| conn.get_property(false, id, property, AtomEnum::ATOM, 0, 32);
        let state = list(self.atoms._NET_WM_STATE)?;
        let kind = list(self.atoms._NET_WM_WINDOW_TYPE)?;
        let transient = conn.get_property(false, id, AtomEnum::WM_TRANSIENT_FOR, AtomEnum::WINDOW, 0, 1)?;
        let hints = WmSizeHints::get_normal_hints(conn, id)?;
        let (Ok(attributes), Ok(geometry)) = (attributes.reply(), geometry.reply()) else { return Ok(()) };
        if attributes.map_state != MapState::VIEWABLE || attributes.class == WindowClass::INPUT_ONLY {
            return Ok(());
        }
        self.any_window = true;
        if attributes.override_redirect {
            return Ok(());
        }
        let holds = |reply: Result<x11rb::protocol::xproto::GetPropertyReply, _>, atom| {
            reply.is_ok_and(|reply| {
                reply.value32().is_some_and(|mut values| values.any(|value| value == atom))
            })
        };
        let transient = transient
            .reply()
            .ok()
            .and_then(|reply| reply.value32()?.next())
            // A window that belongs to the root belongs to nobody: many toolkits say that of main windows.
            .is_some_and(|owner| owner != 0 && owner != self.root);
        let largest =
            hints.reply().ok().flatten().and_then(|hints| hints.max_size).and_then(|(width, height)| {
                let edge = |value: i32| u16::try_from(value).ok().filter(|value| *value > 0);
                Some(Size { width: edge(width)?, height: edge(height)? })
            });
        let size = Size { width: geometry.width, height: geometry.height };
        self.windows.came(Window {
            id,
            place: Place { x: geometry.x, y: geometry.y, size },
            dialog: holds(kind.reply(), self.atoms._NET_WM_WINDOW_TYPE_DIALOG) || transient,
            fullscreen: holds(state.reply(), self.atoms._NET_WM_STATE_FULLSCREEN),
            largest,
        });
        Ok(())
    }

    fn arrange(&mut self, conn: &RustConnection) -> Result<(), ScreenError> {
        for wish in self.windows.arrange(Instant::now()) {
            match wish {
                Wish::Place(id, place) => {
                    tracing::debug!(window = id, ?place, "placed");
                    let values = ConfigureWindowAux::new()
                        .x(i32::from(place.x))
                        .y(i32::from(place.y))
                        .width(u32::from(place.size.width))
                        .height(u32::from(place.size.height))
                        .border_width(0);
                    self.asked = conn.configure_window(id, &values)?.sequence_number();
                }
                Wish::Front(id) => {
                    conn.configure_window(id, &ConfigureWindowAux::new().stack_mode(StackMode::ABOVE))?;
                    conn.set_input_focus(InputFocus::POINTER_ROOT, id, x11rb::CURRENT_TIME)?;
                }
            }
        }
        conn.flush()?;
        Ok(())
    }
}
