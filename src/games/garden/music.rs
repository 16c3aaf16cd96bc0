//! One short phrase for every place, and the small sounds of choosing. Written out as chords and figures; nothing is
//! left to chance.

use super::story::Scene;
use crate::games::kit::synth::{Note, Patch};

const PAD: Patch = Patch {
    partials: [(1.0, 0.5), (2.003, 0.16), (3.0, 0.06)],
    attack: 0.9,
    decay: 0.45,
    noise: 0.0,
    slide: 1.0,
    echo: 0.25,
};
const PLUCK: Patch = Patch {
    partials: [(1.0, 0.55), (2.0, 0.3), (3.0, 0.2)],
    attack: 0.004,
    decay: 0.55,
    noise: 0.0,
    slide: 1.0,
    echo: 0.5,
};
const BELL: Patch = Patch {
    partials: [(1.0, 0.45), (2.76, 0.22), (5.4, 0.12)],
    attack: 0.003,
    decay: 0.8,
    noise: 0.0,
    slide: 1.0,
    echo: 0.6,
};
const TICK: Patch = Patch {
    partials: [(1.0, 0.4), (2.0, 0.12), (4.0, 0.06)],
    attack: 0.003,
    decay: 0.05,
    noise: 0.0,
    slide: 1.15,
    echo: 0.2,
};

struct Phrase {
    bar_ms: u32,
    /// Bass and three upper notes of each bar, in MIDI numbers.
    chords: &'static [[u8; 4]],
    /// Which of the four notes is plucked at each step of the bar; 4 and up are an octave higher; 9 rests.
    figure: &'static [u8],
    /// (bar, step, pitch) of the tune.
    tune: &'static [(u32, u32, u8)],
    lead: &'static Patch,
}

/// The phrase that belongs to a scene, 10 to 17 s with its end.
pub(super) fn phrase(scene: Scene) -> Vec<Note> {
    compose(match scene {
        Scene::Title => &TITLE,
        Scene::Gate => &GATE,
        Scene::Garden => &GARDEN,
        Scene::Library => &LIBRARY,
        Scene::Court => &COURT,
        Scene::Fork => &FORK,
        Scene::Tower => &TOWER,
        Scene::River => &RIVER,
        Scene::Dawn => &DAWN,
    })
}

const TITLE: Phrase = Phrase {
    bar_ms: 2_600,
    chords: &[[38, 57, 62, 65], [34, 58, 62, 65], [41, 57, 60, 64], [38, 57, 62, 64]],
    figure: &[0, 2, 3, 5, 3, 2],
    tune: &[(0, 3, 81), (1, 1, 79), (1, 4, 77), (2, 2, 76), (3, 0, 74)],
    lead: &BELL,
};
const GATE: Phrase = Phrase {
    bar_ms: 2_400,
    chords: &[[38, 57, 60, 65], [46, 58, 62, 65], [41, 57, 60, 65], [36, 55, 60, 64], [38, 57, 62, 65]],
    figure: &[0, 1, 2, 3, 5, 3, 2, 1],
    tune: &[(0, 4, 77), (0, 6, 76), (1, 0, 74), (2, 4, 72), (2, 6, 74), (3, 0, 76), (4, 2, 69)],
    lead: &PLUCK,
};
const GARDEN: Phrase = Phrase {
    bar_ms: 2_200,
    chords: &[[43, 59, 62, 66], [43, 61, 64, 69], [40, 59, 64, 67], [36, 59, 64, 66], [43, 59, 62, 67]],
    figure: &[0, 2, 1, 3, 2, 5],
    tune: &[(0, 2, 78), (1, 0, 81), (1, 3, 76), (2, 2, 79), (3, 0, 78), (3, 4, 74), (4, 2, 79)],
    lead: &BELL,
};
const LIBRARY: Phrase = Phrase {
    bar_ms: 2_500,
    chords: &[[45, 57, 60, 64], [41, 57, 60, 64], [36, 55, 60, 64], [40, 56, 59, 64], [45, 57, 60, 64]],
    figure: &[0, 9, 1, 2, 9, 3],
    tune: &[(0, 1, 76), (0, 4, 74), (1, 1, 72), (2, 0, 71), (2, 3, 72), (3, 1, 71), (4, 0, 69)],
    lead: &PLUCK,
};
const COURT: Phrase = Phrase {
    bar_ms: 2_600,
    chords: &[[39, 58, 62, 67], [41, 57, 60, 65], [43, 58, 62, 65], [39, 55, 58, 62], [46, 58, 62, 65]],
    figure: &[5, 9, 3, 9, 2, 9],
    tune: &[(0, 0, 82), (0, 3, 81), (1, 2, 77), (2, 0, 79), (3, 1, 74), (4, 0, 77)],
    lead: &BELL,
};
const FORK: Phrase = Phrase {
    bar_ms: 2_400,
    chords: &[[33, 57, 60, 64], [38, 57, 60, 65], [43, 55, 59, 62], [36, 55, 59, 64], [33, 57, 59, 64]],
    figure: &[0, 2, 3, 2, 5, 3],
    tune: &[(0, 2, 76), (1, 0, 77), (1, 4, 76), (2, 2, 74), (3, 0, 71), (4, 0, 72)],
    lead: &PLUCK,
};
const TOWER: Phrase = Phrase {
    bar_ms: 2_300,
    chords: &[[40, 55, 59, 64], [36, 55, 60, 64], [43, 59, 62, 67], [38, 57, 62, 66], [40, 59, 64, 67]],
    figure: &[0, 1, 2, 3, 5, 6, 7, 6],
    tune: &[(0, 0, 83), (1, 2, 79), (2, 0, 86), (2, 4, 83), (3, 2, 81), (4, 0, 88)],
    lead: &BELL,
};
const RIVER: Phrase = Phrase {
    bar_ms: 2_700,
    chords: &[[37, 56, 60, 65], [44, 56, 60, 63], [46, 58, 61, 65], [42, 58, 61, 65], [37, 56, 61, 65]],
    figure: &[0, 1, 3, 2, 1, 3],
    tune: &[(0, 2, 77), (0, 5, 75), (1, 2, 72), (2, 1, 73), (2, 4, 77), (3, 2, 75), (4, 0, 73)],
    lead: &PLUCK,
};
const DAWN: Phrase = Phrase {
    bar_ms: 2_400,
    chords: &[
        [43, 59, 62, 67],
        [36, 60, 64, 67],
        [43, 59, 62, 67],
        [38, 57, 62, 66],
        [36, 60, 64, 67],
        [43, 59, 62, 67],
    ],
    figure: &[0, 2, 3, 5, 3, 2],
    tune: &[(0, 2, 79), (1, 0, 76), (1, 3, 79), (2, 2, 83), (3, 0, 81), (4, 1, 79), (4, 4, 76), (5, 0, 79)],
    lead: &BELL,
};

fn compose(phrase: &Phrase) -> Vec<Note> {
    // The phrase waits until the one before has faded.
    const WAIT_MS: u32 = 350;
    let mut notes = Vec::new();
    let steps = phrase.figure.len() as u32;
    let step_ms = phrase.bar_ms / steps;
    let last = phrase.chords.len().saturating_sub(1);
    for (bar, chord) in phrase.chords.iter().enumerate() {
        let start = WAIT_MS + bar as u32 * phrase.bar_ms;
        let fade = if bar == last { 0.8 } else { 1.0 };
        for (voice, &pitch) in chord.iter().enumerate() {
            let (gain, pan) = if voice == 0 { (0.17, 0.0) } else { (0.075, voice as f32 * 0.5 - 1.0) };
            notes.push(Note {
                at_ms: start,
                patch: &PAD,
                pitch: f32::from(pitch),
                hold_ms: phrase.bar_ms - 1_000,
                gain: gain * fade,
                pan,
            });
        }
        for (step, &which) in phrase.figure.iter().enumerate() {
            // The last bar comes to rest after its first half.
            if which == 9 || (bar == last && step as u32 > steps / 2) {
                continue;
            }
            let pitch =
                chord[usize::from(which % 4)] + 12 * (which / 4) + if which % 4 == 0 { 12 } else { 0 };
            notes.push(Note {
                at_ms: start + step as u32 * step_ms,
                patch: &PLUCK,
                pitch: f32::from(pitch),
                hold_ms: 0,
                gain: 0.13 * fade,
                pan: if step % 2 == 0 { -0.35 } else { 0.35 },
            });
        }
    }
    notes.extend(phrase.tune.iter().map(|&(bar, step, pitch)| Note {
        at_ms: WAIT_MS + bar * phrase.bar_ms + step * step_ms,
        patch: phrase.lead,
        pitch: f32::from(pitch),
        hold_ms: 0,
        gain: 0.16,
        pan: 0.1,
    }));
    notes
}

/// A choice was taken.
pub(super) fn chosen() -> [Note; 2] {
    let note = |at_ms, pitch| Note { at_ms, patch: &PLUCK, pitch, hold_ms: 0, gain: 0.2, pan: 0.0 };
    [note(0, 74.0), note(90, 81.0)]
}

/// The focus moved, or a page was turned.
pub(super) fn tick(pitch: f32) -> [Note; 1] {
    [Note { at_ms: 0, patch: &TICK, pitch, hold_ms: 0, gain: 0.12, pan: 0.0 }]
}
