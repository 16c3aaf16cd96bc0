//! The audio thread: takes blocks of 10 ms, gives Opus in RTP (RFC 7587).
//!
//! Frames of 20 ms: half the packets of 10 ms frames for every viewer of the relay, at 10 ms more delay. Nothing is sent
//! while the game is silent; the timestamps count on, and the first packet after a silence carries the marker bit.

use super::AUDIO_PAYLOAD_TYPE;
use super::media::MediaStream;
use super::rtp::Packets;
use super::signal::Signal;
use crate::games::AUDIO_BLOCK;
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames (samples per channel) in one block of the game.
pub(super) const BLOCK_FRAMES: u64 = AUDIO_BLOCK as u64 / 2;
const BITRATE: u32 = 96_000;
/// Measured on two cores: 1.6 % of a core at 3, 5.3 % at 5, with no difference heard at this bitrate.
const COMPLEXITY: u8 = 3;
/// Blocks that wait for the encoder (320 ms); when there are more, the oldest is dropped and counted.
const QUEUE: usize = 32;

/// What the game gives the audio thread.
#[derive(Debug)]
pub(super) struct Block {
    /// Position of its first frame since the start of the stream, in 1/48000 s.
    pub(super) position: u64,
    /// `None`: silence begins here.
    pub(super) samples: Option<Box<[i16; AUDIO_BLOCK]>>,
}

#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) blocks: VecDeque<Block>,
    pub(super) dropped: u64,
    pub(super) end: bool,
}

impl Inbox {
    pub(super) fn put(&mut self, block: Block) {
        if self.blocks.len() == QUEUE {
            self.blocks.pop_front();
            self.dropped += 1;
        }
        self.blocks.push_back(block);
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum AudioError {
    #[error("the Opus encoder cannot be made")]
    Build(#[from] ropus::EncoderBuildError),
    #[error("the Opus encoder failed")]
    Encode(#[from] ropus::EncodeError),
}

pub(super) struct Audio {
    pub(super) inbox: Arc<Signal<Inbox>>,
    pub(super) stream: Arc<MediaStream>,
    pub(super) offset: u32,
    pub(super) first_sequence: u16,
}

impl Audio {
    /// The thread's body; ends when told to.
    pub(super) fn run(self) -> Result<(), AudioError> {
        let packets = Packets::new(AUDIO_PAYLOAD_TYPE, self.stream.ssrc, self.first_sequence);
        let mut talk = Talk::new(packets, self.offset)?;
        loop {
            let (block, end) = self.inbox.wait(
                None,
                |inbox| !inbox.blocks.is_empty() || inbox.end,
                |inbox| (inbox.blocks.pop_front(), inbox.end),
            );
            match block {
                Some(block) => talk.take(&block, &mut |packet| self.stream.send(packet))?,
                None if end => return Ok(()),
                None => {}
            }
        }
    }
}

/// Pairs blocks to frames and frames to packets; pure.
struct Talk {
    encoder: ropus::Encoder,
    packets: Packets,
    offset: u32,
    /// The first half of a frame, and where it starts.
    half: Option<u64>,
    pcm: Box<[i16; 2 * AUDIO_BLOCK]>,
    talking: bool,
    /// The next packet is the first of a spurt.
    starts: bool,
    /// Where the next block continues this spurt.
    next: u64,
}

impl Talk {
    fn new(packets: Packets, offset: u32) -> Result<Self, AudioError> {
        let encoder =
            ropus::Encoder::builder(48_000, ropus::Channels::Stereo, ropus::Application::RestrictedLowDelay)
                .bitrate(ropus::Bitrate::Bits(BITRATE))
                .complexity(COMPLEXITY)
                .build()?;
        let pcm = Box::new([0; 2 * AUDIO_BLOCK]);
        Ok(Self { encoder, packets, offset, half: None, pcm, talking: false, starts: false, next: 0 })
    }

    fn take(&mut self, block: &Block, emit: &mut impl FnMut(&[u8])) -> Result<(), AudioError> {
        if self.talking && (block.samples.is_none() || block.position != self.next) {
            self.close(emit)?;
        }
        let Some(samples) = &block.samples else { return Ok(()) };
        self.half_frame(block.position, &samples[..], emit)
    }

    /// Ends a spurt; what is missing of its last frame is zeros.
    fn close(&mut self, emit: &mut impl FnMut(&[u8])) -> Result<(), AudioError> {
        if self.half.is_some() {
            self.half_frame(self.next, &[0; AUDIO_BLOCK], emit)?;
        }
        self.talking = false;
        Ok(())
    }

    fn half_frame(
        &mut self,
        position: u64,
        samples: &[i16],
        emit: &mut impl FnMut(&[u8]),
    ) -> Result<(), AudioError> {
        self.next = position + BLOCK_FRAMES;
        let (first, second) = self.pcm.split_at_mut(AUDIO_BLOCK);
        let Some(start) = self.half.take() else {
            first.copy_from_slice(samples);
            self.half = Some(position);
            self.starts |= !self.talking;
            self.talking = true;
            return Ok(());
        };
        second.copy_from_slice(samples);
        let mut opus = [0; 1000];
        let length = self.encoder.encode(&self.pcm[..], &mut opus)?;
        let timestamp = self.offset.wrapping_add(u32::try_from(start & u64::from(u32::MAX)).unwrap_or(0));
        let marker = std::mem::take(&mut self.starts);
        self.packets.packet(timestamp, marker, &[&opus[..length]], emit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk() -> Talk {
        Talk::new(Packets::new(111, 1, 0), 0).expect("encoder")
    }

    fn tone(position: u64) -> Block {
        let mut samples = Box::new([0; AUDIO_BLOCK]);
        for (index, sample) in samples.iter_mut().enumerate() {
            *sample = if index / 40 % 2 == 0 { 6000 } else { -6000 };
        }
        Block { position, samples: Some(samples) }
    }

    /// Marker bit, timestamp and payload of every packet.
    fn send(talk: &mut Talk, blocks: &[Block]) -> Vec<(bool, u32, Vec<u8>)> {
        let mut out = Vec::new();
        for block in blocks {
            talk.take(block, &mut |packet: &[u8]| {
                let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                out.push((packet[1] & 0x80 != 0, timestamp, packet[12..].to_vec()));
            })
            .expect("encodes");
        }
        out
    }

    #[test]
    fn blocks_become_frames_of_twenty_milliseconds_that_decode() {
        let blocks: Vec<Block> = (0..20).map(|index| tone(index * 480)).collect();
        let packets = send(&mut talk(), &blocks);
        assert_eq!(packets.len(), 10);
        let mut decoder = ropus::Decoder::new(48_000, ropus::Channels::Stereo).expect("decoder");
        let mut energy = 0_i64;
        for (index, (marker, timestamp, payload)) in packets.iter().enumerate() {
            assert_eq!(*marker, index == 0, "the marker is on the first packet of a spurt");
            assert_eq!(*timestamp, u32::try_from(index * 960).expect("small"));
            let mut pcm = [0; 2 * AUDIO_BLOCK];
            let frames = decoder.decode(payload, &mut pcm, ropus::DecodeMode::Normal).expect("decodes");
            assert_eq!(frames, 960);
            energy += pcm.iter().map(|&s| i64::from(s).pow(2)).sum::<i64>() / 1920;
        }
        assert!(energy / 10 > 4_000_000, "the tone is there: {}", energy / 10);
    }

    #[test]
    fn timestamps_count_through_silence_and_the_next_spurt_is_marked() {
        let silence = |position| Block { position, samples: None };
        let blocks =
            [tone(0), tone(480), tone(960), silence(1440), tone(96_000), tone(96_480), silence(96_960)];
        let packets = send(&mut talk(), &blocks);
        let heads: Vec<(bool, u32)> =
            packets.iter().map(|(marker, timestamp, _)| (*marker, *timestamp)).collect();
        // The third block's frame is filled up.
        assert_eq!(heads, [(true, 0), (false, 960), (true, 96_000)]);
    }

    #[test]
    fn a_gap_without_notice_starts_a_new_spurt() {
        let packets = send(&mut talk(), &[tone(0), tone(480), tone(48_000), tone(48_480)]);
        let heads: Vec<(bool, u32)> =
            packets.iter().map(|(marker, timestamp, _)| (*marker, *timestamp)).collect();
        assert_eq!(heads, [(true, 0), (true, 48_000)]);
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts() {
        let mut inbox = Inbox::default();
        for position in 0..40 {
            inbox.put(tone(position));
        }
        assert_eq!((inbox.blocks.len(), inbox.dropped), (QUEUE, 8));
        assert_eq!(inbox.blocks.front().map(|block| block.position), Some(8));
    }
}
