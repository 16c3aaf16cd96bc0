//! A thread that decodes the video and tells when the picture looks different.

use super::tape::Recorder;
use crate::h264::AccessUnit;
use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Pictures waiting for the decoder: two seconds. When it is full the picture counts as undecodable.
const DECODE_QUEUE: usize = 120;
/// Pixels that must differ, and by how much luma, for a picture to look different: noise of coding stays below.
const PIXELS: usize = 24;
const LUMA: u8 = 32;

/// A thread that decodes; it ends when the sender is dropped.
pub(super) fn decoder(recorder: Recorder) -> SyncSender<(Duration, AccessUnit)> {
    let (sender, units) = sync_channel(DECODE_QUEUE);
    tokio::task::spawn_blocking(move || decode(&recorder, &units));
    sender
}

fn decode(recorder: &Recorder, units: &Receiver<(Duration, AccessUnit)>) {
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    let Ok(mut decoder) = Decoder::with_api_config(OpenH264API::from_source(), config) else { return };
    let mut last = Vec::new();
    for (at, unit) in units {
        let Ok(Some(picture)) = decoder.decode(&unit.data) else {
            recorder.write(|tape| tape.pictures.undecodable += 1);
            continue;
        };
        let (width, height) = picture.dimensions();
        let luma: Vec<u8> = picture
            .y()
            .chunks(picture.strides().0)
            .take(height)
            .flat_map(|row| &row[..width])
            .copied()
            .collect();
        let changed = looks_different(&last, &luma);
        last = luma;
        recorder.write(|tape| {
            tape.pictures.decoded += 1;
            tape.pictures.width = u32::try_from(width).unwrap_or_default();
            tape.pictures.height = u32::try_from(height).unwrap_or_default();
            if changed {
                tape.pictures.changes.push(at);
            }
        });
    }
}

fn looks_different(before: &[u8], after: &[u8]) -> bool {
    before.len() != after.len()
        || before.iter().zip(after).filter(|(a, b)| a.abs_diff(**b) > LUMA).nth(PIXELS - 1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_change_and_a_letter_is_one() {
        let before = vec![100_u8; 320 * 180];
        let noisy: Vec<u8> = before.iter().enumerate().map(|(n, luma)| luma + (n % 20) as u8).collect();
        assert!(!looks_different(&before, &noisy));
        let mut letter = before.clone();
        letter[1000..1000 + PIXELS].fill(200);
        assert!(looks_different(&before, &letter));
        assert!(looks_different(&[], &before));
    }
}
