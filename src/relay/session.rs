//! One session's media on a shard: its two sources, the ring and group its viewers live on, its requests for key frames.
//!
//! At its home it has the ports of its source, and counts its viewers everywhere. A replica on another shard (`stripes`) is
//! fed from there, and hands back what it wants; all else is the same.

mod ingest;
mod packets;
mod replicas;

use super::down_track::KeyFrame;
use super::faults::Faults;
use super::group::Group;
use super::key_requests::KeyRequests;
use super::parameter_sets::ParameterSets;
use super::peer::random;
use super::ring::{self, Ring};
use super::rtp;
use super::socket::{Path, Socket};
use super::split::Pieces;
use super::stats::{Cause, Drop, Stats};
use super::still::Still;
use super::stripes::{Feed, Stripes};
use super::viewer::Fresh;
use super::{Codec, OpenSession, OpenedSession, RelayError, RelayEvent};
use crate::model::ids::{SessionId, ViewerId};
use ingest::Ingest;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// Events waiting for the control plane. When full, events are dropped and counted.
const EVENTS: usize = 1024;
/// Of a link's rate, what video may have: headers take the rest; and what sound takes.
const VIDEO_SHARE: f64 = 0.93;
const AUDIO_KBPS: f64 = 110.0;
const LEAST_KBPS: f64 = 100.0;
/// A rate is told again when it differs by so many per cent, and not more often than this.
const RATE_NEWS: u32 = 4;
const RATE_PAUSE: Duration = Duration::from_millis(100);
/// Seconds between 1900 and 1970.
const NTP_EPOCH: u64 = 2_208_988_800;

/// A moment as NTP time (32.32 fixed-point seconds) and as RTP timestamp.
pub(super) type Clock = (u64, u32);

/// A session, as its shard holds it.
pub(super) struct Session {
    id: SessionId,
    pub(super) codec: Codec,
    pub(super) video: Ingest,
    pub(super) audio: Option<Ingest>,
    pub(super) ring: Ring,
    pub(super) audio_ring: Ring,
    pub(super) group: Group,
    pub(super) still: Still,
    keys: KeyRequests,
    sets: ParameterSets,
    faults: Faults,
    pieces: Pieces,
    /// Players first.
    pub(super) order: Vec<u64>,
    pub(super) by_id: HashMap<ViewerId, u64>,
    pub(super) fresh: Fresh,
    /// The newest packet of video is not its frame's last.
    in_frame: bool,
    events: mpsc::Sender<RelayEvent>,
    /// Its replicas.
    stripes: Stripes,
    /// It is one itself.
    feed: Option<Feed>,
    connected: usize,
    /// Viewers there are here and at the replicas, as was told.
    watching: usize,
    /// Viewers on their way in.
    pub(super) joining: usize,
    pictured: bool,
    /// When the first packet came.
    began: Option<Instant>,
    audio_next: u64,
    ssrc: u32,
    /// What was last told of the players' links, and when.
    rate: Option<(u32, Instant)>,
}

impl Session {
    pub(super) fn open(spec: OpenSession, ingest_ip: IpAddr) -> Result<(Self, OpenedSession), RelayError> {
        let video = Ingest::bind(&spec.video, &spec.allow, ingest_ip, 90_000)?;
        let audio = spec
            .audio
            .as_ref()
            .map(|audio| Ingest::bind(audio, &spec.allow, ingest_ip, 48_000))
            .transpose()?;
        let (events, receiver) = mpsc::channel(EVENTS);
        let address = |ingest: &Ingest| ingest.socket.as_ref().map(Socket::address);
        let opened = OpenedSession {
            rtp_video: address(&video).ok_or(RelayError::Unavailable)?,
            rtp_audio: audio.as_ref().and_then(address),
            events: receiver,
        };
        Ok((Self::new(spec.session, spec.video.codec, video, audio, events), opened))
    }

    fn new(
        id: SessionId,
        codec: Codec,
        video: Ingest,
        audio: Option<Ingest>,
        events: mpsc::Sender<RelayEvent>,
    ) -> Self {
        Self {
            id,
            codec,
            video,
            audio,
            ring: Ring::new(ring::VIDEO),
            audio_ring: Ring::new(ring::AUDIO),
            group: Group::default(),
            still: Still::default(),
            keys: KeyRequests::new(SystemTime::now()),
            sets: ParameterSets::default(),
            faults: Faults::default(),
            pieces: Pieces::default(),
            order: Vec::new(),
            by_id: HashMap::new(),
            fresh: Fresh::default(),
            in_frame: false,
            events,
            stripes: Stripes::default(),
            feed: None,
            connected: 0,
            watching: 0,
            joining: 0,
            pictured: false,
            began: None,
            audio_next: 0,
            ssrc: u32::from_be_bytes(random()) | 1,
            rate: None,
        }
    }

    /// The same session without its viewers, on the same ports, after a panic that may have left it in any state. Of that,
    /// only what is known of it and its source from outside is taken over; its viewers are told to come again.
    pub(super) fn restarted(self, stats: &mut Stats) -> Self {
        let Self { id, codec, video, audio, events, by_id, pictured, rate, sets, faults, .. } = self;
        let mut session = Self::new(id, codec, video.restarted(), audio.map(Ingest::restarted), events);
        (session.pictured, session.sets, session.faults) = (pictured, sets, faults);
        (session.stripes, session.feed, session.watching) = (self.stripes, self.feed, self.watching);
        for viewer in by_id.into_keys() {
            let reason = "the game server had to start its media again".to_owned();
            session.emit(RelayEvent::ViewerGone { viewer, reason }, stats);
        }
        session.count_viewers(stats);
        session.rate = rate;
        let narrowest = session.narrowest(None);
        session.tell_rate(Instant::now(), narrowest, stats);
        session
    }

    /// Those of video and audio; a replica has none.
    pub(super) fn sockets(&mut self) -> impl Iterator<Item = &mut Socket> {
        [self.video.socket.as_mut(), self.audio.as_mut().and_then(|audio| audio.socket.as_mut())]
            .into_iter()
            .flatten()
    }

    pub(super) fn id(&self) -> SessionId {
        self.id
    }

    /// What the source said of itself. True: its codec is another one than before.
    pub(super) fn set_source(&mut self, video: Option<(Codec, u8)>, audio: Option<(Codec, u8)>) -> bool {
        if let (Some(ingest), Some((_, payload_type))) = (&mut self.audio, audio) {
            ingest.agree(payload_type);
        }
        let Some((codec, payload_type)) = video else { return false };
        self.video.agree(payload_type);
        self.faults.mended(|_| true);
        let changed = codec != self.codec;
        self.codec = codec;
        if changed {
            self.sets.clear();
            self.group.clear();
            self.still.clear();
        }
        changed
    }

    /// False: the control plane has no room for it.
    pub(super) fn emit(&self, event: RelayEvent, stats: &mut Stats) -> bool {
        let sent = self.events.try_send(event).is_ok();
        if !sent {
            stats.drop(Drop::EventsFull);
        }
        sent
    }

    /// Tells what the narrowest of the players' links carries, in bit/s, when that is news.
    pub(super) fn tell_rate(&mut self, now: Instant, rate: Option<f64>, stats: &mut Stats) {
        if let Some(feed) = &self.feed {
            return feed.tell_rate(rate);
        }
        let Some(rate) = rate else {
            if self.rate.take().is_some() {
                self.emit(RelayEvent::LinkRate(None), stats);
            }
            return;
        };
        let audio = if self.audio.is_some() { AUDIO_KBPS } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let kbps = (rate / 1000.0 * VIDEO_SHARE - audio).clamp(LEAST_KBPS, 1e6) as u32;
        let news = self.rate.is_none_or(|(old, at)| {
            kbps.abs_diff(old) * 100 > old * RATE_NEWS && now.saturating_duration_since(at) >= RATE_PAUSE
        });
        if news {
            self.rate = Some((kbps, now));
            self.emit(RelayEvent::LinkRate(Some(kbps)), stats);
        }
    }

    /// From one frame to the next.
    pub(super) fn frame_time(&self) -> Duration {
        self.video.source.frame_time()
    }

    /// Whether more of the newest frame is to come.
    pub(super) fn is_in_frame(&self) -> bool {
        self.in_frame
    }

    /// Where a joiner starts, if there is a group of pictures.
    pub(super) fn group_start(&self) -> Option<KeyFrame> {
        self.group.start().map(|start| self.key_frame_at(start))
    }

    fn key_frame_at(&self, start: u64) -> KeyFrame {
        KeyFrame { start, missing: self.ring.missing_before(start) }
    }

    /// The newest video index there is.
    pub(super) fn newest(&self) -> u64 {
        self.video.source.next_index() - 1
    }

    pub(super) fn request_key_frame(&mut self, cause: Cause, stats: &mut Stats) {
        stats.key_frame(cause);
        self.keys.request();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.keys.deadline()
    }

    /// Asks the source for a key frame if somebody wants one and it is time.
    pub(super) fn ask(&mut self, now: Instant, stats: &mut Stats) {
        let Some(number) = self.keys.poll(now) else { return };
        if let Some(feed) = &self.feed {
            return feed.request_key_frame();
        }
        stats.key_frame(Cause::Sent);
        if let (Some((from, source_ssrc)), Some(socket)) =
            (self.video.source.latched(), &mut self.video.socket)
        {
            let remote = self.video.rtcp.unwrap_or(from);
            let request = rtp::key_frame_request(self.ssrc, source_ssrc, number);
            socket.send(Path { remote, local: None }, &request, stats);
        }
        self.emit(RelayEvent::KeyFrameRequested { number }, stats);
    }

    /// Now on the clock that sender reports of video carry: the middle 32 bits of NTP time (RFC 3550 section 6.4.1).
    pub(super) fn middle_of_ntp(&self, now: Instant) -> u32 {
        let ntp = self.clocks(now).0.map_or_else(ntp_now, |(ntp, _)| ntp);
        #[expect(clippy::cast_possible_truncation, reason = "the middle 32 bits")]
        let middle = (ntp >> 16) as u32;
        middle
    }

    /// Clock pairs (NTP, RTP) for sender reports of video and audio.
    ///
    /// The source's own where it reports both streams, as only it knows how sound and picture belong together; else
    /// the time of arrival.
    pub(super) fn clocks(&self, now: Instant) -> (Option<Clock>, Option<Clock>) {
        let video = self.video.reported(now);
        match (video, &self.audio, self.audio.as_ref().and_then(|audio| audio.reported(now))) {
            (Some(video), None, _) => return (Some(video), None),
            (Some(video), Some(_), Some(audio)) => return (Some(video), Some(audio)),
            (Some(_) | None, Some(_) | None, _) => {}
        }
        let ntp = ntp_now();
        let arrived = |ingest: &Ingest| Some((ntp, ingest.source.timestamp_at(now)?));
        (arrived(&self.video), self.audio.as_ref().and_then(arrived))
    }
}

/// The wall clock as NTP time: 32.32 fixed-point seconds since 1900.
fn ntp_now() -> u64 {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    ((wall.as_secs() + NTP_EPOCH) << 32) | fraction(wall)
}

/// The sub-second part in units of 2^-32 seconds.
fn fraction(time: Duration) -> u64 {
    (u64::from(time.subsec_nanos()) << 32) / 1_000_000_000
}
