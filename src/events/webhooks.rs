//! Webhooks: what happens to an organisation's sessions, sent to its own server, at least once.
//!
//! A delivery is a row before it is sent, and is sent until the receiver has answered with 2xx: after a second, then after
//! ever longer, up to five minutes, for three days. Each webhook has one task of its own that sends one event after the other,
//! the oldest first, so that a receiver that is slow or gone costs the others nothing. Order is not promised: what failed
//! comes later; `id` tells repeats, `at` the order.

use super::{KEPT, Signer, SignerError, body};
use crate::config::WebhookConfig;
use crate::model::events::{Attempt, DeliveryRow, EventKind, EventRow};
use crate::model::{Clock, Millis};
use crate::store::{Store, StoreError};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use reqwest::Client;
use reqwest::redirect::Policy;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// Until a connection stands, and for a whole answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Between attempts: the first pause doubles up to the longest.
const FIRST_PAUSE_MS: i64 = 1_000;
const LONGEST_PAUSE_MS: i64 = 300_000;
/// After this long an event is given up.
const GIVE_UP_MS: i64 = 3 * 24 * 3600 * 1000;
/// Looked again after this long at the latest: another process may have noted something.
const LOOK: Duration = Duration::from_secs(60);
/// After a failure of the database.
const STUMBLE: Duration = Duration::from_secs(5);
/// Old events are forgotten this often.
const TIDY: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("webhook `{name}`: {source}")]
    Secret { name: String, source: SignerError },
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A webhook, for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookView {
    pub name: String,
    pub organisation: String,
    /// Without credentials and query.
    pub url: String,
}

/// All webhooks at work; they end with this value. What was not sent is sent by the next gateway.
pub struct Webhooks {
    tasks: Vec<AbortHandle>,
    views: Vec<WebhookView>,
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

#[derive(Debug, Clone, Default)]
struct Metrics {
    attempts: Family<Vec<(&'static str, String)>, Counter>,
}

/// What came of an attempt, for the metrics.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Delivered,
    Failed,
    GivenUp,
}

struct Worker {
    name: String,
    organisation: String,
    url: String,
    kinds: Vec<EventKind>,
    signer: Signer,
    client: Client,
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Metrics,
}

impl Webhooks {
    /// Begins to send what happens from now on and what an earlier gateway did not get delivered, and to forget what is old.
    pub async fn start(
        configs: &[WebhookConfig],
        store: &Arc<dyn Store>,
        clock: &Clock,
        registry: &mut Registry,
    ) -> Result<Self, WebhookError> {
        let metrics = Metrics::default();
        registry.register(
            "webhook_attempts",
            "Events sent to webhooks, by webhook and outcome",
            metrics.attempts.clone(),
        );
        let mut this = Self { tasks: Vec::new(), views: Vec::new() };
        for config in configs {
            let secret = |source| WebhookError::Secret { name: config.name.clone(), source };
            let worker = Worker {
                name: config.name.clone(),
                organisation: config.organisation.clone(),
                url: config.url.clone(),
                kinds: config.events.clone(),
                signer: Signer::new(config.secret.as_deref().unwrap_or_default()).map_err(secret)?,
                client: client()?,
                store: Arc::clone(store),
                clock: clock.clone(),
                metrics: metrics.clone(),
            };
            worker.enlist().await?;
            // A series that appears with its first event hides that event from `rate()`.
            for outcome in [Outcome::Delivered, Outcome::Failed, Outcome::GivenUp] {
                drop(metrics.attempts.get_or_create(&worker.labels(outcome)));
            }
            this.views.push(WebhookView {
                name: config.name.clone(),
                organisation: config.organisation.clone(),
                url: shown(&config.url),
            });
            this.tasks.push(tokio::spawn(worker.run()).abort_handle());
        }
        this.tasks.push(tokio::spawn(tidy(Arc::clone(store), clock.clone())).abort_handle());
        Ok(this)
    }

    pub fn views(&self) -> Vec<WebhookView> {
        self.views.clone()
    }
}

fn client() -> Result<Client, WebhookError> {
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        // An event is for who was configured, and for nobody that one points to.
        .redirect(Policy::none())
        .user_agent(concat!("playgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(WebhookError::Client)
}

/// An address as operators see it: it may hold a secret.
fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

impl Worker {
    async fn run(self) {
        let mut news = self.store.news();
        loop {
            news.borrow_and_update();
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(webhook = self.name, %error, "events cannot be read or noted");
                    STUMBLE
                }
            };
            tokio::select! {
                () = self.clock.sleep_until(self.clock.now() + pause) => {}
                changed = news.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn enlist(&self) -> Result<(), StoreError> {
        let now = self.clock.now_ms();
        self.store.enlist_deliveries(&self.name, &self.organisation, &self.kinds, now).await
    }

    /// Sends all that is due; gives how long nothing will be.
    async fn round(&self) -> Result<Duration, StoreError> {
        self.enlist().await?;
        while let Some((delivery, event)) = self.store.due_delivery(&self.name, self.clock.now_ms()).await? {
            let attempt = self.attempt(&delivery, &event).await;
            self.store.note_attempt(&self.name, event.id, &attempt).await?;
        }
        let next = self.store.next_delivery_at(&self.name).await?;
        let left = next.map(|at| at.saturating_sub(self.clock.now_ms()));
        let left = left.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
        Ok(left.map_or(LOOK, |left| left.min(LOOK)))
    }

    async fn attempt(&self, delivery: &DeliveryRow, event: &EventRow) -> Attempt {
        let Err(error) = self.send(event).await else {
            self.count(Outcome::Delivered);
            return Attempt::Delivered { at: self.clock.now_ms() };
        };
        let now = self.clock.now_ms();
        let next_at = now.saturating_add(pause_ms(delivery.attempts, now));
        let is_over = next_at.saturating_sub(event.at) > GIVE_UP_MS;
        if is_over {
            tracing::warn!(webhook = self.name, event = event.id, error, "an event is given up");
            self.count(Outcome::GivenUp);
        } else {
            tracing::debug!(webhook = self.name, event = event.id, error, "an event could not be delivered");
            self.count(Outcome::Failed);
        }
        Attempt::Failed { error, next_at: (!is_over).then_some(next_at) }
    }

    /// An error says why in words without the address.
    async fn send(&self, event: &EventRow) -> Result<(), String> {
        let (id, body) = (format!("evt_{}", event.id), body(event).to_string());
        let seconds = self.clock.now_ms().div_euclid(1000);
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.signer.sign(&id, seconds, &body))
            .body(body);
        let answer = request.send().await.map_err(|error| why(&error))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(format!("answered {}", answer.status().as_u16()))
        }
    }

    fn count(&self, outcome: Outcome) {
        self.metrics.attempts.get_or_create(&self.labels(outcome)).inc();
    }

    fn labels(&self, outcome: Outcome) -> Vec<(&'static str, String)> {
        let outcome = match outcome {
            Outcome::Delivered => "delivered",
            Outcome::Failed => "failed",
            Outcome::GivenUp => "given_up",
        };
        vec![("webhook", self.name.clone()), ("outcome", outcome.to_owned())]
    }
}

fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "did not answer in time".to_owned()
    } else if error.is_connect() {
        "could not be reached".to_owned()
    } else {
        "broke the connection off".to_owned()
    }
}

/// Before the next attempt. Up to a quarter more, by chance's stand-in, so that not all that failed together comes together.
fn pause_ms(attempts: u32, now: Millis) -> Millis {
    let pause = FIRST_PAUSE_MS.saturating_mul(1 << attempts.min(20)).min(LONGEST_PAUSE_MS);
    pause + now.rem_euclid(100) * pause / 400
}

async fn tidy(store: Arc<dyn Store>, clock: Clock) {
    let kept = Millis::try_from(KEPT.as_millis()).unwrap_or(Millis::MAX);
    loop {
        let now = clock.now_ms();
        let events = store.prune_events(now.saturating_sub(kept)).await;
        // Whoever still holds the grant of one is told no other than before.
        let visits = store.prune_visits(now).await;
        for (what, forgotten) in [("events", events), ("visits", visits)] {
            match forgotten {
                Ok(0) => {}
                Ok(count) => tracing::debug!(count, what, "what is long over is forgotten"),
                Err(error) => tracing::error!(%error, what, "what is long over cannot be forgotten"),
            }
        }
        clock.sleep_until(clock.now() + TIDY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_minutes_and_a_quarter() {
        assert_eq!([0, 1, 2, 3].map(|attempts| pause_ms(attempts, 0)), [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(pause_ms(30, 0), LONGEST_PAUSE_MS);
        assert!((0..100).all(|now| pause_ms(30, now) < LONGEST_PAUSE_MS * 5 / 4));
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_a_secret() {
        assert_eq!(shown("https://example.org/hook?key=1#x"), "https://example.org/hook");
    }
}
