//! A shard's thread, and what is known of it: a panic ends the shard's sessions, not the shard.
//!
//! The socket and the queue of commands outlive a panic; sessions and viewers do not, because nobody can say what state they
//! are in. A shard that panics again and again is started with growing pauses.

use super::shard::Shard;
use prometheus_client::metrics::counter::Counter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A shard that panicked counts as degraded for so long.
const MEMORY: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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
        let before = {
            let mut faults = lock(faults);
            faults.is_down = true;
            faults.last.replace(now)
        };
        panics.inc();
        tracing::error!(
            shard = number,
            sessions = shard.sessions.len(),
            "a relay shard panicked; its sessions end"
        );
        shard = shard.without_sessions();
        let again = before.is_some_and(|at| now.saturating_duration_since(at) < MEMORY);
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
    use super::super::command::Command;
    use super::super::{Codec, IngestSpec, OpenSession, OpenedSession, Relay, RelayConfig};
    use crate::ids::SessionId;
    use prometheus_client::registry::Registry;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::{Duration, Instant};

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
        *relay.inner.placement.get(&session).unwrap()
    }

    fn panic(relay: &Relay, shard: usize) {
        relay.inner.shards[shard].commands.try_send(Command::Panic).unwrap();
        relay.inner.shards[shard].waker.wake().unwrap();
    }

    /// The end of a session's events, within a second.
    async fn lost(opened: &mut OpenedSession) {
        let end = async { while opened.events.recv().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(1), end)
            .await
            .expect("the session's end is told within a second");
    }

    #[tokio::test]
    async fn a_shard_that_panics_ends_its_sessions_and_new_ones_go_to_the_others() {
        let (relay, registry) = relay(2);
        let (one, mut first) = open(&relay).await;
        let (other, mut second) = open(&relay).await;
        let failed = shard_of(&relay, one);
        assert_ne!(failed, shard_of(&relay, other));
        assert_eq!(relay.degraded(), Vec::<String>::new());
        panic(&relay, failed);
        lost(&mut first).await;
        assert_eq!(relay.degraded(), [format!("relay-{failed}")]);
        assert!(
            second
                .events
                .try_recv()
                .is_err_and(|error| error == tokio::sync::mpsc::error::TryRecvError::Empty)
        );
        for _ in 0..4 {
            let (new, _) = open(&relay).await;
            assert_ne!(shard_of(&relay, new), failed, "a shard that failed is the last choice");
        }
        let text = crate::telemetry::encode(&registry).unwrap();
        assert!(text.contains(&format!("relay_shard_panics_total{{shard=\"{failed}\"}} 1")), "{text}");
    }

    #[tokio::test]
    async fn the_only_shard_starts_again_on_the_same_port() {
        let (relay, _) = relay(1);
        let candidates = relay.candidates();
        for _ in 0..2 {
            let (session, mut opened) = open(&relay).await;
            panic(&relay, 0);
            lost(&mut opened).await;
            // Its control plane closes it, as it does at the end of any session.
            relay.close(session).await;
            let began = Instant::now();
            while !relay.inner.shards[0].supervisor.is_up() {
                assert!(began.elapsed() < Duration::from_secs(10), "the shard starts again");
                tokio::task::yield_now().await;
            }
        }
        let (_, opened) = open(&relay).await;
        assert!(opened.rtp_video.port() > 0 && relay.candidates() == candidates);
        assert_eq!(relay.inner.shards[0].sessions.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
