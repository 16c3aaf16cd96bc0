//! Games in containers: what they are made of, how they start and how they end.

use crate::content::Download;
use crate::fake_driver::{OnCollect, OnStart};
use crate::world::{World, config, request, until, user_of};
use playgate::config::SessionsConfig;
use playgate::content::ContentError;
use playgate::driver::{ImageFacts, Usage};
use playgate::model::ids::{SessionId, UserId, ViewerId};
use playgate::model::session::{EndReason, Milestone, Status};
use playgate::relay::RelayEvent;
use playgate::session::ServiceError;
use playgate::store::Store;
use std::time::Duration;

async fn launch(world: &World, user: &str, slug: &str) -> SessionId {
    world.sessions.launch(&UserId(user.to_owned()), request(slug)).await.unwrap().id
}

async fn progress(world: &World, id: SessionId, step: &str, percent: Option<f32>) {
    until(async || {
        let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
        view.progress.filter(|progress| progress.step == step && progress.percent == percent)
    })
    .await;
}

#[tokio::test]
async fn a_container_is_made_as_the_game_says_and_gets_the_contracts_environment() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = launch(&world, "ada", "boxed").await;
    let spec = world.started(id).await.spec;
    let container = spec.container.unwrap();
    assert_eq!((container.image.as_str(), container.package), ("sha256:0123", None));
    assert_eq!(container.command, ["play", "--loud"]);
    assert_eq!((container.memory_bytes, container.save_path.as_str()), (512 << 20, "/home/player/saves"));
    let expected = [
        ("LANG", "C.UTF-8".to_owned()),
        ("PLAYGATE_CONTROL_URL", format!("ws://10.99.0.1:4000/runner/{id}")),
        ("PLAYGATE_FPS", "30".to_owned()),
        ("PLAYGATE_HEIGHT", "720".to_owned()),
        ("PLAYGATE_ON_GATEWAY_LOSS", "reconnect".to_owned()),
        ("PLAYGATE_PADS", "1".to_owned()),
        ("PLAYGATE_PAD_MAP", r#"{"a":"Enter"}"#.to_owned()),
        ("PLAYGATE_POINTER", "relative".to_owned()),
        ("PLAYGATE_RTP_AUDIO", "127.0.0.1:5000".to_owned()),
        ("PLAYGATE_RTP_VIDEO", "127.0.0.1:5000".to_owned()),
        ("PLAYGATE_SAVE_DIR", "/home/player/saves".to_owned()),
        ("PLAYGATE_SESSION_ID", id.to_string()),
        ("PLAYGATE_STOP_GRACE_MS", "1234".to_owned()),
        ("PLAYGATE_TOKEN", "secret".to_owned()),
        ("PLAYGATE_VIDEO_KBPS", "4000".to_owned()),
        ("PLAYGATE_WIDTH", "1280".to_owned()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(spec.env.into_iter().collect::<Vec<_>>(), expected);
    let opened = world.planes.opened(id);
    assert_eq!(opened.allow, ["10.99.0.7".parse::<std::net::IpAddr>().unwrap()]);
    for stream in [opened.video, opened.audio.unwrap()] {
        assert_eq!(stream.listen, Some("10.99.0.1:0".parse().unwrap()));
    }
}

#[tokio::test]
async fn an_image_of_ours_that_does_not_know_the_grace_is_not_told_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let labels = [("playgate.contract", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    world.docker.set_facts(ImageFacts { labels: labels.into(), ..ImageFacts::default() });
    let id = launch(&world, "ada", "boxed").await;
    let spec = world.started(id).await.spec;
    assert!(!spec.env.contains_key("PLAYGATE_STOP_GRACE_MS"), "{:?}", spec.env);
}

#[tokio::test]
async fn a_package_runs_its_launcher_and_is_held_as_long_as_the_game_lives() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = launch(&world, "ada", "packed").await;
    let container = world.started(id).await.spec.container.unwrap();
    assert_eq!(container.command, ["/game/bin/start.sh"]);
    assert_eq!(container.package.as_deref(), Some(std::path::Path::new("/cache/game")));
    world.bring_up("ada", id).await;
    assert_eq!((world.content.leases(), world.docker.sites()), (1, 1));
    world.stop("ada", id).await;
    assert_eq!((world.content.leases(), world.docker.sites()), (0, 0));
}

#[tokio::test]
async fn a_download_is_seen_and_the_time_for_a_picture_begins_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = SessionsConfig { download_timeout_s: 300, ..config() };
    let world = World::with(dir.path(), config).await;
    world.content.is(Download::Coming(None));
    let id = launch(&world, "ada", "boxed").await;
    progress(&world, id, "downloading", None).await;
    world.content.is(Download::Coming(Some(43.0)));
    progress(&world, id, "downloading", Some(43.0)).await;
    world.clock.advance(Duration::from_secs(299));
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!(view.status, Status::Starting);
    assert!(world.planes.opened_at_all(id).is_none(), "nothing is opened for a game that is not here");

    world.content.is(Download::Here);
    world.started(id).await;
    progress(&world, id, "waiting_for_picture", None).await;
    world.clock.advance(Duration::from_secs(59));
    world.bring_up("ada", id).await;
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    let reached: Vec<Milestone> = view.timeline.iter().map(|(milestone, _)| *milestone).collect();
    let expected = [
        Milestone::Requested,
        Milestone::Placed,
        Milestone::ImageReady,
        Milestone::SaveRestored,
        Milestone::ContainerUp,
        Milestone::RunnerConnected,
        Milestone::FirstKeyFrame,
    ];
    assert_eq!(reached, expected);
}

#[tokio::test]
async fn a_game_here_without_a_picture_in_time_is_an_error_after_a_long_download_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = SessionsConfig { download_timeout_s: 300, flush_timeout_ms: 10, ..config() };
    let world = World::with(dir.path(), config).await;
    world.content.is(Download::Coming(None));
    let id = launch(&world, "ada", "boxed").await;
    progress(&world, id, "downloading", None).await;
    world.clock.advance(Duration::from_secs(200));
    world.content.is(Download::Here);
    progress(&world, id, "waiting_for_picture", None).await;
    world.clock.advance(Duration::from_secs(60));
    let view = world.reaches("ada", id, Status::Error).await;
    assert_eq!(view.end_reason, Some(EndReason::LaunchTimeout));
    assert!(world.journal.entries().contains(&"media close".to_owned()));
    assert_eq!(world.docker.removed(), [id]);
}

#[tokio::test]
async fn a_download_over_its_time_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.content.is(Download::Coming(Some(10.0)));
    let id = launch(&world, "ada", "boxed").await;
    progress(&world, id, "downloading", Some(10.0)).await;
    world.clock.advance(Duration::from_secs(60));
    let view = world.reaches("ada", id, Status::Error).await;
    assert_eq!(view.end_reason, Some(EndReason::LaunchTimeout));
    let detail = "A Boxed Game is still being downloaded; try again in a moment.";
    assert_eq!(view.end_detail.as_deref(), Some(detail));
    // It came meanwhile.
    world.content.is(Download::Here);
    world.play_boxed("ada").await;
}

#[tokio::test]
async fn a_download_that_fails_ends_in_words_that_help() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.content.is(Download::Failed(ContentError::RegistryUnreachable {
        reference: "registry.example/boxed:1".to_owned(),
        detail: "connection refused".to_owned(),
    }));
    let id = launch(&world, "ada", "boxed").await;
    let view = world.reaches("ada", id, Status::Error).await;
    assert_eq!(view.end_reason, Some(EndReason::LaunchFailed));
    let detail = view.end_detail.unwrap();
    assert!(detail.contains("the registry of registry.example/boxed:1 cannot be reached"), "{detail}");
    assert!(detail.ends_with("connection refused."), "{detail}");
}

#[tokio::test]
async fn a_stop_while_downloading_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.content.is(Download::Coming(None));
    let id = launch(&world, "ada", "boxed").await;
    progress(&world, id, "downloading", None).await;
    world.sessions.stop(&user_of("ada"), id).await.unwrap();
    let view = world.sessions.status(&user_of("ada"), id).await.unwrap();
    assert_eq!((view.status, view.end_reason), (Status::Stopped, Some(EndReason::StoppedByUser)));
}

#[tokio::test]
async fn a_launch_that_fails_late_gives_its_site_and_its_package_back() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.docker.on_start(OnStart::Fail);
    let id = launch(&world, "ada", "packed").await;
    world.reaches("ada", id, Status::Error).await;
    assert_eq!((world.content.leases(), world.docker.sites()), (0, 0));
    assert!(world.journal.entries().contains(&"media close".to_owned()));
}

#[tokio::test]
async fn a_stop_collects_the_save_and_removes_the_container_in_the_contracts_order() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = world.play_boxed("ada").await;
    for name in ["ada", "ada", "bob"] {
        let viewer = ViewerId::new();
        let who = match name {
            "ada" => user_of("ada"),
            _ => {
                let (role, life) = (playgate_signaling::message::Role::Player, Duration::from_secs(600));
                crate::world::holder_of(
                    &world.sessions.share(&user_of("ada"), id, role, Vec::new(), life).await.unwrap(),
                )
            }
        };
        world.sessions.admit(&who, id, viewer, None).await.unwrap();
        world.planes.relay(id, RelayEvent::ViewerConnected { viewer, cipher: "none".to_owned() }).await;
    }
    until(async || {
        let row = world.store.session(id).await.unwrap().unwrap();
        (row.players.len() == 2).then_some(())
    })
    .await;
    world.docker.on_collect(OnCollect::Leaves("chapter 3".to_owned()));
    world.docker.set_usage(Usage {
        cpu_seconds: 12.5,
        memory_bytes: 32 << 20,
        peak_memory_bytes: 64 << 20,
        network_rx_bytes: 1000,
        network_tx_bytes: 2_000_000,
    });
    world.docker.set_exit(Some(0), false);
    world.clock.advance(Duration::from_secs(90));
    let report = world.stop("ada", id).await;
    let expected = [
        "media open",
        "driver start",
        "flush",
        "saved",
        // The game's grace, the 20 s of a flush, and 5 s for the runner itself.
        "driver stop within 26234 ms",
        "driver collect",
        "driver remove",
        "media close",
    ];
    assert_eq!(world.journal.entries(), expected);
    assert_eq!(world.saved(id).await.as_deref(), Some("chapter 3"));
    assert_eq!((report.duration, report.peak_memory_mb, report.players_seen), (90, 64, 2));
    assert_eq!((report.network_rx_bytes, report.network_tx_bytes), (1000, 2_000_000));
    assert_eq!((report.exit_code, report.out_of_memory), (Some(0), false));
    assert_eq!(world.sessions.stop(&user_of("ada"), id).await.unwrap(), report);
}

#[tokio::test]
async fn a_launch_without_room_leaves_no_row_and_a_refused_one_no_reservation() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { capacity: 1, ..config() }).await;
    let id = world.play_boxed("ada").await;
    let row = world.store.session(id).await.unwrap().unwrap();
    assert_eq!(row.node.as_deref(), Some("only"));
    let reasons = [
        "is the only one with room",
        "has to fetch the game first",
        "would be 0 % loaded",
        "runs 0 of 1 sessions",
    ];
    assert_eq!(row.placement, reasons);
    let refused = world.sessions.launch(&UserId("bob".to_owned()), request("boxed")).await;
    assert!(matches!(refused, Err(ServiceError::NoServers)));
    assert_eq!(world.store.active_sessions().await.unwrap().len(), 1);
    world.stop("ada", id).await;
    world.play_boxed("bob").await;
}
