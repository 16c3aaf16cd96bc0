//! A gateway that was killed, and the next one on its data.

use crate::world::{World, copy_dir, user_of};
use playgate::session::view::{EndReason, Status};
use playgate::store::Store;

#[tokio::test]
async fn a_killed_gateways_sessions_are_closed_and_their_saves_kept() {
    let dir = tempfile::tempdir().unwrap();
    let killed = World::new(dir.path()).await;
    let playing = killed.play("ada").await;
    killed.game_saves(playing, "as far as it came").await;
    let starting = killed.launch("bob").await.unwrap();
    killed.started(starting).await;
    crate::world::until(async || killed.store.session(starting).await.unwrap().unwrap().instance.map(|_| ()))
        .await;
    // The second gateway gets what lies on the disk at this moment.
    let after = dir.path().join("after");
    copy_dir(killed.data.root(), &after.join("data"));
    std::fs::create_dir_all(after.join("data/sessions/stray")).unwrap();

    let world = World::new(&after).await;
    let view = world.sessions.status(&user_of("ada"), playing).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::NodeLost)));
    let view = world.sessions.status(&user_of("bob"), starting).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Error, Some(EndReason::NodeLost)));
    assert_eq!(world.driver.orphans().len(), 2);
    assert_eq!(world.saved(playing).await.as_deref(), Some("as far as it came"));
    assert_eq!(std::fs::read_dir(world.data.sessions()).unwrap().count(), 0);
    assert_eq!(world.store.active_sessions().await.unwrap(), []);
    // The old one would be fenced.
    assert_eq!(world.store.session(playing).await.unwrap().unwrap().generation.0, 2);

    let next = world.play("ada").await;
    let restored = world.started(next).await.spec.save_dir.join("save.bin");
    assert_eq!(std::fs::read_to_string(restored).unwrap(), "as far as it came");
}
