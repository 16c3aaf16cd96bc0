//! Hosted sessions: what the Session API's rules ask of the session core (contract 2.4, section 3).

use crate::content::Download;
use crate::fake_driver::{OnAdopt, OnStart};
use crate::world::{START_MS, World, config, request, until, user_of};
use playgate::auth::Principal;
use playgate::config::SessionApiConfig;
use playgate::driver::{DriverEvent, ImageFacts};
use playgate::model::ids::{SessionId, UserId};
use playgate::model::instance::{ExposedPort, Protocol};
use playgate::model::nodes::Admission;
use playgate::model::session::{ContainerStatus, EndReason, Status};
use playgate::session::ServiceError;
use playgate::session::hosted::{HostRequest, HostedFilter, HostedStatus, HostedView};
use playgate::store::Store;
use playgate_signaling::message::Role;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const RUNNING: HostedStatus = HostedStatus::Container(ContainerStatus::Running);

fn arena(id: &str) -> HostRequest {
    HostRequest {
        id: Some(id.to_owned()),
        location: "europe".to_owned(),
        image: "arena".to_owned(),
        ..HostRequest::default()
    }
}

fn all() -> HostedFilter {
    HostedFilter { all: true, ..HostedFilter::default() }
}

async fn host(world: &World, request: HostRequest) -> HostedView {
    world.sessions.host("studio", request).await.unwrap()
}

async fn describe(world: &World, id: &str) -> HostedView {
    world.sessions.describe_hosted("studio", id).await.unwrap().0
}

async fn becomes(world: &World, id: &str, status: ContainerStatus) -> HostedView {
    until(async || {
        let view = world.sessions.describe_hosted("studio", id).await.ok()?.0;
        (view.status == HostedStatus::Container(status)).then_some(view)
    })
    .await
}

async fn exits(world: &World, id: SessionId, code: i32) {
    world.docker.set_exit(Some(code), false);
    world.exits(id, Some(code), false).await;
}

fn is_not_found<T>(result: Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::NotFound(_)))
}

#[tokio::test]
async fn x6_a_start_is_answered_when_the_container_runs_and_its_ports_are_bound() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.docker.set_facts(ImageFacts {
        ports: vec![
            ExposedPort { protocol: Protocol::Tcp, container: 80 },
            ExposedPort { protocol: Protocol::Udp, container: 7777 },
        ],
        labels: BTreeMap::from([("vendor".to_owned(), "us".to_owned())]),
    });
    let asked = HostRequest {
        env: BTreeMap::from([("MODE".to_owned(), "ranked at ${GAMEYE_HOST}".to_owned())]),
        args: vec!["--fast".to_owned()],
        labels: BTreeMap::from([("round".to_owned(), "1".to_owned())]),
        ..arena("match-1")
    };
    let view = host(&world, asked).await;
    assert_eq!((view.status, view.external_id.as_str(), view.created), (RUNNING, "match-1", START_MS));
    let hosted = &view.hosted;
    assert_eq!(hosted.ports.iter().map(|port| port.container).collect::<Vec<_>>(), [80, 7777]);
    assert_eq!([hosted.location.as_str(), hosted.region.as_str()], ["frankfurt", "europe"], "G13");
    assert_eq!(hosted.image_labels["vendor"], "us");
    let spec = world.docker.started(view.id).unwrap().spec;
    let container = spec.container.unwrap();
    assert_eq!(container.command, ["--fast"]);
    assert_eq!(container.profile, playgate::model::instance::Profile::Server);
    let udp = hosted.ports[1].host.to_string();
    let expected = [
        ("GAMEYE_SESSION_ID", "match-1"),
        ("GAMEYE_HOST", "192.0.2.1"),
        ("GAMEYE_PORT_UDP_7777", udp.as_str()),
        ("MODE", "ranked at 192.0.2.1"),
        ("LOBBY", "eu"),
    ];
    for (name, value) in expected {
        assert_eq!(spec.env[name], value, "{name}");
    }
    assert!(!spec.env.keys().any(|name| name.starts_with("PLAYGATE_")), "{:?}", spec.env);
    assert!(!hosted.env.contains_key("LOBBY"), "what the operator has set is not the caller's to read");
    assert_eq!(hosted.env["MODE"], "ranked at 192.0.2.1");
}

#[tokio::test]
async fn rule_1_x5_an_id_is_made_up_when_absent_and_used_once_per_organisation() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let made_up = host(&world, HostRequest { id: None, ..arena("") }).await;
    assert_eq!(made_up.external_id, made_up.id.to_string());
    host(&world, arena("a/b é")).await;
    let again = world.sessions.host("studio", arena("a/b é")).await;
    assert!(matches!(again, Err(ServiceError::IdUsed)));
    let theirs = world.sessions.host("rival", arena("a/b é")).await.unwrap();
    assert_ne!(theirs.id, describe(&world, "a/b é").await.id);
}

#[tokio::test]
async fn racing_starts_of_one_id_make_one_session() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let starts = (0..20).map(|_| world.sessions.host("studio", arena("one")));
    let results = futures_util::future::join_all(starts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(ServiceError::IdUsed))));
    assert_eq!(world.store.reservations().await.unwrap().len(), 1, "the refused gave their places back");
}

#[tokio::test]
async fn rule_2_without_a_version_the_highest_priority_is_run_else_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.content.has_tags(&["nightly", "beta", "1.0"]);
    assert_eq!(host(&world, arena("a")).await.hosted.tag, "beta");
    world.content.has_tags(&["nightly", "1.0"]);
    assert_eq!(host(&world, arena("b")).await.hosted.tag, "nightly");
    let named = HostRequest { version: Some("1.0".to_owned()), ..arena("c") };
    assert_eq!(host(&world, named).await.hosted.tag, "1.0");
    let unknown = HostRequest { version: Some("2.0".to_owned()), ..arena("d") };
    assert!(is_not_found(world.sessions.host("studio", unknown).await));
    let has = async |tag: &str| world.sessions.image_has_tag("studio", "frankfurt", "arena", tag).await;
    assert!(has("1.0").await.unwrap() && !has("2.0").await.unwrap(), "G14");
    assert!(is_not_found(world.sessions.image_has_tag("studio", "europe", "nothing", "1.0").await));
    let nowhere = world.sessions.image_has_tag("studio", "mars", "arena", "1.0").await;
    assert!(matches!(nowhere, Err(ServiceError::InvalidRequest(_))));
}

#[tokio::test]
async fn rule_5_a_start_that_fails_says_so_and_leaves_its_id_free() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.docker.on_start(OnStart::Fail);
    let failed = world.sessions.host("studio", arena("match-1")).await;
    assert!(matches!(failed, Err(ServiceError::StartFailed(detail)) if detail.contains("told to fail")));
    assert!(is_not_found(world.sessions.describe_hosted("studio", "match-1").await));
    assert_eq!(world.sessions.hosted("studio", &all()).await.unwrap(), []);
    assert_eq!(world.store.reservations().await.unwrap().len(), 0);
    world.docker.on_start(OnStart::Succeed);
    assert_eq!(host(&world, arena("match-1")).await.status, RUNNING);
}

#[tokio::test]
async fn rule_5_too_many_starts_and_too_little_room_are_refused_by_keys_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let few = SessionApiConfig { starts_per_minute: 2, ..SessionApiConfig::default() };
    let world = World::hosting(dir.path(), config(), few, |_| {}).await;
    host(&world, arena("a")).await;
    host(&world, arena("b")).await;
    let third = world.sessions.host("studio", arena("c")).await;
    assert!(matches!(third, Err(ServiceError::RateLimited { .. })));
    world.sessions.host("rival", arena("c")).await.unwrap();
    world.clock.advance(MINUTE);
    host(&world, arena("c")).await;

    let dir = tempfile::tempdir().unwrap();
    let small = playgate::config::SessionsConfig { capacity: 5, ..config() };
    let world = World::with(dir.path(), small).await;
    let ids: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let starts = ids.iter().map(|id| world.sessions.host("studio", arena(id)));
    let results = futures_util::future::join_all(starts).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    let refused = results.iter().filter(|result| matches!(result, Err(ServiceError::NoServers))).count();
    assert_eq!(refused, 35);
}

#[tokio::test]
async fn rule_6_a_session_is_listed_while_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.content.is(Download::Coming(Some(40.0)));
    world.content.has_tags(&["stable"]);
    let starting = world.sessions.host("studio", arena("match-1"));
    let look = async {
        becomes(&world, "match-1", ContainerStatus::Created).await;
        // Its row is there a moment before it lives.
        until(async || (world.sessions.hosted("studio", &all()).await.unwrap().len() == 1).then_some(()))
            .await;
        assert_eq!(world.sessions.hosted("studio", &HostedFilter::default()).await.unwrap(), [], "G7");
        world.content.is(Download::Here);
    };
    let (started, ()) = tokio::join!(starting, look);
    assert_eq!(started.unwrap().status, RUNNING);
    assert_eq!(world.sessions.hosted("studio", &HostedFilter::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn rule_7_a_location_or_a_region_is_where_it_runs_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let at = |location: &str| HostRequest { id: None, location: location.to_owned(), ..arena("") };
    for location in ["frankfurt", "Europe"] {
        assert_eq!(host(&world, at(location)).await.hosted.location, "frankfurt");
    }
    assert!(is_not_found(world.sessions.host("studio", at("mars")).await));
}

#[tokio::test]
async fn rule_3_g30_a_session_that_fails_is_started_again_with_growing_pauses_and_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let twice = SessionApiConfig { restart_limit: 2, ..SessionApiConfig::default() };
    let world = World::hosting(dir.path(), config(), twice, |_| {}).await;
    let id = host(&world, HostRequest { restart: true, ..arena("match-1") }).await.id;
    for (round, seconds) in [(1, 1), (2, 2)] {
        exits(&world, id, 1).await;
        becomes(&world, "match-1", ContainerStatus::Restarting).await;
        world.clock.advance(Duration::from_secs(seconds));
        becomes(&world, "match-1", ContainerStatus::Running).await;
        assert_eq!(world.docker.restarts(), round);
    }
    exits(&world, id, 1).await;
    becomes(&world, "match-1", ContainerStatus::Exited).await;
    let row = world.store.session(id).await.unwrap().unwrap();
    assert_eq!((row.end_reason, row.status), (Some(EndReason::GameCrashed), Status::Stopped));
}

#[tokio::test]
async fn rule_3_g30_what_ends_well_or_is_ended_is_not_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let well = host(&world, HostRequest { restart: true, ..arena("well") }).await.id;
    exits(&world, well, 0).await;
    becomes(&world, "well", ContainerStatus::Exited).await;
    let id = host(&world, HostRequest { restart: true, ..arena("ended") }).await.id;
    exits(&world, id, 1).await;
    becomes(&world, "ended", ContainerStatus::Restarting).await;
    world.sessions.terminate_hosted("studio", "ended").await.unwrap();
    becomes(&world, "ended", ContainerStatus::Exited).await;
    world.clock.advance(MINUTE);
    assert_eq!(world.docker.restarts(), 0);
    let plain = host(&world, arena("plain")).await.id;
    exits(&world, plain, 3).await;
    becomes(&world, "plain", ContainerStatus::Exited).await;
}

#[tokio::test]
async fn rule_4_g17_the_time_to_live_ends_it_by_force_and_outlives_a_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let short = HostRequest { ttl: Some(2 * MINUTE), ..arena("short") };
    let id = host(&world, short).await.id;
    world.clock.advance(MINUTE);
    assert_eq!(describe(&world, "short").await.status, RUNNING);
    let next = tempfile::tempdir().unwrap();
    let world = world.killed(next.path(), |docker| docker.on_adopt(id, OnAdopt::Running)).await;
    let found = describe(&world, "short").await;
    assert_eq!((found.status, found.hosted.ttl_until), (RUNNING, Some(START_MS + 120_000)));
    world.clock.advance(2 * MINUTE);
    becomes(&world, "short", ContainerStatus::Exited).await;
    assert!(world.journal.entries().contains(&"driver stop within 0 ms".to_owned()), "no grace");
    assert_eq!(world.store.session(id).await.unwrap().unwrap().end_reason, Some(EndReason::Ttl));
}

#[tokio::test]
async fn x11_no_idle_time_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    host(&world, arena("match-1")).await;
    world.clock.advance(Duration::from_secs(100_000));
    assert_eq!(describe(&world, "match-1").await.status, RUNNING);
}

#[tokio::test]
async fn rule_14_g22_one_delete_ends_it_and_every_further_one_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    host(&world, arena("match-1")).await;
    let stops = (0..10).map(|_| world.sessions.terminate_hosted("studio", "match-1"));
    let results = futures_util::future::join_all(stops).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(ServiceError::Terminated))));
    becomes(&world, "match-1", ContainerStatus::Exited).await;
    let again = world.sessions.terminate_hosted("studio", "match-1").await;
    assert!(matches!(again, Err(ServiceError::Terminated)));
    assert!(world.journal.entries().contains(&"driver stop within 10000 ms".to_owned()), "rule 13");
}

#[tokio::test]
async fn rule_15_g23_a_stopped_container_stays_for_its_time_and_its_id_stays_used() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let id = host(&world, arena("match-1")).await.id;
    world.sessions.terminate_hosted("studio", "match-1").await.unwrap();
    becomes(&world, "match-1", ContainerStatus::Exited).await;
    assert_eq!(world.sessions.hosted("studio", &all()).await.unwrap().len(), 1);
    assert_eq!(world.docker.removed(), []);

    let next = tempfile::tempdir().unwrap();
    let world = world.killed(next.path(), |docker| docker.on_adopt(id, OnAdopt::Ended)).await;
    assert!(world.docker.kept().unwrap().contains(&id), "it is no stray");
    assert_eq!(describe(&world, "match-1").await.status, HostedStatus::Container(ContainerStatus::Exited));
    world.clock.advance(Duration::from_secs(14_400) + MINUTE);
    until(async || (world.docker.removed() == [id]).then_some(())).await;
    until(async || is_not_found(world.sessions.describe_hosted("studio", "match-1").await).then_some(()))
        .await;
    assert_eq!(world.sessions.hosted("studio", &all()).await.unwrap(), []);
    let again = world.sessions.host("studio", arena("match-1")).await;
    assert!(matches!(again, Err(ServiceError::IdUsed)));
}

#[tokio::test]
async fn rule_15_a_running_session_gives_no_artifacts() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    host(&world, arena("match-1")).await;
    let artifact = world.sessions.hosted_artifact("studio", "match-1", "/var/log").await;
    assert!(matches!(artifact, Err(ServiceError::NotFound(text)) if text.contains("still runs")), "G16");
}

#[tokio::test]
async fn rule_18_g20_players_join_and_leave_idempotently_and_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    host(&world, arena("match-1")).await;
    let names = |range: std::ops::Range<u32>| range.map(|n| format!("p{n}")).collect::<Vec<_>>();
    let lots: Vec<Vec<String>> = (0..10).map(|n| names(n * 2..n * 2 + 5)).collect();
    let joins = lots.iter().map(|players| world.sessions.join_hosted("studio", "match-1", players));
    for roster in futures_util::future::join_all(joins).await {
        let roster = roster.unwrap();
        assert_eq!(roster.iter().collect::<HashSet<_>>().len(), roster.len());
    }
    let roster = world.sessions.join_hosted("studio", "match-1", &names(0..1)).await.unwrap();
    assert_eq!(roster.len(), 23, "the whole roster");
    let (view, players) = world.sessions.describe_hosted("studio", "match-1").await.unwrap();
    assert_eq!((view.player_count, players.len()), (23, 23));
    let leaves = lots.iter().map(|players| world.sessions.leave_hosted("studio", Some("match-1"), players));
    for left in futures_util::future::join_all(leaves).await {
        left.unwrap();
    }
    assert_eq!(world.sessions.leave_hosted("studio", Some("match-1"), &names(0..2)).await.unwrap(), 0);
    assert_eq!(world.sessions.hosted("studio", &all()).await.unwrap()[0].player_count, 0);
}

#[tokio::test]
async fn g1_players_leave_without_a_session_when_there_is_one_that_they_are_all_in() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    host(&world, arena("one")).await;
    host(&world, arena("two")).await;
    let both = ["ann".to_owned(), "bob".to_owned()];
    world.sessions.join_hosted("studio", "one", &both).await.unwrap();
    world.sessions.join_hosted("studio", "two", &both[..1]).await.unwrap();
    let leave = async |players: &[String]| world.sessions.leave_hosted("studio", None, players).await;
    assert!(is_not_found(leave(&both[..1]).await), "in two");
    assert_eq!(leave(&both).await.unwrap(), 0);
    assert_eq!(leave(&both[..1]).await.unwrap(), 0, "in one by now");
    assert!(is_not_found(leave(&both[..1]).await));
    assert!(is_not_found(world.sessions.leave_hosted("rival", None, &both).await));
}

#[tokio::test]
async fn rule_19_locations_are_those_that_can_serve_the_image_now() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let locations = async || world.sessions.image_locations("studio", "arena").await.unwrap();
    let here = locations().await;
    assert_eq!(here.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["frankfurt"]);
    assert_eq!(here[0].ips, ["192.0.2.1"]);
    world.store.set_node_admission("only", Admission::Cordoned).await.unwrap();
    assert_eq!(locations().await, []);
    assert!(is_not_found(world.sessions.image_locations("studio", "nothing").await));
    assert!(is_not_found(world.sessions.image_locations("rival", "show").await), "not theirs to start");
}

#[tokio::test]
async fn rule_17_the_status_shows_what_its_node_is_like() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    host(&world, arena("match-1")).await;
    world.store.set_node_admission("only", Admission::Draining).await.unwrap();
    assert_eq!(describe(&world, "match-1").await.status, HostedStatus::Draining);
    world.store.set_node_health("only", false, START_MS).await.unwrap();
    assert_eq!(describe(&world, "match-1").await.status, HostedStatus::ServerUnreachable);
}

#[tokio::test]
async fn x10_another_organisations_session_is_not_found_whatever_is_asked_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    host(&world, arena("match-1")).await;
    let (sessions, players) = (&world.sessions, ["ann".to_owned()]);
    assert!(is_not_found(sessions.describe_hosted("rival", "match-1").await));
    assert!(is_not_found(sessions.terminate_hosted("rival", "match-1").await));
    assert!(is_not_found(sessions.join_hosted("rival", "match-1", &players).await));
    assert!(is_not_found(sessions.leave_hosted("rival", Some("match-1"), &players).await));
    assert!(is_not_found(sessions.hosted_artifact("rival", "match-1", "/").await));
    assert!(is_not_found(sessions.hosted_logs("rival", "match-1", false).await));
    let grant = sessions.grant_hosted("rival", "match-1", Role::Spectator, Vec::new(), MINUTE).await;
    assert!(is_not_found(grant));
    assert_eq!(sessions.hosted("rival", &all()).await.unwrap(), []);
    assert!(is_not_found(
        sessions.host("rival", HostRequest { image: "show".to_owned(), ..arena("x") }).await
    ));
}

#[tokio::test]
async fn x7_a_session_with_a_stream_runs_for_its_organisation_before_its_players_see_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.content.has_tags(&["1", "stable"]);
    let show = HostRequest { image: "show".to_owned(), ..arena("live") };
    let view = host(&world, show).await;
    assert_eq!(view.status, RUNNING);
    let spec = world.docker.started(view.id).unwrap().spec;
    assert!(spec.env.contains_key("PLAYGATE_TOKEN") && !view.hosted.env.contains_key("PLAYGATE_TOKEN"));
    let grant =
        world.sessions.grant_hosted("studio", "live", Role::Player, Vec::new(), MINUTE).await.unwrap();
    let holder = crate::world::holder_of(&grant);
    assert_eq!(world.sessions.status(&holder, view.id).await.unwrap().status, Status::Starting);
    world.planes.control(view.id, crate::world::connected()).await;
    world.planes.relay(view.id, playgate::relay::RelayEvent::FirstKeyFrame).await;
    until(async || {
        let status = world.sessions.status(&holder, view.id).await.unwrap().status;
        (status == Status::Running).then_some(())
    })
    .await;
    let own = Principal::Organisation("studio".to_owned());
    let viewer = playgate::model::ids::ViewerId::new();
    assert!(
        is_not_found(world.sessions.admit(&own, view.id, viewer, None).await),
        "a server's token is no viewer's"
    );
    world.sessions.admit(&holder, view.id, viewer, None).await.unwrap();
    let silent = host(&world, arena("silent")).await;
    let refused = world.sessions.grant_hosted("studio", "silent", Role::Player, Vec::new(), MINUTE).await;
    assert!(matches!(refused, Err(ServiceError::InvalidRequest(_))));
    assert!(is_not_found(world.sessions.status(&user_of("ada"), silent.id).await));
}

#[tokio::test]
async fn hosted_sessions_go_on_when_the_gateway_is_stopped_and_those_of_players_end() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let match_1 = host(&world, arena("match-1")).await.id;
    let players = world.sessions.launch(&UserId("ada".to_owned()), request("story")).await.unwrap().id;
    world.started(players).await;
    world.sessions.shutdown().await;
    let row = async |id| world.store.session(id).await.unwrap().unwrap();
    assert_eq!(row(players).await.end_reason, Some(EndReason::GatewayShutdown));
    assert_eq!(row(match_1).await.container, ContainerStatus::Running);
    let next = tempfile::tempdir().unwrap();
    let world = world.killed(next.path(), |docker| docker.on_adopt(match_1, OnAdopt::Running)).await;
    let found = describe(&world, "match-1").await;
    assert_eq!((found.id, found.status), (match_1, RUNNING));
    world.docker.set_exit(Some(0), false);
    let exited = DriverEvent::Exited { code: Some(0), signal: None, out_of_memory: false };
    world.docker.adopted(match_1).unwrap().send(exited).await.unwrap();
    becomes(&world, "match-1", ContainerStatus::Exited).await;
}

#[tokio::test]
async fn g30_what_failed_while_there_was_no_gateway_is_started_again_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let again = host(&world, HostRequest { restart: true, ..arena("again") }).await.id;
    let gone = host(&world, arena("gone")).await.id;
    let next = tempfile::tempdir().unwrap();
    let world = world
        .killed(next.path(), |docker| {
            docker.set_exit(Some(1), false);
            docker.on_adopt(again, OnAdopt::Ended);
            docker.on_adopt(gone, OnAdopt::Ended);
        })
        .await;
    assert_eq!(describe(&world, "gone").await.status, HostedStatus::Container(ContainerStatus::Exited));
    assert_eq!(describe(&world, "again").await.status, HostedStatus::Container(ContainerStatus::Restarting));
    world.clock.advance(Duration::from_secs(1));
    becomes(&world, "again", ContainerStatus::Running).await;
}
