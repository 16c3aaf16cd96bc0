//! What the viewers of a session saw of it, all together: for the owner's eyes and for operators, never for bills, because
//! viewers' own software says so.

use playgate_signaling::message::{QualityReport, Transport};
use serde::{Deserialize, Serialize};

/// Sums over all viewers, as they are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// Of the first viewer to tell it.
    pub first_frame_ms: Option<u32>,
    /// Time that reports are about, of all viewers together.
    pub watched_ms: u64,
    /// Of that, how long pictures stood still.
    pub frozen_ms: u64,
    pub bytes: u64,
    /// Of the picture: packets that came, and packets that never did.
    pub packets: u64,
    pub lost: u64,
    /// Reports of a round trip, and their sum.
    pub round_trips: u64,
    pub round_trips_ms: u64,
    /// Of the newest report.
    pub transport: Option<Transport>,
    /// Most viewers at once.
    pub viewers_most: u32,
    /// Input frames of players.
    pub inputs: u64,
}

impl Quality {
    pub fn add(&mut self, report: &QualityReport) {
        self.first_frame_ms = self.first_frame_ms.or(report.first_frame_ms);
        self.watched_ms = self.watched_ms.saturating_add(report.duration_ms.into());
        self.frozen_ms = self.frozen_ms.saturating_add(report.frozen_ms.into());
        self.bytes = self.bytes.saturating_add(report.bytes);
        self.packets = self.packets.saturating_add(report.packets.into());
        self.lost = self.lost.saturating_add(report.lost.into());
        if let Some(round_trip) = report.round_trip_ms {
            self.round_trips = self.round_trips.saturating_add(1);
            self.round_trips_ms = self.round_trips_ms.saturating_add(round_trip.into());
        }
        self.transport = report.transport.or(self.transport);
    }

    pub fn watched_by(&mut self, viewers: u32) {
        self.viewers_most = self.viewers_most.max(viewers);
    }

    pub fn input(&mut self) {
        self.inputs = self.inputs.saturating_add(1);
    }

    /// Mean bitrate of a viewer, in kbit/s; none without a report.
    pub fn mean_kbps(&self) -> Option<u64> {
        self.bytes.saturating_mul(8).checked_div(self.watched_ms)
    }

    /// Packets of the picture that never came, in per cent.
    pub fn loss_percent(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a mantissa")]
        let (lost, all) = (self.lost as f64, self.packets.saturating_add(self.lost) as f64);
        (all > 0.0).then(|| (lost / all * 10_000.0).round() / 100.0)
    }

    /// Mean, in milliseconds.
    pub fn round_trip_ms(&self) -> Option<u64> {
        self.round_trips_ms.checked_div(self.round_trips)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: QualityReport = QualityReport {
        duration_ms: 10_000,
        bytes: 2_500_000,
        packets: 990,
        lost: 10,
        frozen_ms: 250,
        first_frame_ms: Some(300),
        round_trip_ms: Some(20),
        transport: Some(Transport::Udp),
    };

    #[test]
    fn reports_of_all_viewers_add_up() {
        let mut quality = Quality::default();
        assert_eq!(
            (quality.mean_kbps(), quality.loss_percent(), quality.round_trip_ms()),
            (None, None, None)
        );
        quality.add(&REPORT);
        let relayed = QualityReport {
            bytes: 0,
            lost: 0,
            first_frame_ms: Some(900),
            round_trip_ms: None,
            transport: Some(Transport::Relay),
            ..REPORT
        };
        quality.add(&relayed);
        assert_eq!((quality.first_frame_ms, quality.frozen_ms, quality.watched_ms), (Some(300), 500, 20_000));
        assert_eq!((quality.mean_kbps(), quality.round_trip_ms()), (Some(1_000), Some(20)));
        assert_eq!((quality.loss_percent(), quality.transport), (Some(0.5), Some(Transport::Relay)));
        quality.watched_by(3);
        quality.watched_by(1);
        assert_eq!(quality.viewers_most, 3);
    }

    #[test]
    fn what_is_stored_by_an_older_gateway_is_nothing() {
        assert_eq!(serde_json::from_str::<Quality>("{}").unwrap(), Quality::default());
    }
}
