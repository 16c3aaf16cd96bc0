//! The built-in games, played through their public face only: inputs in; pixels, sound and saves out.

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
fn a_page_whose_text_is_there_and_whose_music_has_ended_is_still_and_silent() {
    let mut player = Player::new(GARDEN, 1, None);
    player.press(ENTER);
    let mut drawn_while_music = 0;
    for _ in 0..30 * 30 {
        player.tick();
        let drawn = player.game.draw(&mut player.picture).is_some();
        if player.ticks > 30 * 10 && drawn {
            drawn_while_music += 1;
        }
        if player.game.idle() {
            break;
        }
    }
    assert!(player.game.idle(), "still busy after 30 s");
    assert!(player.ticks > 30 * 10, "the music was over too soon");
    assert_eq!(drawn_while_music, 0, "only music, yet something was drawn");
    for _ in 0..50 {
        assert!(!player.tick());
        assert!(player.game.draw(&mut player.picture).is_none());
        assert!(player.game.idle());
    }
    player.press(ENTER);
    player.tick();
    assert!(player.game.draw(&mut player.picture).is_some(), "an input shows at the next tick");
}

/// Goes on by one page: Enter, and where that only shows the focus, the next of the choices. False at the end of them.
fn turn(player: &mut Player, choices: &mut impl Iterator<Item = u16>) -> bool {
    player.press(ENTER);
    if player.game.take_dirty() {
        return true;
    }
    let Some(choice) = choices.next() else { return false };
    player.press(DIGIT_1 + choice);
    assert!(player.game.take_dirty(), "the save changes with every page: {}", player.save_text());
    true
}

#[test]
fn a_restored_game_shows_the_same_picture_at_every_line() {
    for digits in [[0, 2, 1, 0, 0], [1, 0, 0, 1, 0]] {
        let mut player = Player::new(GARDEN, 9, None);
        let mut choices = digits.into_iter();
        let mut pages = 0;
        while turn(&mut player, &mut choices) {
            player.complete();
            let left = player.pixels();
            let save = player.game.save();
            let mut restored = Player::new(GARDEN, 77, Some(&save));
            restored.rest();
            assert_eq!(restored.pixels(), left, "{}", player.save_text());
            assert_eq!(restored.game.save(), save);
            assert!(!restored.game.take_dirty());
            pages += 1;
        }
        assert!(choices.next().is_none(), "the walk ended early: {}", player.save_text());
        assert!(pages > 14, "only {pages} pages");
    }
}

#[test]
fn different_branches_end_differently() {
    let walk = |digits: &[u16]| {
        let mut player = Player::new(GARDEN, 3, None);
        let mut choices = digits.iter().copied();
        while turn(&mut player, &mut choices) {
            player.complete();
        }
        player.save_text()
    };
    let endings =
        [walk(&[0, 0, 0, 0, 0]), walk(&[0, 1, 1, 1, 0]), walk(&[1, 1, 0, 1, 0]), walk(&[1, 0, 1, 0, 1])];
    for (end, walked) in ["bell-3", "cross-2", "paper-3", "letter-2"].iter().zip(&endings) {
        assert!(walked.contains(end), "{walked} does not end with {end}");
    }
}

#[test]
fn the_story_can_be_led_by_mouse_touch_and_pad_and_turned_back() {
    let mut player = Player::new(GARDEN, 5, None);
    let title = player.pixels();
    // "Begin" is at (248, 450).
    let (x, y) = (248 * 65_536 / 1_280, 450 * 65_536 / 720);
    player.game.input(0, &InputFrame::Button { button: 0, down: true, x: x as u16, y: y as u16 });
    assert!(player.save_text().contains("gate-1"));
    player.complete();
    assert_ne!(player.pixels(), title);
    let first = player.pixels();
    player.game.input(0, &touch(TouchPhase::Start, 30_000, 30_000));
    assert!(player.save_text().contains("gate-2"));
    player.complete();
    player.game.input(0, &pad(1, 0));
    player.game.input(0, &pad(0, 0));
    assert!(player.save_text().contains("gate-3"));
    player.press(BACKSPACE);
    player.press(BACKSPACE);
    player.rest();
    assert_eq!(player.pixels(), first, "back is the page as it was");
    player.complete();
    for _ in 0..3 {
        player.press(ENTER);
        player.complete();
    }
    let plain = player.pixels();
    // The pad's d-pad moves the focus, A takes it: the letter, this time.
    for buttons in [1 << 13, 0, 1 << 13, 0] {
        player.game.input(0, &pad(buttons, 0));
    }
    player.rest();
    assert_ne!(player.pixels(), plain, "the focus is seen");
    player.game.input(0, &pad(1, 0));
    assert!(player.save_text().contains("seal"), "{}", player.save_text());
    player.press(ESCAPE);
    player.complete();
    player.press(ENTER);
    assert!(player.save_text().contains("\"at_title\":false"), "Continue leads back");
}

/// The number of pixels in which two pictures of the lake differ.
fn differs(a: &Pixmap, b: &Pixmap) -> usize {
    a.pixels().iter().zip(b.pixels()).filter(|(a, b)| a != b).count()
}

#[test]
fn the_ember_moves_by_keys_touch_mouse_and_pad() {
    let run = |input: Option<InputFrame>| {
        let mut player = Player::new(EMBER, 8, None);
        player.game.tick();
        player.press(SPACE);
        player.game.tick();
        if let Some(input) = input {
            player.game.input(0, &input);
        }
        for _ in 0..30 {
            player.game.tick();
        }
        player.pixels();
        player.picture
    };
    let still = run(None);
    for input in [
        InputFrame::Key { usage: RIGHT, down: true },
        InputFrame::Key { usage: 0x04, down: true },
        touch(TouchPhase::Start, 2_000, 30_000),
        InputFrame::PointerMove { sequence: 1, x: 60_000, y: 20_000 },
        pad(0, 30_000),
        pad(1 << 12, 0),
    ] {
        assert!(differs(&still, &run(Some(input.clone()))) > 2_000, "{input:?} moves nothing");
    }
    let let_go = run(Some(InputFrame::ReleaseAll));
    assert_eq!(differs(&still, &let_go), 0);
}

#[test]
fn the_arcade_game_ends_keeps_its_best_and_starts_again() {
    let mut player = Player::new(EMBER, 4, None);
    assert!(!player.game.idle(), "the title moves");
    player.game.tick();
    player.press(SPACE);
    let mut ticks = 0;
    let mut heard = false;
    // Left alone in the middle of the lake it cannot last, but it may drift into a lantern: steer for points.
    while !player.game.take_dirty() {
        let x = ((ticks / 40) * 9_001 % 65_536) as u16;
        let y = ((ticks / 40) * 17_011 % 65_536) as u16;
        player.game.input(0, &InputFrame::PointerMove { sequence: 0, x, y });
        heard |= player.tick();
        ticks += 1;
        assert!(ticks < 60 * 300, "it never ends");
    }
    assert!(heard, "the beat is heard");
    let save = player.save_text();
    let best = |save: &str| -> u64 {
        let save: serde_json::Value = serde_json::from_str(save).expect("JSON");
        save["best"].as_u64().expect("a number")
    };
    assert!(best(&save) > 0, "{save}");
    for _ in 0..60 {
        player.game.tick();
    }
    let over = player.pixels();
    let edge = player.picture.pixel(2, 360).expect("inside");
    assert!(edge.red() < 100, "the flash at the edges is gone");
    player.game.input(0, &touch(TouchPhase::Start, 30_000, 30_000));
    player.game.tick();
    assert_ne!(player.pixels(), over);
    // Given up at once: no points, the best stays.
    player.press(ESCAPE);
    player.game.tick();
    assert!(player.game.take_dirty());
    assert_eq!(best(&player.save_text()), best(&save));
    let restored = Player::new(EMBER, 4, Some(save.as_bytes()));
    assert_eq!(best(&restored.save_text()), best(&save));
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
