//! One percentage out of the engine's messages about many layers.

use bollard::models::CreateImageInfo;
use std::collections::HashMap;

/// Layers remembered; images have at most 127. More would be an engine that makes them up.
const MAX_LAYERS: usize = 1024;

/// What is known of an image that is being pulled.
#[derive(Debug, Default)]
pub(super) struct Layers(HashMap<String, Layer>);

#[derive(Debug, Default)]
struct Layer {
    done: u64,
    /// In bytes, once its download began.
    total: Option<u64>,
    /// It came without a word about its size.
    small: bool,
}

impl Layers {
    /// How many bytes more than before are here.
    pub(super) fn hear(&mut self, message: &CreateImageInfo) -> u64 {
        let (Some(id), Some(status)) = (&message.id, &message.status) else { return 0 };
        if self.0.len() >= MAX_LAYERS && !self.0.contains_key(id) {
            return 0;
        }
        match status.as_str() {
            "Pulling fs layer" | "Waiting" => {
                self.0.entry(id.clone()).or_default();
                0
            }
            "Downloading" => {
                let layer = self.0.entry(id.clone()).or_default();
                let detail = message.progress_detail.as_ref();
                let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
                layer.total = number(detail.and_then(|detail| detail.total)).filter(|total| *total > 0);
                layer.advance(number(detail.and_then(|detail| detail.current)).unwrap_or_default())
            }
            "Verifying Checksum" | "Download complete" | "Extracting" | "Pull complete" => {
                // Others talk of the image as a whole.
                let Some(layer) = self.0.get_mut(id) else { return 0 };
                layer.small = layer.total.is_none();
                layer.advance(layer.total.unwrap_or_default())
            }
            // Nothing of it has to come.
            "Already exists" => {
                self.0.remove(id);
                0
            }
            _ => 0,
        }
    }

    /// Bytes here and bytes to come. Layers whose size nobody told yet count like the mean of the others: a few small first
    /// ones are not nearly everything.
    pub(super) fn sum(&self) -> (u64, u64) {
        let wanted = || self.0.values().filter(|layer| !layer.small);
        let known: Vec<u64> = wanted().filter_map(|layer| layer.total).collect();
        let done = wanted().map(|layer| layer.done).sum();
        let count = known.len() as u64;
        let total = known.iter().sum::<u64>();
        let unknown = wanted().count() as u64 - count;
        (done, total + total.checked_div(count).unwrap_or_default() * unknown)
    }
}

impl Layer {
    fn advance(&mut self, done: u64) -> u64 {
        let more = done.saturating_sub(self.done);
        self.done += more;
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::ProgressDetail;

    fn message(id: &str, status: &str, progress: Option<(i64, i64)>) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: progress
                .map(|(current, total)| ProgressDetail { current: Some(current), total: Some(total) }),
            error_detail: None,
        }
    }

    #[test]
    fn layers_are_summed_and_unknown_ones_counted_like_the_others() {
        let mut layers = Layers::default();
        layers.hear(&message("latest", "Pulling from games/one", None));
        assert_eq!(layers.sum(), (0, 0));
        for id in ["a", "b", "c"] {
            layers.hear(&message(id, "Pulling fs layer", None));
        }
        layers.hear(&message("c", "Already exists", None));
        assert_eq!(layers.hear(&message("a", "Downloading", Some((10, 100)))), 10);
        assert_eq!(layers.sum(), (10, 200));
        assert_eq!(layers.hear(&message("a", "Download complete", None)), 90);
        assert_eq!(layers.hear(&message("b", "Downloading", Some((50, 300)))), 50);
        assert_eq!(layers.sum(), (150, 400));
        assert_eq!(layers.hear(&message("b", "Extracting", Some((1, 300)))), 250);
        assert_eq!(layers.sum(), (400, 400));
    }

    #[test]
    fn a_layer_that_came_at_once_does_not_count() {
        let mut layers = Layers::default();
        layers.hear(&message("a", "Pulling fs layer", None));
        layers.hear(&message("b", "Pulling fs layer", None));
        layers.hear(&message("a", "Download complete", None));
        layers.hear(&message("b", "Downloading", Some((5, 10))));
        assert_eq!(layers.sum(), (5, 10));
    }

    #[test]
    fn numbers_that_cannot_be_are_taken_as_unknown() {
        let mut layers = Layers::default();
        layers.hear(&message("a", "Downloading", Some((-5, -1))));
        assert_eq!(layers.sum(), (0, 0));
    }
}
