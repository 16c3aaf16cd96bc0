//! The arcade game: steering, its end, the best score.

use super::{EMBER, ESCAPE, Player, RIGHT, SPACE, pad, touch};
use playgate_signaling::input::{InputFrame, TouchPhase};
use tiny_skia::Pixmap;

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
