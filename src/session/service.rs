//! The service both APIs and signaling call. Cheap to clone.
//!
//! Decides nothing of a running session itself: its actor does. What belongs to somebody else is not found.

use super::access::{Access, internal, no_session};
use super::actor::{Actor, Command, Handle, NotAdmitted, OnEnd, Unrecorded};
use super::attendance::Attendance;
use super::catalogue::{Catalogue, Game, Source, is_slug};
use super::context::{Context, Drivers};
use super::control::Standing;
use super::error::ServiceError;
use super::hosted::Hosting;
use super::janitor::Janitor;
use super::limits::{Doors, LaunchLimiter, Permit, Slip};
use super::machine::State;
use super::metrics::SessionMetrics;
use super::ports::{ControlPlane, MediaPlane, Placement};
use super::roster::{Entry, Person};
use super::settle;
use super::view::{Admission, GameView, Push, SessionView, StopReport};
use crate::auth::Principal;
use crate::config::SessionsConfig;
use crate::content::ContentSource;
use crate::control::ControlHub;
use crate::model::Clock;
use crate::model::ids::{EmbedId, Generation, Owner, SessionId, SlotId, UserId, ViewerId};
use crate::model::quality::Quality;
use crate::model::rows::{Inserted, SessionRow};
use crate::model::session::{ContainerStatus, EndReason, Milestone, Timeline};
use crate::node::PlaceError;
use crate::relay::{AddViewer, Relay, RelayError};
use crate::store::{DataDir, SaveStore, Store, StoreError};
use dashmap::DashMap;
use playgate_signaling::control::Wish;
use playgate_signaling::message::{QualityReport, Role};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::sync::{Mutex, broadcast, oneshot};

/// The store takes nothing at the moment.
const NOT_STARTED: &str = "The game cannot be started at this moment. Please try again in a few seconds.";
const LAST_UNRECORDED: &str =
    "Your last game has ended, but its end could not be recorded yet. Please try again in a few seconds.";
const END_UNRECORDED: &str =
    "The game has ended, but its end could not be recorded yet. Please ask again in a few seconds.";

/// By one embed token, to a running session.
const VISITS_PER_MINUTE: u32 = 1200;

/// The session core.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    context: Arc<Context>,
    catalogue: Catalogue,
    limiter: LaunchLimiter,
    /// Of organisations: a key of its own.
    starts: LaunchLimiter<String>,
    /// Of embed tokens: a crowd, but no flood.
    visits: LaunchLimiter<EmbedId>,
    doors: Doors,
    live: Arc<DashMap<SessionId, Handle>>,
    /// One launch of a user at a time.
    gates: DashMap<UserId, Arc<Mutex<()>>>,
    _janitor: Janitor,
}

/// Contract B-1.
#[derive(Debug, Clone)]
pub struct LaunchRequest {
    pub game_slug: String,
    pub save_slot: Option<SlotId>,
    pub fresh: bool,
}

/// What the session core stands on.
pub struct SessionDeps {
    pub store: Arc<dyn Store>,
    pub saves: SaveStore,
    pub relay: Relay,
    pub control: ControlHub,
    pub placement: Arc<dyn Placement>,
    /// Absent when no game needs any.
    pub content: Option<Arc<dyn ContentSource>>,
    /// Where child processes reach the private listener; containers reach the same port at their network's gateway.
    pub private: SocketAddr,
    pub drivers: Drivers,
    pub hosting: Hosting,
    pub catalogue: Catalogue,
    pub config: SessionsConfig,
    pub data_dir: Arc<DataDir>,
    /// Built-in games draw the measuring marker.
    pub marker: bool,
}

/// As [`SessionDeps`], with planes and a clock of a simulation's own.
pub struct SimulatedDeps {
    pub store: Arc<dyn Store>,
    pub saves: SaveStore,
    pub media: Arc<dyn MediaPlane>,
    pub control: Arc<dyn ControlPlane>,
    pub placement: Arc<dyn Placement>,
    /// Absent when no game needs any.
    pub content: Option<Arc<dyn ContentSource>>,
    pub private: SocketAddr,
    pub drivers: Drivers,
    pub hosting: Hosting,
    pub catalogue: Catalogue,
    pub config: SessionsConfig,
    pub data_dir: Arc<DataDir>,
    pub marker: bool,
    pub clock: Clock,
}

impl Sessions {
    /// Takes up what an earlier gateway left playing and closes the rest, then takes launches.
    pub async fn start(deps: SessionDeps, registry: &mut Registry) -> anyhow::Result<Self> {
        let deps = SimulatedDeps {
            store: deps.store,
            saves: deps.saves,
            media: Arc::new(deps.relay),
            control: Arc::new(deps.control),
            placement: deps.placement,
            content: deps.content,
            private: deps.private,
            drivers: deps.drivers,
            hosting: deps.hosting,
            catalogue: deps.catalogue,
            config: deps.config,
            data_dir: deps.data_dir,
            marker: deps.marker,
            clock: Clock::system(),
        };
        Self::start_simulated(deps, registry).await
    }

    pub async fn start_simulated(deps: SimulatedDeps, registry: &mut Registry) -> anyhow::Result<Self> {
        let metrics = SessionMetrics::register(registry);
        let context = Context {
            attendance: Attendance::begin(Arc::clone(&deps.store), metrics.notes_dropped.clone()),
            store: deps.store,
            saves: deps.saves,
            media: deps.media,
            control: deps.control,
            placement: deps.placement,
            content: deps.content,
            private: deps.private,
            drivers: deps.drivers,
            hosting: deps.hosting,
            config: deps.config,
            data_dir: deps.data_dir,
            marker: deps.marker,
            clock: deps.clock,
            metrics,
            kept_for_a_while: Arc::default(),
        };
        let context = Arc::new(context);
        let (found, waiting) = super::recover::recover(&context, &deps.catalogue).await?;
        let inner = Inner {
            limiter: LaunchLimiter::new(context.config.launches_per_minute),
            starts: LaunchLimiter::new(context.hosting.config.starts_per_minute),
            visits: LaunchLimiter::new(VISITS_PER_MINUTE),
            _janitor: Janitor::begin(&context),
            doors: Doors::default(),
            catalogue: deps.catalogue,
            live: Arc::default(),
            gates: DashMap::new(),
            context,
        };
        let this = Self { inner: Arc::new(inner) };
        for found in found {
            let id = found.row.id;
            Actor::adopt(Arc::clone(this.context()), found, this.inner.doors.enter(None), this.enter(id));
        }
        for unsaved in waiting.retry {
            unsaved.retry(Arc::clone(this.context()));
        }
        Ok(this)
    }

    /// B-1: checks, gates, places, writes `starting` and returns; the rest happens behind it.
    pub async fn launch(&self, user: &UserId, request: LaunchRequest) -> Result<SessionView, ServiceError> {
        // In a task of its own: a caller that goes away between the row and its actor must not leave a row alone.
        let (this, user) = (self.clone(), user.clone());
        tokio::spawn(async move { this.launch_gated(&user, request).await }).await.map_err(internal)?
    }

    /// B-2. An owner, or a grant of that session.
    pub async fn status(&self, who: &Principal, id: SessionId) -> Result<SessionView, ServiceError> {
        let (mut view, access) = self.seen_by(who, id).await?;
        if let Access::Grant { host: false, .. } = access {
            // The save is its owner's: its files are named in it.
            view.save = None;
        }
        Ok(view)
    }

    /// B-3: the new end of the idle lease. Ended sessions are not found (B8). Owner or a player's grant.
    pub async fn keepalive(&self, who: &Principal, id: SessionId) -> Result<OffsetDateTime, ServiceError> {
        let (_, access) = self.seen_by(who, id).await?;
        let handle = self.live(id).ok_or_else(no_session)?;
        if let Access::Grant { role: Role::Spectator, grant, .. } = access
            && !handle.standing.borrow().is_played_by(grant)
        {
            return Err(no_session());
        }
        if handle.view.borrow().hosted.is_some() {
            // No idle lease ends it (X11): it is told until when it lives at least.
            let ttl = handle.view.borrow().expires_at;
            return Ok(ttl.unwrap_or_else(|| super::access::time_of(self.context().idle_until())));
        }
        let until = ask(&handle, Command::Keepalive).await.ok_or_else(no_session)?;
        // Written here and not by the actor: players' input does not wait for the disk.
        self.context().store.extend_lease(id, handle.generation, until).await.map_err(internal)?;
        Ok(super::access::time_of(until))
    }

    /// B-4: runs the stop to its end, or returns the stored figures of an ended session. Its owner, or the visit it was
    /// launched for. [`ServiceError::Unavailable`]: it has ended, but the store does not know yet.
    pub async fn stop(&self, who: &Principal, id: SessionId) -> Result<StopReport, ServiceError> {
        match self.seen_by(who, id).await?.1 {
            Access::Owner(_) | Access::Organisation | Access::Grant { host: true, .. } => {}
            Access::Grant { host: false, .. } => return Err(no_session()),
        }
        match self.end(id, EndReason::StoppedByUser).await {
            Some(Ok(report)) => return Ok(report),
            Some(Err(Unrecorded)) => return Err(ServiceError::Unavailable(END_UNRECORDED)),
            None => {}
        }
        let row = self.context().store.session(id).await.map_err(internal)?.ok_or_else(no_session)?;
        if row.ended_at.is_none() {
            return Err(ServiceError::Unavailable(END_UNRECORDED));
        }
        Ok(super::ending::report(&row))
    }

    /// B-5: the user's active sessions.
    pub async fn active(&self, user: &UserId) -> Result<Vec<SessionView>, ServiceError> {
        let owner = Owner::User(user.clone());
        let rows = self.context().store.active_sessions_of(&owner).await.map_err(internal)?;
        Ok(rows
            .iter()
            .map(|row| match self.live(row.id) {
                Some(handle) => handle.view.borrow().clone(),
                None => super::actor::view_of(row, None, 0),
            })
            .collect())
    }

    /// The whole catalogue, in the order of the configuration.
    pub fn games(&self) -> Vec<GameView> {
        self.inner.catalogue.views()
    }

    /// Lets a viewer in (a session still starting included), with the role it may have. An older player's connection
    /// of the same person is evicted.
    pub async fn admit(
        &self,
        who: &Principal,
        id: SessionId,
        viewer: ViewerId,
        wanted: Option<Role>,
    ) -> Result<Admission, ServiceError> {
        let (_, access) = self.seen_by(who, id).await?;
        let handle = self.live(id).filter(|handle| handle.game.streams()).ok_or_else(no_session)?;
        let (person, may, slot, host, until) = match access {
            Access::Owner(user) => (Person::Owner(user), Role::Player, None, true, None),
            Access::Grant { grant, role, slot, expires_at, host } => {
                (Person::Grant(grant), role, slot, host, Some(expires_at))
            }
            // Its token is a server's, and belongs into no browser.
            Access::Organisation => return Err(no_session()),
        };
        let name = match who {
            Principal::User(user) => user.name.clone(),
            Principal::Grant(_) | Principal::Operator | Principal::Organisation(_) => None,
        };
        let entry = Entry { viewer, person, may, wanted, slot, host, name, until };
        let command = |reply| Command::Admit { entry, reply };
        let (role, slot) =
            ask(&handle, command).await.ok_or_else(no_session)?.map_err(|refused| match refused {
                NotAdmitted::NotFound => no_session(),
                NotAdmitted::Full => RelayError::Full.into(),
            })?;
        Ok(Admission { role, slot, hints: handle.game.view.hints.clone() })
    }

    /// The admitted viewer's offer, first or later; gives the answer. Waits while a session that starts has no media yet.
    pub async fn offer(&self, id: SessionId, viewer: ViewerId, sdp: String) -> Result<String, ServiceError> {
        let handle = self.live(id).ok_or_else(no_session)?;
        let ticket = ask(&handle, |reply| Command::Ticket { viewer, reply }).await.flatten();
        let ticket = ticket.ok_or_else(no_session)?;
        let media = &self.context().media;
        let up = Command::MediaUp { viewer, slot: ticket.slot };
        if ticket.has_media {
            match media.renegotiate(id, viewer, sdp.clone()).await {
                // Gone from the relay in this very moment.
                Err(RelayError::NotFound) => {}
                Err(error) => return Err(error.into()),
                Ok(answer) => {
                    // It may be another connection in the place of one that ended meanwhile.
                    handle.commands.send(up).await.map_err(|_| no_session())?;
                    return Ok(answer);
                }
            }
        }
        let spec = AddViewer { session: id, viewer, slot: ticket.slot, offer: sdp };
        let answer = media.add_viewer(spec).await.map_err(|error| match error {
            RelayError::NotFound => no_session(),
            RelayError::InvalidOffer(_)
            | RelayError::UnsupportedCodec(_)
            | RelayError::Full
            | RelayError::Unavailable
            | RelayError::Bind { .. } => error.into(),
        })?;
        handle.commands.send(up).await.map_err(|_| no_session())?;
        Ok(answer)
    }

    /// What an admitted viewer wants of the controls: asking, giving, taking. A refusal has words for it.
    pub async fn control(
        &self,
        id: SessionId,
        viewer: ViewerId,
        wish: Wish<ViewerId>,
    ) -> Result<(), ServiceError> {
        let handle = self.live(id).ok_or_else(no_session)?;
        let done =
            ask(&handle, |reply| Command::Control { viewer, wish, reply }).await.ok_or_else(no_session)?;
        done.map_err(|refused| ServiceError::InvalidRequest(refused.to_string()))
    }

    /// Who plays, asks and watches now.
    pub fn standing(&self, id: SessionId) -> Option<Arc<Standing>> {
        Some(self.live(id)?.standing.borrow().clone())
    }

    /// What a viewer saw of the stream. One that is not in any more is not heard, and a session that is busy drops it.
    pub fn saw(&self, id: SessionId, viewer: ViewerId, report: QualityReport) {
        if let Some(handle) = self.live(id) {
            let _ = handle.commands.try_send(Command::Saw { viewer, report });
        }
    }

    /// The viewer left: media closed, held keys released.
    pub async fn leave(&self, id: SessionId, viewer: ViewerId) {
        if let Some(handle) = self.live(id) {
            // A session that ends meanwhile has closed its media.
            let _ = handle.commands.send(Command::Leave(viewer)).await;
        }
    }

    /// The first frame was shown to somebody: the last milestone of the launch.
    pub async fn first_decoded_frame(&self, who: &Principal, id: SessionId) -> Result<(), ServiceError> {
        self.seen_by(who, id).await?;
        let handle = self.live(id).ok_or_else(no_session)?;
        handle.commands.send(Command::FirstDecodedFrame).await.map_err(|_| no_session())
    }

    /// What is pushed to the viewers of a live session, from now on; ends with the session.
    pub fn subscribe(&self, id: SessionId) -> Option<broadcast::Receiver<Push>> {
        Some(self.live(id)?.pushes.upgrade()?.subscribe())
    }

    /// Sessions running here now.
    pub fn running(&self) -> usize {
        self.inner.live.len()
    }

    /// Parts of the gateway that do not work as they should, by name.
    pub fn degraded(&self) -> Vec<String> {
        let mut parts = self.context().media.degraded();
        if self.context().metrics.unwritten.get() > 0 {
            parts.push("store".to_owned());
        }
        parts
    }

    /// Ends every player's session in order (SIGTERM of the gateway); takes no launch any more. Hosted sessions that run go
    /// on, for the next gateway to find: whoever started them ends them, or their time to live does (X11).
    pub async fn shutdown(&self) {
        self.inner.doors.close();
        let ends_here = |view: &SessionView| {
            view.hosted.is_none() || view.container == ContainerStatus::Created || view.container.has_ended()
        };
        let live = self.inner.live.iter();
        let ids: Vec<SessionId> =
            live.filter(|entry| ends_here(&entry.value().view.borrow())).map(|entry| *entry.key()).collect();
        let ends = ids.into_iter().map(|id| self.end(id, EndReason::GatewayShutdown));
        futures_util::future::join_all(ends).await;
    }

    async fn launch_gated(&self, user: &UserId, request: LaunchRequest) -> Result<SessionView, ServiceError> {
        let game = self.validate(&request)?;
        let gate = Arc::clone(&self.inner.gates.entry(user.clone()).or_default());
        let result = {
            let _turn = gate.lock().await;
            self.launch_in_turn(user, &request, game).await
        };
        drop(gate);
        self.inner.gates.remove_if(user, |_, gate| Arc::strong_count(gate) == 1);
        result
    }

    /// Checks that need no store, in the order of the contract.
    fn validate(&self, request: &LaunchRequest) -> Result<Arc<Game>, ServiceError> {
        if !is_slug(&request.game_slug) {
            let text = "The 'gameSlug' field must be 1 to 100 lower case letters, digits and hyphens.";
            return Err(ServiceError::InvalidRequest(text.to_owned()));
        }
        if request.fresh && request.save_slot.is_some() {
            let text = "'saveSlotId' and 'fresh' exclude each other.";
            return Err(ServiceError::InvalidRequest(text.to_owned()));
        }
        self.game(&request.game_slug)
    }

    async fn launch_in_turn(
        &self,
        user: &UserId,
        request: &LaunchRequest,
        game: Arc<Game>,
    ) -> Result<SessionView, ServiceError> {
        let owner = Owner::User(user.clone());
        // Asked first: a store that could not record the end cannot answer what follows either.
        if self.has_unrecorded(&owner) {
            return Err(ServiceError::Unavailable(LAST_UNRECORDED));
        }
        let slot = self.choose_slot(user, request).await?;
        let slip = self.inner.limiter.take(self.context().clock.now(), user);
        let slip = slip.map_err(|retry_after| ServiceError::RateLimited { retry_after })?;
        let active = self.context().store.active_sessions_of(&owner).await.map_err(not_started)?;
        if !active.is_empty() {
            // One that does not live here was never begun, and is being settled.
            let is_over = active.iter().all(|row| self.live(row.id).is_none());
            return Err(if is_over {
                ServiceError::Unavailable(LAST_UNRECORDED)
            } else {
                ServiceError::SessionActive
            });
        }
        let permit = self.let_in(&game)?;
        let mut row = self.new_row(owner, &game, Some(slot.id));
        self.place(&mut row, &game, None).await?;
        match self.insert(&row).await? {
            Inserted::Done => {}
            Inserted::UserBusy | Inserted::SlotBusy | Inserted::ExternalIdUsed => {
                return Err(ServiceError::SessionActive);
            }
        }
        slip.spend();
        let view = super::actor::view_of(&row, None, 0);
        tracing::info!(session = %row.id, game = row.game, slot = slot.number, node = row.node, "session launched");
        self.context().metrics.launched.inc();
        let started_at = row.started_at;
        self.begin(row, game, permit);
        if let Err(error) = self.context().store.slot_played(slot.id, started_at).await {
            // The session runs all the same; at worst another slot is continued next time.
            tracing::warn!(slot = %slot.id, %error, "cannot note when a slot was played");
        }
        Ok(view)
    }

    /// A session of theirs has ended, and the store does not know yet.
    fn has_unrecorded(&self, owner: &Owner) -> bool {
        self.inner.live.iter().any(|entry| {
            let handle = entry.value();
            handle.is_unrecorded() && handle.view.borrow().owner == *owner
        })
    }

    /// Takes a place of this gateway for a game of the catalogue; of an external one there is one.
    pub(super) fn let_in(&self, game: &Game) -> Result<Permit, ServiceError> {
        let exclusive = match game.source {
            Source::BuiltIn | Source::Container(_) => None,
            Source::External { .. } => Some(game.view.slug.as_str()),
        };
        self.inner.doors.enter(exclusive).ok_or(ServiceError::NoServers)
    }

    /// A session that is written begins to live.
    pub(super) fn begin(&self, row: SessionRow, game: Arc<Game>, permit: Permit) {
        let id = row.id;
        Actor::launch(Arc::clone(self.context()), row, game, Some(permit), self.enter(id));
    }

    /// Writes a session that has its place; what is refused gives the place back.
    pub(super) async fn insert(&self, row: &SessionRow) -> Result<Inserted, ServiceError> {
        let inserted = match self.context().store.insert_session(row).await {
            Ok(inserted) => inserted,
            Err(error) => return Err(self.not_entered(row.clone(), &error)),
        };
        if inserted != Inserted::Done {
            self.give_place_back(row.id).await;
        }
        Ok(inserted)
    }

    pub(super) async fn give_place_back(&self, session: SessionId) {
        settle::give_place_back(self.context(), session).await;
    }

    /// The store failed while it entered a session: its row may be there or not. Either way it is over.
    pub(super) fn not_entered(&self, row: SessionRow, error: &StoreError) -> ServiceError {
        settle::abandon(self.context(), row);
        not_started(error)
    }

    /// Reserves a node before there is a row.
    pub(super) async fn place(
        &self,
        row: &mut SessionRow,
        game: &Game,
        location: Option<&str>,
    ) -> Result<(), ServiceError> {
        let request = super::placement::request(self.context(), game, location).await.map_err(internal)?;
        match self.context().placement.reserve(row.id, &request).await {
            Ok(placed) => {
                row.node = Some(placed.node);
                row.placement = placed.reasons;
                Ok(())
            }
            Err(error @ PlaceError::NoServers(_)) => {
                tracing::warn!(game = row.game, %error, "a launch was refused");
                Err(ServiceError::NoServers)
            }
            Err(error @ PlaceError::Store(_)) => Err(not_started(error)),
        }
    }

    /// Enters a session among the live ones, and takes it out at its end.
    pub(super) fn enter(&self, id: SessionId) -> impl FnOnce(Handle) -> OnEnd + use<> {
        let live = Arc::clone(&self.inner.live);
        move |handle| {
            live.insert(id, handle);
            Arc::new(move |id| drop(live.remove(&id)))
        }
    }

    pub(super) fn new_row(&self, owner: Owner, game: &Game, slot: Option<SlotId>) -> SessionRow {
        let id = SessionId::new();
        let now = self.context().clock.now_ms();
        let mut timeline = Timeline::default();
        timeline.mark(Milestone::Requested, now);
        timeline.mark(Milestone::Placed, now);
        SessionRow {
            id,
            owner,
            external_id: id.to_string(),
            game: game.view.slug.clone(),
            title: game.view.title.clone(),
            slot,
            status: State::NEW.status(),
            container: State::NEW.container_status(),
            hosted: None,
            removed_at: None,
            generation: Generation(1),
            ran: false,
            started_at: now,
            ended_at: None,
            // Only players are idle (X11).
            lease_until: slot.map(|_| self.context().idle_until()),
            timeline: timeline.entries().to_vec(),
            end_reason: None,
            end_detail: None,
            figures: None,
            instance: None,
            node: None,
            placement: Vec::new(),
            runner_token_sha256: None,
            players: Vec::new(),
            quality: Quality::default(),
            unsaved: None,
            save: None,
            save_refused_at: None,
        }
    }

    /// Ends a live session and waits for it. `None` when it is not live.
    pub(super) async fn end(
        &self,
        id: SessionId,
        reason: EndReason,
    ) -> Option<Result<StopReport, Unrecorded>> {
        let handle = self.live(id)?;
        ask(&handle, |reply| Command::Stop { reason, reply }).await
    }

    pub(super) fn game(&self, slug: &str) -> Result<Arc<Game>, ServiceError> {
        let game = self.inner.catalogue.get(slug);
        game.cloned().ok_or_else(|| ServiceError::NotFound(format!("Game with slug '{slug}' not found.")))
    }

    /// Looks at every session that lives here.
    pub(super) fn each_live(&self, mut look: impl FnMut(&SessionView)) {
        for entry in self.inner.live.iter() {
            look(&entry.value().view.borrow());
        }
    }

    /// Counts a start of an organisation's.
    pub(super) fn may_start(&self, organisation: &str) -> Result<Slip<'_, String>, ServiceError> {
        let slip = self.inner.starts.take(self.context().clock.now(), &organisation.to_owned());
        slip.map_err(|retry_after| ServiceError::RateLimited { retry_after })
    }

    /// Counts a visit by an embed token.
    pub(super) fn may_visit(&self, embed: EmbedId) -> Result<(), ServiceError> {
        // Counts in any case: visitors are strangers.
        let slip = self.inner.visits.take(self.context().clock.now(), &embed);
        slip.map(Slip::spend).map_err(|retry_after| ServiceError::RateLimited { retry_after })
    }

    pub(super) fn doors(&self) -> &Doors {
        &self.inner.doors
    }

    pub(super) fn live(&self, id: SessionId) -> Option<Handle> {
        self.inner.live.get(&id).map(|handle| handle.value().clone())
    }

    pub(super) fn context(&self) -> &Arc<Context> {
        &self.inner.context
    }
}

/// The store failed a launch.
pub(super) fn not_started(error: impl std::fmt::Display) -> ServiceError {
    tracing::error!(%error, "a launch failed, because the store did");
    ServiceError::Unavailable(NOT_STARTED)
}

/// `None` when the session ended before it answered.
pub(super) async fn ask<T>(
    handle: &Handle,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    handle.commands.send(command(reply)).await.ok()?;
    answer.await.ok()
}
