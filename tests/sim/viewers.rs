//! Viewers, invitations and input.

use crate::world::{World, holder_of, until, user_of};
use playgate::model::events::EventKind;
use playgate::model::ids::{Owner, SessionId, UserId, ViewerId};
use playgate::relay::{RelayError, RelayEvent};
use playgate::session::ServiceError;
use playgate::session::roster::OWNER_RESERVE;
use playgate::session::view::Push;
use playgate::store::Store;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::{ErrorCode, Role};
use playgate_signaling::runner::GatewayMessage;
use std::time::Duration;
use tokio::sync::broadcast;

const HOUR: Duration = Duration::from_secs(3600);

fn key(usage: u16, down: bool) -> InputFrame {
    InputFrame::Key { usage, down }
}

async fn press(world: &World, id: SessionId, viewer: ViewerId, frame: InputFrame) {
    let event = RelayEvent::Input { viewer, slot: 0, frame: frame.to_bytes().into() };
    world.planes.relay(id, event).await;
}

async fn enter(world: &World, who: &playgate::auth::Principal, id: SessionId) -> ViewerId {
    let viewer = ViewerId::new();
    world.sessions.admit(who, id, viewer, None).await.unwrap();
    world.sessions.offer(id, viewer, "offer".to_owned()).await.unwrap();
    viewer
}

async fn evicted(pushes: &mut broadcast::Receiver<Push>, wanted: ViewerId) -> ErrorCode {
    tokio::time::timeout(crate::world::PATIENCE, async {
        loop {
            if let Push::Evicted { viewer, code, .. } = pushes.recv().await.unwrap()
                && viewer == wanted
            {
                return code;
            }
        }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn an_offer_waits_for_media_then_adds_and_a_later_one_renegotiates() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.launch("ada").await.unwrap();
    let viewer = enter(&world, &user_of("ada"), id).await;
    world.sessions.offer(id, viewer, "again".to_owned()).await.unwrap();
    assert_eq!(world.planes.offers(), [("add", viewer, Some(0)), ("renegotiate", viewer, None)]);
    let stranger = world.sessions.offer(id, ViewerId::new(), "offer".to_owned()).await;
    assert!(matches!(stranger, Err(ServiceError::NotFound(_))));
    world.sessions.leave(id, viewer).await;
    until(async || (!world.planes.has_viewer(viewer)).then_some(())).await;
}

#[tokio::test]
async fn who_plays_is_noted_as_they_come_and_go_and_spectators_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let ada = user_of("ada");
    let watch = world.sessions.share(&ada, id, Role::Spectator, Vec::new(), HOUR).await.unwrap();
    let (player, spectator) = (enter(&world, &ada, id).await, enter(&world, &holder_of(&watch), id).await);
    let connected = |viewer| RelayEvent::ViewerConnected { viewer, cipher: "AEAD_AES_128_GCM".to_owned() };
    let are_watching = async |count| {
        until(async || {
            let view = world.sessions.status(&ada, id).await.unwrap();
            (view.viewers == count).then_some(())
        })
        .await;
    };
    for viewer in [spectator, player, player] {
        world.planes.relay(id, connected(viewer)).await;
    }
    are_watching(2).await;
    let gone = RelayEvent::ViewerGone { viewer: player, reason: "closed by the viewer".to_owned() };
    world.planes.relay(id, gone).await;
    are_watching(1).await;
    world.planes.relay(id, connected(player)).await;
    are_watching(2).await;
    for viewer in [spectator, player] {
        world.sessions.leave(id, viewer).await;
    }
    let owner = Owner::User(UserId("ada".to_owned()));
    let noted = until(async || {
        let events = world.store.events_after(&owner, 0, 100).await.unwrap();
        let noted = events.into_iter().filter_map(|event| Some((event.kind, event.player?)));
        Some(noted.collect::<Vec<_>>()).filter(|noted| noted.len() >= 4)
    })
    .await;
    let kinds = [EventKind::PlayerJoined, EventKind::PlayerLeft];
    let expected = [kinds, kinds].concat();
    assert_eq!(noted, expected.into_iter().map(|kind| (kind, "user:ada".to_owned())).collect::<Vec<_>>());
}

#[tokio::test]
async fn grants_let_in_with_their_role_and_nobody_else_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let ada = user_of("ada");
    let play = world.sessions.share(&ada, id, Role::Player, Vec::new(), HOUR).await.unwrap();
    let watch = world.sessions.share(&ada, id, Role::Spectator, Vec::new(), HOUR).await.unwrap();
    let wanted = Some(Role::Player);
    let player = world.sessions.admit(&holder_of(&play), id, ViewerId::new(), wanted).await.unwrap();
    assert_eq!((player.role, player.slot), (Role::Player, Some(0)));
    let spectator = world.sessions.admit(&holder_of(&watch), id, ViewerId::new(), wanted).await.unwrap();
    assert_eq!((spectator.role, spectator.slot), (Role::Spectator, None));
    assert!(world.sessions.status(&holder_of(&watch), id).await.is_ok());
    assert!(world.sessions.keepalive(&holder_of(&play), id).await.is_ok());
    let not_theirs = [
        world.sessions.keepalive(&holder_of(&watch), id).await.map(|_| ()),
        world.sessions.stop(&holder_of(&play), id).await.map(|_| ()),
        world.sessions.share(&holder_of(&play), id, Role::Player, Vec::new(), HOUR).await.map(|_| ()),
        world.sessions.grants(&holder_of(&play), id).await.map(|_| ()),
        world.sessions.revoke(&user_of("bob"), play.id).await,
        world.sessions.admit(&user_of("bob"), id, ViewerId::new(), None).await.map(|_| ()),
    ];
    for refused in not_theirs {
        assert!(matches!(refused, Err(ServiceError::NotFound(_))), "{refused:?}");
    }
    for bad in [59, 604_801] {
        let refused =
            world.sessions.share(&ada, id, Role::Player, Vec::new(), Duration::from_secs(bad)).await;
        assert!(matches!(refused, Err(ServiceError::InvalidRequest(_))));
    }
}

#[tokio::test]
async fn a_revoked_grant_ends_running_views_and_lets_nobody_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let ada = user_of("ada");
    let grant = world.sessions.share(&ada, id, Role::Player, Vec::new(), HOUR).await.unwrap();
    let viewer = enter(&world, &holder_of(&grant), id).await;
    let mut pushes = world.sessions.subscribe(id).unwrap();
    world.sessions.revoke(&ada, grant.id).await.unwrap();
    assert_eq!(evicted(&mut pushes, viewer).await, ErrorCode::GrantEnded);
    until(async || (!world.planes.has_viewer(viewer)).then_some(())).await;
    let again = world.sessions.admit(&holder_of(&grant), id, ViewerId::new(), None).await;
    assert!(matches!(again, Err(ServiceError::NotFound(_))));
    assert!(world.sessions.grants(&ada, id).await.unwrap()[0].revoked);
}

#[tokio::test]
async fn an_expired_grant_ends_running_views_and_lets_nobody_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let minute = Duration::from_secs(60);
    let grant = world.sessions.share(&user_of("ada"), id, Role::Spectator, Vec::new(), minute).await.unwrap();
    let viewer = enter(&world, &holder_of(&grant), id).await;
    let mut pushes = world.sessions.subscribe(id).unwrap();
    world.clock.advance(minute + Duration::from_millis(2));
    assert_eq!(evicted(&mut pushes, viewer).await, ErrorCode::GrantEnded);
    assert!(matches!(world.sessions.status(&holder_of(&grant), id).await, Err(ServiceError::NotFound(_))));
}

#[tokio::test]
async fn a_second_window_takes_over_and_the_same_viewer_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let first = enter(&world, &user_of("ada"), id).await;
    world.sessions.admit(&user_of("ada"), id, first, None).await.unwrap();
    let mut pushes = world.sessions.subscribe(id).unwrap();
    enter(&world, &user_of("ada"), id).await;
    assert_eq!(evicted(&mut pushes, first).await, ErrorCode::Replaced);
}

#[tokio::test]
async fn more_viewers_than_may_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = playgate::config::SessionsConfig { max_viewers: 2, ..crate::world::config() };
    let world = World::with(dir.path(), config).await;
    let id = world.play("ada").await;
    for _ in 0..2 + OWNER_RESERVE {
        let watching = Some(Role::Spectator);
        world.sessions.admit(&user_of("ada"), id, ViewerId::new(), watching).await.unwrap();
    }
    let refused = world.sessions.admit(&user_of("ada"), id, ViewerId::new(), Some(Role::Spectator)).await;
    assert!(matches!(refused, Err(ServiceError::Media(RelayError::Full))));
}

#[tokio::test]
async fn input_reaches_the_runner_and_held_keys_are_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let viewer = enter(&world, &user_of("ada"), id).await;
    press(&world, id, ViewerId::new(), key(9, true)).await;
    let garbage = RelayEvent::Input { viewer, slot: 0, frame: bytes::Bytes::from_static(&[0xff, 1]) };
    world.planes.relay(id, garbage).await;
    press(&world, id, viewer, key(4, true)).await;
    until(async || (world.planes.input(id) == [(0, key(4, true))]).then_some(())).await;
    world.clock.advance(Duration::from_millis(1501));
    until(async || (world.planes.input(id).len() == 2).then_some(())).await;
    press(&world, id, viewer, key(5, true)).await;
    until(async || (world.planes.input(id).len() == 3).then_some(())).await;
    world.sessions.leave(id, viewer).await;
    let expected = [(0, key(4, true)), (0, key(4, false)), (0, key(5, true)), (0, key(5, false))];
    until(async || (world.planes.input(id) == expected).then_some(())).await;
}

#[tokio::test]
async fn a_game_nobody_watches_pauses_after_five_seconds_and_resumes_with_a_key_frame() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    world.planes.relay(id, RelayEvent::Watched(true)).await;
    world.planes.relay(id, RelayEvent::Watched(false)).await;
    world.planes.relay(id, RelayEvent::KeyFrameRequested { number: 9 }).await;
    let keyframes = || {
        let sent = world.planes.all_sent(id);
        sent.iter().filter(|message| matches!(message, GatewayMessage::Keyframe { .. })).count()
    };
    until(async || (keyframes() == 2).then_some(())).await;
    world.clock.advance(Duration::from_secs(4));
    assert!(!world.planes.all_sent(id).contains(&GatewayMessage::Pause));
    world.clock.advance(Duration::from_secs(1));
    world.planes.sent(id, &GatewayMessage::Pause).await;
    world.planes.relay(id, RelayEvent::Watched(true)).await;
    world.planes.sent(id, &GatewayMessage::Resume).await;
    until(async || (keyframes() == 3).then_some(())).await;
}

#[tokio::test]
async fn the_viewers_with_media_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let viewer = enter(&world, &user_of("ada"), id).await;
    let cipher = "AEAD_AES_128_GCM".to_owned();
    world.planes.relay(id, RelayEvent::ViewerConnected { viewer, cipher }).await;
    let count = async |wanted| {
        until(async || {
            let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
            (view.viewers == wanted).then_some(())
        })
        .await;
    };
    count(1).await;
    world.planes.relay(id, RelayEvent::ViewerGone { viewer, reason: "gone".to_owned() }).await;
    count(0).await;
}

#[tokio::test]
async fn the_late_end_of_a_connection_does_not_end_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let viewer = enter(&world, &user_of("ada"), id).await;
    let reason = "consent expired".to_owned();
    world.planes.tell_before_answer(RelayEvent::ViewerGone { viewer, reason });
    let mut pushes = world.sessions.subscribe(id).unwrap();
    world.sessions.offer(id, viewer, "another connection".to_owned()).await.unwrap();
    while !matches!(pushes.recv().await.unwrap(), Push::ViewerGone { .. }) {}
    world.sessions.offer(id, viewer, "an ICE restart".to_owned()).await.unwrap();
    let kinds: Vec<&str> = world.planes.offers().into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["add", "renegotiate", "renegotiate"], "the viewer still has media");
}
