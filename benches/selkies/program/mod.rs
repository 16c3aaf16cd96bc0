//! The program that every contestant shows: one window as large as the screen, drawn by shared memory as emulators and
//! software renderers do it. Each picture carries a [`marker`], so that whoever sees it knows which one it is.
//!
//! The bench tells it by a Unix socket what to show. Lines in, a line out for each: `still`, `moving`, `corners` choose the
//! scene; `requests N` says in how many requests a picture is drawn; `drawn` asks how many pictures there were.

pub(crate) mod marker;
pub(crate) mod scene;
mod window;

use crate::Outcome;
use marker::Marker;
use scene::{Painter, Scene};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use window::Window;

pub(crate) const WIDTH: u32 = 1280;
pub(crate) const HEIGHT: u32 = 720;
/// Pictures a second while something moves.
pub(crate) const RATE: u32 = 60;
/// The program's pictures, the browser's screen and a contestant that looks at fixed times all keep 60 a second, so how they
/// happen to lie to each other would be most of what is measured. After this many pictures the next comes an [`PHASES`]th of
/// a period later: each contestant is measured at every phase.
pub(crate) const STRETCH: u16 = 32;
/// Phases until the first comes again.
pub(crate) const PHASES: u32 = 8;
/// How long a picture that is drawn in several requests takes.
const SPREAD: Duration = Duration::from_millis(5);
/// Between two looks at keys and commands while nothing moves.
const LOOK: Duration = Duration::from_millis(1);

/// Draws until the bench goes away.
pub(crate) fn run(control: &Path) -> Outcome<()> {
    let mut answers = UnixStream::connect(control)?;
    let (sender, commands) = mpsc::channel();
    let lines = BufReader::new(answers.try_clone()?);
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut program = Program {
        window: Window::open()?,
        painter: Painter::new(),
        scene: Scene::Still,
        requests: 1,
        marker: Marker::default(),
    };
    program.draw(true)?;
    let mut beat = Instant::now();
    loop {
        loop {
            match commands.try_recv() {
                Ok(line) => {
                    let answer = program.obey(&line)?;
                    writeln!(answers, "{answer}")?;
                    beat = Instant::now();
                }
                Err(mpsc::TryRecvError::Empty) => break,
                // The bench has ended.
                Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
            }
        }
        let news = program.window.news()?;
        program.marker.keys = program.marker.keys.wrapping_add(news.presses);
        if program.scene == Scene::Still {
            // At once: what waits for its turn would be measured too.
            if news.presses > 0 || news.exposed {
                program.draw(news.exposed)?;
            }
            std::thread::sleep(LOOK);
        } else {
            program.draw(news.exposed)?;
            let period = Duration::from_secs(1) / RATE;
            beat += period;
            if program.marker.frame.is_multiple_of(STRETCH) {
                beat += period / PHASES;
            }
            std::thread::sleep(beat.saturating_duration_since(Instant::now()));
        }
    }
}

struct Program {
    window: Window,
    painter: Painter,
    scene: Scene,
    requests: u16,
    marker: Marker,
}

impl Program {
    fn obey(&mut self, line: &str) -> Outcome<String> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("requests", number) => self.requests = number.parse()?,
            ("drawn", _) => {}
            (name, _) => {
                self.scene = Scene::named(name).ok_or_else(|| format!("no scene {name:?}"))?;
                self.draw(true)?;
            }
        }
        Ok(self.marker.frame.to_string())
    }

    fn draw(&mut self, whole: bool) -> Outcome<()> {
        self.marker.frame = self.marker.frame.wrapping_add(1);
        self.marker.time = marker::now();
        let areas = self.painter.paint(self.scene, self.marker, whole);
        let begun = Instant::now();
        for area in areas {
            let bands = if self.requests > 1 { area.bands(self.requests) } else { vec![area] };
            for (number, band) in (0..).zip(bands) {
                // By the clock: what a request takes is part of the pause before the next.
                let due = begun + SPREAD * number / u32::from(self.requests);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                self.window.put(self.painter.pixels(), band)?;
            }
        }
        self.window.settle()?;
        Ok(())
    }
}
