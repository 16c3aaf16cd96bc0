//! Whether pictures grow old: the moving scene for minutes on a narrow line.

use crate::Outcome;
use crate::case::Condition;
use crate::contestant::{Kind, Stage, Tools};
use crate::judge;
use crate::program::scene::Scene;
use crate::results::percentile;
use crate::support::line::{self, Line};
use playgate::netem::Direction;
use std::time::Duration;

const LINE: Condition = Condition::Narrow(5);
/// The last minute's median may be so much above the first one's, in milliseconds.
const MOST: f64 = 10.0;

/// False: one of ours drifts.
pub(crate) async fn measure(kinds: &[Kind], tools: &Tools, minutes: u32) -> Outcome<bool> {
    if !line::available() {
        return Err("only root makes lines".into());
    }
    let mut held = true;
    for kind in kinds {
        let mut stage = Stage::start(*kind, tools, Some(Line::to_new_namespace(1))).await?;
        if let Some(line) = &stage.line {
            for direction in Direction::BOTH {
                line.set(direction, LINE.shape());
            }
        }
        stage.control.show(Scene::Moving)?;
        tokio::time::sleep(Duration::from_secs(15)).await;
        judge::take(&stage.page).await?;
        let mut medians = Vec::new();
        for minute in 1..=minutes {
            tokio::time::sleep(Duration::from_secs(60)).await;
            let seen = judge::take(&stage.page).await?;
            let ages = || seen.pictures.iter().map(|picture| picture.age).collect();
            let of = |percent| percentile(ages(), percent).unwrap_or(f64::NAN);
            crate::tell(&format!(
                "{}, minute {minute}: {} pictures, drawn to shown p50 {:.1} ms, p99 {:.1} ms",
                kind.name(),
                seen.pictures.len(),
                of(50.0),
                of(99.0)
            ));
            medians.push(of(50.0));
        }
        stage.end().await;
        if let (Some(first), Some(last)) = (medians.first(), medians.last()) {
            let grown = last - first;
            let within = grown.is_nan() || grown <= MOST;
            held &= within || !kind.is_ours();
            let word = if within { "no drift" } else { "DRIFTS" };
            crate::tell(&format!("{}: {word}: {grown:+.1} ms over {minutes} minutes", kind.name()));
        }
    }
    Ok(held)
}
