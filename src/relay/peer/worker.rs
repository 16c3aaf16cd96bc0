//! One thread that answers offers and does the handshakes that follow, for any shard.
//!
//! What joiners are sent goes out by the shard's socket; a full one drops it, and both STUN and DTLS repeat. A panic ends the
//! handshakes under way here, whose shards are told, and nothing else.

use super::handshake::Progress;
use super::workers::{At, Datagram, Job, Known, Link, News, Passing};
use super::{Binding, Handshaking};
use crate::relay::demux::{self, Kind};
use crate::relay::outbox::Outbox;
use crate::relay::sdp::Offer;
use crate::relay::socket::{Path, Sent};
use crate::relay::stats::Drop;
use crate::relay::stun::Request;
use crate::relay::timers::Timers;
use crate::relay::{Codec, RelayError};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Of each kind of work, before the others have their turn.
const OFFERS: usize = 4;
const DATAGRAMS: usize = 64;
const TIMERS: usize = 64;
/// No overdue timer of `rtc` can spin the loop.
const MIN_PAUSE: Duration = Duration::from_millis(1);
/// A shard that had no room for news is told again after this.
const RETRY: Duration = Duration::from_millis(2);

pub(super) struct Worker {
    number: usize,
    poll: mio::Poll,
    /// One for each shard.
    links: Vec<Link>,
    jobs: mpsc::Receiver<Job>,
    ends: mpsc::Receiver<At>,
    datagrams: mpsc::Receiver<Datagram>,
    under_way: HashMap<At, Handshaking>,
    timers: Timers<At>,
    out: Outbox,
    /// For each shard, news that found its queue full: at most a few for each place.
    untold: Vec<VecDeque<News>>,
}

impl Worker {
    pub(super) fn new(
        number: usize,
        poll: mio::Poll,
        links: Vec<Link>,
        jobs: mpsc::Receiver<Job>,
        ends: mpsc::Receiver<At>,
        datagrams: mpsc::Receiver<Datagram>,
    ) -> Self {
        let untold = links.iter().map(|_| VecDeque::new()).collect();
        Self {
            number,
            poll,
            links,
            jobs,
            ends,
            datagrams,
            under_way: HashMap::new(),
            timers: Timers::new(),
            out: Outbox::default(),
            untold,
        }
    }

    /// Works until the last shard is gone.
    pub(super) fn run(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.work())).is_err() {
            tracing::error!(
                handshakes = self.under_way.len(),
                "a handshake worker panicked; its handshakes end"
            );
            let lost: Vec<At> = self.under_way.keys().copied().collect();
            // They may panic again as they are dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| self.under_way.clear()));
            self.timers = Timers::new();
            self.out = Outbox::default();
            for (shard, key) in lost {
                self.tell(shard, News::Gone { key, reason: "internal error" });
            }
        }
    }

    fn work(&mut self) {
        let mut events = mio::Events::with_capacity(4);
        let mut left = false;
        loop {
            let mut wait = self.timers.next().map(|at| at.saturating_duration_since(Instant::now()));
            if self.untold.iter().any(|untold| !untold.is_empty()) {
                wait = Some(wait.map_or(RETRY, |wait| wait.min(RETRY)));
            }
            // An interrupted wait is a short one.
            let _ = self.poll.poll(&mut events, if left { Some(Duration::ZERO) } else { wait });
            (0..self.links.len()).for_each(|shard| self.tell_what_is_left(shard));
            while let Ok(at) = self.ends.try_recv() {
                self.end(at);
            }
            for _ in 0..DATAGRAMS {
                let Ok(datagram) = self.datagrams.try_recv() else { break };
                self.datagram(datagram);
            }
            for _ in 0..OFFERS {
                match self.jobs.try_recv() {
                    Ok(job) => self.offer(job),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => return,
                }
            }
            for _ in 0..TIMERS {
                let Some(at) = self.timers.due(Instant::now()) else { break };
                self.service(at);
            }
            for link in &mut self.links {
                link.stats.flush_counts();
            }
            left = !(self.jobs.is_empty() && self.datagrams.is_empty() && self.ends.is_empty());
        }
    }

    fn offer(&mut self, job: Job) {
        let (now, shard, asked) = (Instant::now(), job.shard, job.key);
        if let Some(Known::Joining { key }) = &job.known
            && !self.under_way.contains_key(&(shard, *key))
        {
            return self.tell(shard, News::Returned(job));
        }
        let Job { offer, codec, audio, known, reply, .. } = job;
        let offer = match Offer::parse(&offer, codec, audio) {
            Ok(offer) => offer,
            Err(error) => return self.tell(shard, News::Refused { asked, error, reply }),
        };
        let key = match known {
            Some(Known::Connected { key, fingerprint }) if fingerprint == offer.fingerprint => {
                let news = News::Renegotiate { key, asked, offer: Box::new(offer), reply };
                return self.tell(shard, news);
            }
            Some(Known::Joining { key }) => Some(key),
            Some(Known::Connected { .. }) | None => None,
        };
        let known = key
            .and_then(|key| Some((key, self.under_way.get_mut(&(shard, key))?)))
            .filter(|(_, known)| known.peer.fingerprint() == offer.fingerprint);
        let answered = match known {
            Some((key, known)) => {
                known.renegotiate(now, &offer).map(|answer| (key, known.peer.ufrag().to_owned(), answer))
            }
            None => self.create(now, (shard, asked), &offer, codec),
        };
        match answered {
            Ok((key, ufrag, answer)) => {
                self.tell(shard, News::Answered { worker: self.number, key, asked, ufrag, answer, reply });
                self.service((shard, key));
            }
            Err(error) => self.tell(shard, News::Refused { asked, error, reply }),
        }
    }

    fn create(
        &mut self,
        now: Instant,
        at: At,
        offer: &Offer,
        codec: Codec,
    ) -> Result<(u64, String, String), RelayError> {
        let link = self.links.get(at.0).ok_or(RelayError::Unavailable)?;
        let (handshaking, answer) = Handshaking::new(now, offer, codec, &link.shared)?;
        let ufrag = handshaking.peer.ufrag().to_owned();
        self.under_way.insert(at, handshaking);
        Ok((at.1, ufrag, answer))
    }

    fn datagram(&mut self, datagram: Datagram) {
        let Datagram { at, path, bytes } = datagram;
        let (Some(link), Some(handshaking)) = (self.links.get_mut(at.0), self.under_way.get_mut(&at)) else {
            if let Some(link) = self.links.get(at.0) {
                let _ = link.passing.try_send(Passing::Late { path, datagram: bytes });
                let _ = link.waker.wake();
            }
            return;
        };
        let now = Instant::now();
        if demux::classify(&bytes) == Kind::Stun {
            binding(link, at.1, handshaking, now, path, &bytes);
        } else if let Err(reason) = handshaking.datagram(now, path, &bytes) {
            link.stats.drop(reason);
        }
        self.service(at);
    }

    /// Lets a handshake work, and hands over what came of it.
    fn service(&mut self, at: At) {
        let now = Instant::now();
        let Some(handshaking) = self.under_way.get_mut(&at) else { return };
        let progress = handshaking.poll(now);
        self.send(at);
        let Some(handshaking) = self.under_way.get_mut(&at) else { return };
        let next = handshaking.deadline().unwrap_or(now).max(now + MIN_PAUSE);
        self.timers.set(at, (progress == Progress::UnderWay).then_some(next));
        let (shard, key) = at;
        match progress {
            Progress::UnderWay => {}
            Progress::Connected => {
                if let Some(done) = self.under_way.remove(&at) {
                    self.tell(shard, News::Connected { key, peer: Box::new(done.into_peer()) });
                }
            }
            Progress::Gone(reason) => {
                self.under_way.remove(&at);
                self.tell(shard, News::Gone { key, reason });
            }
        }
    }

    /// Sends what a handshake has written.
    fn send(&mut self, at: At) {
        let (Some(link), Some(handshaking)) = (self.links.get_mut(at.0), self.under_way.get_mut(&at)) else {
            return;
        };
        self.out.clear();
        handshaking.drain(&mut self.out);
        if let Some(path) = handshaking.peer.path() {
            let left = link.socket.send_all(path, &self.out, &mut link.stats);
            link.stats.drops(Drop::WouldBlock, left as u64);
        }
    }

    fn end(&mut self, at: At) {
        if let Some(handshaking) = self.under_way.get_mut(&at) {
            handshaking.peer.close();
            self.send(at);
            self.under_way.remove(&at);
            self.timers.set(at, None);
        }
    }

    fn tell(&mut self, shard: usize, news: News) {
        if let Some(untold) = self.untold.get_mut(shard) {
            untold.push_back(news);
            self.tell_what_is_left(shard);
        }
    }

    fn tell_what_is_left(&mut self, shard: usize) {
        let (Some(link), Some(untold)) = (self.links.get(shard), self.untold.get_mut(shard)) else { return };
        let mut told = false;
        while let Some(news) = untold.pop_front() {
            match link.news.try_send(news) {
                Ok(()) => told = true,
                Err(mpsc::error::TrySendError::Full(news)) => {
                    untold.push_front(news);
                    break;
                }
                // The relay stops.
                Err(mpsc::error::TrySendError::Closed(_)) => untold.clear(),
            }
        }
        if told {
            let _ = link.waker.wake();
        }
    }
}

/// A binding request of a joiner: answered, after the shard was told where proven ones come from.
fn binding(
    link: &mut Link,
    key: u64,
    handshaking: &mut Handshaking,
    now: Instant,
    path: Path,
    datagram: &[u8],
) {
    let Ok(request) = Request::parse(datagram) else { return };
    let response = match handshaking.peer.binding(now, path, &request) {
        Binding::Proven(response) => {
            // Before the answer: what it lets the viewer send is to find its way.
            let _ = link.passing.try_send(Passing::Proven { key, address: path.remote });
            response
        }
        Binding::Conflict(response) => response,
        Binding::Forged => return link.stats.drop(Drop::StunIntegrity),
        Binding::Replayed => return link.stats.drop(Drop::StunReplayed),
    };
    if link.socket.send(path, &response, &mut link.stats) == Sent::Blocked {
        link.stats.drop(Drop::WouldBlock);
    }
}
