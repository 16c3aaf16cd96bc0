//! The next gateway of the same node: what it finds again, and what it clears away.

use super::stand::{Game, Stand};
use crate::support::wait::{PATIENT, eventually};
use bollard::query_parameters::StopContainerOptionsBuilder;
use playgate::driver::{Adopted, DockerDriver, Driver, DriverEvent, SiteRequest};
use playgate::model::ids::SessionId;
use playgate::model::instance::InstanceRef;
use playgate::save_tree::SaveLimits;
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc;

const GRACE: Duration = Duration::from_secs(20);

/// What is left when a gateway dies: a row.
struct Left {
    session: SessionId,
    reference: InstanceRef,
    save_dir: std::path::PathBuf,
}

fn dies(game: Game) -> Left {
    let reference = game.instance.reference().unwrap();
    Left { session: game.session, reference, save_dir: game.save_dir }
}

async fn adopt(driver: &DockerDriver, left: &Left) -> (Option<Adopted>, mpsc::Receiver<DriverEvent>) {
    let (sender, events) = mpsc::channel(8);
    (driver.adopt(left.session, &left.reference, sender).await.unwrap(), events)
}

#[tokio::test]
async fn a_playing_game_is_adopted_with_its_address_and_ends_as_any_other() {
    let stand = Stand::new().await;
    let spec =
        stand.spec("trap 'echo late > /save/late; exit 0' TERM; echo up; while :; do sleep 0.05; done");
    let site = stand.driver.site(spec.session, &SiteRequest::default()).await.unwrap();
    let address = site.address;
    let game = stand.start_at(spec, site).await;
    game.said("up").await;
    let left = dies(game);

    let next = stand.successor().await;
    let (adopted, mut events) = adopt(&next, &left).await;
    let adopted = adopted.unwrap();
    assert!(adopted.running);
    assert_eq!((adopted.site.address, adopted.site.gateway), (address, Some(next.gateways()[0])));
    // Its address is lent to nobody else.
    let mut sites = Vec::new();
    for _ in 0..20 {
        sites.push(next.site(SessionId::new(), &SiteRequest::default()).await.unwrap());
    }
    assert!(sites.iter().all(|site| site.address != address));
    eventually("figures come", PATIENT, async || {
        let usage = adopted.instance.usage().await;
        if usage.peak_memory_bytes > 0 { Ok(()) } else { Err("none yet".to_owned()) }
    })
    .await;
    let ended = adopted.instance.stop(GRACE).await;
    assert_eq!(ended.exit_code, Some(0));
    adopted.instance.collect_save(&left.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(std::fs::read_to_string(left.save_dir.join("late")).unwrap(), "late\n");
    assert_eq!(events.recv().await, None);
    adopted.instance.remove().await.unwrap();
    assert_eq!(stand.things().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_adopted_games_end_is_told() {
    let stand = Stand::new().await;
    let game = stand.start("trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done").await;
    game.said("up").await;
    let left = dies(game);
    let (adopted, mut events) = adopt(&stand.successor().await, &left).await;
    assert!(adopted.as_ref().unwrap().running);
    end(&stand, &left).await;
    let event = tokio::time::timeout(PATIENT, events.recv()).await.unwrap();
    assert_eq!(event, Some(DriverEvent::Exited { code: Some(7), signal: None, out_of_memory: false }));
}

#[tokio::test]
async fn a_game_that_ended_meanwhile_is_adopted_with_its_code_and_save() {
    let stand = Stand::new().await;
    let game = stand
        .start("trap 'echo late > /save/late; exit 7' TERM; echo up; while :; do sleep 0.05; done")
        .await;
    game.said("up").await;
    let left = dies(game);
    end(&stand, &left).await;
    let (adopted, mut events) = adopt(&stand.successor().await, &left).await;
    let adopted = adopted.unwrap();
    assert!(!adopted.running);
    assert_eq!(adopted.instance.stop(GRACE).await.exit_code, Some(7));
    adopted.instance.collect_save(&left.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(std::fs::read_to_string(left.save_dir.join("late")).unwrap(), "late\n");
    adopted.instance.remove().await.unwrap();
    assert_eq!(events.recv().await, None);
    let (gone, _) = adopt(&stand.successor().await, &left).await;
    assert!(gone.is_none());
}

#[tokio::test]
async fn a_container_of_another_session_is_not_adopted() {
    let stand = Stand::new().await;
    let game = stand.start("echo up; sleep 1000").await;
    let mut left = dies(game);
    let own = std::mem::replace(&mut left.session, SessionId::new());
    assert!(adopt(&stand.driver, &left).await.0.is_none());
    left.session = own;
    let process = InstanceRef::Process { pid: 1, start_ticks: 1 };
    let other = Left { session: own, reference: process, save_dir: left.save_dir.clone() };
    assert!(adopt(&stand.driver, &other).await.0.is_none());
    assert!(adopt(&stand.driver, &left).await.0.is_some());
}

#[tokio::test]
async fn strays_are_removed_and_everything_else_is_left_alone() {
    let stand = Stand::new().await;
    let kept = stand.start("echo up; sleep 1000").await;
    let plays = dies(stand.start("echo up; sleep 1000").await);
    let ended = dies(stand.start("exit 0").await);
    let next = stand.successor().await;
    let keep = HashSet::from([kept.session]);
    assert_eq!(next.remove_strays(&keep).await.unwrap(), 2);
    let things = stand.things().await;
    assert!(!things.is_empty());
    assert!(things.iter().all(|name| name.contains(&kept.session.to_string())), "{things:?}");
    kept.said("up").await;
    for left in [&plays, &ended] {
        assert!(adopt(&next, left).await.0.is_none());
    }
    assert_eq!(next.remove_strays(&keep).await.unwrap(), 0);
    // The networks stay.
    stand.start("exit 0").await;
}

async fn end(stand: &Stand, left: &Left) {
    let InstanceRef::Container { container } = &left.reference else { panic!("not a container") };
    let options = StopContainerOptionsBuilder::default().t(20).build();
    stand.engine().stop_container(container, Some(options)).await.unwrap();
}
