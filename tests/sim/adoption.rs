//! A gateway that was killed while games in containers played, and the next one.

use crate::content::Download;
use crate::fake_driver::{OnAdopt, OnCollect};
use crate::world::{TOKEN_SHA256, World, connected, holder_of, until, user_of};
use playgate::control::ControlEvent;
use playgate::driver::DriverEvent;
use playgate::model::ids::{SessionId, ViewerId};
use playgate::model::session::{EndReason, Milestone, SaveStatus, Status};
use playgate::relay::RelayEvent;
use playgate::store::Store;
use playgate_signaling::message::Role;
use playgate_signaling::runner::GatewayMessage;
use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

struct Killed {
    dir: tempfile::TempDir,
    world: World,
    id: SessionId,
}

impl Killed {
    async fn playing() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path()).await;
        let id = world.play_boxed("ada").await;
        Self { dir, world, id }
    }

    fn after(&self) -> PathBuf {
        self.dir.path().join("after")
    }

    async fn next(&self, found: OnAdopt) -> World {
        self.world.killed(&self.after(), |docker| docker.on_adopt(self.id, found)).await
    }
}

#[tokio::test]
async fn a_game_that_plays_goes_on_under_the_same_session() {
    let killed = Killed::playing().await;
    let id = killed.id;
    let grant = killed
        .world
        .sessions
        .share(&user_of("ada"), id, Role::Player, Vec::new(), Duration::from_secs(600))
        .await
        .unwrap();
    let before = killed.world.sessions.status(&user_of("ada"), id).await.unwrap();
    let world = killed.next(OnAdopt::Running).await;

    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Running, None));
    assert_eq!((&view.timeline, view.expires_at), (&before.timeline, before.expires_at));
    assert_eq!(world.store.session(id).await.unwrap().unwrap().generation.0, 2);
    assert_eq!(world.planes.adopted(id), Some(TOKEN_SHA256));
    assert_eq!(world.planes.opened(id).allow, killed.world.planes.opened(id).allow);
    assert_eq!(world.docker.kept(), Some(HashSet::from([id])));
    assert!(matches!(world.launch("ada").await, Err(playgate::session::ServiceError::SessionActive)));

    world.sessions.admit(&holder_of(&grant), id, ViewerId::new(), None).await.unwrap();
    world.planes.control(id, connected()).await;
    world.planes.sent(id, &GatewayMessage::Resume).await;
    world.planes.relay(id, RelayEvent::FirstKeyFrame).await;
    world.clock.advance(Duration::from_secs(40));
    world.docker.on_collect(OnCollect::Leaves("page 12".to_owned()));
    world.stop("ada", id).await;
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::StoppedByUser)));
    assert_eq!(world.saved(id).await.as_deref(), Some("page 12"));
    assert_eq!((world.docker.removed(), world.docker.sites()), (vec![id], 0));
    world.play("ada").await;
}

#[tokio::test]
async fn a_lease_that_was_about_to_end_leaves_players_a_minute_to_come_back() {
    let killed = Killed::playing().await;
    killed.world.store.extend_lease(killed.id, playgate::model::ids::Generation(1), 0).await.unwrap();
    let mut row = killed.world.store.session(killed.id).await.unwrap().unwrap();
    row.lease_until = Some(crate::world::START_MS + 5_000);
    killed.world.store.update_session(&row).await.unwrap();
    let world = killed.next(OnAdopt::Running).await;
    let row = world.store.session(killed.id).await.unwrap().unwrap();
    assert_eq!(row.lease_until, Some(crate::world::START_MS + 60_000));
}

#[tokio::test]
async fn a_game_that_was_starting_goes_on_starting_with_its_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let ada = playgate::model::ids::UserId("ada".to_owned());
    let id = world.sessions.launch(&ada, crate::world::request("boxed")).await.unwrap().id;
    until(async || world.store.session(id).await.unwrap().unwrap().instance.map(|_| ())).await;
    for comes in [true, false] {
        let after = dir.path().join(format!("after-{comes}"));
        let next = world.killed(&after, |docker| docker.on_adopt(id, OnAdopt::Running)).await;
        let view = next.sessions.status(&user_of("ada"), id).await.unwrap();
        assert_eq!(view.status, Status::Starting);
        assert_eq!(view.progress.unwrap().step, "waiting_for_picture");
        next.planes.control(id, connected()).await;
        if comes {
            next.planes.relay(id, RelayEvent::FirstKeyFrame).await;
            next.reaches("ada", id, Status::Running).await;
        } else {
            next.planes.sent(id, &GatewayMessage::Keyframe { number: 0 }).await;
            next.planes.deaf(id);
            next.clock.advance(Duration::from_secs(60));
            let view = next.reaches("ada", id, Status::Error).await;
            assert_eq!(view.end_reason, Some(EndReason::LaunchTimeout));
        }
    }
}

#[tokio::test]
async fn a_runner_that_does_not_come_back_ends_the_session_with_its_save() {
    let killed = Killed::playing().await;
    let world = killed.next(OnAdopt::Running).await;
    world.docker.on_collect(OnCollect::Leaves("as far as it came".to_owned()));
    world.clock.advance(Duration::from_secs(29));
    let view = world.sessions.status(&user_of("ada"), killed.id).await.unwrap();
    assert_eq!(view.status, Status::Running);
    world.clock.advance(Duration::from_secs(1));
    let view = world.reaches("ada", killed.id, Status::Stopped).await;
    assert_eq!(view.end_reason, Some(EndReason::NodeLost));
    assert!(view.end_detail.unwrap().contains("did not come back"));
    assert_eq!(world.saved(killed.id).await.as_deref(), Some("as far as it came"));
}

#[tokio::test]
async fn an_adopted_game_that_ends_by_itself_is_told_from_a_crash() {
    let killed = Killed::playing().await;
    let world = killed.next(OnAdopt::Running).await;
    world.planes.control(killed.id, connected()).await;
    let events = world.docker.adopted(killed.id).unwrap();
    events.send(DriverEvent::Exited { code: Some(0), signal: None, out_of_memory: false }).await.unwrap();
    let view = world.reaches("ada", killed.id, Status::Stopped).await;
    assert_eq!(view.end_reason, Some(EndReason::GameExited));
}

#[tokio::test]
async fn a_game_that_ended_meanwhile_is_closed_with_its_save_its_figures_and_its_reason() {
    let cases = [
        (Some(0), false, EndReason::GameExited),
        (Some(139), false, EndReason::GameCrashed),
        (None, true, EndReason::OutOfMemory),
    ];
    for (code, out_of_memory, reason) in cases {
        let killed = Killed::playing().await;
        let prepare = |docker: &crate::fake_driver::FakeDriver| {
            docker.on_adopt(killed.id, OnAdopt::Ended);
            docker.on_collect(OnCollect::Leaves("last words".to_owned()));
            docker.set_exit(code, out_of_memory);
        };
        let world = killed.world.killed(&killed.after(), prepare).await;
        let view = world.sessions.status(&user_of("ada"), killed.id).await.unwrap();
        assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(reason)));
        assert_eq!(view.timeline.last().unwrap().0, Milestone::Ended);
        assert_eq!(world.saved(killed.id).await.as_deref(), Some("last words"));
        assert_eq!(world.docker.removed(), [killed.id]);
        assert_eq!(world.docker.kept(), Some(HashSet::new()));
        let report = world.sessions.stop(&user_of("ada"), killed.id).await.unwrap();
        assert_eq!((report.exit_code, report.out_of_memory), (code, out_of_memory));
        world.play("ada").await;
    }
}

#[tokio::test]
async fn a_game_that_is_gone_is_lost_and_frees_its_player() {
    let killed = Killed::playing().await;
    let world = killed.next(OnAdopt::Gone).await;
    let view = world.sessions.status(&user_of("ada"), killed.id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::NodeLost)));
    assert_eq!(world.docker.kept(), Some(HashSet::new()));
    world.play("ada").await;
}

#[tokio::test]
async fn an_engine_that_does_not_answer_keeps_the_save_for_later() {
    let killed = Killed::playing().await;
    let world = killed.next(OnAdopt::Fail).await;
    let view = world.sessions.status(&user_of("ada"), killed.id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::NodeLost)));
    let save = view.save.unwrap();
    assert_eq!(save.status, SaveStatus::Pending);
    assert!(save.reason.unwrap().contains("could not be stored yet"));
    assert_eq!(world.docker.kept(), Some(HashSet::from([killed.id])));

    let prepare = |docker: &crate::fake_driver::FakeDriver| {
        docker.on_adopt(killed.id, OnAdopt::Ended);
        docker.on_collect(OnCollect::Leaves("found again".to_owned()));
    };
    let third = world.killed(&killed.dir.path().join("third"), prepare).await;
    assert_eq!(third.saved(killed.id).await.as_deref(), Some("found again"));
    assert_eq!(third.docker.removed(), [killed.id]);
    assert_eq!(third.store.unsaved_sessions().await.unwrap(), []);
}

#[tokio::test]
async fn a_session_that_was_ending_is_ended_with_the_reason_it_began_with() {
    let killed = Killed::playing().await;
    let (sessions, id) = (killed.world.sessions.clone(), killed.id);
    tokio::spawn(async move { sessions.stop(&user_of("ada"), id).await });
    until(async || killed.world.store.session(id).await.unwrap().unwrap().end_reason).await;
    let world = killed.next(OnAdopt::Running).await;
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::StoppedByUser)));
    assert_eq!(world.docker.removed(), [id]);
}

#[tokio::test]
async fn a_package_in_use_is_held_by_the_next_gateway_too() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let ada = playgate::model::ids::UserId("ada".to_owned());
    let id = world.sessions.launch(&ada, crate::world::request("packed")).await.unwrap().id;
    world.bring_up("ada", id).await;
    let next = world.killed(&dir.path().join("after"), |docker| docker.on_adopt(id, OnAdopt::Running)).await;
    assert_eq!(next.content.leases(), 1);
    next.content.is(Download::Coming(None));
    next.planes.control(id, ControlEvent::Disconnected).await;
    next.sessions.shutdown().await;
    assert_eq!(next.content.leases(), 0);
}
