//! The rules: ember, lanterns, moths, nights. Pure and deterministic: a tick takes a steering and leaves events.
//!
//! Positions are pixels of the picture, speeds pixels per tick, times ticks of 1/60 s.

use super::beings::{Ember, Event, Lantern, Moth, Particle, Pop, Ring, Spot, Steering};
use crate::games::kit::random::Random;
use std::collections::VecDeque;

pub(super) const WIDTH: f32 = 1_280.0;
pub(super) const HEIGHT: f32 = 720.0;
/// Nothing is placed above this; the score stands there.
pub(super) const TOP: f32 = 84.0;
pub(super) const EDGE: f32 = 34.0;
const SPEED: f32 = 8.2;
const DASH_SPEED: f32 = 24.0;
const DASH_TICKS: u32 = 11;
pub(super) const DASH_REST: u32 = 44;
/// A chain breaks when nothing is lit or burnt for this long.
pub(super) const CHAIN_TICKS: u32 = 150;
const HURT_TICKS: u32 = 96;
const FREEZE_TICKS: u32 = 7;
const FLAMES: u32 = 3;
const PARTICLES: usize = 150;
const TRAIL: usize = 12;

pub(super) struct World {
    pub(super) random: Random,
    pub(super) ticks: u32,
    pub(super) ember: Ember,
    /// Where the ember was, newest first.
    pub(super) trail: VecDeque<Spot>,
    pub(super) lanterns: Vec<Lantern>,
    pub(super) moths: Vec<Moth>,
    pub(super) particles: Vec<Particle>,
    pub(super) pops: Vec<Pop>,
    pub(super) rings: Vec<Ring>,
    pub(super) events: Vec<Event>,
    pub(super) score: u32,
    pub(super) flames: u32,
    pub(super) chain: u32,
    pub(super) chain_left: u32,
    pub(super) night: u32,
    pub(super) lit: u32,
    /// Ticks since the night began; the banner shows at first.
    pub(super) night_age: u32,
    pub(super) freeze: u32,
    pub(super) next_moth: u32,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            random: Random::new(seed),
            ticks: 0,
            ember: Ember {
                at: Spot { x: WIDTH / 2.0, y: HEIGHT * 0.62 },
                speed: Spot::default(),
                facing: Spot { x: 0.0, y: -1.0 },
                dash: 0,
                rest: 0,
                hurt: 0,
            },
            trail: VecDeque::with_capacity(TRAIL + 1),
            lanterns: Vec::new(),
            moths: Vec::new(),
            particles: Vec::new(),
            pops: Vec::new(),
            rings: Vec::new(),
            events: Vec::new(),
            score: 0,
            flames: FLAMES,
            chain: 0,
            chain_left: 0,
            night: 1,
            lit: 0,
            night_age: 0,
            freeze: 0,
            next_moth: 70,
        };
        for _ in 0..4 {
            world.hang();
        }
        world
    }

    pub(super) fn ended(&self) -> bool {
        self.flames == 0 && self.freeze == 0
    }

    /// Lanterns to light in this night.
    pub(super) fn goal(&self) -> u32 {
        8 + self.night * 2
    }

    /// What points are multiplied by.
    pub(super) fn factor(&self) -> u32 {
        (1 + self.chain / 4).min(8)
    }

    pub(super) fn tick(&mut self, steering: Steering) {
        self.ticks = self.ticks.wrapping_add(1);
        self.night_age = self.night_age.saturating_add(1);
        self.drift();
        self.trail.push_front(self.ember.at);
        self.trail.truncate(TRAIL);
        if self.freeze > 0 {
            self.freeze -= 1;
            return;
        }
        self.hatch();
        self.fly();
        self.lanterns.iter_mut().for_each(|lantern| lantern.age += 1);
        self.ember.hurt = self.ember.hurt.saturating_sub(1);
        if self.flames == 0 {
            return;
        }
        self.steer(steering);
        self.light();
        self.meet();
        self.chain_left = self.chain_left.saturating_sub(1);
        if self.chain_left == 0 {
            self.chain = 0;
        }
        if self.lit >= self.goal() {
            self.dawn();
        }
    }

    fn steer(&mut self, steering: Steering) {
        let push = if steering.push.length() > 1.0 { steering.push.toward(1.0) } else { steering.push };
        if push.length() > 0.1 {
            self.ember.facing = push.toward(1.0);
        }
        let ember = &mut self.ember;
        ember.rest = ember.rest.saturating_sub(1);
        if steering.dash && ember.rest == 0 && ember.dash == 0 {
            ember.dash = DASH_TICKS;
            ember.rest = DASH_REST;
            self.events.push(Event::Dashed);
            let at = ember.at;
            self.rings.push(Ring { at, age: 4, cold: false });
        }
        let ember = &mut self.ember;
        if ember.dash > 0 {
            ember.dash -= 1;
            ember.speed = ember.facing.scaled(DASH_SPEED);
        } else {
            let wanted = push.scaled(SPEED);
            ember.speed.x += (wanted.x - ember.speed.x) * 0.22;
            ember.speed.y += (wanted.y - ember.speed.y) * 0.22;
        }
        ember.at.x = (ember.at.x + ember.speed.x).clamp(EDGE, WIDTH - EDGE);
        ember.at.y = (ember.at.y + ember.speed.y).clamp(TOP, HEIGHT - EDGE);
        let (at, dashing) = (ember.at, ember.dash > 0);
        if dashing || self.ticks.is_multiple_of(3) {
            self.spray(at, 1, if dashing { 1.6 } else { 0.6 }, 0);
        }
    }

    /// Lights lanterns in reach.
    fn light(&mut self) {
        let at = self.ember.at;
        let reached: Vec<usize> = (0..self.lanterns.len())
            .filter(|&index| {
                let lantern = &self.lanterns[index];
                lantern.lit.is_none() && lantern.age > 12 && lantern.at.to(at).length() < 48.0
            })
            .collect();
        for index in reached {
            self.lanterns[index].lit = Some(0);
            let spot = self.lanterns[index].at;
            self.link();
            self.earn(spot, 10);
            self.lit += 1;
            self.spray(spot, 9, 3.2, 0);
            self.rings.push(Ring { at: spot, age: 0, cold: false });
            self.events.push(Event::Lit { chain: self.chain });
        }
        let wanted = (4 + self.night as usize / 2).min(7);
        let waiting = self.lanterns.iter().filter(|lantern| lantern.lit.is_none()).count();
        if waiting < wanted && self.ticks.is_multiple_of(18) {
            self.hang();
        }
    }

    /// Ember and moths.
    fn meet(&mut self) {
        let (at, dashing) = (self.ember.at, self.ember.dash > 0);
        let mut index = 0;
        while index < self.moths.len() {
            let near = self.moths[index].at.to(at).length();
            if dashing && near < 52.0 {
                let moth = self.moths.swap_remove(index);
                self.link();
                self.earn(moth.at, 25);
                self.spray(moth.at, 12, 4.4, 2);
                self.rings.push(Ring { at: moth.at, age: 0, cold: true });
                // A burnt moth gives the next dash: chains of dashes are the game's best moments.
                self.ember.rest = self.ember.rest.min(6);
                self.events.push(Event::Burnt { chain: self.chain });
                continue;
            }
            if near < 30.0 && self.ember.hurt == 0 && !dashing {
                self.hurt();
                return;
            }
            index += 1;
        }
    }

    fn hurt(&mut self) {
        self.flames = self.flames.saturating_sub(1);
        self.ember.hurt = HURT_TICKS;
        self.freeze = FREEZE_TICKS;
        (self.chain, self.chain_left) = (0, 0);
        self.events.push(Event::Hurt);
        let at = self.ember.at;
        self.spray(at, 26, 5.5, 1);
        self.rings.push(Ring { at, age: 0, cold: false });
        // A breath: what is near is blown away.
        for moth in &mut self.moths {
            let away = at.to(moth.at);
            if away.length() < 260.0 {
                moth.speed = away.toward(5.0);
            }
        }
    }

    /// The night is over: a bonus, and the next one comes.
    fn dawn(&mut self) {
        let bonus = 100 * self.night;
        self.score = self.score.saturating_add(bonus);
        self.pops.push(Pop { at: self.ember.at, points: bonus, age: 0 });
        self.night += 1;
        (self.lit, self.night_age) = (0, 0);
        for moth in std::mem::take(&mut self.moths) {
            self.spray(moth.at, 5, 3.0, 2);
        }
        self.next_moth = 110;
        if self.night % 3 == 1 {
            self.flames = (self.flames + 1).min(FLAMES);
        }
        self.events.push(Event::Night);
    }

    fn link(&mut self) {
        self.chain += 1;
        self.chain_left = CHAIN_TICKS;
    }

    fn earn(&mut self, at: Spot, points: u32) {
        let points = points * self.factor();
        self.score = self.score.saturating_add(points);
        self.pops.push(Pop { at, points, age: 0 });
    }

    /// What is only to be looked at.
    fn drift(&mut self) {
        for particle in &mut self.particles {
            particle.age += 1;
            particle.at.x += particle.speed.x;
            particle.at.y += particle.speed.y;
            particle.speed = particle.speed.scaled(0.94);
        }
        self.particles.retain(|particle| particle.age < particle.life);
        self.pops.iter_mut().for_each(|pop| pop.age += 1);
        self.pops.retain(|pop| pop.age < 44);
        self.rings.iter_mut().for_each(|ring| ring.age += 1);
        self.rings.retain(|ring| ring.age < 20);
    }

    fn spray(&mut self, at: Spot, count: u32, speed: f32, color: usize) {
        for _ in 0..count {
            // Full: the new ones are left out, nobody counts sparks.
            if self.particles.len() >= PARTICLES {
                return;
            }
            let turn = self.random.between(0.0, std::f32::consts::TAU);
            let pace = speed * self.random.between(0.3, 1.0);
            let life = self.random.between(18.0, 40.0) as u32;
            let speed = Spot { x: turn.cos() * pace, y: turn.sin() * pace };
            self.particles.push(Particle { at, speed, age: 0, life, color });
        }
    }
}
