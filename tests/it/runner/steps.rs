//! The small game that the runner is tested with.

use super::{HEIGHT, WIDTH};
use playgate::games::{AUDIO_BLOCK, Game, GameError, Rect};
use playgate::runner::HostedGame;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::PointerMode;
use tiny_skia::{Color, Paint, Pixmap, Transform};

/// HID usages: what the test game understands.
pub(super) const STEP: u16 = 0x04;
pub(super) const HUM: u16 = 0x05;
pub(super) const BREAK: u16 = 0x06;

/// A white square on black that moves one step to the right at each press. Still otherwise.
#[derive(Default)]
struct Steps {
    steps: u8,
    drawn: Option<u8>,
    pending: u8,
    hum: bool,
    dirty: bool,
}

impl Game for Steps {
    fn input(&mut self, _slot: u8, event: &InputFrame) {
        let InputFrame::Key { usage, down } = event else { return };
        match (*usage, *down) {
            (STEP, true) => self.pending += 1,
            (HUM, down) => self.hum = down,
            (BREAK, _) => panic!("the game breaks"),
            _ => {}
        }
    }

    fn tick(&mut self) {
        if self.pending > 0 {
            self.steps += std::mem::take(&mut self.pending);
            self.dirty = true;
        }
    }

    fn idle(&self) -> bool {
        self.pending == 0 && !self.hum
    }

    fn draw(&mut self, picture: &mut Pixmap) -> Option<Rect> {
        if self.drawn == Some(self.steps) {
            return None;
        }
        picture.fill(Color::BLACK);
        let square = tiny_skia::Rect::from_xywh(f32::from(self.steps) * 64.0, 64.0, 64.0, 64.0)?;
        let mut paint = Paint::default();
        paint.set_color(Color::WHITE);
        picture.fill_rect(square, &paint, Transform::identity(), None);
        self.drawn = Some(self.steps);
        Some(Rect { x: 0, y: 64, width: WIDTH, height: 64 })
    }

    fn sound(&mut self, block: &mut [i16; AUDIO_BLOCK]) -> bool {
        if self.hum {
            for (index, sample) in block.iter_mut().enumerate() {
                *sample = if index / 96 % 2 == 0 { 5000 } else { -5000 };
            }
        }
        self.hum
    }

    fn save(&self) -> Vec<u8> {
        vec![b'S', self.steps]
    }

    fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }
}

pub(super) fn steps_game() -> HostedGame {
    HostedGame {
        width: WIDTH,
        height: HEIGHT,
        tick_hz: 60,
        pads: 0,
        pointer: PointerMode::None,
        create: Box::new(|save| match save {
            None => Ok(Box::new(Steps::default())),
            Some([b'S', steps]) => Ok(Box::new(Steps { steps: *steps, ..Steps::default() })),
            Some(_) => Err(GameError::BadSave("it does not begin with S".to_owned())),
        }),
    }
}
