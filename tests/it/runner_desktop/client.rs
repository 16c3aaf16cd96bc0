//! X11 programs for the runner to run: test functions of this binary, called by name.
//!
//! Each shows one window: left half red, right half blue. The key A takes it a step further, and each step is saved.

use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ChangeGCAux, ChangeWindowAttributesAux, ConnectionExt, CreateGCAux, CreateWindowAux, EventMask,
    Rectangle, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// The window's size before anybody gives it another.
const OWN: (u16, u16) = (320, 200);
const RED: u32 = 0xFF_0000;
const BLUE: u32 = 0x00_00FF;
const GREEN: u32 = 0x00_FF00;
/// X's code of the key A.
const KEY_A: u8 = 38;

/// Steps: red and blue; all green; no cursor; ends with code 7.
#[test]
#[ignore = "a program that other tests run"]
fn shows() {
    if let Some(program) = Program::new() {
        program.run();
    }
}

/// As `shows`, but its window must not be larger than it is.
#[test]
#[ignore = "a program that other tests run"]
fn insists() {
    if let Some(program) = Program::new() {
        let mut hints = x11rb::properties::WmSizeHints::new();
        hints.min_size = Some((OWN.0.into(), OWN.1.into()));
        hints.max_size = hints.min_size;
        hints.set_normal_hints(&program.conn, program.window).expect("hints");
        program.run();
    }
}

/// Ends by a signal.
#[test]
#[ignore = "a program that other tests run"]
fn dies() {
    if std::env::var_os("PLAYGATE_SAVE_DIR").is_some() {
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::KILL).expect("dies");
    }
}

/// Saves at SIGTERM, and then asks whether it is meant.
#[test]
#[ignore = "a program that other tests run"]
fn saves_when_asked_to_end() {
    let Some(program) = Program::new() else { return };
    let directory = program.save_dir.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).expect("signals");
            std::fs::write(directory.join("listens"), b"").expect("writes");
            loop {
                terminate.recv().await;
                std::fs::write(directory.join("autosave"), b"complete").expect("saves");
            }
        });
    });
    program.run();
}

struct Program {
    conn: RustConnection,
    window: u32,
    gc: u32,
    save_dir: PathBuf,
}

impl Program {
    /// `None` outside of a runner.
    fn new() -> Option<Self> {
        let save_dir = PathBuf::from(std::env::var_os("PLAYGATE_SAVE_DIR")?);
        let (conn, screen) = x11rb::connect(None).expect("an X server");
        let root = conn.setup().roots[screen].root;
        let (window, gc, cursor) =
            (conn.generate_id().expect("id"), conn.generate_id().expect("id"), cursor(&conn, root, 0xFFFF));
        let events = EventMask::EXPOSURE | EventMask::STRUCTURE_NOTIFY | EventMask::KEY_PRESS;
        let values = CreateWindowAux::new().event_mask(events).cursor(cursor);
        let (depth, class) = (COPY_DEPTH_FROM_PARENT, WindowClass::INPUT_OUTPUT);
        conn.create_window(depth, window, root, 50, 60, OWN.0, OWN.1, 1, class, 0, &values).expect("window");
        conn.create_gc(gc, window, &CreateGCAux::new()).expect("gc");
        Some(Self { conn, window, gc, save_dir })
    }

    fn run(self) {
        self.conn.map_window(self.window).expect("maps");
        self.conn.flush().expect("flushes");
        let (mut size, mut step) = (OWN, 0);
        loop {
            match self.conn.wait_for_event() {
                Ok(Event::ConfigureNotify(event)) => size = (event.width, event.height),
                Ok(Event::Expose(_)) => {}
                Ok(Event::KeyPress(event)) if event.detail == KEY_A => {
                    step += 1;
                    self.step(step);
                }
                Ok(_) => continue,
                Err(_) => return,
            }
            self.draw(size, step);
        }
    }

    fn step(&self, step: u32) {
        std::fs::write(self.save_dir.join("steps"), step.to_string()).expect("saves");
        match step {
            2 => {
                let none = cursor(&self.conn, self.window, 0);
                let values = ChangeWindowAttributesAux::new().cursor(none);
                self.conn.change_window_attributes(self.window, &values).expect("changes");
            }
            3 => std::process::exit(7),
            _ => {}
        }
    }

    fn draw(&self, (width, height): (u16, u16), step: u32) {
        let half = width / 2;
        let fill = |colour, x, width| {
            self.conn.change_gc(self.gc, &ChangeGCAux::new().foreground(colour)).expect("colour");
            let area = Rectangle { x, y: 0, width, height };
            self.conn.poly_fill_rectangle(self.window, self.gc, &[area]).expect("fills");
        };
        let (left, right) = if step == 0 { (RED, BLUE) } else { (GREEN, GREEN) };
        fill(left, 0, half);
        fill(right, i16::try_from(half).expect("small"), width - half);
        self.conn.sync().expect("draws");
    }
}

/// A square of 16 pixels with its hotspot at 3, 5; `mask` 0: invisible.
fn cursor(conn: &RustConnection, drawable: u32, mask: u32) -> u32 {
    let (pixmap, gc, cursor) =
        (conn.generate_id().expect("id"), conn.generate_id().expect("id"), conn.generate_id().expect("id"));
    conn.create_pixmap(1, pixmap, drawable, 16, 16).expect("pixmap");
    conn.create_gc(gc, pixmap, &CreateGCAux::new().foreground(mask & 1)).expect("gc");
    let all = Rectangle { x: 0, y: 0, width: 16, height: 16 };
    conn.poly_fill_rectangle(pixmap, gc, &[all]).expect("fills");
    conn.create_cursor(cursor, pixmap, pixmap, u16::MAX, 0, 0, 0, 0, 0, 3, 5).expect("cursor");
    cursor
}
