//! Saves that cannot be stored at the end: nothing is lost, nothing newer is hidden by them, and what can never be stored is
//! not tried again.

use crate::fake_driver::{FakeDriver, OnAdopt, OnCollect};
use crate::world::{World, config, holder_of, until, user_of};
use playgate::config::SessionsConfig;
use playgate::model::ids::SessionId;
use playgate::model::session::{EndReason, SaveReport, SaveStatus, Status};
use playgate::save_tree::{LeftOut, SaveRefused};
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

fn told(status: SaveStatus, reason: Option<&str>) -> SaveReport {
    SaveReport { status, reason: reason.map(str::to_owned) }
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
    assert_eq!(view.end_detail, None);
    let expected = "Your last save could not be stored yet. It is kept and will be stored as soon as possible. \
                    Your previous save is unchanged.";
    assert_eq!(view.save, Some(told(SaveStatus::Pending, Some(expected))));
    assert_eq!(world.sessions.stop(&user_of("ada"), id).await.unwrap().save, view.save);
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
    assert_eq!(row.save, Some(told(SaveStatus::Stored, None)));
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
    let save = view.save.unwrap();
    assert_eq!(save.status, SaveStatus::Pending);
    assert!(save.reason.unwrap().ends_with("There is no earlier save."));
    std::fs::remove_file(&archives).unwrap();
    until(async || {
        world.clock.advance(Duration::from_secs(30));
        world.store.session(id).await.unwrap().unwrap().unsaved.is_none().then_some(())
    })
    .await;
    assert_eq!(world.saved(id).await.as_deref(), Some("chapter 3"));
    until(async || (!aside.exists()).then_some(())).await;
}

const RETENTION: Duration = Duration::from_secs(14_400);
const TOO_LARGE: &str =
    "Your save is too large to keep (612 MB; the limit is 512 MB). Your previous save is unchanged.";

fn too_large() -> OnCollect {
    OnCollect::Refuse(SaveRefused::TooLarge { bytes: 612 << 20, limit: 512 << 20 })
}

/// A game in a container was stopped with `first` saved before, and its last save is too large.
async fn stopped_with_too_large_a_save(world: &World) -> SessionId {
    let first = world.play_boxed("ada").await;
    world.docker.on_collect(OnCollect::Leaves("first".to_owned()));
    world.stop("ada", first).await;
    let id = world.play_boxed("ada").await;
    world.docker.on_collect(too_large());
    let report = world.stop("ada", id).await;
    assert_eq!(report.save, Some(told(SaveStatus::Refused, Some(TOO_LARGE))));
    id
}

fn collections(world: &World) -> usize {
    world.journal.entries().iter().filter(|entry| *entry == "driver collect").count()
}

#[tokio::test]
async fn what_can_never_be_stored_is_not_tried_again_and_its_container_goes_after_the_retention_time() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = stopped_with_too_large_a_save(&world).await;
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!((view.status, view.end_detail), (Status::Stopped, None));
    assert_eq!(view.save, Some(told(SaveStatus::Refused, Some(TOO_LARGE))));
    assert_eq!(world.saved(id).await.as_deref(), Some("first"), "the version before is untouched");
    let row = world.store.session(id).await.unwrap().unwrap();
    assert!(row.unsaved.is_none() && row.instance.is_some(), "{row:?}");
    let before = collections(&world);
    world.docker.on_adopt(id, OnAdopt::Ended);
    world.clock.advance(RETENTION - Duration::from_secs(60));
    // The next session of the player ends after whatever was due has been done.
    let next = world.play_boxed("ada").await;
    world.docker.on_collect(OnCollect::Leaves("played on".to_owned()));
    world.stop("ada", next).await;
    assert_eq!(collections(&world), before + 1, "it was tried again");
    assert!(!world.docker.removed().contains(&id));
    until(async || {
        world.clock.advance(Duration::from_secs(30));
        let row = world.store.session(id).await.unwrap().unwrap();
        row.removed_at.map(|_| assert_eq!(row.instance, None))
    })
    .await;
    assert!(world.docker.removed().contains(&id));
    assert_eq!(world.store.refused_saves().await.unwrap(), []);
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!(view.save, Some(told(SaveStatus::Refused, Some(TOO_LARGE))), "what was told stays");
    assert_eq!(world.saved(next).await.as_deref(), Some("played on"));
}

#[tokio::test]
async fn a_refused_save_outlives_the_gateway_for_the_retention_time() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = stopped_with_too_large_a_save(&world).await;
    let second = world.killed(&dir.path().join("second"), |docker| docker.on_adopt(id, OnAdopt::Ended)).await;
    assert_eq!(second.docker.kept(), Some(HashSet::from([id])));
    assert_eq!((second.docker.removed(), collections(&second)), (Vec::new(), 0));
    until(async || {
        second.clock.advance(Duration::from_secs(600));
        second.docker.removed().contains(&id).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_save_that_waited_and_turns_out_too_large_is_given_up_and_kept_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = stopped_without_its_save(&world).await;
    world.docker.on_collect(too_large());
    let refused = until(async || {
        world.clock.advance(Duration::from_secs(5));
        let row = world.store.session(id).await.unwrap().unwrap();
        row.save_refused_at.map(|_| row)
    })
    .await;
    assert_eq!(refused.save, Some(told(SaveStatus::Refused, Some(TOO_LARGE))));
    assert_eq!((refused.unsaved, refused.removed_at), (None, None));
    assert!(refused.instance.is_some() && !world.docker.removed().contains(&id));
    assert_eq!(world.saved(id).await.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_save_that_is_gone_with_its_container_is_told_to_be_gone() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = stopped_without_its_save(&world).await;
    let second = world.killed(&dir.path().join("second"), |docker| docker.on_adopt(id, OnAdopt::Gone)).await;
    let save = second.sessions.status(&user_of("ada"), id).await.unwrap().save.unwrap();
    let words = "Your save could not be kept: the game's files are gone. Your previous save is unchanged.";
    assert_eq!(save, told(SaveStatus::Refused, Some(words)));
    assert_eq!(second.store.unsaved_sessions().await.unwrap(), []);
}

#[tokio::test]
async fn a_child_process_with_too_large_a_save_leaves_it_aside_for_the_retention_time() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { save_mb: 1, save_files: 5, ..config() }).await;
    let id = world.play("ada").await;
    let save_dir = world.started(id).await.spec.save_dir;
    std::fs::write(save_dir.join("save.bin"), vec![7; (1 << 20) + 1]).unwrap();
    let report = world.stop("ada", id).await;
    let words = "Your save is too large to keep (2 MB; the limit is 1 MB). There is no earlier save.";
    assert_eq!(report.save, Some(told(SaveStatus::Refused, Some(words))));
    let aside = world.data.root().join("unsaved").join(id.to_string());
    assert!(aside.join("save/save.bin").exists());
    until(async || {
        world.clock.advance(Duration::from_secs(600));
        (!aside.exists()).then_some(())
    })
    .await;
    let next = world.play("ada").await;
    let save_dir = world.started(next).await.spec.save_dir;
    for number in 0..6 {
        std::fs::write(save_dir.join(number.to_string()), "").unwrap();
    }
    let report = world.stop("ada", next).await;
    let words = "Your save has too many files to keep (6; the limit is 5). There is no earlier save.";
    assert_eq!(report.save, Some(told(SaveStatus::Refused, Some(words))));
}

#[tokio::test]
async fn a_stop_says_whether_there_was_anything_to_store() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let stop = async |leaves| {
        let id = world.play_boxed("ada").await;
        world.docker.on_collect(leaves);
        (id, world.stop("ada", id).await.save)
    };
    // A first session that leaves nothing makes no version.
    let (_, save) = stop(OnCollect::Empties).await;
    assert_eq!(save, Some(told(SaveStatus::Unchanged, None)));
    let (_, save) = stop(OnCollect::Leaves("one".to_owned())).await;
    assert_eq!(save, Some(told(SaveStatus::Stored, None)));
    let (_, save) = stop(OnCollect::Nothing).await;
    assert_eq!(save, Some(told(SaveStatus::Unchanged, None)));
    // A deleted save stays deleted.
    let (id, save) = stop(OnCollect::Empties).await;
    assert_eq!(save, Some(told(SaveStatus::Stored, None)));
    let slot = world.store.session(id).await.unwrap().unwrap().slot.unwrap();
    assert_eq!(world.store.versions(slot).await.unwrap().len(), 2);
    let next = world.play_boxed("ada").await;
    let restored = std::fs::read_dir(world.started(next).await.spec.save_dir).unwrap().count();
    assert_eq!(restored, 0, "the deleted save came back");
}

#[tokio::test]
async fn a_game_that_removes_its_whole_save_directory_has_deleted_its_save() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    world.game_saves(id, "chapter 3").await;
    world.stop("ada", id).await;
    let id = world.play("ada").await;
    std::fs::remove_dir_all(world.started(id).await.spec.save_dir).unwrap();
    assert_eq!(world.stop("ada", id).await.save, Some(told(SaveStatus::Stored, None)));
    let next = world.play("ada").await;
    assert_eq!(std::fs::read_dir(world.started(next).await.spec.save_dir).unwrap().count(), 0);
}

#[tokio::test]
async fn what_of_a_save_is_not_kept_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let save_dir = world.started(id).await.spec.save_dir;
    std::fs::write(save_dir.join("save.bin"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", save_dir.join("out")).unwrap();
    let report = world.stop("ada", id).await;
    let words = "Not kept: `out` (a link that may lead outside the save).";
    assert_eq!(report.save, Some(told(SaveStatus::Stored, Some(words))));
    let boxed = world.play_boxed("bob").await;
    world.docker.on_collect(OnCollect::LeavesAllBut("x".to_owned(), LeftOut::default()));
    assert_eq!(world.stop("bob", boxed).await.save, Some(told(SaveStatus::Stored, None)));
}

#[tokio::test]
async fn whoever_was_only_invited_is_not_told_of_the_owners_save() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let (role, life) = (playgate_signaling::message::Role::Player, Duration::from_secs(600));
    let grant = world.sessions.share(&user_of("ada"), id, role, Vec::new(), life).await.unwrap();
    world.game_saves(id, "chapter 3").await;
    assert!(world.stop("ada", id).await.save.is_some());
    let invited = world.sessions.status(&holder_of(&grant), id).await;
    assert!(invited.is_ok_and(|view| view.save.is_none()));
    assert!(world.sessions.status(&user_of("ada"), id).await.unwrap().save.is_some());
}
