//! A delivery trace: the times at which a recorded line carried a packet, in place of a constant rate.

use std::sync::Arc;
use std::time::Duration;

/// IP bytes that one opportunity carries. What an opportunity does not use is lost, as on a radio link.
pub const OPPORTUNITY_BYTES: u64 = 1500;

/// Times of delivery opportunities, repeated after the last one. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Ascending; the last one is the length of a repetition, and above zero.
    opportunities: Arc<[Duration]>,
}

/// Why a text is no trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error("line {line} is no number of milliseconds: {text:?}")]
    Number { line: usize, text: String },
    #[error("opportunity {number} is earlier than the one before it")]
    Order { number: usize },
    #[error("the trace has no opportunity after its start")]
    Empty,
}

impl Trace {
    /// Opportunities since the start of the trace. The last one is also the length of a repetition.
    ///
    /// # Errors
    /// [`TraceError::Order`], [`TraceError::Empty`].
    pub fn new(opportunities: Vec<Duration>) -> Result<Self, TraceError> {
        let backwards = opportunities.windows(2).position(|pair| pair[0] > pair[1]);
        if let Some(at) = backwards {
            return Err(TraceError::Order { number: at + 2 });
        }
        match opportunities.last() {
            Some(last) if !last.is_zero() => Ok(Self { opportunities: opportunities.into() }),
            Some(_) | None => Err(TraceError::Empty),
        }
    }

    /// Reads mahimahi's format: a line for each opportunity, in milliseconds.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let opportunity = |(at, line): (usize, &str)| {
            let number = line.trim().parse::<u32>();
            let refused = |_| TraceError::Number { line: at + 1, text: line.to_owned() };
            number.map(|ms| Duration::from_millis(ms.into())).map_err(refused)
        };
        Self::new(lines.map(opportunity).collect::<Result<_, _>>()?)
    }

    /// When an opportunity is, from the trace's start on.
    pub(super) fn at(&self, number: u64) -> Duration {
        let count = self.opportunities.len() as u64;
        let (round, index) = (number / count, usize::try_from(number % count).unwrap_or_default());
        let begun = self.period().saturating_mul(u32::try_from(round).unwrap_or(u32::MAX));
        begun.saturating_add(self.opportunities.get(index).copied().unwrap_or_default())
    }

    /// The first opportunity that is not before this time.
    pub(super) fn from(&self, elapsed: Duration) -> u64 {
        let period = self.period().as_nanos();
        let (round, into) = (elapsed.as_nanos() / period, elapsed.as_nanos() % period);
        let index = self.opportunities.partition_point(|opportunity| opportunity.as_nanos() < into);
        let before = u64::try_from(round).unwrap_or(u64::MAX).saturating_mul(self.opportunities.len() as u64);
        // The last opportunities of a repetition are at the very start of the next one.
        let last = self.opportunities.len()
            - self.opportunities.partition_point(|opportunity| opportunity.as_nanos() < period);
        let back = if into == 0 && round > 0 { last as u64 } else { 0 };
        before.saturating_add(index as u64).saturating_sub(back)
    }

    fn period(&self) -> Duration {
        self.opportunities.last().copied().unwrap_or(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_trace_repeats_after_its_last_opportunity() {
        let trace = Trace::parse("0\n5\n5\n\n10\n").unwrap();
        let times: Vec<_> = (0..9).map(|number| trace.at(number).as_millis()).collect();
        assert_eq!(times, [0, 5, 5, 10, 10, 15, 15, 20, 20]);
        for (elapsed, first) in [(0, 0), (1, 1), (5, 1), (6, 3), (10, 3), (11, 5), (20, 7), (21, 9)] {
            assert_eq!(trace.from(MS * elapsed), first, "{elapsed} ms");
            assert!(trace.at(first) >= MS * elapsed);
            assert!(first == 0 || trace.at(first - 1) < MS * elapsed);
        }
        let twice_at_the_end = Trace::parse("10\n10\n").unwrap();
        assert_eq!((twice_at_the_end.from(10 * MS), twice_at_the_end.from(11 * MS)), (0, 2));
        assert_eq!(twice_at_the_end.from(20 * MS), 2);
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        assert_eq!(Trace::parse(""), Err(TraceError::Empty));
        assert_eq!(Trace::parse("0\n"), Err(TraceError::Empty));
        assert_eq!(Trace::parse("5\n4\n"), Err(TraceError::Order { number: 2 }));
        let text = "fast".to_owned();
        assert_eq!(Trace::parse("1\nfast"), Err(TraceError::Number { line: 2, text }));
    }
}
