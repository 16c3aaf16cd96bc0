//! Key frame requests of the gateway: each is answered by one key frame, however many ways it came by.
//!
//! A request comes as RTCP and as a control message, in either order. Where both carry its number they are the same request.
//! From a gateway that sends no numbers, what comes within [`SAME`] by the other way is taken for the same one.
//!
//! Pure: instants in, decisions out.

use std::time::{Duration, Instant};

/// The relay asks a source at most once in this time (`relay::key_requests`).
const SAME: Duration = Duration::from_millis(200);
/// At most one key frame in this time; a request that comes earlier waits.
const SPACING: Duration = Duration::from_millis(100);
/// An encoder that was asked may give its key frame some frames later: it is given the picture again after this.
const AGAIN: Duration = Duration::from_millis(30);

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Rtcp,
    Control,
}

#[derive(Debug, Default)]
pub(super) struct KeyRequests {
    newest: u64,
    unnumbered: Option<(Instant, Way)>,
    /// Requests so far that were not the same as another.
    count: u64,
    answered: u64,
    last_key_frame: Option<Instant>,
    asked: Option<Instant>,
}

impl KeyRequests {
    /// A request by one of the ways; 0 is one without a number.
    pub(super) fn request(&mut self, now: Instant, way: Way, number: u64) {
        let is_new = if number > 0 {
            number > self.newest
        } else {
            self.unnumbered.is_none_or(|(at, by)| by == way || now.saturating_duration_since(at) >= SAME)
        };
        if !is_new {
            return;
        }
        if number > 0 {
            self.newest = number;
        } else {
            self.unnumbered = Some((now, way));
        }
        self.count += 1;
    }

    /// Another gateway numbers from the start again.
    pub(super) fn new_gateway(&mut self) {
        self.newest = 0;
        self.unnumbered = None;
    }

    /// What to ask the encoder for now.
    pub(super) fn due(&self, now: Instant) -> Option<u64> {
        self.deadline()
            .is_none_or(|at| now >= at)
            .then_some(self.count)
            .filter(|count| *count > self.answered)
    }

    /// When a request that waits is due; none when it is due already or none waits.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let spaced = self.last_key_frame.map(|at| at + SPACING);
        spaced.max(self.asked.map(|at| at + AGAIN)).filter(|_| self.is_waiting())
    }

    /// The encoder was asked for what was due.
    pub(super) fn asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }

    fn is_waiting(&self) -> bool {
        self.count > self.answered
    }

    /// A key frame is on its way, which answers requests up to this one.
    pub(super) fn key_frame(&mut self, now: Instant, answers: Option<u64>) {
        self.last_key_frame = Some(now);
        self.asked = None;
        self.answered = self.answered.max(answers.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoder::open_h264::OpenH264;
    use super::super::encoder::{Format, VideoEncoder};
    use super::super::i420::I420;
    use super::*;
    use crate::games::Rect;

    const MS: Duration = Duration::from_millis(1);

    /// Sends a thousand requests, each by two ways; gives the key frames that a real encoder makes of them.
    fn key_frames(numbered: bool) -> u32 {
        let picture = I420::new(32, 32);
        let mut encoder = OpenH264::new(Format::of(&picture, 60), 5000).expect("an encoder");
        let whole = [Rect { x: 0, y: 0, width: 32, height: 32 }];
        let (start, mut requests, mut seed) = (Instant::now(), KeyRequests::default(), 7_u32);
        let mut random = move |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % below
        };
        encoder.encode(&picture, &whole, start).expect("encodes");
        // When each request comes by RTCP and by the control channel.
        let mut arrivals: Vec<(u32, u64, bool)> = (1..=1000_u32)
            .flat_map(|n| {
                let number = if numbered { u64::from(n) } else { 0 };
                [(n * 400 + random(40), number, true), (n * 400 + random(150), number, false)]
            })
            .collect();
        arrivals.sort_unstable();
        let (mut made, mut arrivals) = (0, arrivals.into_iter().peekable());
        for now in (0..402_000).step_by(16) {
            while let Some((_, number, by_rtcp)) = arrivals.next_if(|(at, ..)| *at <= now) {
                let way = if by_rtcp { Way::Rtcp } else { Way::Control };
                requests.request(start + now * MS, way, number);
            }
            let now = start + now * MS;
            if let Some(request) = requests.due(now) {
                encoder.request_key_frame(request);
                requests.asked(now);
            }
            if let Some(encoded) = encoder.encode(&picture, &whole, now).expect("encodes")
                && encoded.key
            {
                made += 1;
                requests.key_frame(now, encoded.answers);
            }
        }
        made
    }

    #[test]
    fn a_thousand_requests_by_two_ways_each_make_a_thousand_key_frames() {
        assert_eq!(key_frames(true), 1000);
    }

    #[test]
    fn so_do_requests_of_a_gateway_without_numbers() {
        assert_eq!(key_frames(false), 1000);
    }

    #[test]
    fn a_request_that_comes_early_waits_and_is_not_forgotten() {
        let (mut requests, start) = (KeyRequests::default(), Instant::now());
        requests.request(start, Way::Rtcp, 5);
        assert_eq!(requests.due(start), Some(1));
        requests.key_frame(start, Some(1));
        assert!(!requests.is_waiting());
        requests.request(start + 20 * MS, Way::Rtcp, 6);
        assert_eq!((requests.due(start + 20 * MS), requests.deadline()), (None, Some(start + SPACING)));
        assert_eq!(requests.due(start + SPACING), Some(2));
        // A key frame for another reason, before the encoder knew of the request.
        requests.key_frame(start + SPACING, None);
        assert!(requests.is_waiting());
    }

    #[test]
    fn another_gateway_is_heard_also_when_it_counts_lower() {
        let (mut requests, start) = (KeyRequests::default(), Instant::now());
        requests.request(start, Way::Rtcp, 900);
        requests.key_frame(start, Some(1));
        requests.request(start + 300 * MS, Way::Control, 1);
        assert!(!requests.is_waiting(), "an old one that came late");
        requests.new_gateway();
        requests.request(start + 300 * MS, Way::Control, 1);
        assert!(requests.is_waiting());
    }

    #[test]
    fn whoever_asks_again_by_the_same_way_soon_after_the_answer_is_answered_again() {
        let (mut requests, start) = (KeyRequests::default(), Instant::now());
        for number in 1..=3 {
            let now = start + u32::try_from(number).unwrap_or(0) * SPACING;
            requests.request(now, Way::Rtcp, 0);
            assert_eq!(requests.due(now), Some(number));
            requests.key_frame(now, Some(number));
        }
    }
}
