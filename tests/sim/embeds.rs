//! Embed tokens: a use is counted with the visit, or not at all.

use crate::world::{World, config, until, user_of};
use playgate::auth::Principal;
use playgate::config::SessionsConfig;
use playgate::model::ids::EmbedId;
use playgate::model::rows::EmbedTarget;
use playgate::model::session::Status;
use playgate::session::ServiceError;
use playgate::session::embeds::{EmbedError, EmbedRefusal, EmbedRequest, Visit};
use playgate::store::Store;
use playgate_signaling::message::Role;
use std::time::Duration;

fn acme() -> Principal {
    Principal::Organisation("acme".to_owned())
}

async fn minted(world: &World, uses: u64) -> EmbedId {
    let request = EmbedRequest {
        target: EmbedTarget::Game("story".to_owned()),
        role: Role::Player,
        slot: None,
        origins: vec!["https://arcade.example".to_owned()],
        uses: Some(uses),
        life: Duration::from_secs(3600),
    };
    world.sessions.mint_embed(&acme(), request).await.unwrap().0.id
}

async fn used(world: &World, embed: EmbedId) -> u64 {
    world.store.embed(embed).await.unwrap().unwrap().used
}

/// Two visitors at the same moment.
async fn two(world: &World, embed: EmbedId) -> [Result<Visit, EmbedError>; 2] {
    let visit = || {
        let sessions = world.sessions.clone();
        tokio::spawn(async move { sessions.visit(embed).await })
    };
    let (one, other) = (visit(), visit());
    [one.await.unwrap(), other.await.unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_that_finds_no_place_uses_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { capacity: 1, ..config() }).await;
    let playing = world.play("ada").await;
    let embeds = {
        let mut embeds = Vec::new();
        for _ in 0..20 {
            embeds.push(minted(&world, 1).await);
        }
        embeds
    };
    for embed in &embeds {
        for refused in two(&world, *embed).await {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, EmbedError::Service(ServiceError::NoServers)), "{refused}");
        }
        assert_eq!(used(&world, *embed).await, 0);
    }
    world.stop("ada", playing).await;
    let visit = world.sessions.visit(embeds[0]).await.unwrap();
    assert!(visit.host && used(&world, embeds[0]).await == 1);
    assert!(world.store.grant(visit.grant.id).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_visitors_and_one_use_one_comes_in_and_the_others_place_is_free_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { capacity: 2, ..config() }).await;
    for _ in 0..20 {
        let embed = minted(&world, 1).await;
        let mut visits = Vec::new();
        for visit in two(&world, embed).await {
            match visit {
                Ok(visit) => visits.push(visit),
                Err(EmbedError::Refused(EmbedRefusal::UsedUp)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((visits.len(), used(&world, embed).await), (1, 1));
        assert_eq!(world.store.reservations().await.unwrap().len(), 1);
        let id = visits[0].grant.session;
        world.started(id).await;
        world.sessions.stop(&acme(), id).await.unwrap();
        assert_eq!(world.store.reservations().await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn a_visit_whose_session_the_store_does_not_take_uses_nothing_up_and_leaves_no_session() {
    use crate::faulty_store::Fault;
    let dir = tempfile::tempdir().unwrap();
    let world = World::with(dir.path(), SessionsConfig { capacity: 1, ..config() }).await;
    let embed = minted(&world, 1).await;
    world.faulty.fault(Fault::Refuses);
    let refused = world.sessions.visit(embed).await.unwrap_err();
    assert!(matches!(refused, EmbedError::Service(ServiceError::Unavailable(_))), "{refused}");
    world.faulty.fault(Fault::None);
    until(async || {
        world.clock.advance(Duration::from_secs(1));
        world.store.reservations().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(used(&world, embed).await, 0);
    let visit = world.sessions.visit(embed).await.unwrap();
    world.started(visit.grant.session).await;
    let ada = world.sessions.status(&user_of("ada"), visit.grant.session).await;
    assert!(
        ada.is_err()
            && world.sessions.status(&acme(), visit.grant.session).await.unwrap().status == Status::Starting
    );
}
