//! From the written row to a started instance: content fetched, a site chosen, media opened, runner expected, save
//! restored, game started.
//!
//! One future; dropping it at any point leaves nothing running, as the driver promises for its part and teardown closes
//! the rest. A download goes on without it.

use super::catalogue::{ContainerGame, Game, Source};
use super::context::Context;
use super::contract;
use super::hosted;
use super::ports::RunnerLink;
use crate::content::{Progress, Ready};
use crate::driver::{Driver, DriverError, DriverEvent, ImageFacts, Instance, Site, SiteRequest, StartSpec};
use crate::model::hosted::Hosted;
use crate::model::ids::{Generation, SessionId, SlotId};
use crate::model::instance::{ExposedPort, Port};
use crate::model::session::{EndReason, Milestone};
use crate::relay::OpenedSession;
use playgate_signaling::runner::env;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often other ports are chosen when somebody else has taken those that were.
const MORE_PLACES: u32 = 3;
/// How often a download's progress is told at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

pub(super) struct Plan {
    pub(super) session: SessionId,
    pub(super) generation: Generation,
    pub(super) slot: Option<SlotId>,
    pub(super) game: Arc<Game>,
    /// Of a hosted session, with its external id.
    pub(super) hosted: Option<(String, Arc<Hosted>)>,
}

/// Told on the way.
pub(super) enum Step {
    Progress(&'static str, Option<f32>),
    Reached(Milestone),
    /// What a hosted session's container will be like.
    Hosted(Arc<Hosted>),
    MediaOpen(OpenedSession),
    RunnerExpected(Box<dyn RunnerLink>),
}

/// A game that was started.
pub(super) struct Launched {
    pub(super) instance: Box<dyn Instance>,
    pub(super) holds: Holds,
}

/// Held as long as the game lives, and never looked at.
#[derive(Default)]
#[expect(dead_code, reason = "what it holds is given back when it is dropped")]
pub(super) struct Holds {
    pub(super) content: Option<Ready>,
    /// Of an adopted game; a started one has it itself.
    pub(super) site: Option<Site>,
}

#[derive(Debug)]
pub(super) struct LaunchFailed {
    pub(super) reason: EndReason,
    /// A sentence for people.
    pub(super) detail: String,
}

pub(super) async fn launch(
    context: Arc<Context>,
    plan: Plan,
    steps: mpsc::Sender<Step>,
    events: mpsc::Sender<DriverEvent>,
) -> Result<Launched, LaunchFailed> {
    let driver = context.drivers.of(&plan.game).ok_or_else(no_engine)?;
    let content = match &plan.game.source {
        Source::BuiltIn | Source::External { .. } => None,
        Source::Container(game) => {
            let ready = fetch(&context, &plan.game, game, &steps).await?;
            tell(&steps, Step::Reached(Milestone::ImageReady)).await;
            Some(ready)
        }
    };
    let facts = match &content {
        Some(ready) => driver.image_facts(&ready.image).await.map_err(|error| failed("image", &error))?,
        None => ImageFacts::default(),
    };
    let mut places_left = if plan.game.streams() { 0 } else { MORE_PLACES };
    loop {
        // Only a hosted session's ports are published.
        let ports = if plan.hosted.is_some() { facts.ports.clone() } else { Vec::new() };
        let site = site(driver.as_ref(), &plan, ports).await?;
        // What a game's entry brings gives way to what a hosted session's caller says, and both to the contract.
        let mut variables = match &plan.game.source {
            Source::Container(container) => container.config.env.clone(),
            Source::BuiltIn | Source::External { .. } => BTreeMap::new(),
        };
        if let Some((external_id, hosted)) = &plan.hosted {
            let hosted = published(external_id, hosted, &site.ports, facts.labels.clone());
            variables.extend(hosted.env.clone());
            tell(&steps, Step::Hosted(Arc::new(hosted))).await;
        }
        if plan.game.streams() {
            variables.extend(expect_runner(&context, &plan, &site, &facts, &steps).await?);
        }
        restore_save(&context, &plan, &steps).await?;
        if content.is_none() {
            // Nothing to download for what is in this binary or comes from elsewhere.
            tell(&steps, Step::Reached(Milestone::ImageReady)).await;
        }
        tell(&steps, Step::Progress("starting", None)).await;
        let spec = StartSpec {
            session: plan.session,
            generation: plan.generation,
            game: plan.game.view.slug.clone(),
            env: variables,
            save_dir: context.save_dir(plan.session),
            seed: None,
            marker: context.marker,
            container: match (&plan.game.source, &content) {
                (Source::Container(game), Some(ready)) => {
                    let mut spec = contract::container(game, ready);
                    if let Some((_, hosted)) =
                        plan.hosted.as_ref().filter(|(_, hosted)| !hosted.args.is_empty())
                    {
                        spec.command.clone_from(&hosted.args);
                    }
                    Some(spec)
                }
                (Source::Container(_) | Source::BuiltIn | Source::External { .. }, _) => None,
            },
        };
        // Last, so that a started instance is always handed over.
        match driver.start(spec, site, events.clone()).await {
            Ok(instance) => return Ok(Launched { instance, holds: Holds { content, site: None } }),
            // Somebody else's program was quicker: its ports are in the environment already, so all of it is made anew.
            Err(DriverError::PortTaken(text)) if places_left > 0 => {
                tracing::info!(session = %plan.session, error = %text, "ports were taken meanwhile; others are chosen");
                places_left -= 1;
            }
            Err(error) => return Err(failed("game", &error)),
        }
    }
}

/// A hosted session with what is known once its container has its ports.
fn published(
    external_id: &str,
    asked: &Hosted,
    ports: &[Port],
    image_labels: BTreeMap<String, String>,
) -> Hosted {
    Hosted {
        env: hosted::environment(&asked.env, external_id, &asked.host, ports),
        ports: ports.to_vec(),
        image_labels,
        ..asked.clone()
    }
}

/// Waits for the game's content, and tells how far it is. The limit is the waiting's: the download goes on.
async fn fetch(
    context: &Context,
    game: &Game,
    container: &ContainerGame,
    steps: &mpsc::Sender<Step>,
) -> Result<Ready, LaunchFailed> {
    let source = context.content.as_ref().ok_or_else(no_engine)?;
    let limit = Duration::from_secs(context.config.download_timeout_s);
    let deadline = context.clock.now() + limit;
    let (progress, told) = watch::channel(Progress::default());
    if !source.is_cached(&container.content).await {
        tell(steps, Step::Progress("downloading", None)).await;
    }
    tokio::select! {
        fetched = source.fetch(&container.content, &progress) => {
            fetched.map_err(|error| failed("download", &error))
        }
        () = tell_progress(told, steps) => Err(no_engine()),
        () = context.clock.sleep_until(deadline) => Err(LaunchFailed {
            reason: EndReason::LaunchTimeout,
            detail: format!("{} is still being downloaded; try again in a moment.", game.view.title),
        }),
    }
}

/// Never ends: the download does.
async fn tell_progress(mut progress: watch::Receiver<Progress>, steps: &mpsc::Sender<Step>) {
    while progress.changed().await.is_ok() {
        let percent = progress.borrow_and_update().percent.map(|percent| percent.clamp(0.0, 100.0));
        tell(steps, Step::Progress("downloading", percent)).await;
        tokio::time::sleep(PROGRESS_EVERY).await;
    }
    std::future::pending().await
}

async fn site(driver: &dyn Driver, plan: &Plan, ports: Vec<ExposedPort>) -> Result<Site, LaunchFailed> {
    let egress = match &plan.game.source {
        Source::Container(game) => game.config.egress,
        Source::BuiltIn | Source::External { .. } => false,
    };
    // Nothing inside the internal network can be reached from elsewhere.
    let ports = if egress { ports } else { Vec::new() };
    let request = SiteRequest { egress, ports };
    driver.site(plan.session, &request).await.map_err(|error| failed("network", &error))
}

/// Opens media and the control channel; gives the game's variables.
async fn expect_runner(
    context: &Context,
    plan: &Plan,
    site: &Site,
    facts: &ImageFacts,
    steps: &mpsc::Sender<Step>,
) -> Result<BTreeMap<String, String>, LaunchFailed> {
    let ingest = contract::ingest(context, plan.session, &plan.game, site);
    let opened = context.media.open(ingest).await.map_err(|error| failed("media", &error))?;
    let (rtp_video, rtp_audio) = (opened.rtp_video.to_string(), opened.rtp_audio.map(|at| at.to_string()));
    tell(steps, Step::MediaOpen(opened)).await;

    let is_hosted = plan.hosted.is_some();
    let audio = rtp_audio.as_deref();
    let mut variables =
        contract::variables(context, plan.session, &plan.game, &rtp_video, audio, is_hosted, &facts.labels);
    if let Source::BuiltIn | Source::Container(_) = plan.game.source {
        let welcome = contract::welcome(&plan.game, rtp_video, rtp_audio);
        let link = context.control.register(plan.session, welcome);
        let url = contract::control_url(context.private, site, link.path());
        variables.insert(env::CONTROL_URL.to_owned(), url);
        variables.insert(env::TOKEN.to_owned(), link.token().to_owned());
        tell(steps, Step::RunnerExpected(link)).await;
    }
    Ok(variables)
}

async fn restore_save(
    context: &Context,
    plan: &Plan,
    steps: &mpsc::Sender<Step>,
) -> Result<(), LaunchFailed> {
    tell(steps, Step::Progress("restoring_save", None)).await;
    std::fs::create_dir_all(context.session_dir(plan.session))
        .map_err(|error| failed("session directory", &error))?;
    let save_dir = context.save_dir(plan.session);
    let Some(slot) = plan.slot else {
        return std::fs::create_dir_all(save_dir).map_err(|error| failed("session directory", &error));
    };
    context.saves.restore(slot, save_dir).await.map_err(|error| failed("save", &error))?;
    tell(steps, Step::Reached(Milestone::SaveRestored)).await;
    Ok(())
}

/// The receiver lives as long as the launch.
async fn tell(steps: &mpsc::Sender<Step>, step: Step) {
    let _ = steps.send(step).await;
}

fn failed(what: &str, error: &dyn std::error::Error) -> LaunchFailed {
    let detail = format!("The game could not be started ({what}): {error}.");
    LaunchFailed { reason: EndReason::LaunchFailed, detail }
}

fn no_engine() -> LaunchFailed {
    let detail = "The game could not be started: there is no engine for it.".to_owned();
    LaunchFailed { reason: EndReason::LaunchFailed, detail }
}
