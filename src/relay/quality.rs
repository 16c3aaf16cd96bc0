//! What one viewer's reports say about its link, and what is done about it. A lossy viewer must not cost the others.
//!
//! A viewer's key frame requests come out of a budget, because a key frame costs every viewer: a request beyond the budget
//! waits, and the next key frame answers it. A spectator whose link loses too much is not repaired over and over: it is
//! sent nothing for a while and starts again with a whole group of pictures. On a link that loses a little, retransmissions
//! are sent twice, a moment apart: a browser asks for a lost retransmission only a tenth of a second later, which is a freeze.
//! So is the last packet of a picture that nothing follows, whose loss nothing would show.

use super::budget::Budget;
use super::feedback::Reception;
use super::stats::Cause;
use std::time::{Duration, Instant};

/// Key frames a viewer may request at once, and how long one takes to come back, for players and for spectators.
const KEY_FRAME_BURST: f64 = 4.0;
const PLAYERS_KEY_FRAME: Duration = Duration::from_millis(700);
const SPECTATORS_KEY_FRAME: Duration = Duration::from_secs(4);
/// Lost packets in 1/256 that are too many for a spectator in three reports one after the other: a tenth. After two of them
/// the pacer sends less.
const HEAVY: u8 = 26;
const HEAVY_REPORTS: u8 = 3;
/// How long such a spectator is sent no video; twice as long each time, up to the longest, until it was well for so long.
const SHED: Duration = Duration::from_secs(2);
const LONGEST_SHED: Duration = Duration::from_secs(16);
const WELL: Duration = Duration::from_secs(30);
/// Sound is doubled for this long after a loss of it, in 1/256.
const DOUBLED: Duration = Duration::from_secs(10);
const LOSSY_SOUND: u8 = 3;
/// Retransmissions are sent twice for this long after a report of loss.
const LOSSY: Duration = Duration::from_secs(10);
/// The round trip before the first measurement, and the longest that is believed.
const UNKNOWN_TRIP: Duration = Duration::from_millis(50);
const LONGEST_TRIP: Duration = Duration::from_secs(2);

/// One viewer's link.
#[derive(Debug)]
pub(super) struct Quality {
    trip: Option<Duration>,
    lossy_until: Option<Instant>,
    doubled_until: Option<Instant>,
    heavy: u8,
    shed: Option<Shed>,
    request: Option<Cause>,
    requests: Budget,
}

#[derive(Debug, Clone, Copy)]
struct Shed {
    until: Instant,
    pause: Duration,
    over: bool,
}

impl Quality {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            trip: None,
            lossy_until: None,
            doubled_until: None,
            heavy: 0,
            shed: None,
            request: None,
            requests: Budget::new(now, KEY_FRAME_BURST),
        }
    }

    /// The round trip, as far as it is known.
    pub(super) fn trip(&self) -> Duration {
        self.trip.unwrap_or(UNKNOWN_TRIP)
    }

    /// Whether retransmissions and last packets are sent twice: the link loses some packets, and is not congested.
    pub(super) fn duplicates(&self, now: Instant) -> bool {
        self.heavy == 0 && self.lossy_until.is_some_and(|until| now < until)
    }

    /// Whether sound is to be sent twice.
    pub(super) fn doubles_sound(&self, now: Instant) -> bool {
        self.doubled_until.is_some_and(|until| now < until)
    }

    /// A report on the audio stream.
    pub(super) fn audio(&mut self, now: Instant, report: Reception) {
        if report.lost >= LOSSY_SOUND {
            self.doubled_until = Some(now + DOUBLED);
        }
    }

    /// A report on the video stream, whose loss is the link's. `ntp`: now, the middle 32 bits of NTP time, as our sender
    /// reports have it. True: this spectator cannot follow, and is sent nothing for now.
    pub(super) fn video(&mut self, now: Instant, ntp: u32, report: Reception, player: bool) -> bool {
        if report.last_report != 0 {
            // RFC 3550 section 6.4.1.
            let units = ntp.wrapping_sub(report.last_report).wrapping_sub(report.delay);
            let trip = Duration::from_secs_f64(f64::from(units) / 65_536.0);
            if trip <= LONGEST_TRIP {
                self.trip = Some(self.trip.map_or(trip, |old| (old * 7 + trip) / 8));
            }
        }
        if report.lost > 0 && report.lost < HEAVY {
            self.lossy_until = Some(now + LOSSY);
        }
        self.heavy = if report.lost >= HEAVY { self.heavy.saturating_add(1) } else { 0 };
        if player || self.heavy < HEAVY_REPORTS || self.is_shed() {
            return false;
        }
        self.heavy = 0;
        let recent = self.shed.filter(|shed| now.saturating_duration_since(shed.until) < WELL);
        let pause = recent.map_or(SHED, |shed| (shed.pause * 2).min(LONGEST_SHED));
        self.shed = Some(Shed { until: now + pause, pause, over: false });
        true
    }

    /// Nothing is to be sent, not even a key frame.
    pub(super) fn is_shed(&self) -> bool {
        self.shed.is_some_and(|shed| !shed.over)
    }

    /// The viewer needs a key frame.
    pub(super) fn request_key_frame(&mut self, cause: Cause) {
        self.request.get_or_insert(cause);
    }

    /// Whether a key frame was requested and not passed on yet.
    pub(super) fn has_request(&self) -> bool {
        self.request.is_some()
    }

    /// A key frame has begun: it answers what was requested.
    pub(super) fn key_frame_began(&mut self) {
        self.request = None;
    }

    /// The key frame request that may be passed on now.
    pub(super) fn take_request(&mut self, now: Instant, player: bool) -> Option<Cause> {
        if let Some(shed) = self.shed.as_mut().filter(|shed| !shed.over && now >= shed.until) {
            shed.over = true;
            self.request.get_or_insert(Cause::Loss);
        }
        self.request?;
        if self.is_shed() || !self.requests.take(now, requests_a_second(player), KEY_FRAME_BURST) {
            return None;
        }
        self.request.take()
    }

    /// When to call [`Self::take_request`] without cause.
    pub(super) fn deadline(&self, player: bool) -> Option<Instant> {
        let shed = self.shed.filter(|shed| !shed.over).map(|shed| shed.until);
        let request = self.request.map(|_| self.requests.next(requests_a_second(player)));
        shed.or(request)
    }
}

fn requests_a_second(player: bool) -> f64 {
    1.0 / if player { PLAYERS_KEY_FRAME } else { SPECTATORS_KEY_FRAME }.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lost: u8) -> Reception {
        Reception { ssrc: 1, lost, highest: 0, last_report: 0, delay: 0 }
    }

    #[test]
    fn requests_beyond_the_budget_wait_and_end_with_a_key_frame() {
        let now = Instant::now();
        let mut quality = Quality::new(now);
        for _ in 0..4 {
            quality.request_key_frame(Cause::Viewer);
            assert_eq!(quality.take_request(now, true), Some(Cause::Viewer));
        }
        quality.request_key_frame(Cause::Loss);
        assert_eq!(quality.take_request(now, true), None);
        let due = quality.deadline(true).expect("waits");
        assert_eq!(quality.take_request(due + Duration::from_millis(1), true), Some(Cause::Loss));
        quality.request_key_frame(Cause::Loss);
        quality.key_frame_began();
        assert_eq!(quality.take_request(now + Duration::from_secs(60), true), None);
        assert_eq!(quality.deadline(true), None);
    }

    #[test]
    fn a_spectator_that_cannot_follow_rests_longer_each_time() {
        let now = Instant::now();
        let mut quality = Quality::new(now);
        assert!((0..2).all(|_| !quality.video(now, 0, report(60), false)));
        assert!(quality.video(now, 0, report(60), false) && quality.is_shed());
        assert_eq!(quality.take_request(now, false), None);
        let back = now + SHED;
        assert_eq!(quality.deadline(false), Some(back));
        assert_eq!(quality.take_request(back, false), Some(Cause::Loss));
        assert!(!quality.is_shed());
        assert!((0..2).all(|_| !quality.video(back, 0, report(60), false)));
        assert!(quality.video(back, 0, report(60), false));
        assert_eq!(quality.deadline(false), Some(back + SHED * 2));
    }

    #[test]
    fn retransmissions_are_sent_twice_while_a_link_loses_some() {
        let now = Instant::now();
        let mut quality = Quality::new(now);
        assert!(!quality.duplicates(now));
        quality.video(now, 0, report(5), true);
        assert!(quality.duplicates(now + Duration::from_secs(9)) && !quality.duplicates(now + LOSSY));
        quality.video(now, 0, report(HEAVY), true);
        assert!(!quality.duplicates(now), "it is congested");
    }

    #[test]
    fn a_player_is_never_shed() {
        let now = Instant::now();
        let mut quality = Quality::new(now);
        for _ in 0..10 {
            assert!(!quality.video(now, 0, report(255), true));
        }
    }

    #[test]
    fn the_round_trip_is_what_report_and_delay_leave() {
        let now = Instant::now();
        let mut quality = Quality::new(now);
        let sent = 5 << 16;
        let answer = Reception { ssrc: 1, lost: 0, highest: 0, last_report: sent, delay: 32_768 };
        // Half a second at the viewer, an eighth on the way.
        quality.video(now, sent + 32_768 + 8192, answer, true);
        assert_eq!(quality.trip(), Duration::from_millis(125));
        let nonsense = Reception { delay: u32::MAX, ..answer };
        quality.video(now, sent, nonsense, true);
        assert!(quality.trip() <= LONGEST_TRIP);
    }

    #[test]
    fn lost_sound_is_doubled_for_a_while() {
        let now = Instant::now();
        let mut quality = Quality::new(now);
        quality.audio(now, report(2));
        assert!(!quality.doubles_sound(now));
        quality.audio(now, report(5));
        assert!(quality.doubles_sound(now + Duration::from_secs(9)) && !quality.doubles_sound(now + DOUBLED));
    }
}
