//! A run: sessions and their viewers, started one after another over the ramp, each with a life of its own.

use super::BotsPlan;
use super::api::{Api, ApiError};
use super::card::{Card, Kind, Mode, Phase, Step};
use super::drops::Drops;
use super::echo::Echo;
use super::life::{Life, LifeError};
use super::visit::visitors;
use reqwest::Client;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between two polls of the status (contract rule 5).
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// A game may have to be downloaded first (contract rule 2).
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(75);
/// Sockets are looked at this often.
const DROPS_INTERVAL: Duration = Duration::from_secs(1);

/// Everything the tasks of a run share.
#[derive(Debug)]
pub struct Run {
    pub plan: BotsPlan,
    pub cards: Vec<Arc<Card>>,
    pub drops: Arc<Drops>,
    pub epoch: Instant,
    pub begun: SystemTime,
    http: Client,
    stop: watch::Sender<bool>,
}

impl Run {
    /// Lays out who is to do what; nothing is sent yet.
    pub fn new(plan: BotsPlan) -> Result<Arc<Self>, reqwest::Error> {
        let http = Client::builder()
            .tls_danger_accept_invalid_certs(plan.insecure)
            .timeout(Duration::from_secs(30))
            .build()?;
        let epoch = Instant::now();
        let mut cards = Vec::new();
        for session in 0..plan.sessions {
            let echo: Arc<Echo> = Arc::default();
            for place in 0..plan.group() {
                let index = u32::try_from(cards.len()).unwrap_or(u32::MAX);
                let kind = match u32::try_from(place).unwrap_or(u32::MAX) {
                    _ if plan.embed.is_some() => Kind::Visitor,
                    0 => Kind::Owner,
                    place if place <= plan.players => Kind::Player,
                    _ => Kind::Spectator,
                };
                let mode = if plan.full_every > 0 && index.is_multiple_of(plan.full_every) {
                    Mode::Full
                } else {
                    plan.mode
                };
                let card = Card::new(index, session, kind, mode, epoch);
                if plan.embed.is_none() {
                    card.shares(Arc::clone(&echo));
                }
                cards.push(Arc::new(card));
            }
        }
        let (drops, begun, stop) = (Arc::default(), SystemTime::now(), watch::Sender::new(false));
        Ok(Arc::new(Self { plan, cards, drops, epoch, begun, http, stop }))
    }

    /// Runs all bots side by side and waits for the last one.
    pub async fn play(self: &Arc<Self>) {
        let mut sessions = JoinSet::new();
        match &self.plan.embed {
            Some(embed) => {
                drop(sessions.spawn(visitors(Arc::clone(self), embed.clone(), self.cards.clone())))
            }
            None => {
                for cards in self.cards.chunks(self.plan.group()) {
                    sessions.spawn(session(Arc::clone(self), cards.to_vec()));
                }
            }
        }
        let mut looks = tokio::time::interval(DROPS_INTERVAL);
        loop {
            tokio::select! {
                ended = sessions.join_next() => if ended.is_none() {
                    break;
                },
                _ = looks.tick() => self.drops.look(),
            }
        }
    }

    /// Ends the run early, in order.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Nobody yet, at the gateway.
    pub(super) fn api(&self) -> Result<Api, ApiError> {
        Api::new(self.http.clone(), &self.plan.url)
    }

    /// Waits for a bot's place on the ramp.
    pub(super) async fn turn(&self, index: u32) {
        let share = f64::from(index) / self.cards.len().max(1) as f64;
        tokio::time::sleep_until((self.epoch + self.plan.ramp.mul_f64(share)).into()).await;
    }

    pub(super) fn life(
        &self,
        card: &Arc<Card>,
        api: Api,
        session: &str,
        may_end: watch::Receiver<bool>,
    ) -> Life {
        Life {
            card: Arc::clone(card),
            api,
            session: session.to_owned(),
            input: self.plan.input.clone(),
            seed: self.plan.seed.wrapping_add(u64::from(card.index)),
            insecure: self.plan.insecure,
            duration: self.plan.duration,
            may_end,
            stop: self.stop.subscribe(),
            drops: Arc::clone(&self.drops),
        }
    }
}

/// A session: who launched it, those invited, and its end. What was launched is stopped, whatever went wrong in between.
async fn session(run: Arc<Run>, cards: Vec<Arc<Card>>) {
    let Some((owner, viewers)) = cards.split_first() else { return };
    run.turn(owner.index).await;
    owner.with(|facts| {
        facts.begun = Some(Instant::now());
        facts.phase = Phase::Starting;
    });
    let launched = launch(&run, owner).await;
    let (api, id) = match launched {
        Ok(launched) => launched,
        Err(error) => {
            for viewer in viewers {
                fail(viewer, "its session did not start");
            }
            fail(owner, &error.to_string());
            return;
        }
    };
    let running = api.wait_running(&id, POLL_INTERVAL, LAUNCH_TIMEOUT).await;
    match running {
        Ok(()) => {
            owner.step(Step::Running);
            let viewers_done = watch::Sender::new(false);
            let playing = async {
                owner.with(|facts| facts.joining = Some(Instant::now()));
                end(owner, run.life(owner, api.clone(), &id, viewers_done.subscribe()).play().await);
            };
            let watching = async {
                watch(&run, &api, &id, viewers).await;
                viewers_done.send_replace(true);
            };
            tokio::join!(playing, watching);
        }
        Err(error) => {
            viewers.iter().for_each(|viewer| fail(viewer, "its session did not start"));
            fail(owner, &error.to_string());
        }
    }
    if let Err(error) = api.stop(&id).await
        && owner.with(|facts| facts.error.is_none())
    {
        fail(owner, &error.to_string());
    }
}

async fn launch(run: &Run, owner: &Card) -> Result<(Api, String), ApiError> {
    let mut api = run.api()?;
    match &run.plan.token {
        Some(token) => api = api.with_token(token.clone()),
        None => api.become_guest().await?,
    }
    owner.step(Step::SignedIn);
    let id = api.launch(&run.plan.game).await?;
    owner.step(Step::Launched);
    owner.with(|facts| facts.session_id = Some(id.clone()));
    Ok((api, id))
}

/// Invites the viewers, each in its turn, and waits for their ends.
async fn watch(run: &Arc<Run>, api: &Api, id: &str, viewers: &[Arc<Card>]) {
    let mut lives = JoinSet::new();
    for viewer in viewers {
        let (run, api, id, viewer) = (Arc::clone(run), api.clone(), id.to_owned(), Arc::clone(viewer));
        lives.spawn(async move {
            run.turn(viewer.index).await;
            let role = if viewer.kind == Kind::Spectator { "spectator" } else { "player" };
            let token = match api.share(&id, role).await {
                Ok(token) => token,
                Err(error) => return fail(&viewer, &error.to_string()),
            };
            // A friend has the link already.
            let now = Instant::now();
            viewer.with(|facts| {
                facts.begun = Some(now);
                facts.joining = Some(now);
                facts.session_id = Some(id.clone());
            });
            let alone = watch::Sender::new(true);
            let life = run.life(&viewer, api.as_another(token), &id, alone.subscribe());
            end(&viewer, life.play().await);
        });
    }
    while lives.join_next().await.is_some() {}
}

pub(super) fn end(card: &Card, lived: Result<(), LifeError>) {
    match lived {
        Ok(()) => card.phase(Phase::Done),
        Err(error) => fail(card, &error.to_string()),
    }
}

pub(super) fn fail(card: &Card, error: &str) {
    tracing::info!(bot = card.index, error, "a bot failed");
    card.with(|facts| {
        facts.phase = Phase::Failed;
        facts.error.get_or_insert_with(|| error.to_owned());
    });
}
