//! After a gateway was killed, or a session's task has failed: takes up the games that still play, ends what else is
//! left, keeps what it saved, closes its sessions.

use super::catalogue::{Catalogue, Game, Source};
use super::context::Context;
use super::contract;
use super::ending;
use super::hosted;
use super::keep::{self, KeepError, Next, Waiting};
use super::launch::Holds;
use super::machine::State;
use super::ports::RunnerLink;
use crate::content::{Content, Progress};
use crate::driver::{Adopted, DriverEvent, Ended, Instance};
use crate::model::hosted::Hosted;
use crate::model::ids::SessionId;
use crate::model::instance::InstanceRef;
use crate::model::rows::{Fenced, SessionRow};
use crate::model::session::{EndReason, Milestone, SaveReport, Timeline};
use crate::relay::OpenedSession;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const RESTARTED: &str = "The game server was restarted.";
/// Events of an adopted instance until its actor takes them; the driver waits.
const EVENTS: usize = 16;
/// However short the lease was: players need a moment to find that the gateway is back.
const LEAST_LEASE_MS: i64 = 60_000;

/// A game that plays on.
pub(super) struct Found {
    pub(super) row: SessionRow,
    pub(super) game: Arc<Game>,
    pub(super) instance: Box<dyn Instance>,
    pub(super) events: mpsc::Receiver<DriverEvent>,
    /// Of one with a picture.
    pub(super) planes: Option<(OpenedSession, Box<dyn RunnerLink>)>,
    /// False: it has failed, and is to be started again.
    pub(super) running: bool,
    pub(super) holds: Holds,
}

/// What is left of a session's game.
enum Left {
    Nothing,
    Instance(Box<Adopted>, mpsc::Receiver<DriverEvent>),
    /// There may be something, which cannot be reached now.
    Unreachable(KeepError),
}

/// Runs before the first launch, on a data directory that is ours alone.
pub(super) async fn recover(
    context: &Arc<Context>,
    catalogue: &Catalogue,
) -> anyhow::Result<(Vec<Found>, Waiting)> {
    std::fs::create_dir_all(context.data_dir.sessions())?;
    // First, so that what was stored late comes before what is stored now.
    let waiting = keep::waiting(context).await?;
    let mut found = Vec::new();
    for row in context.store.active_sessions().await? {
        if let Some(taken_up) = take_up(context, catalogue, row).await? {
            found.push(taken_up);
        }
    }
    let playing: HashSet<SessionId> = found.iter().map(|found| found.row.id).collect();
    remove_stray_dirs(context, &playing)?;
    let mut keep = playing;
    keep.extend(&waiting.keep);
    keep.extend(context.store.unsaved_sessions().await?.iter().map(|row| row.id));
    keep.extend(context.store.retained_sessions(None).await?.iter().map(|row| row.id));
    keep.extend(context.store.refused_saves().await?.iter().map(|row| row.id));
    remove_strays(context, &keep).await;
    Ok((found, waiting))
}

/// Ends what plays the session within `grace`, stores what it left and closes the row, for the given reason in words.
pub(super) async fn close(
    context: &Arc<Context>,
    mut row: SessionRow,
    grace: Duration,
    detail: &str,
) -> anyhow::Result<()> {
    let Some(generation) = context.store.take_over(row.id, row.generation).await? else { return Ok(()) };
    row.generation = generation;
    let left = look(context, &mut row).await;
    close_with(context, row, left, grace, detail).await
}

async fn take_up(
    context: &Arc<Context>,
    catalogue: &Catalogue,
    mut row: SessionRow,
) -> anyhow::Result<Option<Found>> {
    let Some(generation) = context.store.take_over(row.id, row.generation).await? else { return Ok(None) };
    row.generation = generation;
    let mut left = look(context, &mut row).await;
    if let Left::Instance(adopted, events) = left {
        left = if row.end_reason.is_none() && (adopted.running || is_restarted(&row, &adopted).await) {
            match reopen(context, catalogue, &mut row, *adopted, events).await? {
                Ok(found) => return Ok(Some(found)),
                Err(left) => left,
            }
        } else {
            Left::Instance(adopted, events)
        };
    }
    let game = game_of(context, catalogue, &row);
    let grace = contract::stop_within(context, game.as_deref(), row.hosted.is_some());
    close_with(context, row, left, grace, RESTARTED).await?;
    Ok(None)
}

async fn look(context: &Context, row: &mut SessionRow) -> Left {
    if row.instance.is_none() {
        match unwritten(context, row).await {
            Ok(found) => row.instance = found,
            Err(error) if row.hosted.is_some() => return Left::Unreachable(error),
            Err(error) => {
                tracing::error!(session = %row.id, %error, "a game that may have been started cannot be looked for")
            }
        }
    }
    let Some(reference) = &row.instance else { return Left::Nothing };
    let (sender, events) = mpsc::channel(EVENTS);
    let found = match context.drivers.by_instance(reference) {
        Some(driver) => driver.adopt(row.id, reference, sender).await.map_err(KeepError::from),
        None => Err(KeepError::Passing("no engine is configured any more".to_owned())),
    };
    match (found, reference) {
        (Ok(Some(adopted)), _) => {
            publish_ports(row, &adopted);
            Left::Instance(Box::new(adopted), events)
        }
        (Ok(None), _) => Left::Nothing,
        (Err(error), InstanceRef::Container { .. }) => Left::Unreachable(error),
        // Its save lies in the session's directory.
        (Err(error), InstanceRef::Process { .. }) => {
            tracing::warn!(session = %row.id, %error, "what is left of a game cannot be found");
            Left::Nothing
        }
    }
}

/// A container whose start the store did not take: it is the session's all the same.
async fn unwritten(context: &Context, row: &SessionRow) -> Result<Option<InstanceRef>, KeepError> {
    let Some(driver) = &context.drivers.docker else { return Ok(None) };
    let found = driver.find(row.id).await?;
    if found.is_some() {
        tracing::warn!(session = %row.id, "a container is found whose start had not been written");
    }
    Ok(found)
}

/// The ports of a container whose start the store did not take.
fn publish_ports(row: &mut SessionRow, adopted: &Adopted) {
    let external_id = &row.external_id;
    if let Some(hosted) = &mut row.hosted
        && hosted.ports.is_empty()
        && !adopted.site.ports.is_empty()
    {
        let ports = adopted.site.ports.clone();
        let env = hosted::environment(&hosted.env, external_id, &hosted.host, &ports);
        *hosted = Arc::new(Hosted { env, ports, ..Hosted::clone(hosted) });
    }
}

/// Opens media and control again for a game that plays on. Gives it back when that cannot be.
async fn reopen(
    context: &Context,
    catalogue: &Catalogue,
    row: &mut SessionRow,
    adopted: Adopted,
    events: mpsc::Receiver<DriverEvent>,
) -> anyhow::Result<Result<Found, Left>> {
    let Some(game) = game_of(context, catalogue, row) else {
        tracing::warn!(session = %row.id, game = row.game, "a game that plays is not offered any more; it ends");
        return Ok(Err(Left::Instance(Box::new(adopted), events)));
    };
    let planes = match row.runner_token_sha256 {
        Some(token) => match reopen_planes(context, row, &game, &adopted, token).await {
            Some(planes) => Some(planes),
            None => return Ok(Err(Left::Instance(Box::new(adopted), events))),
        },
        None if game.streams() => return Ok(Err(Left::Instance(Box::new(adopted), events))),
        None => None,
    };
    std::fs::create_dir_all(context.session_dir(row.id))?;
    if row.hosted.is_none() {
        let least = context.clock.now_ms().saturating_add(LEAST_LEASE_MS);
        row.lease_until = Some(row.lease_until.map_or(least, |until| until.max(least)));
    }
    if adopted.running {
        is_up(context, row, game.streams());
    }
    context.store.update_session(row).await?;
    let content = package_in_use(context, &game).await;
    let Adopted { instance, site, running } = adopted;
    tracing::info!(session = %row.id, game = row.game, running, "a game of the gateway before this one goes on");
    let holds = Holds { content, site: Some(site) };
    Ok(Ok(Found { row: row.clone(), game, instance, events, planes, running, holds }))
}

/// The row of a game that runs, also where the store did not take its start.
fn is_up(context: &Context, row: &mut SessionRow, streams: bool) {
    let state = State::adopted(row.ran, streams);
    (row.status, row.container, row.ran) = (state.status(), state.container_status(), row.ran || state.ran());
    let mut timeline = Timeline::from(std::mem::take(&mut row.timeline));
    timeline.mark(Milestone::ContainerUp, context.clock.now_ms());
    row.timeline = timeline.entries().to_vec();
}

/// What the session runs, from what is offered.
fn game_of(context: &Context, catalogue: &Catalogue, row: &SessionRow) -> Option<Arc<Game>> {
    if let Some(hosted) = &row.hosted {
        let image =
            context.hosting.images.by_name(&hosted.image).filter(|image| image.streams() == hosted.stream);
        return image.map(|image| Arc::new(image.game(&hosted.tag)));
    }
    catalogue.get(&row.game).filter(|game| matches!(game.source, Source::Container(_))).cloned()
}

/// It failed by itself while there was no gateway, and its caller wants it started again (G30).
async fn is_restarted(row: &SessionRow, adopted: &Adopted) -> bool {
    let restart = row.hosted.as_ref().is_some_and(|hosted| hosted.restart);
    // Of an instance that has ended this only tells how.
    restart && adopted.instance.stop(Duration::ZERO).await.exit_code != Some(0)
}

async fn reopen_planes(
    context: &Context,
    row: &SessionRow,
    game: &Game,
    adopted: &Adopted,
    token: [u8; 32],
) -> Option<(OpenedSession, Box<dyn RunnerLink>)> {
    let opened = match context.media.open(contract::ingest(context, row.id, game, &adopted.site)).await {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(session = %row.id, %error, "no media for a game that plays; it ends");
            return None;
        }
    };
    let (rtp_video, rtp_audio) = (opened.rtp_video.to_string(), opened.rtp_audio.map(|at| at.to_string()));
    let link = context.control.adopt(row.id, token, contract::welcome(game, rtp_video, rtp_audio));
    Some((opened, link))
}

/// The lease on a package that is mounted into the game, so that it is not evicted.
async fn package_in_use(context: &Context, game: &Game) -> Option<crate::content::Ready> {
    let Source::Container(container) = &game.source else { return None };
    let Content::Package(_) = container.content else { return None };
    let source = context.content.as_ref()?;
    if !source.is_cached(&container.content).await {
        return None;
    }
    source.fetch(&container.content, &watch::Sender::new(Progress::default())).await.ok()
}

async fn close_with(
    context: &Arc<Context>,
    mut row: SessionRow,
    left: Left,
    grace: Duration,
    detail: &str,
) -> anyhow::Result<()> {
    let (mut ended, mut verdict) = (None, (EndReason::NodeLost, Some(detail.to_owned())));
    let mut kept_in = None;
    let kept = match left {
        Left::Nothing => keep::keep(context, &row, None).await,
        Left::Unreachable(error) if row.hosted.is_some() => {
            tracing::error!(session = %row.id, %error, "a hosted session cannot be reached; its container stays as it is");
            ended = Some(Ended::default());
            Ok(None)
        }
        Left::Unreachable(error) => Err(error),
        Left::Instance(adopted, _events) => {
            let end = adopted.instance.stop(grace).await;
            if !adopted.running {
                verdict = ending::verdict(end.exit_code, None, end.out_of_memory);
            }
            ended = Some(end);
            if row.hosted.is_some() {
                // It has no save to store, and its container stays for a while.
                Ok(None)
            } else {
                let kept = keep::keep(context, &row, Some(adopted.instance.as_ref())).await;
                if kept.is_ok() {
                    keep::remove(adopted.instance.as_ref(), row.id).await;
                }
                kept_in = Some(adopted.instance);
                kept
            }
        }
    };
    row.save = match &kept {
        Ok(save) => save.clone(),
        Err(error) => keep::not_stored(context, &row, error).await,
    };
    let next = finish(context, &mut row, verdict, ended, &kept);
    if context.store.update_session(&row).await? == Fenced::Written {
        let in_container = matches!(row.instance, Some(InstanceRef::Container { .. }));
        context.leave_session_dir(row.id, kept.is_err() && !in_container);
        row.end_reason.inspect(|reason| context.metrics.ended(*reason));
        match next {
            // What cannot be reached is looked for again at the next start.
            Some(Next::TryAgain) if in_container && kept_in.is_none() => {}
            Some(Next::TryAgain) => keep::Unsaved { row, instance: kept_in }.retry(Arc::clone(context)),
            Some(Next::GiveUp) => context.kept_for_a_while.notify_one(),
            None => {}
        }
    }
    Ok(())
}

/// Makes the row final. Tells what follows when the save is not stored.
fn finish(
    context: &Context,
    row: &mut SessionRow,
    (reason, detail): (EndReason, Option<String>),
    ended: Option<Ended>,
    kept: &Result<Option<SaveReport>, KeepError>,
) -> Option<Next> {
    let reason = row.end_reason.unwrap_or(reason);
    let now = context.clock.now_ms();
    let mut timeline = Timeline::from(std::mem::take(&mut row.timeline));
    if kept.is_ok() {
        timeline.mark(Milestone::SaveStored, now);
    }
    timeline.mark(Milestone::Ended, now);
    row.timeline = timeline.entries().to_vec();
    let state = State::Ended { reason, ran: row.ran };
    row.status = state.status();
    row.end_reason = Some(reason);
    row.end_detail = row.end_detail.take().or(detail);
    row.ended_at = Some(now);
    row.lease_until = None;
    row.figures = Some(ending::final_figures(row, now, ended.unwrap_or_default()));
    row.container = ending::container_status(state, row);
    match kept {
        // Its stopped container stays for a while.
        Ok(_) if row.hosted.is_some() => {
            if ended.is_none() {
                row.instance = None;
                row.removed_at = Some(now);
            }
            None
        }
        Ok(_) => {
            row.instance = None;
            None
        }
        Err(error) => Some(keep::note(row, error, now)),
    }
}

/// Working directories that belong to no session that plays.
fn remove_stray_dirs(context: &Context, playing: &HashSet<SessionId>) -> anyhow::Result<()> {
    let mine: HashSet<_> = playing.iter().map(|id| context.session_dir(*id)).collect();
    for entry in std::fs::read_dir(context.data_dir.sessions())? {
        let stray = entry?.path();
        if mine.contains(&stray) {
            continue;
        }
        tracing::info!(path = %stray.display(), "removing what an ended session left");
        let removed =
            if stray.is_dir() { std::fs::remove_dir_all(&stray) } else { std::fs::remove_file(&stray) };
        if let Err(error) = removed {
            tracing::warn!(path = %stray.display(), %error, "a stray stays behind");
        }
    }
    Ok(())
}

/// Containers and the like that belong to no session that plays or has a save in them.
async fn remove_strays(context: &Context, keep: &HashSet<SessionId>) {
    let Some(driver) = &context.drivers.docker else { return };
    match driver.remove_strays(keep).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed what ended sessions left on the engine"),
        Err(error) => tracing::warn!(%error, "strays stay behind on the engine"),
    }
}
