//! Small gray pictures of a video, for comparing what is seen.

use base64::Engine as _;
use serde_json::Value;

/// Size the pages' pictures are drawn to.
pub(crate) const WIDTH: usize = 160;
pub(crate) const HEIGHT: usize = 90;

/// Gives a promise of the video's picture as base64 of its gray values; `''` while there is no picture.
pub(crate) const SAMPLE: &str = r"
    const video = document.querySelector('video#video, #video video, video');
    if (!video || video.readyState < 2 || !video.videoWidth) return '';
    const canvas = document.createElement('canvas');
    canvas.width = 160; canvas.height = 90;
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(video, 0, 0, 160, 90);
    const rgba = context.getImageData(0, 0, 160, 90).data;
    let text = '';
    for (let i = 0; i < rgba.length; i += 4) {
        text += String.fromCharCode((rgba[i] * 77 + rgba[i + 1] * 150 + rgba[i + 2] * 29) >> 8);
    }
    return btoa(text);
";

/// A gray picture of 160x90.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Gray(Vec<u8>);

impl Gray {
    /// From what [`SAMPLE`] gave.
    pub(crate) fn from_sample(sample: &Value) -> Option<Self> {
        let pixels = base64::engine::general_purpose::STANDARD.decode(sample.as_str()?).ok()?;
        (pixels.len() == WIDTH * HEIGHT).then_some(Self(pixels))
    }

    /// Share of pixels, 0 to 1, that are clearly another gray than in `other`. Coding noise does not count.
    pub(crate) fn changed(&self, other: &Self) -> f64 {
        let changed = self.0.iter().zip(&other.0).filter(|(a, b)| a.abs_diff(**b) > 20).count();
        changed as f64 / self.0.len() as f64
    }

    /// The uppermost rows only. Compares with what was cut alike.
    pub(crate) fn upper(&self, rows: usize) -> Self {
        Self(self.0.iter().take(rows * WIDTH).copied().collect())
    }

    /// True for a picture that shows something: not one gray all over.
    pub(crate) fn shows_something(&self) -> bool {
        let (low, high) =
            self.0.iter().fold((255u8, 0u8), |(low, high), gray| (low.min(*gray), high.max(*gray)));
        high - low > 40
    }
}

impl std::fmt::Debug for Gray {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = self.0.iter().map(|gray| u64::from(*gray)).sum::<u64>() / self.0.len() as u64;
        write!(f, "a picture of {WIDTH}x{HEIGHT}, mean gray {mean}")
    }
}
