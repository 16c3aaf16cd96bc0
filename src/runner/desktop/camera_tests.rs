//! The camera before a real Xvfb, with programs that draw in known ways and encoders that only look.

use super::super::super::damage::Damage;
use super::super::super::i420::I420;
use super::super::super::signal::Signal;
use super::super::super::video::{Frame, Inbox};
use super::super::screen::Screen;
use super::super::wheel::Wheel;
use super::super::x;
use super::Camera;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    ChangeGCAux, ConnectionExt, CreateGCAux, CreateWindowAux, Rectangle, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

const SIZE: (u16, u16) = (640, 360);
const PERIOD: Duration = Duration::from_micros(16_667);
/// A picture of many requests is drawn within this time.
const DRAWING: Duration = Duration::from_millis(5);
/// Beside many other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// An X server and the authority for it; ends with this.
struct Display {
    server: Child,
    name: String,
    directory: tempfile::TempDir,
    size: (u16, u16),
}

impl Display {
    fn start(size: (u16, u16)) -> Self {
        let directory = tempfile::tempdir().expect("directory");
        let authority = directory.path().join("authority");
        x::make_authority(&authority).expect("authority");
        let screen = format!("{}x{}x24", size.0, size.1);
        // The server closes its standard output early.
        let mut server = Command::new("/bin/sh")
            .args(["-c", r#"exec Xvfb "$@" 3>&1 1>&2"#, "Xvfb", "-displayfd", "3", "-screen", "0", &screen])
            .args(["-nolisten", "tcp", "-noreset", "-s", "0", "-auth"])
            .arg(&authority)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut line = String::new();
        let mut output = BufReader::new(server.stdout.take().expect("its output"));
        output.read_line(&mut line).expect("its number");
        Self { server, name: format!(":{}", line.trim()), directory, size }
    }

    fn connect(&self) -> (RustConnection, usize) {
        let authority = self.directory.path().join("authority");
        x::connect(&self.name, Some(&authority)).expect("connects")
    }

    fn screen(&self) -> Screen {
        let (width, height) = (self.size.0.into(), self.size.1.into());
        let authority = self.directory.path().join("authority");
        Screen::connect(&self.name, Some(&authority), width, height).expect("connects")
    }

    /// A camera that is ordered 60 pictures a second.
    fn camera(&self) -> Running {
        let (wheel, video) =
            (Arc::new(Wheel::new(60).expect("wheel")), Arc::new(Signal::new(Inbox::new(1000))));
        let (events, kept) = mpsc::channel(64);
        let screen = self.screen();
        let camera = Camera { screen, wheel: Arc::clone(&wheel), video: Arc::clone(&video), events };
        let thread = thread::spawn(move || {
            camera.run().expect("runs");
            own_cpu()
        });
        Running { wheel, video, _events: kept, thread: Some(thread) }
    }

    /// A program that draws pictures one after another, each by `draw` with its number, until it is dropped.
    fn paints(&self, draw: impl Fn(&Painter, u64) + Send + 'static) -> Painting {
        let painter = Painter::new(self.connect(), self.size);
        let (end, drawn) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let slow = Arc::new(Mutex::new(Vec::new()));
        let (ends, counts, notes) = (Arc::clone(&end), Arc::clone(&drawn), Arc::clone(&slow));
        let thread = thread::spawn(move || {
            let mut next = Instant::now();
            while !ends.load(Ordering::Relaxed) {
                let (number, began) = (counts.fetch_add(1, Ordering::Relaxed) + 1, Instant::now());
                draw(&painter, number);
                if began.elapsed() > DRAWING {
                    notes.lock().expect("whole").push(number);
                }
                next = (next + PERIOD).max(Instant::now());
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Painting { end, drawn, slow, thread: Some(thread) }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

struct Running {
    wheel: Arc<Wheel>,
    video: Arc<Signal<Inbox>>,
    _events: mpsc::Receiver<super::Event>,
    thread: Option<JoinHandle<u64>>,
}

impl Running {
    /// The next picture, as the encoder takes it.
    fn frame(&self) -> Frame {
        let until = Instant::now() + PATIENCE;
        self.video.wait(Some(until), Inbox::has_frame, Inbox::take).expect("a picture in time")
    }

    /// Ends it; nanoseconds it ran.
    fn end(mut self) -> u64 {
        self.wheel.steer(|orders| orders.end = true);
        self.thread.take().expect("runs").join().expect("ends")
    }
}

struct Painting {
    end: Arc<AtomicBool>,
    drawn: Arc<AtomicU64>,
    /// Numbers of pictures that took longer than [`DRAWING`], because the machine was busy.
    slow: Arc<Mutex<Vec<u64>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Painting {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Painter {
    conn: RustConnection,
    window: u32,
    gc: u32,
    size: (u16, u16),
}

impl Painter {
    fn new((conn, screen): (RustConnection, usize), size: (u16, u16)) -> Self {
        let (window, gc) = (conn.generate_id().expect("id"), conn.generate_id().expect("id"));
        let root = conn.setup().roots[screen].root;
        let values = CreateWindowAux::new().override_redirect(1);
        let class = WindowClass::INPUT_OUTPUT;
        conn.create_window(0, window, root, 0, 0, size.0, size.1, 0, class, 0, &values).expect("window");
        conn.create_gc(gc, window, &CreateGCAux::new()).expect("gc");
        conn.map_window(window).expect("maps");
        conn.sync().expect("draws");
        Self { conn, window, gc, size }
    }

    /// One request, and it is on its way.
    fn fill(&self, number: u64, x: i16, y: i16, (width, height): (u16, u16)) {
        let grey = u32::try_from(number % 64).expect("small") * 0x04_0404;
        self.conn.change_gc(self.gc, &ChangeGCAux::new().foreground(grey)).expect("colour");
        let area = Rectangle { x, y, width, height };
        self.conn.poly_fill_rectangle(self.window, self.gc, &[area]).expect("fills");
        self.conn.flush().expect("flushes");
    }

    fn whole(&self, number: u64) {
        self.fill(number, 0, 0, self.size);
    }

    /// The whole picture in sixteen requests within five milliseconds.
    fn in_bands(&self, number: u64) {
        let height = self.size.1.div_ceil(16);
        let begun = Instant::now();
        for band in 0..16_u16 {
            self.fill(number, 0, i16::try_from(band * height).expect("small"), (self.size.0, height));
            let next = begun + DRAWING * (u32::from(band) + 1) / 17;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn corners(&self, number: u64) {
        let (right, bottom) = (self.size.0 - 33, self.size.1 - 31);
        self.fill(number, 1, 1, (32, 30));
        self.fill(
            number,
            i16::try_from(right).expect("small"),
            i16::try_from(bottom).expect("small"),
            (32, 30),
        );
    }
}

/// The number of a plain picture, of 64.
fn number(picture: &I420) -> u64 {
    use openh264::formats::YUVSource;
    let luma = u64::from(picture.y()[0]) - 16;
    (luma * 255 + 4 * 219 / 2) / (4 * 219)
}

/// Takes so many pictures of a program that draws in this way. Gives how many of them were drawn in time ([`DRAWING`]), and
/// how many of those were taken half drawn.
fn half_drawn(pictures: usize, draw: impl Fn(&Painter, u64) + Send + 'static) -> (usize, usize) {
    let display = Display::start(SIZE);
    let camera = display.camera();
    let painting = display.paints(draw);
    // The first may show the window before anything was drawn.
    camera.frame();
    let taken: Vec<(u64, bool)> = (0..pictures)
        .map(|_| {
            let picture = camera.frame().picture;
            let drawn = painting.drawn.load(Ordering::Relaxed);
            (drawn - (drawn + 64 - number(&picture)) % 64, picture.is_plain())
        })
        .collect();
    camera.end();
    // The last picture may be in the middle.
    let slow = Arc::clone(&painting.slow);
    drop(painting);
    let slow = slow.lock().expect("whole");
    let in_time = taken.iter().filter(|(number, _)| slow.binary_search(number).is_err());
    (in_time.clone().count(), in_time.filter(|(_, whole)| !whole).count())
}

#[test]
fn a_picture_drawn_by_one_request_is_never_shown_half() {
    assert_eq!(half_drawn(120, Painter::whole).1, 0);
}

/// Taken at the first change, all are half drawn. This is no more than a bound for machines that are busy with other things.
#[test]
fn a_picture_drawn_by_sixteen_requests_is_waited_for() {
    let (pictures, halves) = half_drawn(120, Painter::in_bands);
    assert!(halves * 10 <= pictures, "{halves} of {pictures} pictures were half drawn");
}

#[test]
fn of_two_moving_corners_only_these_are_looked_at_and_the_picture_is_whole() {
    let display = Display::start(SIZE);
    let camera = display.camera();
    let painting = display.paints(|painter, number| {
        if number == 1 {
            painter.whole(9);
        }
        painter.corners(number);
    });
    let mut latest = camera.frame();
    let start = painting.drawn.load(Ordering::Relaxed);
    let mut small = 0;
    while painting.drawn.load(Ordering::Relaxed) < start + 60 {
        latest = camera.frame();
        small += usize::from(latest.damage.pixels() <= 4 * 34 * 32);
        assert!(latest.damage.pixels() < 640 * 360 || small == 0, "the whole screen after only corners");
    }
    assert!(small > 10, "{small}");
    drop(painting);
    let mut screen = display.screen();
    let whole = screen.clip(&Damage::of(screen.whole()));
    let shot = screen.look(&whole).expect("looks").expect("is there");
    let mut seen = I420::new(640, 360);
    screen.convert(&shot, &mut seen).expect("converts");
    let until = Instant::now() + PATIENCE;
    while *latest.picture != seen {
        assert!(Instant::now() < until, "the last picture is not what the screen shows");
        latest = camera.frame();
    }
    camera.end();
}

/// A queue would make pictures older and older.
#[test]
fn a_slow_encoder_gets_fewer_pictures_and_each_of_them_new() {
    let display = Display::start(SIZE);
    let camera = display.camera();
    let painting = display.paints(Painter::whole);
    camera.frame();
    let mut behind: Vec<u64> = (0..20)
        .map(|_| {
            let frame = camera.frame();
            let drawn = painting.drawn.load(Ordering::Relaxed);
            // Five pictures are drawn while one is encoded.
            thread::sleep(5 * PERIOD);
            (drawn + 64 - number(&frame.picture)) % 64
        })
        .collect();
    behind.sort_unstable();
    assert!(behind[10] <= 2, "pictures drawn after the one that was taken: {behind:?}");
    camera.end();
}

#[test]
fn what_an_encoder_still_holds_is_not_drawn_over() {
    let display = Display::start(SIZE);
    let camera = display.camera();
    let _painting = display.paints(Painter::whole);
    camera.frame();
    let held: Vec<(Frame, I420)> = (0..2)
        .map(|_| {
            let frame = camera.frame();
            let then = I420::clone(&frame.picture);
            (frame, then)
        })
        .collect();
    for _ in 0..10 {
        drop(camera.frame());
        assert!(held.iter().all(|(frame, then)| *frame.picture == *then));
    }
    camera.end();
}

/// Nanoseconds that this thread ran.
fn own_cpu() -> u64 {
    cpu("/proc/thread-self/schedstat")
}

fn cpu(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).expect("schedstat");
    text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
}

mod long {
    use super::*;

    #[test]
    #[ignore = "three minutes"]
    fn none_of_ten_thousand_pictures_drawn_by_one_request_is_half() {
        assert_eq!(half_drawn(10_000, Painter::whole).1, 0);
    }

    #[test]
    #[ignore = "three minutes"]
    fn of_ten_thousand_pictures_drawn_by_sixteen_requests_one_in_a_thousand_may_be_half() {
        let (pictures, halves) = half_drawn(10_000, Painter::in_bands);
        assert!(halves * 1000 <= pictures, "{halves} of {pictures} pictures were half drawn");
    }
}

#[path = "camera_perf.rs"]
mod perf;
