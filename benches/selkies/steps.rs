//! A line that falls from 8 to 1 Mbit/s and comes back, five times, under the moving scene: how many key frames that
//! makes, and how long the picture stands still. Another size of the picture begins with a key frame, unasked.

use crate::Outcome;
use crate::case::{Condition, intervals};
use crate::contestant::{Kind, Stage, Tools};
use crate::judge;
use crate::program::scene::Scene;
use crate::support::line::{self, Line};
use crate::support::page::Page;
use playgate::netem::Direction;
use serde::Deserialize;
use std::time::Duration;

const WIDE: Condition = Condition::Narrow(8);
const SLIM: Condition = Condition::Narrow(1);
const TIMES: usize = 5;
const SLIM_FOR: Duration = Duration::from_secs(10);
const WIDE_FOR: Duration = Duration::from_secs(15);
/// No picture stands longer on the way up, in milliseconds.
const MOST_MS: f64 = 300.0;

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFrames {
    decoded: u64,
    asked: u64,
    connections: u64,
}

/// False: one of ours does what it must not.
pub(crate) async fn measure(kinds: &[Kind], tools: &Tools) -> Outcome<bool> {
    if !line::available() {
        return Err("only root makes lines".into());
    }
    let mut held = true;
    for kind in kinds {
        let mut stage = Stage::start(*kind, tools, Some(Line::to_new_namespace(1))).await?;
        stage.control.show(Scene::Moving)?;
        over(&stage, WIDE);
        tokio::time::sleep(WIDE_FOR).await;
        let before = key_frames(&stage).await?;
        let (mut down, mut up, mut widths) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TIMES {
            judge::take(&stage.page).await?;
            over(&stage, SLIM);
            tokio::time::sleep(SLIM_FOR).await;
            let slim = judge::take(&stage.page).await?;
            over(&stage, WIDE);
            tokio::time::sleep(WIDE_FOR).await;
            let wide = judge::take(&stage.page).await?;
            widths.extend(slim.pictures.iter().chain(&wide.pictures).map(|picture| picture.width));
            down.extend(intervals(&slim.pictures));
            up.extend(intervals(&wide.pictures));
        }
        let after = key_frames(&stage).await?;
        stage.end().await;
        let longest = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
        let (decoded, asked) = (after.decoded - before.decoded, after.asked - before.asked);
        widths.dedup();
        let sizes = widths.len().saturating_sub(1) as u64;
        let freely = decoded.saturating_sub(asked + sizes);
        // A picture that never came back is no short freeze.
        let good = freely == 0 && longest(&up) <= MOST_MS && up.len() > TIMES;
        held &= good || !kind.is_ours();
        let counted = if after.connections == 0 {
            "key frames are not counted in this mode".to_owned()
        } else {
            format!("{decoded} key frames, {asked} asked for by the browser and {sizes} for another size")
        };
        crate::tell(&format!(
            "{}{}: 8 to 1 Mbit/s and back, {TIMES} times: {counted}; longest without a new picture: {:.0} ms on the way up, \
             {:.0} ms on the way down; {} and {} pictures",
            if good || !kind.is_ours() { "" } else { "NOT HELD: " },
            kind.name(),
            longest(&up),
            longest(&down),
            up.len(),
            down.len(),
        ));
    }
    Ok(held)
}

fn over(stage: &Stage, condition: Condition) {
    let Some(line) = &stage.line else { return };
    for direction in Direction::BOTH {
        line.set(direction, condition.shape());
    }
}

async fn key_frames(stage: &Stage) -> Outcome<KeyFrames> {
    Ok(serde_json::from_value(stage.page.run("return window.judge.keyFrames()").await?)?)
}
