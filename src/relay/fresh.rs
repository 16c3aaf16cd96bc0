//! What has come of a session's streams since its viewers were last given something, and how much of it each was given.

use super::down_track::KeyFrame;
use super::pacer::on_the_link;

/// New packets of a session, for its viewers.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// Indices of video packets, now in the ring, in the order of their arrival.
    video: Vec<u64>,
    /// What those are to a link, by [`on_the_link`].
    bytes: usize,
    /// The newest key frame among them, and how many of them were there when it showed.
    key_frame: Option<(usize, KeyFrame)>,
    /// Indices of audio packets, now in their ring.
    audio: Vec<u64>,
}

/// How much of what is new a viewer was given already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Given {
    video: usize,
    bytes: usize,
    audio: usize,
}

/// What is new to one viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct New<'a> {
    pub(super) video: &'a [u64],
    pub(super) bytes: usize,
    /// The newest key frame that shows in it.
    pub(super) key_frame: Option<KeyFrame>,
    pub(super) audio: &'a [u64],
}

impl Fresh {
    pub(super) fn is_empty(&self) -> bool {
        self.video.is_empty() && self.audio.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.video.clear();
        self.bytes = 0;
        self.audio.clear();
        self.key_frame = None;
    }

    /// A packet of video has come, with so many bytes of payload.
    pub(super) fn video(&mut self, index: u64, payload: usize) {
        self.video.push(index);
        self.bytes += on_the_link(payload);
    }

    /// A packet of audio has come.
    pub(super) fn audio(&mut self, index: u64) {
        self.audio.push(index);
    }

    /// The packet that came last shows this key frame.
    pub(super) fn key_frame(&mut self, key_frame: KeyFrame) {
        self.key_frame = Some((self.video.len(), key_frame));
    }

    /// All there is.
    pub(super) fn given(&self) -> Given {
        Given { video: self.video.len(), bytes: self.bytes, audio: self.audio.len() }
    }

    /// What there is but for what was given.
    pub(super) fn after(&self, given: Given) -> New<'_> {
        let key_frame = self.key_frame.filter(|(shown, _)| *shown > given.video);
        New {
            video: self.video.get(given.video..).unwrap_or_default(),
            bytes: self.bytes.saturating_sub(given.bytes),
            key_frame: key_frame.map(|(_, key_frame)| key_frame),
            audio: self.audio.get(given.audio..).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_not_given_again() {
        let mut fresh = Fresh::default();
        fresh.audio(7);
        fresh.video(1, 1000);
        fresh.video(2, 1000);
        let first = fresh.given();
        fresh.video(3, 500);
        let key_frame = KeyFrame { start: 2, missing: 0 };
        fresh.key_frame(key_frame);
        let second = fresh.given();
        fresh.video(4, 700);
        let all = fresh.after(Given::default());
        assert_eq!(
            (all.video, all.key_frame, all.audio),
            ([1, 2, 3, 4].as_slice(), Some(key_frame), [7].as_slice())
        );
        let after = fresh.after(first);
        assert_eq!((after.video, after.audio), ([3, 4].as_slice(), [].as_slice()));
        assert_eq!(after.key_frame, Some(key_frame), "showed after the first two");
        assert_eq!(after.bytes, on_the_link(500) + on_the_link(700));
        let after = fresh.after(second);
        assert_eq!((after.video, after.key_frame), ([4].as_slice(), None));
        let nothing = fresh.after(fresh.given());
        assert_eq!((nothing.video, nothing.bytes, nothing.audio), ([].as_slice(), 0, [].as_slice()));
    }
}
