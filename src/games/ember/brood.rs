//! Where lanterns and moths come from, and how they move. More and faster with every night.

use super::beings::{Event, Kind, Lantern, Moth, Spot};
use super::world::{EDGE, HEIGHT, TOP, WIDTH, World};

/// Moths at once; while there are so many no more come.
const MOTHS: usize = 26;

impl World {
    pub(super) fn hang(&mut self) {
        let mut best = (Spot::default(), -1.0);
        for _ in 0..6 {
            let at = Spot {
                x: self.random.between(80.0, WIDTH - 80.0),
                y: self.random.between(TOP + 50.0, HEIGHT - 80.0),
            };
            let others = self.lanterns.iter().map(|other| other.at.to(at).length());
            let room = others.fold(self.ember.at.to(at).length(), f32::min);
            if room > best.1 {
                best = (at, room);
            }
        }
        self.lanterns.push(Lantern { at: best.0, age: 0, lit: None });
    }

    pub(super) fn hatch(&mut self) {
        self.next_moth = self.next_moth.saturating_sub(1);
        if self.next_moth > 0 || self.moths.len() >= MOTHS {
            return;
        }
        let pace = (86.0 / (1.0 + self.night as f32 * 0.22)).max(17.0);
        self.next_moth = self.random.between(pace * 0.7, pace * 1.3) as u32;
        let dice = self.random.below(10) + self.night.min(6);
        let kind = match dice {
            0..=6 => Kind::Drifter,
            7..=10 => Kind::Seeker,
            _ => Kind::Dart,
        };
        let at = match self.random.below(4) {
            0 => Spot { x: -30.0, y: self.random.between(TOP, HEIGHT - EDGE) },
            1 => Spot { x: WIDTH + 30.0, y: self.random.between(TOP, HEIGHT - EDGE) },
            2 => Spot { x: self.random.between(EDGE, WIDTH - EDGE), y: -30.0 },
            _ => Spot { x: self.random.between(EDGE, WIDTH - EDGE), y: HEIGHT + 30.0 },
        };
        let target = if kind == Kind::Drifter {
            Spot { x: self.random.between(260.0, 1_020.0), y: self.random.between(160.0, 600.0) }
        } else {
            self.ember.at
        };
        let quick = 1.0 + self.night as f32 * 0.07;
        let pace = match kind {
            Kind::Drifter => 2.5,
            Kind::Seeker => 2.3,
            Kind::Dart => 0.9,
        };
        if kind == Kind::Dart {
            self.events.push(Event::Warned);
        }
        self.moths.push(Moth { at, speed: at.to(target).toward(pace * quick), kind, age: 0 });
    }

    pub(super) fn fly(&mut self) {
        let (target, quick) = (self.ember.at, 1.0 + self.night as f32 * 0.07);
        for moth in &mut self.moths {
            moth.age += 1;
            match moth.kind {
                Kind::Drifter => {}
                Kind::Seeker if moth.age < 420 => {
                    let pace = moth.speed.length() * 0.96 + 2.3 * quick * 0.04;
                    let pull = moth.at.to(target).toward(0.075 * quick);
                    moth.speed = Spot { x: moth.speed.x + pull.x, y: moth.speed.y + pull.y }.toward(pace);
                }
                Kind::Seeker => {}
                Kind::Dart if moth.age == 46 => moth.speed = moth.at.to(target).toward(9.0 * quick),
                Kind::Dart => {}
            }
            let sway = if moth.kind == Kind::Drifter { (moth.age as f32 * 0.07).sin() * 1.1 } else { 0.0 };
            let side = Spot { x: -moth.speed.y, y: moth.speed.x }.toward(sway);
            moth.at.x += moth.speed.x + side.x;
            moth.at.y += moth.speed.y + side.y;
        }
        let inside =
            |at: Spot| (-70.0..WIDTH + 70.0).contains(&at.x) && (-70.0..HEIGHT + 70.0).contains(&at.y);
        self.moths.retain(|moth| inside(moth.at));
        for lantern in &mut self.lanterns {
            if let Some(ticks) = &mut lantern.lit {
                *ticks += 1;
                lantern.at.y -= 1.2 + *ticks as f32 * 0.06;
            }
        }
        self.lanterns.retain(|lantern| lantern.lit.is_none_or(|ticks| ticks < 46));
    }
}
