//! Whether a node's engine is up, judged from pings: a pure machine with hysteresis, so that one lost answer takes no node
//! out and one lucky answer brings none back.

use std::time::Duration;

/// How an engine is asked, and what its answers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthRules {
    /// Between two pings.
    pub interval: Duration,
    /// An answer that takes longer is none.
    pub timeout: Duration,
    /// Failures in a row that make a healthy node unhealthy.
    pub failures: u32,
    /// Answers in a row that make it healthy again.
    pub answers: u32,
}

impl Default for HealthRules {
    fn default() -> Self {
        Self { interval: Duration::from_secs(5), timeout: Duration::from_secs(3), failures: 3, answers: 2 }
    }
}

/// The judgement so far, with how many pings in a row speak against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// Never asked: the first answer decides, either way.
    #[default]
    Unknown,
    Healthy {
        failures: u32,
    },
    Unhealthy {
        answers: u32,
    },
}

impl Health {
    /// After another ping.
    #[must_use]
    pub fn step(self, answered: bool, rules: &HealthRules) -> Self {
        let up = Self::Healthy { failures: 0 };
        let down = Self::Unhealthy { answers: 0 };
        match (self, answered) {
            (Self::Unknown, true) | (Self::Healthy { .. }, true) => up,
            (Self::Unknown, false) | (Self::Unhealthy { .. }, false) => down,
            (Self::Healthy { failures }, false) => {
                let failures = failures.saturating_add(1);
                if failures >= rules.failures { down } else { Self::Healthy { failures } }
            }
            (Self::Unhealthy { answers }, true) => {
                let answers = answers.saturating_add(1);
                if answers >= rules.answers { up } else { Self::Unhealthy { answers } }
            }
        }
    }

    pub fn is_healthy(self) -> bool {
        match self {
            Self::Healthy { .. } => true,
            Self::Unknown | Self::Unhealthy { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pings: &str) -> bool {
        let rules = HealthRules::default();
        let step = |health: Health, ping| health.step(ping == '+', &rules);
        pings.chars().fold(Health::default(), step).is_healthy()
    }

    #[test]
    fn the_first_answer_decides() {
        assert!(!after(""));
        assert!(after("+"));
        assert!(!after("-"));
    }

    #[test]
    fn only_failures_in_a_row_take_a_node_out() {
        assert!(after("+--"));
        assert!(!after("+---"));
        assert!(after("+--+--+--"));
    }

    #[test]
    fn only_answers_in_a_row_bring_it_back() {
        assert!(!after("+---+"));
        assert!(after("+---++"));
        assert!(!after("+---+-+-+"));
        assert!(after("-++"));
    }
}
