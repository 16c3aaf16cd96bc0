//! What one direction of a line is like over time: timed steps, a delivery trace, outages. Pure.

use super::shape::{Queue, Shape};
use super::trace::Trace;
use std::time::{Duration, Instant};

/// Shapes by the time since the course was set.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Ascending; the first one begins at once.
    steps: Vec<(Duration, Shape)>,
    repeats_after: Option<Duration>,
    trace: Option<(Trace, Queue)>,
}

impl Course {
    /// The same shape from now on.
    pub fn steady(shape: Shape) -> Self {
        Self { steps: vec![(Duration::ZERO, shape)], repeats_after: None, trace: None }
    }

    /// Another shape from this time on, counted from the course's start.
    #[must_use]
    pub fn then(mut self, at: Duration, shape: Shape) -> Self {
        let place = self.steps.partition_point(|(begins, _)| *begins <= at);
        self.steps.insert(place, (at, shape));
        self
    }

    /// Starts again with the first step after so long.
    #[must_use]
    pub fn repeating(mut self, after: Duration) -> Self {
        self.repeats_after = Some(after).filter(|after| !after.is_zero());
        self
    }

    /// Carries packets at the opportunities of a trace, whatever rate the steps name. The trace starts with the course.
    #[must_use]
    pub fn with_trace(mut self, trace: Trace, queue: Queue) -> Self {
        self.trace = Some((trace, queue));
        self
    }

    /// The shape so long after the start.
    pub fn at(&self, elapsed: Duration) -> Shape {
        let elapsed = match self.repeats_after {
            Some(after) => {
                let nanos = elapsed.as_nanos() % after.as_nanos();
                Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
            }
            None => elapsed,
        };
        let begun = self.steps.iter().rev().find(|(begins, _)| *begins <= elapsed);
        begun.map_or(Shape::CLEAR, |(_, shape)| *shape)
    }
}

impl From<Shape> for Course {
    fn from(shape: Shape) -> Self {
        Self::steady(shape)
    }
}

/// What a direction is like at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Conditions {
    pub shape: Shape,
    pub(super) traced: Option<Traced>,
}

/// A trace that began at a time, with the queue before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Traced {
    pub(super) trace: Trace,
    pub(super) queue: Queue,
    pub(super) begun: Instant,
}

impl From<Shape> for Conditions {
    fn from(shape: Shape) -> Self {
        Self { shape, traced: None }
    }
}

/// One direction of a running line.
#[derive(Debug, Clone)]
pub struct Lane {
    course: Course,
    begun: Instant,
    /// From the first time to before the second.
    outage: Option<(Instant, Instant)>,
}

impl Lane {
    pub fn new(course: Course, now: Instant) -> Self {
        Self { course, begun: now, outage: None }
    }

    /// Starts another course. An outage goes on.
    pub fn set(&mut self, course: Course, now: Instant) {
        (self.course, self.begun) = (course, now);
    }

    /// Everything that is sent for so long is lost; the course's time goes on meanwhile.
    pub fn outage(&mut self, lasts: Duration, now: Instant) {
        self.outage = now.checked_add(lasts).map(|until| (now, until));
    }

    pub fn conditions(&self, now: Instant) -> Conditions {
        if self.outage.is_some_and(|(from, until)| from <= now && now < until) {
            return Shape::CUT.into();
        }
        let shape = self.course.at(now.saturating_duration_since(self.begun));
        let traced = self.course.trace.as_ref().map(|(trace, queue)| Traced {
            trace: trace.clone(),
            queue: *queue,
            begun: self.begun,
        });
        Conditions { shape, traced }
    }
}

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
