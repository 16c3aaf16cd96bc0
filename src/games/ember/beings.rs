//! What is on the lake, and what happens to it, as plain values. Positions are pixels of the picture, speeds pixels per
//! tick, ages ticks.

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Spot {
    pub(super) x: f32,
    pub(super) y: f32,
}

impl Spot {
    pub(super) fn to(self, other: Self) -> Self {
        Self { x: other.x - self.x, y: other.y - self.y }
    }

    pub(super) fn length(self) -> f32 {
        (self.x * self.x + self.y * self.y).sqrt()
    }

    pub(super) fn scaled(self, by: f32) -> Self {
        Self { x: self.x * by, y: self.y * by }
    }

    pub(super) fn toward(self, length: f32) -> Self {
        let now = self.length();
        if now < 0.001 { Self::default() } else { self.scaled(length / now) }
    }
}

/// What the player wants: a push of length 0-1, and a dash.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Steering {
    pub(super) push: Spot,
    pub(super) dash: bool,
}

pub(super) struct Ember {
    pub(super) at: Spot,
    pub(super) speed: Spot,
    pub(super) facing: Spot,
    pub(super) dash: u32,
    pub(super) rest: u32,
    pub(super) hurt: u32,
}

pub(super) struct Lantern {
    pub(super) at: Spot,
    pub(super) age: u32,
    /// Ticks since it was lit; it rises and is gone.
    pub(super) lit: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Goes straight on, swaying.
    Drifter,
    /// Turns after the ember.
    Seeker,
    /// Waits at the edge, then shoots across.
    Dart,
}

pub(super) struct Moth {
    pub(super) at: Spot,
    pub(super) speed: Spot,
    pub(super) kind: Kind,
    pub(super) age: u32,
}

pub(super) struct Particle {
    pub(super) at: Spot,
    pub(super) speed: Spot,
    pub(super) age: u32,
    pub(super) life: u32,
    /// 0 gold, 1 pale, 2 cold.
    pub(super) color: usize,
}

/// A number that rises where points were made.
pub(super) struct Pop {
    pub(super) at: Spot,
    pub(super) points: u32,
    pub(super) age: u32,
}

/// A ring that widens.
pub(super) struct Ring {
    pub(super) at: Spot,
    pub(super) age: u32,
    pub(super) cold: bool,
}

/// What was to be heard in a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Lit { chain: u32 },
    Burnt { chain: u32 },
    Dashed,
    Hurt,
    Night,
    Warned,
}
