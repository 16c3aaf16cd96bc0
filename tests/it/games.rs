//! The built-in games, played through their public face only: inputs in; pixels, sound and saves out.

mod ember;
mod garden;

use playgate::games::{AUDIO_BLOCK, Game, GameError, built_in, create, thumbnail};
use playgate_signaling::input::{InputFrame, PadState, TouchPhase};
use proptest::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};
use tiny_skia::Pixmap;

const GARDEN: &str = "garden-of-forking-paths";
const EMBER: &str = "ember";
const ENTER: u16 = 0x28;
const ESCAPE: u16 = 0x29;
const BACKSPACE: u16 = 0x2A;
const SPACE: u16 = 0x2C;
const DIGIT_1: u16 = 0x1E;
const RIGHT: u16 = 0x4F;

/// A game with its screen and a loudspeaker that is heard in step.
struct Player {
    game: Box<dyn Game>,
    picture: Pixmap,
    fps: u32,
    ticks: u32,
}

impl Player {
    fn new(slug: &str, seed: u64, save: Option<&[u8]>) -> Self {
        let fps = built_in().iter().find(|game| game.slug == slug).expect("a built-in game").fps;
        let game = create(slug, seed, save).expect("it starts");
        let picture = Pixmap::new(1280, 720).expect("a picture");
        Self { game, picture, fps, ticks: 0 }
    }

    /// One tick and its share of sound; true when something was heard.
    fn tick(&mut self) -> bool {
        self.game.tick();
        self.ticks += 1;
        let blocks = self.ticks * 100 / self.fps - (self.ticks - 1) * 100 / self.fps;
        let mut block = [1; AUDIO_BLOCK];
        let mut heard = false;
        for _ in 0..blocks {
            let sounds = self.game.sound(&mut block);
            assert!(sounds || block.iter().all(|&s| s == 0), "silence that is not zero");
            heard |= sounds;
        }
        heard
    }

    fn press(&mut self, usage: u16) {
        self.game.input(0, &InputFrame::Key { usage, down: true });
        self.game.input(0, &InputFrame::Key { usage, down: false });
    }

    /// Ticks without sound: enough to fade, reveal and come to rest.
    fn rest(&mut self) {
        for _ in 0..60 {
            self.game.tick();
        }
    }

    /// Presses Enter until the text is complete and everything but the music is still.
    fn complete(&mut self) {
        self.game.tick();
        self.game.tick();
        self.press(0x52);
        self.rest();
    }

    fn pixels(&mut self) -> u64 {
        self.game.draw(&mut self.picture);
        hash(self.picture.data())
    }

    fn save_text(&self) -> String {
        String::from_utf8(self.game.save()).expect("JSON")
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn touch(phase: TouchPhase, x: u16, y: u16) -> InputFrame {
    InputFrame::Touch { contact: 0, phase, x, y }
}

fn pad(buttons: u32, x: i16) -> InputFrame {
    InputFrame::Pad { sequence: 0, state: PadState { buttons, axes: [x, 0, 0, 0], ..PadState::default() } }
}

#[test]
fn the_catalogue_holds_what_can_be_created_and_its_pictures() {
    assert_eq!(built_in().len(), 2);
    for game in built_in() {
        assert!(create(game.slug, 0, None).is_ok());
        let png = thumbnail(game.slug).expect("a thumbnail");
        let picture = Pixmap::decode_png(&png).expect("PNG");
        assert_eq!((picture.width(), picture.height()), (640, 360));
    }
    assert!(thumbnail("no-such-game").is_none());
    assert!(matches!(create("no-such-game", 0, None), Err(GameError::Unknown(_))));
}

#[test]
fn bytes_that_are_no_save_are_refused() {
    for slug in [GARDEN, EMBER] {
        for bad in [&b""[..], b"{}", b"\xFF\xFE", b"{\"version\":99}", b"null", &[b'['; 70_000]] {
            assert!(matches!(create(slug, 0, Some(bad)), Err(GameError::BadSave(_))), "{slug} took {bad:?}");
        }
    }
}

#[test]
fn the_same_seed_and_inputs_give_the_same_pixels_sound_and_save() {
    let run = |slug: &str| {
        let mut player = Player::new(slug, 42, None);
        let mut hasher = DefaultHasher::new();
        let mut block = [0; AUDIO_BLOCK];
        for tick in 0..240_u32 {
            if tick % 30 == 5 {
                player.press(SPACE);
            }
            let x = (tick * 270) as u16;
            player.game.input(0, &InputFrame::PointerMove { sequence: 0, x, y: 40_000 });
            player.game.tick();
            player.game.sound(&mut block);
            block.hash(&mut hasher);
            if tick % 60 == 59 {
                player.pixels().hash(&mut hasher);
            }
        }
        (hasher.finish(), player.game.save())
    };
    for slug in [GARDEN, EMBER] {
        assert_eq!(run(slug), run(slug));
    }
}

#[test]
fn what_draw_reports_is_all_that_changed() {
    for slug in [GARDEN, EMBER] {
        let mut player = Player::new(slug, 6, None);
        player.game.draw(&mut player.picture);
        for tick in 0..200 {
            if tick % 25 == 3 {
                player.press(ENTER);
            }
            player.game.tick();
            if tick % 7 != 0 && slug == EMBER {
                continue;
            }
            let before = player.picture.clone();
            let rect = player.game.draw(&mut player.picture);
            let changed = before.pixels().iter().zip(player.picture.pixels()).enumerate();
            for (index, _) in changed.filter(|(_, (a, b))| a != b) {
                let (x, y) = (index as u32 % 1_280, index as u32 / 1_280);
                let inside = rect
                    .is_some_and(|r| (r.x..r.x + r.width).contains(&x) && (r.y..r.y + r.height).contains(&y));
                assert!(inside, "{slug}: tick {tick}, ({x}, {y}) changed outside {rect:?}");
            }
            assert!(player.picture.pixels().iter().all(|pixel| pixel.alpha() == 255), "{slug}: a hole");
        }
    }
}

fn any_input() -> impl Strategy<Value = InputFrame> {
    let phase =
        prop::sample::select(vec![TouchPhase::Start, TouchPhase::Move, TouchPhase::End, TouchPhase::Cancel]);
    let known = prop::sample::select(vec![
        ENTER, ESCAPE, BACKSPACE, SPACE, DIGIT_1, 0x1F, 0x20, 0x4B, RIGHT, 0x50, 0x51, 0x52, 0x04, 0x07,
    ]);
    prop_oneof![
        8 => (known, any::<bool>()).prop_map(|(usage, down)| InputFrame::Key { usage, down }),
        1 => (any::<u16>(), any::<bool>()).prop_map(|(usage, down)| InputFrame::Key { usage, down }),
        2 => (any::<u8>(), any::<bool>(), any::<u16>(), any::<u16>())
            .prop_map(|(button, down, x, y)| InputFrame::Button { button, down, x, y }),
        2 => (any::<u8>(), phase, any::<u16>(), any::<u16>())
            .prop_map(|(contact, phase, x, y)| InputFrame::Touch { contact, phase, x, y }),
        2 => (any::<u16>(), any::<u16>(), any::<u16>())
            .prop_map(|(sequence, x, y)| InputFrame::PointerMove { sequence, x, y }),
        2 => (any::<u8>(), any::<u32>(), any::<[i16; 4]>(), any::<[u8; 2]>()).prop_map(
            |(pad, buttons, axes, triggers)| InputFrame::Pad {
                sequence: 0,
                state: PadState { pad, buttons, axes, triggers },
            }
        ),
        1 => (any::<i16>(), any::<i16>()).prop_map(|(dx, dy)| InputFrame::Wheel { dx, dy }),
        1 => (any::<i16>(), any::<i16>()).prop_map(|(dx, dy)| InputFrame::PointerDelta { dx, dy }),
        1 => ".{1,8}".prop_map(InputFrame::Text),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(pad, connected)| InputFrame::PadPresence { pad, connected }),
        1 => Just(InputFrame::ReleaseAll),
        1 => Just(InputFrame::Heartbeat),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_input_at_any_time_breaks_a_game_or_its_save(
        slug in prop::sample::select(vec![GARDEN, EMBER]),
        inputs in prop::collection::vec((any_input(), 0..12_u32), 0..120),
    ) {
        let mut player = Player::new(slug, 1, None);
        for (index, (input, ticks)) in inputs.iter().enumerate() {
            player.game.input(0, input);
            for _ in 0..*ticks {
                player.game.tick();
            }
            if index % 30 == 0 {
                player.tick();
                player.game.draw(&mut player.picture);
            }
        }
        let save = player.game.save();
        let again = create(slug, 2, Some(&save));
        prop_assert_eq!(again.map(|game| game.save()).ok(), Some(save));
    }
}
