//! Saves that cannot be stored at the end: nothing is lost, and nothing newer is hidden by them.

use crate::world::{World, until, user_of};
use playgate::driver::fake::{FakeDriver, OnAdopt, OnCollect};
use playgate::ids::SessionId;
use playgate::session::view::{EndReason, Status};
use playgate::store::Store;
use std::collections::HashSet;
use std::time::Duration;

/// A game in a container was stopped with `first` saved before, and its last save cannot be collected.
async fn stopped_without_its_save(world: &World) -> SessionId {
    let first = world.play_boxed("ada").await;
    world.docker.on_collect(OnCollect::Leaves("first".to_owned()));
    world.stop("ada", first).await;
    let id = world.play_boxed("ada").await;
    world.docker.on_collect(OnCollect::Fail);
    world.stop("ada", id).await;
    id
}

async fn stored(world: &World, id: SessionId) {
    until(async || {
        let row = world.store.session(id).await.unwrap().unwrap();
        (row.unsaved.is_none() && world.docker.removed().contains(&id)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_session_ends_with_its_reason_and_tells_the_player_and_the_container_stays() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = stopped_without_its_save(&world).await;
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::StoppedByUser)));
    let detail = view.end_detail.unwrap();
    assert!(detail.contains("could not be stored yet") && detail.ends_with('.'), "{detail}");
    assert!(!world.docker.removed().contains(&id));
    assert_eq!(world.saved(id).await.as_deref(), Some("first"), "the last good version stays");
    let row = world.store.session(id).await.unwrap().unwrap();
    assert!(row.unsaved.unwrap().contains("no space left") && row.instance.is_some());
    assert!(!world.data.sessions().join(id.to_string()).exists());
}

#[tokio::test]
async fn it_is_tried_again_until_it_is_in() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = stopped_without_its_save(&world).await;
    let attempts = || world.journal.entries().iter().filter(|entry| *entry == "driver collect").count();
    let before = attempts();
    world.clock.advance(Duration::from_secs(5));
    until(async || (attempts() > before).then_some(())).await;
    assert!(!world.docker.removed().contains(&id));
    world.docker.on_collect(OnCollect::Leaves("second".to_owned()));
    until(async || {
        world.clock.advance(Duration::from_secs(30));
        world.docker.removed().contains(&id).then_some(())
    })
    .await;
    stored(&world, id).await;
    assert_eq!(world.saved(id).await.as_deref(), Some("second"));
    let row = world.store.session(id).await.unwrap().unwrap();
    assert_eq!((row.instance, row.end_detail), (None, None));
}

#[tokio::test]
async fn the_next_gateway_tries_again_and_keeps_the_container_until_then() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = stopped_without_its_save(&world).await;
    let failing = |docker: &FakeDriver| {
        docker.on_adopt(id, OnAdopt::Ended);
        docker.on_collect(OnCollect::Fail);
    };
    let second = world.killed(&dir.path().join("second"), failing).await;
    assert_eq!(second.docker.kept(), Some(HashSet::from([id])));
    assert_eq!(second.docker.removed(), []);
    let working = |docker: &FakeDriver| {
        docker.on_adopt(id, OnAdopt::Ended);
        docker.on_collect(OnCollect::Leaves("second".to_owned()));
    };
    let third = second.killed(&dir.path().join("third"), working).await;
    assert_eq!(third.docker.removed(), [id]);
    assert_eq!(third.saved(id).await.as_deref(), Some("second"));
    assert_eq!(third.store.unsaved_sessions().await.unwrap(), []);
}

#[tokio::test]
async fn a_save_that_comes_late_does_not_hide_what_was_played_since() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = stopped_without_its_save(&world).await;
    world.clock.advance(Duration::from_secs(1));
    let since = world.play_boxed("ada").await;
    world.docker.on_collect(OnCollect::Leaves("played since".to_owned()));
    world.stop("ada", since).await;
    world.docker.on_collect(OnCollect::Leaves("late".to_owned()));
    until(async || {
        world.clock.advance(Duration::from_secs(30));
        world.docker.removed().contains(&id).then_some(())
    })
    .await;
    stored(&world, id).await;
    assert_eq!(world.saved(id).await.as_deref(), Some("played since"));
    let slot = world.store.session(id).await.unwrap().unwrap().slot.unwrap();
    assert_eq!(world.store.versions(slot).await.unwrap().len(), 4, "the late one is there to go back to");
}

#[tokio::test]
async fn files_of_a_child_process_are_put_aside_and_stored_later() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    world.game_saves(id, "chapter 3").await;
    // No archive can be made here for now.
    let slot = world.store.session(id).await.unwrap().unwrap().slot.unwrap();
    let archives = world.data.saves().join(slot.to_string());
    std::fs::write(&archives, "in the way").unwrap();
    world.stop("ada", id).await;
    let aside = world.data.root().join("unsaved").join(id.to_string());
    assert_eq!(std::fs::read_to_string(aside.join("save/save.bin")).unwrap(), "chapter 3");
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert!(view.end_detail.unwrap().contains("could not be stored yet"));
    std::fs::remove_file(&archives).unwrap();
    until(async || {
        world.clock.advance(Duration::from_secs(30));
        world.store.session(id).await.unwrap().unwrap().unsaved.is_none().then_some(())
    })
    .await;
    assert_eq!(world.saved(id).await.as_deref(), Some("chapter 3"));
    until(async || (!aside.exists()).then_some(())).await;
}
