//! The beat under the game and the sound of every event.

use super::beings::Event;
use crate::games::kit::synth::{Note, Patch};

const BASS: Patch = Patch {
    partials: [(1.0, 0.6), (2.0, 0.14), (3.0, 0.05)],
    attack: 0.006,
    decay: 0.22,
    noise: 0.0,
    slide: 1.0,
    echo: 0.05,
};
const KICK: Patch = Patch {
    partials: [(1.0, 0.9), (2.0, 0.0), (3.0, 0.0)],
    attack: 0.002,
    decay: 0.09,
    noise: 0.0,
    slide: 3.2,
    echo: 0.0,
};
const HAT: Patch = Patch {
    partials: [(1.0, 0.0), (2.0, 0.0), (3.0, 0.0)],
    attack: 0.001,
    decay: 0.018,
    noise: 0.5,
    slide: 1.0,
    echo: 0.1,
};
const CHIME: Patch = Patch {
    partials: [(1.0, 0.5), (2.01, 0.25), (4.1, 0.12)],
    attack: 0.003,
    decay: 0.32,
    noise: 0.0,
    slide: 1.0,
    echo: 0.45,
};
const WHOOSH: Patch = Patch {
    partials: [(1.0, 0.25), (1.5, 0.1), (2.0, 0.05)],
    attack: 0.03,
    decay: 0.09,
    noise: 0.22,
    slide: 2.4,
    echo: 0.2,
};
const THUD: Patch = Patch {
    partials: [(1.0, 0.8), (1.41, 0.4), (2.7, 0.2)],
    attack: 0.002,
    decay: 0.25,
    noise: 0.35,
    slide: 2.0,
    echo: 0.3,
};

/// Five notes that go with everything.
const SCALE: [f32; 5] = [0.0, 2.0, 4.0, 7.0, 9.0];

/// Steps of a chain climb the scale.
fn climb(base: f32, chain: u32) -> f32 {
    let chain = chain.min(20);
    base + SCALE[(chain % 5) as usize] + 12.0 * (chain / 5) as f32
}

fn note(at_ms: u32, patch: &'static Patch, pitch: f32, gain: f32, pan: f32) -> Note {
    Note { at_ms, patch, pitch, hold_ms: 0, gain, pan }
}

pub(super) fn of(event: Event) -> Vec<Note> {
    match event {
        Event::Lit { chain } => {
            vec![
                note(0, &CHIME, climb(65.0, chain), 0.24, -0.1),
                note(60, &CHIME, climb(72.0, chain), 0.12, 0.2),
            ]
        }
        Event::Burnt { chain } => {
            vec![note(0, &THUD, 52.0, 0.14, 0.0), note(30, &CHIME, climb(60.0, chain), 0.22, 0.1)]
        }
        Event::Dashed => vec![note(0, &WHOOSH, 58.0, 0.22, 0.0)],
        Event::Hurt => vec![note(0, &THUD, 38.0, 0.5, 0.0), note(90, &BASS, 31.0, 0.4, 0.0)],
        Event::Night => {
            (0..5).map(|i| note(i * 90, &CHIME, climb(65.0, i * 2), 0.22, i as f32 * 0.2 - 0.4)).collect()
        }
        Event::Warned => vec![note(0, &CHIME, 88.0, 0.06, 0.4), note(80, &CHIME, 87.0, 0.06, -0.4)],
    }
}

pub(super) fn start() -> [Note; 3] {
    [note(0, &CHIME, 65.0, 0.22, -0.2), note(80, &CHIME, 72.0, 0.22, 0.0), note(160, &CHIME, 77.0, 0.22, 0.2)]
}

pub(super) fn over(record: bool) -> Vec<Note> {
    let tune: &[f32] = if record { &[65.0, 69.0, 72.0, 77.0, 81.0] } else { &[65.0, 62.0, 60.0, 53.0] };
    let notes = tune.iter().enumerate();
    notes.map(|(i, &pitch)| note(300 + i as u32 * 150, &CHIME, pitch, 0.22, 0.0)).collect()
}

/// The quiet beat: 16 steps of 8 ticks (112 beats a minute), fuller with every night.
pub(super) struct Beat {
    ticks: u32,
}

impl Beat {
    const STEP_TICKS: u32 = 8;
    const ROOTS: [f32; 4] = [41.0, 38.0, 34.0, 36.0];

    pub(super) fn new() -> Self {
        Self { ticks: 0 }
    }

    pub(super) fn tick(&mut self, night: u32) -> Vec<Note> {
        let now = self.ticks;
        self.ticks = self.ticks.wrapping_add(1);
        if !now.is_multiple_of(Self::STEP_TICKS) {
            return Vec::new();
        }
        let step = now / Self::STEP_TICKS;
        let root = Self::ROOTS[(step / 16 % 4) as usize];
        let mut notes = Vec::new();
        let in_bar = step % 16;
        if in_bar.is_multiple_of(8) || (night > 2 && in_bar == 10) {
            notes.push(note(0, &KICK, 36.0, 0.3, 0.0));
        }
        if matches!(in_bar, 0 | 3 | 6 | 8 | 11 | 14) {
            notes.push(note(0, &BASS, root + if in_bar == 11 { 12.0 } else { 0.0 }, 0.17, 0.0));
        }
        if in_bar % 4 == 2 || (night > 1 && in_bar % 2 == 1) {
            notes.push(note(0, &HAT, 60.0, 0.05, if in_bar % 8 < 4 { -0.3 } else { 0.3 }));
        }
        if night > 1 && matches!(in_bar, 2 | 5 | 9 | 13) {
            let tone = SCALE[((in_bar + step / 16) % 5) as usize];
            notes.push(note(0, &CHIME, root + 24.0 + tone, 0.05, 0.3));
        }
        notes
    }
}
