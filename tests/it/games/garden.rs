//! The story: pages, choices, endings, and going on from a save.

use super::{BACKSPACE, DIGIT_1, ENTER, ESCAPE, GARDEN, Player, pad, touch};
use playgate_signaling::input::{InputFrame, TouchPhase};

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
