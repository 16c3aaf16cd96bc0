//! Which window is in front, and where it belongs: what a window manager would decide on a screen that shows one game.
//!
//! Pure. The newest ordinary window of a fair size gets the whole screen; a dialog is centred above it; a window that
//! insists on a smaller size is centred. Windows that ask to be left alone (override-redirect) never get here.

use std::time::{Duration, Instant};

/// After so many tries to give a window the whole screen, it has its own size.
const TRIES: u8 = 3;
/// After so many it is left alone altogether,
const LAST_TRY: u8 = 8;
/// until it has been quiet for this long.
const FORGIVEN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u16,
    pub(super) height: u16,
}

/// Where a window is, in pixels of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) x: i16,
    pub(super) y: i16,
    pub(super) size: Size,
}

/// A managed top-level window, on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) id: u32,
    pub(super) place: Place,
    pub(super) dialog: bool,
    /// It asked for the whole screen, whatever its size hints say.
    pub(super) fullscreen: bool,
    /// It said that it must not be larger.
    pub(super) largest: Option<Size>,
}

/// What is to be done with one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Place(u32, Place),
    /// To the front, with the keys.
    Front(u32),
}

#[derive(Debug)]
struct Known {
    window: Window,
    /// Its size when it came.
    own: Size,
    tries: u8,
    last_try: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Windows {
    screen: Size,
    /// In the order in which they came.
    known: Vec<Known>,
    front: Option<u32>,
}

impl Windows {
    pub(super) fn new(screen: Size) -> Self {
        Self { screen, known: Vec::new(), front: None }
    }

    pub(super) fn came(&mut self, window: Window) {
        self.went(window.id);
        let own = window.place.size;
        self.known.push(Known { window, own, tries: 0, last_try: None });
    }

    pub(super) fn went(&mut self, id: u32) {
        self.known.retain(|known| known.window.id != id);
        if self.front == Some(id) {
            self.front = None;
        }
    }

    pub(super) fn moved(&mut self, id: u32, place: Place) {
        if let Some(known) = self.known.iter_mut().find(|known| known.window.id == id) {
            known.window.place = place;
        }
    }

    pub(super) fn fullscreen(&mut self, id: u32, fullscreen: bool) {
        if let Some(known) = self.known.iter_mut().find(|known| known.window.id == id) {
            known.window.fullscreen = fullscreen;
        }
    }

    /// What is to be done now. Each wish counts as tried.
    pub(super) fn arrange(&mut self, now: Instant) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let main = self.main();
        let dialog = self.known.iter().rposition(|known| known.window.dialog);
        for index in main.into_iter().chain(dialog) {
            let screen = self.screen;
            if let Some(wish) = self.known.get_mut(index).and_then(|known| known.place(screen, now)) {
                wishes.push(wish);
            }
        }
        let front = dialog.or(main).and_then(|index| self.known.get(index)).map(|known| known.window.id);
        if front != self.front {
            self.front = front;
            wishes.extend(front.map(Wish::Front));
        }
        wishes
    }

    /// The newest that has a quarter of the screen either way, else the largest.
    fn main(&self) -> Option<usize> {
        let fair = |known: &Known| {
            known.window.fullscreen
                || (known.own.width >= self.screen.width / 4 && known.own.height >= self.screen.height / 4)
        };
        let ordinary = || self.known.iter().enumerate().filter(|(_, known)| !known.window.dialog);
        let newest = ordinary().rfind(|(_, known)| fair(known));
        let largest = || ordinary().max_by_key(|(_, known)| known.own.area());
        newest.or_else(largest).map(|(index, _)| index)
    }
}

impl Known {
    fn place(&mut self, screen: Size, now: Instant) -> Option<Wish> {
        if self.last_try.is_some_and(|at| now.saturating_duration_since(at) > FORGIVEN) {
            self.tries = 0;
        }
        let wanted = if self.window.dialog {
            self.window.place.size.centred(screen)
        } else if self.tries >= TRIES {
            // It has shown that it will not have another size than the one it has now.
            self.window.place.size.centred(screen)
        } else if self.window.fullscreen {
            screen.centred(screen)
        } else {
            self.window.largest.unwrap_or(screen).centred(screen)
        };
        if wanted == self.window.place || self.tries >= LAST_TRY {
            return None;
        }
        self.tries += 1;
        self.last_try = Some(now);
        Some(Wish::Place(self.window.id, wanted))
    }
}

impl Size {
    fn area(self) -> u32 {
        u32::from(self.width) * u32::from(self.height)
    }

    /// In the middle of the screen, and no larger.
    fn centred(self, screen: Self) -> Place {
        let size =
            Self { width: self.width.clamp(1, screen.width), height: self.height.clamp(1, screen.height) };
        let middle = |free: u16| i16::try_from(free / 2).unwrap_or(0);
        Place { x: middle(screen.width - size.width), y: middle(screen.height - size.height), size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Size = Size { width: 1280, height: 720 };
    const WHOLE: Place = Place { x: 0, y: 0, size: SCREEN };

    fn window(id: u32, width: u16, height: u16) -> Window {
        let place = Place { x: 10, y: 10, size: Size { width, height } };
        Window { id, place, dialog: false, fullscreen: false, largest: None }
    }

    fn at(x: i16, y: i16, width: u16, height: u16) -> Place {
        Place { x, y, size: Size { width, height } }
    }

    #[test]
    fn a_window_gets_the_whole_screen_and_the_keys_once() {
        let mut windows = Windows::new(SCREEN);
        windows.came(window(1, 800, 600));
        let now = Instant::now();
        assert_eq!(windows.arrange(now), [Wish::Place(1, WHOLE), Wish::Front(1)]);
        windows.moved(1, WHOLE);
        assert_eq!(windows.arrange(now), []);
    }

    #[test]
    fn the_newest_fair_window_is_in_front_and_the_older_one_comes_back() {
        let mut windows = Windows::new(SCREEN);
        let now = Instant::now();
        windows.came(window(1, 1280, 720));
        windows.moved(1, WHOLE);
        assert_eq!(windows.arrange(now), [Wish::Front(1)]);
        windows.came(window(2, 16, 16));
        assert_eq!(windows.arrange(now), [], "a small helper is nothing to look at");
        windows.came(window(3, 640, 480));
        assert_eq!(windows.arrange(now), [Wish::Place(3, WHOLE), Wish::Front(3)]);
        windows.went(3);
        assert_eq!(windows.arrange(now), [Wish::Front(1)]);
    }

    #[test]
    fn a_dialog_keeps_its_size_above_the_game() {
        let mut windows = Windows::new(SCREEN);
        let now = Instant::now();
        windows.came(window(1, 800, 600));
        windows.arrange(now);
        windows.moved(1, WHOLE);
        windows.came(Window { dialog: true, ..window(2, 300, 100) });
        assert_eq!(windows.arrange(now), [Wish::Place(2, at(490, 310, 300, 100)), Wish::Front(2)]);
        windows.went(2);
        assert_eq!(windows.arrange(now), [Wish::Front(1)]);
    }

    #[test]
    fn a_window_that_says_how_large_it_can_be_is_centred_unless_it_wants_it_all() {
        let mut windows = Windows::new(SCREEN);
        let largest = Some(Size { width: 640, height: 480 });
        windows.came(Window { largest, ..window(1, 640, 480) });
        let now = Instant::now();
        assert_eq!(windows.arrange(now), [Wish::Place(1, at(320, 120, 640, 480)), Wish::Front(1)]);
        windows.moved(1, at(320, 120, 640, 480));
        windows.fullscreen(1, true);
        assert_eq!(windows.arrange(now), [Wish::Place(1, WHOLE)]);
    }

    #[test]
    fn a_window_that_insists_is_centred_and_never_fought_with_for_ever() {
        let mut windows = Windows::new(SCREEN);
        let now = Instant::now();
        windows.came(window(1, 640, 480));
        let mut wishes = Vec::new();
        for _ in 0..30 {
            wishes.extend(windows.arrange(now));
            windows.moved(1, at(0, 0, 640, 480));
        }
        let whole = wishes.iter().filter(|wish| **wish == Wish::Place(1, WHOLE)).count();
        let centred = wishes.iter().filter(|wish| **wish == Wish::Place(1, at(320, 120, 640, 480))).count();
        assert_eq!((whole, centred), (3, 5));
        // Much later it is asked again.
        let later = now + Duration::from_secs(60);
        assert_eq!(windows.arrange(later), [Wish::Place(1, WHOLE)]);
    }

    #[test]
    fn a_window_larger_than_the_screen_fits_into_it() {
        let mut windows = Windows::new(SCREEN);
        windows.came(Window { dialog: true, ..window(1, 4000, 3000) });
        assert_eq!(windows.arrange(Instant::now()), [Wish::Place(1, WHOLE), Wish::Front(1)]);
    }
}
