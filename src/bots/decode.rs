//! The decoder thread of one viewer: access units in, counted pictures out.
//!
//! Decoding blocks, so it has a thread of its own. The queue to it holds [`QUEUE_UNITS`]; when it is full the unit is
//! dropped and counted, and nothing is decoded before the next key frame, so that no broken picture is ever counted.

use super::card::Card;
use super::viewer::ViewerStats;
use crate::h264::AccessUnit;
use crate::marker::{self, Marker};
use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// Units waiting for the decoder: half a second at 60 frames/s.
pub const QUEUE_UNITS: usize = 30;

/// A decoded picture: the luma plane, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub luma: Vec<u8>,
    pub width: u32,
    pub height: u32,
    /// RTP timestamp, 90 kHz.
    pub timestamp: u32,
    pub marker: Option<Marker>,
}

/// Where the newest picture is kept when somebody wants to look at it.
pub(super) type Latest = Arc<Mutex<Option<Picture>>>;

/// What the decoder tells the viewer.
#[derive(Debug, Clone)]
pub(super) struct Outlet {
    pub(super) stats: Arc<watch::Sender<ViewerStats>>,
    /// Present: every picture is copied there.
    pub(super) latest: Option<Latest>,
    /// Poked when only a key frame helps.
    pub(super) key_frame_requested: Arc<Notify>,
    /// When the viewer set out to connect.
    pub(super) started: Instant,
    /// Where the bot is written up.
    pub(super) card: Arc<Card>,
}

/// The network task's end of the decoder thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct DecoderHandle {
    queue: SyncSender<AccessUnit>,
    outlet: Outlet,
    needs_key: bool,
}

impl DecoderHandle {
    pub(super) fn start(outlet: Outlet) -> std::io::Result<Self> {
        let (queue, units) = sync_channel(QUEUE_UNITS);
        let of_thread = outlet.clone();
        std::thread::Builder::new()
            .name("bot-decoder".to_owned())
            .spawn(move || decode(&units, &of_thread))?;
        Ok(Self { queue, outlet, needs_key: true })
    }

    /// What was lost breaks every picture up to the next key frame.
    pub(super) fn damaged(&mut self) {
        self.needs_key = true;
        self.outlet.stats.send_modify(|stats| stats.damaged += 1);
        self.outlet.key_frame_requested.notify_one();
    }

    pub(super) fn push(&mut self, unit: AccessUnit) {
        if self.needs_key && !unit.key {
            self.outlet.stats.send_modify(|stats| stats.skipped += 1);
            self.outlet.key_frame_requested.notify_one();
            return;
        }
        match self.queue.try_send(unit) {
            Ok(()) => self.needs_key = false,
            Err(TrySendError::Full(_)) => {
                self.needs_key = true;
                self.outlet.stats.send_modify(|stats| stats.skipped += 1);
            }
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

fn decode(units: &Receiver<AccessUnit>, outlet: &Outlet) {
    // Flushing after each unit would ask the decoder for pictures it holds back for reordering: without B-frames
    // there are none, and the question costs time.
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    let mut decoder = match Decoder::with_api_config(OpenH264API::from_source(), config) {
        Ok(decoder) => decoder,
        Err(error) => {
            tracing::warn!(%error, "no H.264 decoder");
            return;
        }
    };
    for unit in units {
        let begun = Instant::now();
        match decoder.decode(&unit.data) {
            Ok(Some(yuv)) => note(&yuv, &unit, begun.elapsed(), outlet),
            Ok(None) => outlet.stats.send_modify(|stats| stats.undecoded += 1),
            Err(error) => {
                tracing::debug!(%error, "a picture could not be decoded");
                outlet.stats.send_modify(|stats| stats.undecoded += 1);
                outlet.key_frame_requested.notify_one();
            }
        }
    }
}

fn note(yuv: &impl YUVSource, unit: &AccessUnit, took: Duration, outlet: &Outlet) {
    let (width, height) = yuv.dimensions();
    let stride = yuv.strides().0;
    let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height)) else { return };
    let marker = marker::read(yuv.y(), stride, width, height);
    let drawn = marker.and_then(|_| marker::read_time(yuv.y(), stride, width, height));
    outlet.card.picture(unit.timestamp, marker, drawn, Instant::now());
    if let Some(latest) = &outlet.latest {
        let luma = yuv
            .y()
            .chunks(stride)
            .take(height as usize)
            .flat_map(|row| &row[..width as usize])
            .copied()
            .collect();
        let picture = Picture { luma, width, height, timestamp: unit.timestamp, marker };
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(picture);
    }
    outlet.stats.send_modify(|stats| {
        stats.frames += 1;
        stats.key_frames += u64::from(unit.key);
        stats.decode_time += took;
        stats.width = width;
        stats.height = height;
        stats.marker = marker.or(stats.marker);
        stats.marked += u64::from(marker.is_some());
        if stats.first_frame.is_none() {
            stats.first_frame = Some(outlet.started.elapsed());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h264::Depacketizer;
    use openh264::encoder::{Encoder, EncoderConfig};
    use openh264::formats::YUVBuffer;

    fn outlet() -> (Outlet, watch::Receiver<ViewerStats>) {
        let (stats, seen) = watch::channel(ViewerStats::default());
        let outlet = Outlet {
            stats: Arc::new(stats),
            latest: Some(Latest::default()),
            key_frame_requested: Arc::default(),
            started: Instant::now(),
            card: Card::alone(),
        };
        (outlet, seen)
    }

    fn encoded(pictures: usize) -> Vec<Vec<u8>> {
        let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), EncoderConfig::new()).unwrap();
        let yuv = YUVBuffer::from_vec(vec![128; 64 * 64 * 3 / 2], 64, 64);
        (0..pictures).map(|_| encoder.encode(&yuv).unwrap().to_vec()).collect()
    }

    /// One packet per NAL unit: enough for 64x64.
    fn units(pictures: usize) -> Vec<AccessUnit> {
        let mut depacketizer = Depacketizer::new();
        let mut sequence = 0u16;
        let mut units = Vec::new();
        for (i, picture) in encoded(pictures).iter().enumerate() {
            let nals: Vec<&[u8]> = openh264::nal_units(picture).collect();
            for (n, nal) in nals.iter().enumerate() {
                let bare = &nal[nal.iter().position(|byte| *byte == 1).unwrap() + 1..];
                let timestamp = u32::try_from(i).unwrap() * 1500;
                units.extend(depacketizer.push(sequence, timestamp, n + 1 == nals.len(), bare).units);
                sequence += 1;
            }
        }
        units
    }

    #[tokio::test]
    async fn what_the_encoder_made_is_decoded_and_counted() {
        let (outlet, mut seen) = outlet();
        let latest = outlet.latest.clone().unwrap();
        let mut decoder = DecoderHandle::start(outlet).unwrap();
        units(5).into_iter().for_each(|unit| decoder.push(unit));
        let stats = seen.wait_for(|stats| stats.frames == 5).await.unwrap().clone();
        assert_eq!((stats.width, stats.height, stats.key_frames), (64, 64, 1));
        let picture = latest.lock().unwrap().clone().unwrap();
        assert_eq!(picture.luma.len(), 64 * 64);
        assert!(picture.luma.iter().all(|luma| luma.abs_diff(128) < 8));
    }

    #[tokio::test]
    async fn after_damage_nothing_is_decoded_before_the_next_key_frame() {
        let (outlet, mut seen) = outlet();
        let key_frame_requested = Arc::clone(&outlet.key_frame_requested);
        let mut decoder = DecoderHandle::start(outlet).unwrap();
        let mut first = units(4);
        decoder.push(first.remove(0));
        decoder.damaged();
        first.into_iter().for_each(|unit| decoder.push(unit));
        units(2).into_iter().for_each(|unit| decoder.push(unit));
        let stats = seen.wait_for(|stats| stats.frames == 3).await.unwrap().clone();
        assert_eq!((stats.skipped, stats.damaged, stats.key_frames), (3, 1, 2));
        key_frame_requested.notified().await;
    }
}
