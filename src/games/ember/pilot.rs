//! Plays behind the title: goes for the nearest lantern, turns from moths, dashes through those too near.

use super::beings::{Spot, Steering};
use super::world::World;

pub(super) fn steer(world: &World) -> Steering {
    let at = world.ember.at;
    let waiting = world.lanterns.iter().filter(|lantern| lantern.lit.is_none());
    let goal = waiting
        .map(|lantern| at.to(lantern.at))
        .min_by(|a, b| a.length().total_cmp(&b.length()))
        .unwrap_or_default();
    let length = goal.length().max(1.0);
    let mut push = goal.scaled((length / 60.0).min(1.0) / length);
    let mut nearest = f32::MAX;
    for moth in &world.moths {
        // Where it will be in a third of a second.
        let ahead = Spot { x: moth.at.x + moth.speed.x * 20.0, y: moth.at.y + moth.speed.y * 20.0 };
        let away = ahead.to(at);
        let near = away.length().max(1.0);
        if near < 170.0 {
            let fear = (170.0 - near) / 170.0 * 1.7;
            push = Spot { x: push.x + away.x / near * fear, y: push.y + away.y / near * fear };
        }
        if moth.at.to(at).length() < nearest {
            nearest = moth.at.to(at).length();
            if nearest < 110.0 && world.ember.rest == 0 {
                return Steering { push: at.to(moth.at), dash: true };
            }
        }
    }
    Steering { push, dash: false }
}
