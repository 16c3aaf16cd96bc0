//! Takes viewers' RTCP out of `rtc`'s interceptor chain.
//!
//! `rtc` routes a compound by its first packet's first SSRC; once retransmissions flow browsers put that SSRC there, and
//! every NACK in the compound would be lost. So feedback leaves here, packet by packet, by a queue of its own.

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::extended_report::{ExtendedReport, ReceiverReferenceTimeReportBlock};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::reception_report::ReceptionReport;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Feedback waiting between two polls; more is dropped (a viewer repeats what matters).
const CAPACITY: usize = 256;
/// Losses taken from one packet.
const MAX_LOSSES: usize = 1024;

/// What a viewer reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Feedback {
    /// PLI or FIR.
    KeyFrame,
    /// Sequence numbers of a stream that did not arrive.
    Lost { ssrc: u32, sequences: Vec<u16> },
    /// How one of our streams is received (RFC 3550 section 6.4.2).
    Reception(Reception),
    /// The viewer's clock, to be told back (RFC 3611 section 4.4): its SSRC, and the middle 32 bits of its NTP time.
    Clock { ssrc: u32, middle: u32 },
    /// When each packet came (transport-wide congestion control); players only.
    Transport(Box<TransportLayerCc>),
}

/// A report block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reception {
    pub(super) ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub(super) lost: u8,
    /// The greatest sequence number received.
    pub(super) highest: u16,
    /// The middle of the NTP time of our last sender report, and how long ago it came, both in 1/65536 s; 0: none came.
    pub(super) last_report: u32,
    pub(super) delay: u32,
}

impl From<&ReceptionReport> for Reception {
    fn from(report: &ReceptionReport) -> Self {
        Self {
            ssrc: report.ssrc,
            lost: report.fraction_lost,
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the receiver's count of cycles is above it"
            )]
            highest: report.last_sequence_number as u16,
            last_report: report.last_sender_report,
            delay: report.delay,
        }
    }
}

/// The reading end. The lock is never contended: both ends live on the thread that has the peer.
#[derive(Debug, Clone, Default)]
pub(super) struct FeedbackQueue(Arc<Mutex<Received>>);

#[derive(Debug, Default)]
struct Received {
    waiting: VecDeque<Feedback>,
    /// Compound packets until now; `rtc` lets none through that is forged or repeated.
    packets: u64,
}

impl FeedbackQueue {
    pub(super) fn take(&self) -> VecDeque<Feedback> {
        self.0.lock().map(|mut received| std::mem::take(&mut received.waiting)).unwrap_or_default()
    }

    /// How many authenticated RTCP packets the viewer has sent.
    pub(super) fn received(&self) -> u64 {
        self.0.lock().map(|received| received.packets).unwrap_or_default()
    }

    fn count(&self) {
        if let Ok(mut received) = self.0.lock() {
            received.packets += 1;
        }
    }

    fn push(&self, feedback: Feedback) {
        if let Ok(mut received) = self.0.lock()
            && received.waiting.len() < CAPACITY
        {
            received.waiting.push_back(feedback);
        }
    }

    /// The end in the chain.
    pub(super) fn tap(&self) -> Tap {
        Tap { queue: self.clone(), reads: VecDeque::new(), writes: VecDeque::new() }
    }
}

/// The interceptor: RTCP from the viewer ends here, everything else passes.
pub(super) struct Tap {
    queue: FeedbackQueue,
    reads: VecDeque<TaggedPacket>,
    writes: VecDeque<TaggedPacket>,
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Error> {
        let Packet::Rtcp(packets) = &message.message.packet else {
            self.reads.push_back(message);
            return Ok(());
        };
        self.queue.count();
        for packet in packets {
            let any = packet.as_any();
            if any.is::<PictureLossIndication>() || any.is::<FullIntraRequest>() {
                self.queue.push(Feedback::KeyFrame);
            } else if let Some(nack) = any.downcast_ref::<TransportLayerNack>() {
                let sequences =
                    nack.nacks.iter().flat_map(|pair| pair.into_iter()).take(MAX_LOSSES).collect();
                self.queue.push(Feedback::Lost { ssrc: nack.media_ssrc, sequences });
            } else if let Some(report) = any.downcast_ref::<ReceiverReport>() {
                for report in &report.reports {
                    self.queue.push(Feedback::Reception(report.into()));
                }
            } else if let Some(report) = any.downcast_ref::<ExtendedReport>() {
                let clock = report
                    .reports
                    .iter()
                    .find_map(|block| block.as_any().downcast_ref::<ReceiverReferenceTimeReportBlock>());
                if let Some(clock) = clock {
                    #[expect(clippy::cast_possible_truncation, reason = "the middle 32 bits")]
                    let middle = (clock.ntp_timestamp >> 16) as u32;
                    self.queue.push(Feedback::Clock { ssrc: report.sender_ssrc, middle });
                }
            } else if let Some(feedback) = any.downcast_ref::<TransportLayerCc>() {
                self.queue.push(Feedback::Transport(Box::new(feedback.clone())));
            }
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.reads.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.writes.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.writes.pop_front()
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
