//! Visitors of an embed: each exchanges its token for a grant of its own, as a page on somebody's site does, and joins what
//! it is for. A visitor whose visit launched a game ends it.

use super::api::Api;
use super::card::Card;
use super::echo::Echo;
use super::run::{Run, end, fail};
use super::secret::Secret;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The lists of presses, one of each session that is visited.
type Echoes = Arc<Mutex<HashMap<String, Arc<Echo>>>>;

/// Lets all visitors in, each in its turn, and waits for their ends.
pub(super) async fn visitors(run: Arc<Run>, embed: Secret, cards: Vec<Arc<Card>>) {
    let echoes = Echoes::default();
    let mut lives = JoinSet::new();
    for card in cards {
        lives.spawn(visitor(Arc::clone(&run), embed.clone(), Arc::clone(&echoes), card));
    }
    while lives.join_next().await.is_some() {}
}

async fn visitor(run: Arc<Run>, embed: Secret, echoes: Echoes, card: Arc<Card>) {
    run.turn(card.index).await;
    let now = Instant::now();
    // The way through the token is part of getting in.
    card.with(|facts| {
        facts.begun = Some(now);
        facts.joining = Some(now);
    });
    let api = match run.api() {
        Ok(api) => api.as_another(embed.reveal().to_owned()),
        Err(error) => return fail(&card, &error.to_string()),
    };
    let visit = match api.visit().await {
        Ok(visit) => visit,
        Err(error) => return fail(&card, &error.to_string()),
    };
    card.with(|facts| facts.session_id = Some(visit.session.clone()));
    let echo = {
        let mut echoes = echoes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(echoes.entry(visit.session.clone()).or_default())
    };
    card.shares(echo);
    let api = api.as_another(visit.token);
    let alone = watch::Sender::new(true);
    let lived = run.life(&card, api.clone(), &visit.session, alone.subscribe()).play().await;
    end(&card, lived);
    if visit.may_stop {
        stop(&api, &visit.session, &card).await;
    }
}

async fn stop(api: &Api, session: &str, card: &Card) {
    if let Err(error) = api.stop(session).await
        && card.with(|facts| facts.error.is_none())
    {
        fail(card, &error.to_string());
    }
}
