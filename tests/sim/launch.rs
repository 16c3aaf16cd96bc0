//! What a launch refuses, and where it puts the game.

use crate::fake_driver::OnStart;
use crate::world::{World, config, request, user_of};
use playgate::config::SessionsConfig;
use playgate::model::ids::{SlotId, UserId};
use playgate::model::session::{EndReason, Milestone, Status};
use playgate::relay::{RelayEvent, SourceFault};
use playgate::session::view::Push;
use playgate::session::{LaunchRequest, ServiceError};
use playgate::store::Store;
use std::time::Duration;

fn ada() -> UserId {
    UserId("ada".to_owned())
}

#[tokio::test]
async fn of_a_hundred_racing_launches_of_one_user_exactly_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let sessions = world.sessions.clone();
        tasks.push(tokio::spawn(async move { sessions.launch(&ada(), request("story")).await }));
    }
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(ServiceError::SessionActive) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((won, world.sessions.running()), (1, 1));
    assert_eq!(world.sessions.active(&ada()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn capacity_is_never_overfilled_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { capacity: 3, ..config() }).await;
    let mut tasks = Vec::new();
    for index in 0..20 {
        let sessions = world.sessions.clone();
        tasks.push(tokio::spawn(async move {
            sessions.launch(&UserId(format!("u{index}")), request("story")).await
        }));
    }
    let mut won = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(view) => won.push(view),
            Err(ServiceError::NoServers) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won.len(), 3);
    // No row either: the refusal comes before the session.
    assert_eq!(world.store.active_sessions().await.unwrap().len(), 3);
    let owner = won[0].owner.to_string();
    let winner = owner.trim_start_matches("user:");
    world.bring_up(winner, won[0].id).await;
    world.stop(winner, won[0].id).await;
    world.launch("late").await.unwrap();
}

#[tokio::test]
async fn launches_are_limited_per_user_with_the_time_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { launches_per_minute: 2, ..config() }).await;
    // A launch that is refused for another reason does not count.
    for refusals in [3, 0] {
        let session = world.launch("ada").await.unwrap();
        for _ in 0..refusals {
            assert!(matches!(world.launch("ada").await, Err(ServiceError::SessionActive)));
        }
        world.bring_up("ada", session).await;
        world.stop("ada", session).await;
    }
    world.clock.advance(Duration::from_secs(20));
    let refused = world.launch("ada").await.unwrap_err();
    assert!(
        matches!(refused, ServiceError::RateLimited { retry_after } if retry_after == Duration::from_secs(40))
    );
    world.launch("bob").await.unwrap();
    world.clock.advance(Duration::from_secs(40));
    world.launch("ada").await.unwrap();
}

#[tokio::test]
async fn bad_slugs_are_invalid_and_unknown_games_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    for bad in ["", "Story", "a b", "../x"] {
        let refused = world.sessions.launch(&ada(), request(bad)).await;
        assert!(matches!(refused, Err(ServiceError::InvalidRequest(_))), "{bad}");
    }
    let refused = world.sessions.launch(&ada(), request("chess")).await.unwrap_err();
    assert_eq!(refused.to_string(), "Game with slug 'chess' not found.");
}

#[tokio::test]
async fn b3_a_slot_together_with_fresh_is_invalid() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let both = LaunchRequest { save_slot: Some(SlotId::new()), fresh: true, ..request("story") };
    let refused = world.sessions.launch(&ada(), both).await;
    assert!(matches!(refused, Err(ServiceError::InvalidRequest(_))));
}

#[tokio::test]
async fn b4_neither_continues_the_most_recently_played_slot_else_the_first_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let slots = world.sessions.save_slots(&ada(), "story").await.unwrap();
    for (wanted, expected) in
        [(None, 0), (Some(slots[2].id), 2), (None, 2), (Some(slots[1].id), 1), (None, 1)]
    {
        world.clock.advance(Duration::from_secs(60));
        let launched = world
            .sessions
            .launch(&ada(), LaunchRequest { save_slot: wanted, ..request("story") })
            .await
            .unwrap();
        assert_eq!(launched.slot, Some(slots[expected].id));
        world.bring_up("ada", launched.id).await;
        world.stop("ada", launched.id).await;
    }
}

#[tokio::test]
async fn b5_fresh_takes_an_empty_slot_and_is_invalid_when_all_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let fresh = || LaunchRequest { fresh: true, ..request("story") };
    let mut used = Vec::new();
    for round in 0..3 {
        let view = world.sessions.launch(&ada(), fresh()).await.unwrap();
        used.push(view.slot);
        world.bring_up("ada", view.id).await;
        world.game_saves(view.id, &format!("round {round}")).await;
        world.stop("ada", view.id).await;
    }
    let slots = world.sessions.save_slots(&ada(), "story").await.unwrap();
    assert_eq!(slots.iter().map(|slot| Some(slot.id)).collect::<Vec<_>>(), used);
    assert!(slots.iter().all(|slot| !slot.empty && slot.latest.is_some() && slot.bytes.unwrap() > 0));
    let refused = world.sessions.launch(&ada(), fresh()).await;
    assert!(matches!(refused, Err(ServiceError::InvalidRequest(_))));
    world.sessions.delete_slot(&ada(), used[1].unwrap()).await.unwrap();
    assert_eq!(world.sessions.launch(&ada(), fresh()).await.unwrap().slot, used[1]);
}

#[tokio::test]
async fn b6_slots_unknown_of_another_game_and_of_another_user_are_not_found_in_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let other_game = world.sessions.save_slots(&ada(), "party").await.unwrap()[0].id;
    let other_user = world.sessions.save_slots(&UserId("bob".to_owned()), "story").await.unwrap()[0].id;
    let mut texts = Vec::new();
    for slot in [SlotId::new(), other_game, other_user] {
        let launch = LaunchRequest { save_slot: Some(slot), ..request("story") };
        match world.sessions.launch(&ada(), launch).await {
            Err(ServiceError::NotFound(text)) => texts.push(text),
            other => panic!("{other:?}"),
        }
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
    assert!(matches!(world.sessions.delete_slot(&ada(), other_user).await, Err(ServiceError::NotFound(_))));
}

#[tokio::test]
async fn a_slot_is_in_use_while_its_session_lives() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play("ada").await;
    let slots = world.sessions.save_slots(&ada(), "story").await.unwrap();
    assert_eq!(slots.iter().map(|slot| slot.in_use).collect::<Vec<_>>(), [true, false, false]);
    assert!(matches!(world.sessions.delete_slot(&ada(), slots[0].id).await, Err(ServiceError::SlotInUse)));
    world.stop("ada", id).await;
    world.sessions.delete_slot(&ada(), slots[0].id).await.unwrap();
}

#[tokio::test]
async fn an_external_game_has_room_for_one_and_opens_where_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let view = world.sessions.launch(&ada(), request("camera")).await.unwrap();
    let refused = world.sessions.launch(&UserId("bob".to_owned()), request("camera")).await;
    assert!(matches!(refused, Err(ServiceError::NoServers)));
    world.planes.relay(view.id, playgate::relay::RelayEvent::FirstKeyFrame).await;
    world.reaches("ada", view.id, Status::Running).await;
    let opened = world.planes.opened(view.id);
    assert!(opened.video.listen.is_some() && opened.audio.is_none());
    world.sessions.stop(&user_of("ada"), view.id).await.unwrap();
    world.sessions.launch(&UserId("bob".to_owned()), request("camera")).await.unwrap();
}

#[tokio::test]
async fn a_game_that_does_not_start_is_an_error_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.driver.on_start(OnStart::Fail);
    let id = world.launch("ada").await.unwrap();
    let view = world.reaches("ada", id, Status::Error).await;
    assert_eq!(view.end_reason, Some(EndReason::LaunchFailed));
    assert!(view.end_detail.unwrap().contains("told to fail"));
    assert_eq!(view.expires_at, None);
    world.driver.on_start(OnStart::Succeed);
    crate::world::until(async || world.launch("ada").await.ok()).await;
}

#[tokio::test]
async fn a_crash_before_the_picture_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.launch("ada").await.unwrap();
    world.exits(id, Some(7), false).await;
    let view = world.reaches("ada", id, Status::Error).await;
    assert_eq!(view.end_reason, Some(EndReason::GameCrashed));
    assert_eq!(view.end_detail.as_deref(), Some("The game ended with code 7."));
}

#[tokio::test]
async fn a_launch_without_a_picture_times_out_however_far_it_came() {
    for hang in [OnStart::Hang, OnStart::Succeed] {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path()).await;
        world.driver.on_start(hang);
        let id = world.launch("ada").await.unwrap();
        crate::world::until(async || {
            world.journal.entries().contains(&"driver start".to_owned()).then_some(())
        })
        .await;
        world.clock.advance(Duration::from_secs(59));
        let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
        assert_eq!(view.status, Status::Starting);
        world.clock.advance(Duration::from_secs(1));
        let view = world.reaches("ada", id, Status::Error).await;
        assert_eq!(view.end_reason, Some(EndReason::LaunchTimeout), "{hang:?}");
        assert!(world.journal.entries().contains(&"media close".to_owned()));
        assert!(!world.data.sessions().join(id.to_string()).exists());
    }
}

#[tokio::test]
async fn a_launch_tells_its_progress_and_its_timeline() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.launch("ada").await.unwrap();
    world.started(id).await;
    let waiting = crate::world::until(async || {
        let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
        view.progress.filter(|progress| progress.step == "waiting_for_picture")
    })
    .await;
    assert_eq!(waiting.percent, None);
    world.clock.advance(Duration::from_millis(1234));
    world.bring_up("ada", id).await;
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    let reached: Vec<Milestone> = view.timeline.iter().map(|(milestone, _)| *milestone).collect();
    let expected = [
        Milestone::Requested,
        Milestone::Placed,
        Milestone::SaveRestored,
        Milestone::ImageReady,
        Milestone::ContainerUp,
        Milestone::RunnerConnected,
        Milestone::FirstKeyFrame,
    ];
    assert_eq!(reached, expected);
    assert_eq!(view.progress, None);
    let took = view.timeline[6].1 - view.timeline[0].1;
    assert_eq!(took.whole_milliseconds(), 1234);
    world.sessions.first_decoded_frame(&user_of("ada"), id).await.unwrap();
    crate::world::until(async || {
        let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
        (view.timeline.last().unwrap().0 == Milestone::FirstDecodedFrame).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_source_is_in_the_status_told_to_viewers_and_once_in_the_timeline() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.launch("ada").await.unwrap();
    world.bring_up("ada", id).await;
    let mut pushes = world.sessions.subscribe(id).unwrap();
    let payload_type = SourceFault::PayloadType { agreed: 96, sent: 97 };
    let lists =
        [vec![payload_type], vec![payload_type, SourceFault::BFrames], vec![], vec![SourceFault::BFrames]];
    for faults in lists {
        world.planes.relay(id, RelayEvent::SourceFaults(faults.clone())).await;
        let told = async {
            loop {
                if let Push::Status { source_faults, .. } = pushes.recv().await.unwrap() {
                    return source_faults;
                }
            }
        };
        assert_eq!(told.await, faults);
        let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
        assert_eq!(view.source_faults, faults);
    }
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    let count = |wanted| view.timeline.iter().filter(|(milestone, _)| *milestone == wanted).count();
    assert_eq!((count(Milestone::SourcePayloadType), count(Milestone::SourceBFrames)), (1, 1));
}

#[tokio::test]
async fn the_game_gets_the_contracts_environment() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.launch("ada").await.unwrap();
    let spec = world.started(id).await.spec;
    let expected = [
        ("PLAYGATE_CONTROL_URL", format!("ws://127.0.0.1:4000/runner/{id}")),
        ("PLAYGATE_FPS", "60".to_owned()),
        ("PLAYGATE_HEIGHT", "720".to_owned()),
        ("PLAYGATE_ON_GATEWAY_LOSS", "exit".to_owned()),
        ("PLAYGATE_RTP_AUDIO", "127.0.0.1:5000".to_owned()),
        ("PLAYGATE_RTP_VIDEO", "127.0.0.1:5000".to_owned()),
        ("PLAYGATE_SAVE_DIR", spec.save_dir.display().to_string()),
        ("PLAYGATE_SESSION_ID", id.to_string()),
        ("PLAYGATE_TOKEN", "secret".to_owned()),
        ("PLAYGATE_VIDEO_KBPS", "4000".to_owned()),
        ("PLAYGATE_WIDTH", "1280".to_owned()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(spec.env.into_iter().collect::<Vec<_>>(), expected);
    assert!(spec.save_dir.is_dir());
}
