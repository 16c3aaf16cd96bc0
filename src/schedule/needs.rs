//! What a session is counted as taking of a node.

use crate::config::ContainerConfig;
use crate::model::nodes::Resources;
use crate::model::rows::ProfileRow;

/// Sessions of a game before its profile is believed: one player who left at the title screen is no measure.
pub const TRUSTED_SAMPLES: u64 = 3;
/// Counted of the limit before there is a profile.
const CPU_GUESS: f64 = 0.5;
/// The profile is a mean over a session; moments are busier than that.
const CPU_MARGIN: f64 = 1.5;
/// Memory that is short is not slower play but a killed game, and the profile is a mean of peaks: some are higher.
const MEMORY_MARGIN: f64 = 1.25;
/// Least that is counted, as a share of the limit: a game may have idled so far.
const CPU_FLOOR: f64 = 0.1;
const MEMORY_FLOOR: f64 = 0.25;

/// What a session takes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Needs {
    /// Cores, as the game's profile has it, else as its limit says.
    pub cpus: f64,
    pub memory_bytes: u64,
    pub gpus: u32,
}

impl Needs {
    /// What a game's container may use at most.
    pub fn limits(container: &ContainerConfig) -> Self {
        Self {
            cpus: container.cpus,
            memory_bytes: container.memory_mb.saturating_mul(1024 * 1024),
            gpus: container.gpus,
        }
    }

    /// What a session of a game is counted as. As long as nobody knows better: its limits, of the cores a half, since a limit
    /// is for the busiest moment, and cores that are short make for slower play, not for a killed game. Then what its
    /// sessions used so far, with a margin, never under a share of the limits and never over them, for the engine lets nothing
    /// through there. So a machine that is larger than the limits of one game is filled by what games really use.
    ///
    /// A game without limits (built-in, external: all zero) is counted by the node's capacity alone.
    pub fn of(profile: Option<ProfileRow>, limits: Self) -> Self {
        let Some(profile) = profile.filter(|profile| profile.samples >= TRUSTED_SAMPLES) else {
            return Self { cpus: limits.cpus * CPU_GUESS, ..limits };
        };
        let memory = real(limits.memory_bytes);
        Self {
            cpus: between(profile.cpu * CPU_MARGIN, CPU_FLOOR, limits.cpus),
            memory_bytes: whole(between(profile.peak_memory_bytes * MEMORY_MARGIN, MEMORY_FLOOR, memory)),
            gpus: limits.gpus,
        }
    }
}

impl From<Needs> for Resources {
    /// To the nearest thousandth of a core.
    fn from(needs: Needs) -> Self {
        Self {
            milli_cpus: whole((needs.cpus * 1000.0).round()),
            memory_bytes: needs.memory_bytes,
            gpus: needs.gpus,
        }
    }
}

impl From<Resources> for Needs {
    fn from(amount: Resources) -> Self {
        Self { cpus: real(amount.milli_cpus) / 1000.0, memory_bytes: amount.memory_bytes, gpus: amount.gpus }
    }
}

/// `wanted`, but at least that share of the limit and at most the limit. What is no number is the limit.
fn between(wanted: f64, floor: f64, limit: f64) -> f64 {
    if wanted.is_nan() { limit } else { wanted.max(floor * limit).min(limit) }
}

#[expect(clippy::cast_precision_loss, reason = "shares and margins need no more than 53 bits")]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and never is negative"
)]
fn whole(amount: f64) -> u64 {
    amount.max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Needs = Needs { cpus: 2.0, memory_bytes: 4000, gpus: 1 };

    fn profile(cpu: f64, peak_memory_bytes: f64, samples: u64) -> Option<ProfileRow> {
        Some(ProfileRow { cpu, peak_memory_bytes, samples })
    }

    #[test]
    fn a_game_is_counted_by_its_limits_until_its_profile_is_believed() {
        let guess = Needs { cpus: 1.0, ..LIMITS };
        assert_eq!(Needs::of(None, LIMITS), guess);
        assert_eq!(Needs::of(profile(0.5, 2000.0, TRUSTED_SAMPLES - 1), LIMITS), guess);
        let known = Needs::of(profile(0.5, 2000.0, TRUSTED_SAMPLES), LIMITS);
        assert_eq!(known, Needs { cpus: 0.75, memory_bytes: 2500, gpus: 1 });
    }

    #[test]
    fn a_profile_counts_between_a_share_of_the_limits_and_the_limits() {
        assert_eq!(Needs::of(profile(9.0, 1e18, 9), LIMITS), LIMITS);
        let idle = Needs::of(profile(0.0, 0.0, 9), LIMITS);
        assert_eq!(idle, Needs { cpus: 0.2, memory_bytes: 1000, gpus: 1 });
        assert_eq!(Needs::of(profile(f64::NAN, f64::NAN, 9), LIMITS), LIMITS);
        assert_eq!(Needs::of(profile(1.0, 1e9, 9), Needs::default()), Needs::default());
    }

    #[test]
    fn cores_are_counted_in_thousandths() {
        let needs = Needs { cpus: 1.1, memory_bytes: 5, gpus: 2 };
        assert_eq!(Resources::from(needs), Resources { milli_cpus: 1100, memory_bytes: 5, gpus: 2 });
        assert_eq!(Needs::from(Resources::from(needs)), needs);
        let nonsense = Needs { cpus: f64::INFINITY, ..needs };
        assert_eq!(Resources::from(nonsense).milli_cpus, u64::MAX);
    }
}
