//! A shard's thread, and what is known of it: a panic costs the shard's viewers their connections, and nothing more.
//!
//! The sockets, the queues and the sessions' ports outlive a panic; viewers do not, because nobody can say what state they
//! are in: they are told, and come again. A shard that panics again and again is started with growing pauses.

use super::shard::Shard;
use prometheus_client::metrics::counter::Counter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A shard that panicked counts as degraded for so long.
const MEMORY: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

/// The control plane's view of a shard's thread.
#[derive(Debug)]
pub(super) struct Supervisor {
    thread: JoinHandle<()>,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Debug, Default)]
struct Faults {
    last: Option<Instant>,
    /// Between a panic and the new start.
    is_down: bool,
}

impl Supervisor {
    /// Starts the thread.
    pub(super) fn start(number: usize, shard: Shard, panics: Counter) -> std::io::Result<Self> {
        let faults = Arc::new(Mutex::new(Faults::default()));
        let told = Arc::clone(&faults);
        let thread = std::thread::Builder::new()
            .name(format!("relay-{number}"))
            .spawn(move || run(number, shard, &told, &panics))?;
        Ok(Self { thread, faults })
    }

    /// It takes commands now, or within a moment.
    pub(super) fn is_up(&self) -> bool {
        !self.thread.is_finished() && !lock(&self.faults).is_down
    }

    /// It panicked lately, or is gone.
    pub(super) fn is_degraded(&self) -> bool {
        !self.is_up() || lock(&self.faults).last.is_some_and(|at| at.elapsed() < MEMORY)
    }
}

fn run(number: usize, mut shard: Shard, faults: &Mutex<Faults>, panics: &Counter) {
    let mut pause = FIRST_PAUSE;
    while catch_unwind(AssertUnwindSafe(|| shard.run())).is_err() {
        let now = Instant::now();
        let last = {
            let mut faults = lock(faults);
            faults.is_down = true;
            faults.last.replace(now)
        };
        panics.inc();
        let before = shard.sessions.len();
        let (restarted, sessions) = shard.restarted(now);
        shard = restarted;
        tracing::error!(
            shard = number,
            sessions,
            ended = before - sessions,
            "a relay shard panicked; its viewers have to come again"
        );
        let again = last.is_some_and(|at| now.saturating_duration_since(at) < MEMORY);
        pause = if again { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        std::thread::sleep(pause);
        lock(faults).is_down = false;
    }
}

fn lock(faults: &Mutex<Faults>) -> std::sync::MutexGuard<'_, Faults> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{
        Codec, IngestSpec, KeyFrame, OpenSession, OpenedSession, Relay, RelayConfig, RelayError, RelayEvent,
    };
    use crate::model::ids::SessionId;
    use prometheus_client::registry::Registry;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
    use std::time::{Duration, Instant};
    use tokio::sync::mpsc::error::TryRecvError;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn relay(shards: usize) -> (Relay, Registry) {
        let mut registry = Registry::default();
        let config = RelayConfig {
            media_listen: vec!["127.0.0.1:0".parse().unwrap(); shards],
            whole_machine: false,
            public_ip: Vec::new(),
            ingest_ip: LOOPBACK,
        };
        (Relay::start(config, &mut registry).unwrap(), registry)
    }

    async fn open(relay: &Relay) -> (SessionId, OpenedSession) {
        let session = SessionId::new();
        let video = IngestSpec { listen: None, codec: Codec::H264, payload_type: 96, rtcp: None };
        let spec = OpenSession { session, video, audio: None, allow: vec![LOOPBACK] };
        (session, relay.open(spec).await.unwrap())
    }

    fn shard_of(relay: &Relay, session: SessionId) -> usize {
        relay.inner.placement.get(&session).unwrap().home
    }

    /// Waits until the session's shard works again.
    async fn up_again(relay: &Relay, shard: usize) {
        let began = Instant::now();
        while !relay.inner.shards[shard].supervisor.is_up() {
            assert!(began.elapsed() < Duration::from_secs(10), "the shard starts again");
            tokio::task::yield_now().await;
        }
    }

    /// A key frame in one packet, and what the relay says of it then.
    async fn picture(relay: &Relay, session: SessionId, to: SocketAddr, source: &UdpSocket, sequence: u16) {
        let mut packet = vec![0x80, 0x80 | 96];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 7]);
        // A STAP-A of a parameter set, another, and the start of a picture.
        packet.extend_from_slice(&[0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 1, 0, 2, 0x65, 0x80]);
        let began = Instant::now();
        loop {
            source.send_to(&packet, to).expect("sent");
            match relay.key_frame(session, false).await {
                Ok(KeyFrame::Here { .. }) => return,
                Ok(KeyFrame::NotYet) | Err(RelayError::NotFound) => {}
                other => panic!("{other:?}"),
            }
            assert!(began.elapsed() < Duration::from_secs(10), "a picture comes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_session_outlives_a_panic_of_its_shard_and_new_ones_go_to_the_others() {
        let (relay, registry) = relay(2);
        let (one, mut first) = open(&relay).await;
        let (other, mut second) = open(&relay).await;
        let failed = shard_of(&relay, one);
        assert_ne!(failed, shard_of(&relay, other));
        assert_eq!(relay.degraded(), Vec::<String>::new());
        let source = UdpSocket::bind("127.0.0.1:0").expect("bound");
        picture(&relay, one, first.rtp_video, &source, 1).await;
        assert_eq!(first.events.recv().await, Some(RelayEvent::FirstKeyFrame));
        relay.panic_shard(failed).unwrap();
        // The same port and source, and nothing of the picture before.
        up_again(&relay, failed).await;
        assert!(matches!(relay.key_frame(one, false).await, Ok(KeyFrame::NotYet)));
        picture(&relay, one, first.rtp_video, &source, 2).await;
        assert_eq!(relay.degraded(), [format!("relay-{failed}")]);
        for events in [&mut first.events, &mut second.events] {
            assert_eq!(events.try_recv(), Err(TryRecvError::Empty), "neither ended nor begun again");
        }
        for _ in 0..4 {
            let (new, _) = open(&relay).await;
            assert_ne!(shard_of(&relay, new), failed, "a shard that failed is the last choice");
        }
        let text = crate::telemetry::encode(&registry).unwrap();
        assert!(text.contains(&format!("relay_shard_panics_total{{shard=\"{failed}\"}} 1")), "{text}");
    }

    #[tokio::test]
    async fn a_session_that_makes_its_shard_panic_again_and_again_ends() {
        let (relay, _) = relay(1);
        let candidates = relay.candidates();
        let (session, mut opened) = open(&relay).await;
        for _ in 0..3 {
            assert_eq!(opened.events.try_recv(), Err(TryRecvError::Empty));
            relay.panic_shard(0).unwrap();
            let began = Instant::now();
            while relay.inner.shards[0].supervisor.is_up() && !opened.events.is_closed() {
                assert!(began.elapsed() < Duration::from_secs(10), "the shard panics");
                tokio::task::yield_now().await;
            }
            up_again(&relay, 0).await;
        }
        assert_eq!(opened.events.recv().await, None, "its control plane is told");
        // That closes it, as it does at the end of any session.
        relay.close(session).await;
        let (_, opened) = open(&relay).await;
        assert!(opened.rtp_video.port() > 0 && relay.candidates() == candidates);
        assert_eq!(relay.inner.shards[0].sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
