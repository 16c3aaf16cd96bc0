//! The ladder, before games and encoders of several kinds.

use super::*;

const MS: Duration = Duration::from_millis(1);
const HD: u32 = 1280 * 720;

/// A game that draws 60 pictures a second, and an encoder whose coarsest picture has so many bytes at the whole size.
struct Game {
    fit: Fit,
    now: Instant,
    coarsest: usize,
    kbps: u32,
}

impl Game {
    fn new(kbps: u32, coarsest: usize) -> Self {
        Self { fit: Fit::new(60, kbps), now: Instant::now(), coarsest, kbps }
    }

    fn set_kbps(&mut self, kbps: u32) {
        self.kbps = kbps;
        self.fit.set_kbps(self.now, kbps);
    }

    /// Plays; gives pictures a second, kbit/s, the longest pause, and how often the size changed.
    fn play(&mut self, seconds: u32) -> (u32, u32, Duration, u32) {
        let (mut pictures, mut bytes, mut last, mut longest) = (0, 0, self.now, Duration::ZERO);
        let (mut half, mut changes) = (self.fit.is_half(), 0);
        for frame in 0..seconds * 60 {
            let at = self.now + Duration::from_secs(1) * frame / 60;
            if self.fit.next(at).is_some() {
                continue;
            }
            let key = self.fit.is_half() != half;
            half = self.fit.is_half();
            changes += u32::from(key);
            let coarsest = if half { self.coarsest / 3 } else { self.coarsest };
            let size = (self.kbps * 125 / self.fit.fps()) as usize;
            let size = size.max(coarsest) * if key { 3 } else { 1 };
            self.fit.sent(at, Sent { pixels: HD, bytes: size, moving: !key, coarseness: None });
            (pictures, bytes, longest) = (pictures + 1, bytes + size, longest.max(at - last));
            last = at;
        }
        self.now += Duration::from_secs(1) * seconds;
        (pictures / seconds, u32::try_from(bytes * 8 / 1000).expect("few") / seconds, longest, changes)
    }
}

#[test]
fn an_encoder_that_keeps_its_rate_loses_no_picture() {
    let mut game = Game::new(1350, 2000);
    let (pictures, kbps, longest, changes) = game.play(20);
    assert_eq!((pictures, changes, game.fit.fps()), (60, 0, 60));
    assert!((1300..=1400).contains(&kbps) && longest < 18 * MS, "{kbps} {longest:?}");
}

#[test]
fn an_encoder_too_slow_for_so_many_pictures_keeps_the_size() {
    let (start, mut fit) = (Instant::now(), Fit::new(60, 4000));
    for picture in 0..200 {
        let at = start + 50 * MS * picture;
        assert_eq!(fit.next(at), None);
        fit.sent(at, Sent { pixels: HD, bytes: 25_000, moving: true, coarseness: None });
    }
    assert!(!fit.is_half() && fit.fps() == 60);
}

#[test]
fn pictures_that_cost_too_much_become_smaller_before_they_become_fewer() {
    let mut game = Game::new(2000, 9000);
    game.play(3);
    assert!(game.fit.is_half() && game.fit.fps() == 60);
    let (pictures, kbps, longest, _) = game.play(5);
    assert!(pictures >= 58 && kbps <= 2100 && longest < 35 * MS, "{pictures} {kbps} {longest:?}");
}

#[test]
fn pictures_that_could_be_coarser_do_not_become_smaller_or_fewer() {
    let (start, mut fit) = (Instant::now(), Fit::new(60, 3000));
    for frame in 0..300_u32 {
        let at = start + Duration::from_secs(1) * frame / 60;
        if fit.next(at).is_none() {
            fit.sent(at, Sent { pixels: HD, bytes: 20_000, moving: true, coarseness: Some(0.6) });
        }
    }
    assert!(!fit.is_half() && fit.fps() == 60, "{fit:?}");
}

#[test]
fn pictures_that_have_become_fine_come_more_often_again() {
    let mut game = Game::new(1350, 20_000);
    game.play(10);
    assert!(game.fit.is_half() && game.fit.fps() < 60, "{:?}", game.fit);
    for frame in 0..900_u32 {
        let at = game.now + Duration::from_secs(1) * frame / 60;
        if game.fit.next(at).is_none() {
            let bytes = (game.kbps * 125 / game.fit.fps()) as usize;
            game.fit.sent(at, Sent { pixels: HD, bytes, moving: true, coarseness: Some(0.6) });
        }
    }
    assert_eq!(game.fit.fps(), 60);
}

#[test]
fn where_even_small_pictures_cost_too_much_there_are_thirty_evenly_spaced() {
    let mut game = Game::new(1350, 20_000);
    game.play(6);
    assert_eq!((game.fit.is_half(), game.fit.fps()), (true, 30));
    let (pictures, _, longest, _) = game.play(5);
    assert!((24..=31).contains(&pictures) && longest < 52 * MS, "{pictures} {longest:?}");
}

#[test]
fn below_what_thirty_pictures_take_there_are_fewer_but_never_less_than_ten() {
    let mut game = Game::new(300, 20_000);
    game.play(14);
    assert_eq!(game.fit.fps(), 15);
    let mut fit = Fit::new(15, 10);
    fit.rung = LADDER.len() - 1;
    assert_eq!(fit.fps(), 10);
}

#[test]
fn a_bitrate_that_comes_back_brings_everything_back_and_does_not_swing() {
    let mut game = Game::new(8000, 9000);
    assert_eq!(game.play(3).3, 0);
    game.set_kbps(2000);
    game.play(3);
    assert!(game.fit.is_half());
    game.set_kbps(8000);
    let (_, _, longest, changes) = game.play(5);
    assert!(!game.fit.is_half() && changes == 1 && longest < 100 * MS, "{changes} {longest:?}");
    // What does not fit is tried again, less and less often: a try costs two key frames.
    game.set_kbps(2000);
    let changes = game.play(300).3;
    assert!((3..=13).contains(&changes), "{changes} in five minutes");
}

#[test]
fn a_still_picture_gets_its_whole_size_back() {
    let mut game = Game::new(2000, 9000);
    game.play(3);
    assert!(game.fit.is_half());
    for second in 1..=6 {
        game.fit.sent(
            game.now + second * 1000 * MS,
            Sent { pixels: HD, bytes: 100, moving: false, coarseness: None },
        );
    }
    assert!(!game.fit.is_half());
}

#[test]
fn hardly_any_bits_for_a_pixel_are_too_few_for_the_whole_size() {
    let mut game = Game::new(600, 500);
    game.play(2);
    assert!(game.fit.is_half());
    game.set_kbps(1000);
    game.play(10);
    assert!(game.fit.is_half(), "not yet clearly wider");
    game.set_kbps(1200);
    game.play(10);
    assert!(!game.fit.is_half());
}

#[test]
fn one_huge_picture_holds_the_next_for_less_than_half_a_second() {
    let (now, mut fit) = (Instant::now(), Fit::new(60, 100));
    fit.sent(now, Sent { pixels: HD, bytes: 1_000_000, moving: false, coarseness: None });
    assert_eq!(fit.next(now), Some(now + LONGEST - AHEAD));
    fit.set_kbps(now, 100_000);
    assert_eq!(fit.next(now), None, "what is owed is bits, and soon paid at more");
}
