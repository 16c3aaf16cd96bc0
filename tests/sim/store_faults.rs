//! A store that takes no writes for a while: no session is forgotten, no answer is untrue, and no game is killed for it.

use crate::fake_driver::{OnAdopt, OnCollect};
use crate::faulty_store::Fault;
use crate::world::{World, config, until, user_of};
use playgate::config::SessionsConfig;
use playgate::model::ids::{SessionId, UserId};
use playgate::model::session::{ContainerStatus, EndReason, Status};
use playgate::session::hosted::HostRequest;
use playgate::session::view::StopReport;
use playgate::session::{ServiceError, Sessions};
use playgate::store::Store;
use sqlx::{Connection, Executor};
use std::collections::HashSet;
use std::time::Duration;
use tokio::task::JoinHandle;

type Stop = JoinHandle<Result<StopReport, ServiceError>>;

fn stopping(sessions: &Sessions, id: SessionId) -> Stop {
    let sessions = sessions.clone();
    tokio::spawn(async move { sessions.stop(&user_of("ada"), id).await })
}

/// Lets time pass until a call is answered.
async fn answered<T>(world: &World, call: JoinHandle<T>) -> T {
    until(async || {
        world.clock.advance(Duration::from_secs(1));
        call.is_finished().then_some(())
    })
    .await;
    call.await.unwrap()
}

fn is_unavailable<T>(answer: Result<T, ServiceError>) -> bool {
    matches!(answer, Err(ServiceError::Unavailable(_)))
}

async fn ended(world: &World, id: SessionId) {
    until(async || {
        world.clock.advance(Duration::from_secs(1));
        (world.sessions.running() == 0).then_some(())
    })
    .await;
    let row = world.store.session(id).await.unwrap().unwrap();
    assert_eq!((row.status, row.end_reason), (Status::Stopped, Some(EndReason::StoppedByUser)));
    assert_eq!((world.store.reservations().await.unwrap(), world.sessions.degraded()), (vec![], vec![]));
}

/// The store fails while a game is stopped; what the player meets until it is back.
async fn a_stop_while(fault: Fault) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { capacity: 1, ..config() }).await;
    let id = world.play("ada").await;
    world.game_saves(id, "page 7").await;
    world.planes.deaf(id);
    world.faulty.fault(fault);
    let first = stopping(&world.sessions, id);
    assert!(is_unavailable(answered(&world, first).await), "{fault:?}: it is not recorded");
    // However often it was tried already, the session is not forgotten.
    if fault != Fault::Stalls {
        until(async || {
            world.clock.advance(Duration::from_secs(30));
            (world.faulty.failures() > 10).then_some(())
        })
        .await;
    }
    assert_eq!(
        (world.sessions.running(), world.sessions.degraded()),
        (1, vec!["store".to_owned()]),
        "{fault:?}"
    );
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!(
        (view.status, view.end_reason),
        (Status::Stopping, Some(EndReason::StoppedByUser)),
        "{fault:?}"
    );
    assert!(is_unavailable(answered(&world, stopping(&world.sessions, id)).await), "{fault:?}");
    if fault != Fault::FailsAfterwards {
        let launch = world.launch("ada").await;
        assert!(is_unavailable(launch), "{fault:?}: it is over, but not recorded");
    }
    world.faulty.fault(Fault::None);
    ended(&world, id).await;
    let report = world.sessions.stop(&user_of("ada"), id).await.unwrap();
    let row = world.store.session(id).await.unwrap().unwrap();
    assert_eq!(report.duration, row.figures.unwrap().duration_s);
    assert_eq!(world.saved(id).await.as_deref(), Some("page 7"));
    world.play("ada").await;
}

#[tokio::test]
async fn a_final_row_that_is_refused_is_tried_again_until_it_is_written() {
    a_stop_while(Fault::Refuses).await;
}

#[tokio::test]
async fn a_final_row_that_is_written_and_told_to_have_failed_is_written_again() {
    a_stop_while(Fault::FailsAfterwards).await;
}

#[tokio::test]
async fn a_final_row_whose_write_never_ends_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    world.planes.deaf(id);
    world.faulty.fault(Fault::Stalls);
    assert!(is_unavailable(answered(&world, stopping(&world.sessions, id)).await));
    assert_eq!(world.sessions.status(&user_of("ada"), id).await.unwrap().status, Status::Stopping);
    assert!(is_unavailable(world.launch("ada").await));
    // A stop that waits when the store comes back is told the figures.
    let waiting = stopping(&world.sessions, id);
    world.faulty.fault(Fault::None);
    assert!(answered(&world, waiting).await.is_ok());
    ended(&world, id).await;
}

#[tokio::test]
async fn a_real_database_that_another_process_has_locked_locks_no_player_out() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::waiting(dir.path(), Duration::from_millis(20)).await;
    let id = world.play("ada").await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.data.database());
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    world.planes.deaf(id);
    let stop = stopping(&world.sessions, id);
    assert!(is_unavailable(answered(&world, stop).await));
    assert!(is_unavailable(world.launch("ada").await));
    other.execute("ROLLBACK").await.unwrap();
    until(async || {
        world.clock.advance(Duration::from_secs(1));
        (world.sessions.running() == 0).then_some(())
    })
    .await;
    assert!(world.sessions.stop(&user_of("ada"), id).await.is_ok());
    world.play("ada").await;
}

#[tokio::test]
async fn a_launch_that_the_store_does_not_take_leaves_nothing_whether_it_was_written_or_not() {
    for fault in [Fault::Refuses, Fault::FailsAfterwards] {
        let dir = tempfile::tempdir().unwrap();
        let world = World::with(dir.path(), SessionsConfig { capacity: 1, ..config() }).await;
        world.faulty.fault(fault);
        assert!(is_unavailable(world.launch("ada").await), "{fault:?}");
        world.faulty.fault(Fault::None);
        until(async || {
            world.clock.advance(Duration::from_secs(1));
            let free = world.store.reservations().await.unwrap().is_empty();
            (free && world.store.active_sessions().await.unwrap().is_empty()).then_some(())
        })
        .await;
        world.play("ada").await;
    }
}

fn arena() -> HostRequest {
    HostRequest {
        id: Some("match".to_owned()),
        location: "europe".to_owned(),
        image: "arena".to_owned(),
        ..HostRequest::default()
    }
}

#[tokio::test]
async fn a_start_that_could_not_be_written_is_written_as_soon_as_the_store_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let ada = UserId("ada".to_owned());
    let id = world.sessions.launch(&ada, crate::world::request("boxed")).await.unwrap().id;
    world.faulty.fault(Fault::Refuses);
    world.started(id).await;
    let before = world.faulty.failures();
    until(async || {
        world.clock.advance(Duration::from_secs(1));
        (world.faulty.failures() > before + 3).then_some(())
    })
    .await;
    world.faulty.fault(Fault::None);
    until(async || {
        world.clock.advance(Duration::from_secs(1));
        world.store.session(id).await.unwrap().unwrap().instance
    })
    .await;
}

#[tokio::test]
async fn a_hosted_server_whose_start_was_never_written_is_found_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    // The row comes in; nothing after it does.
    let sessions = world.sessions.clone();
    let started = tokio::spawn(async move { sessions.host("studio", arena()).await });
    let id = until(async || world.store.active_sessions().await.unwrap().first().map(|row| row.id)).await;
    world.faulty.fault(Fault::Refuses);
    let mut lost = world.store.session(id).await.unwrap().unwrap();
    until(async || {
        world.clock.advance(Duration::from_secs(1));
        started.is_finished().then_some(())
    })
    .await;
    // As if no write had come through after the first.
    (lost.instance, lost.status, lost.container) = (None, Status::Starting, ContainerStatus::Created);
    world.store.update_session(&lost).await.unwrap();

    let next = world.killed(&dir.path().join("after"), |docker| docker.on_adopt(id, OnAdopt::Running)).await;
    let view = next.sessions.describe_hosted("studio", "match").await.unwrap().0;
    assert_eq!(view.status, playgate::session::hosted::HostedStatus::Container(ContainerStatus::Running));
    assert_eq!(next.docker.kept(), Some(HashSet::from([id])), "its container is no stray");
    assert_eq!(next.docker.removed(), []);
    let row = next.store.session(id).await.unwrap().unwrap();
    assert!(row.instance.is_some() && row.ran && row.end_reason.is_none());
}

#[tokio::test]
async fn a_game_whose_start_was_never_written_ends_with_its_save() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play_boxed("ada").await;
    let mut lost = world.store.session(id).await.unwrap().unwrap();
    (lost.instance, lost.runner_token_sha256) = (None, None);
    world.store.update_session(&lost).await.unwrap();
    let prepare = |docker: &crate::fake_driver::FakeDriver| {
        docker.on_adopt(id, OnAdopt::Running);
        docker.on_collect(OnCollect::Leaves("as far as it came".to_owned()));
    };
    let next = world.killed(&dir.path().join("after"), prepare).await;
    let view = next.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::NodeLost)));
    assert_eq!(next.saved(id).await.as_deref(), Some("as far as it came"));
    assert_eq!(next.docker.removed(), [id]);
}

#[tokio::test]
async fn a_session_whose_task_fails_stays_until_its_end_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let viewer = playgate::model::ids::ViewerId::new();
    world.sessions.admit(&user_of("ada"), id, viewer, None).await.unwrap();
    world.faulty.fault(Fault::Refuses);
    world.planes.panic_when_a_viewer_leaves();
    world.sessions.leave(id, viewer).await;
    let before = world.faulty.failures();
    until(async || {
        world.clock.advance(Duration::from_secs(1));
        (world.faulty.failures() > before + 3).then_some(())
    })
    .await;
    assert_eq!(world.sessions.running(), 1);
    assert!(is_unavailable(world.sessions.stop(&user_of("ada"), id).await));
    assert!(is_unavailable(world.launch("ada").await));
    world.faulty.fault(Fault::None);
    until(async || {
        world.clock.advance(Duration::from_secs(30));
        (world.sessions.running() == 0).then_some(())
    })
    .await;
    assert!(world.sessions.stop(&user_of("ada"), id).await.is_ok());
    world.play("ada").await;
}

#[tokio::test]
async fn a_session_whose_media_the_relay_has_lost_ends_with_a_reason_and_its_save() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    world.game_saves(id, "page 3").await;
    world.planes.deaf(id);
    world.planes.lose_media(id);
    let view = world.reaches("ada", id, Status::Stopped).await;
    assert_eq!(view.end_reason, Some(EndReason::MediaFailed));
    assert_eq!(view.end_detail.as_deref(), Some("The game server lost this game's picture and sound."));
    assert_eq!(world.saved(id).await.as_deref(), Some("page 3"));
    world.play("ada").await;
}
