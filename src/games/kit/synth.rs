//! A small software synthesiser: voices with envelopes, a score of notes to come, an echo, and true silence at the end.
//!
//! Its clock is the count of samples asked for. When the last voice and the echo have died away the output is exactly
//! zero and [`Synth::render`] says so.

use crate::games::AUDIO_BLOCK;
use std::sync::OnceLock;

const RATE: f32 = 48_000.0;
/// Voices at once; a note beyond takes the place of the oldest.
const VOICES: usize = 28;
/// Notes waiting; later ones are not taken (a phrase has below 200).
const SCORE_CAPACITY: usize = 512;
const TABLE: usize = 2_048;
/// Echo: 0.31 s, so that it falls between the beats of the phrases.
const ECHO_SAMPLES: usize = 14_880;
const ECHO_FEEDBACK: f32 = 0.38;
/// After the last voice the echo is given this long, in samples.
const TAIL_SAMPLES: u32 = 105_000;

/// How a voice sounds. Amplitudes of the higher partials fall faster, as strings do.
#[derive(Debug, Clone, Copy)]
pub(in crate::games) struct Patch {
    /// Frequency ratio and amplitude.
    pub(in crate::games) partials: [(f32, f32); 3],
    /// Seconds to full loudness.
    pub(in crate::games) attack: f32,
    /// Seconds in which the loudness falls to a third.
    pub(in crate::games) decay: f32,
    /// Amplitude of noise.
    pub(in crate::games) noise: f32,
    /// The pitch starts at this many times its value and falls to it within some 30 ms.
    pub(in crate::games) slide: f32,
    /// Part of the voice that goes to the echo.
    pub(in crate::games) echo: f32,
}

/// One note. Times in milliseconds from the moment it is given; `pitch` in MIDI numbers; `pan` -1 to 1.
#[derive(Debug, Clone, Copy)]
pub(in crate::games) struct Note {
    pub(in crate::games) at_ms: u32,
    pub(in crate::games) patch: &'static Patch,
    pub(in crate::games) pitch: f32,
    /// Held at full loudness for this long before it falls.
    pub(in crate::games) hold_ms: u32,
    pub(in crate::games) gain: f32,
    pub(in crate::games) pan: f32,
}

struct Voice {
    patch: &'static Patch,
    phases: [f32; 3],
    step: f32,
    slide: f32,
    level: f32,
    rise: f32,
    fall: f32,
    hold: u32,
    rising: bool,
    left: f32,
    right: f32,
    noise: u32,
}

/// The synthesiser.
pub(in crate::games) struct Synth {
    voices: Vec<Voice>,
    /// Sorted by sample, latest first.
    score: Vec<(u64, Note)>,
    now: u64,
    echo: Vec<[f32; 2]>,
    echo_at: usize,
    tail: u32,
}

impl Synth {
    pub(in crate::games) fn new() -> Self {
        Self {
            voices: Vec::with_capacity(VOICES),
            score: Vec::new(),
            now: 0,
            echo: vec![[0.0; 2]; ECHO_SAMPLES],
            echo_at: 0,
            tail: 0,
        }
    }

    /// Adds notes to come.
    pub(in crate::games) fn play(&mut self, notes: impl IntoIterator<Item = Note>) {
        let now = self.now;
        let room = SCORE_CAPACITY.saturating_sub(self.score.len());
        let at = |note: &Note| now + u64::from(note.at_ms) * 48;
        self.score.extend(notes.into_iter().take(room).map(|note| (at(&note), note)));
        self.score.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    }

    /// Forgets the notes to come and lets what sounds fade within about half a second.
    pub(in crate::games) fn hush(&mut self) {
        self.score.clear();
        for voice in &mut self.voices {
            voice.hold = 0;
            voice.rising = false;
            voice.fall = voice.fall.min(fall(0.12));
        }
    }

    /// True when nothing sounds and nothing is to come.
    pub(in crate::games) fn silent(&self) -> bool {
        self.voices.is_empty() && self.score.is_empty() && self.tail == 0
    }

    /// Fills a block; false and zeros when silent.
    pub(in crate::games) fn render(&mut self, block: &mut [i16; AUDIO_BLOCK]) -> bool {
        block.fill(0);
        if self.silent() {
            return false;
        }
        for frame in block.as_chunks_mut::<2>().0 {
            while self.score.last().is_some_and(|(at, _)| *at <= self.now) {
                if let Some((_, note)) = self.score.pop() {
                    self.start(&note);
                }
            }
            let [left, right] = self.frame();
            *frame = [sample(left), sample(right)];
            self.now += 1;
        }
        self.voices.retain(|voice| voice.rising || voice.hold > 0 || voice.level > 0.002);
        self.settle();
        true
    }

    /// Counts the echo down once no voice feeds it.
    fn settle(&mut self) {
        if !self.voices.is_empty() || !self.score.is_empty() {
            self.tail = TAIL_SAMPLES;
            return;
        }
        self.tail = self.tail.saturating_sub((AUDIO_BLOCK / 2) as u32);
        if self.tail == 0 {
            self.echo.fill([0.0; 2]);
        }
    }

    fn start(&mut self, note: &Note) {
        if self.voices.len() >= VOICES {
            self.voices.remove(0);
        }
        let frequency = 440.0 * ((note.pitch - 69.0) / 12.0).exp2();
        let turn = (note.pan.clamp(-1.0, 1.0) + 1.0) / 2.0;
        self.voices.push(Voice {
            patch: note.patch,
            phases: [0.0; 3],
            step: frequency / RATE,
            slide: note.patch.slide,
            level: 0.0,
            rise: 1.0 / (note.patch.attack.max(0.001) * RATE),
            fall: fall(note.patch.decay),
            hold: note.hold_ms * 48,
            rising: true,
            left: note.gain * (1.0 - turn).sqrt(),
            right: note.gain * turn.sqrt(),
            noise: 0x1234_5678 ^ (self.now as u32) | 1,
        });
    }

    fn frame(&mut self) -> [f32; 2] {
        let [back_left, back_right] = self.echo[self.echo_at];
        let (mut left, mut right) = (back_left * 0.6, back_right * 0.6);
        // Crossed, so that it wanders from side to side.
        let (mut to_left, mut to_right) = (back_right * ECHO_FEEDBACK, back_left * ECHO_FEEDBACK);
        let table = table();
        for voice in &mut self.voices {
            let value = voice.next(table);
            let (l, r) = (value * voice.left, value * voice.right);
            left += l;
            right += r;
            to_left += l * voice.patch.echo;
            to_right += r * voice.patch.echo;
        }
        self.echo[self.echo_at] = [to_left, to_right];
        self.echo_at = (self.echo_at + 1) % ECHO_SAMPLES;
        [left, right]
    }
}

impl Voice {
    fn next(&mut self, table: &[f32; TABLE + 1]) -> f32 {
        if self.rising {
            self.level += self.rise;
            if self.level >= 1.0 {
                self.level = 1.0;
                self.rising = false;
            }
        } else if self.hold > 0 {
            self.hold -= 1;
        } else {
            self.level *= self.fall;
        }
        self.slide += (1.0 - self.slide) * 0.000_7;
        let step = self.step * self.slide;
        let mut value = 0.0;
        let mut level = self.level;
        for (phase, (ratio, gain)) in self.phases.iter_mut().zip(self.patch.partials) {
            value += wave(table, *phase) * gain * level;
            *phase += step * ratio;
            *phase -= phase.floor();
            level *= self.level;
        }
        if self.patch.noise > 0.0 {
            self.noise ^= self.noise << 13;
            self.noise ^= self.noise >> 17;
            self.noise ^= self.noise << 5;
            value += (self.noise as i32 as f32 / i32::MAX as f32) * self.patch.noise * self.level;
        }
        value
    }
}

/// Factor per sample that falls to a third within `seconds`.
fn fall(seconds: f32) -> f32 {
    (-1.0 / (seconds.max(0.001) * RATE)).exp()
}

/// Soft above the middle, never beyond full scale.
fn sample(value: f32) -> i16 {
    let soft = value / (1.0 + value.abs() * 0.5);
    (soft.clamp(-1.0, 1.0) * 26_000.0) as i16
}

fn wave(table: &[f32; TABLE + 1], phase: f32) -> f32 {
    let at = phase * TABLE as f32;
    let index = (at as usize).min(TABLE - 1);
    table[index] + (table[index + 1] - table[index]) * (at - index as f32)
}

fn table() -> &'static [f32; TABLE + 1] {
    static SINE: OnceLock<[f32; TABLE + 1]> = OnceLock::new();
    SINE.get_or_init(|| std::array::from_fn(|i| (i as f32 / TABLE as f32 * std::f32::consts::TAU).sin()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Patch = Patch {
        partials: [(1.0, 0.5), (2.0, 0.1), (3.0, 0.0)],
        attack: 0.01,
        decay: 0.1,
        noise: 0.0,
        slide: 1.0,
        echo: 0.3,
    };

    #[test]
    fn a_note_sounds_and_then_there_is_exact_silence() {
        let mut synth = Synth::new();
        let mut block = [1; AUDIO_BLOCK];
        assert!(!synth.render(&mut block));
        assert!(block.iter().all(|&s| s == 0));
        synth.play([Note { at_ms: 20, patch: &PLAIN, pitch: 60.0, hold_ms: 50, gain: 0.5, pan: 0.0 }]);
        let mut loud = 0;
        let mut blocks = 0;
        while synth.render(&mut block) {
            loud = loud.max(block.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0));
            blocks += 1;
            assert!(blocks < 1_000, "it never ends");
        }
        assert!(loud > 1_000);
        assert!(block.iter().all(|&s| s == 0));
    }
}
