//! How games end, and what is told of it.

use super::proxy::Proxy;
use super::stand::{Stand, printed};
use crate::support::wait::{PATIENT, eventually};
use bollard::Docker;
use bollard::query_parameters::{KillContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use playgate::driver::DriverEvent;
use playgate::save_tree::SaveLimits;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_exit_is_told_with_its_code_and_its_save_can_still_be_had() {
    let stand = Stand::new().await;
    let mut game = stand.start("echo last > /save/last; exit 3").await;
    let expected = DriverEvent::Exited { code: Some(3), signal: None, out_of_memory: false };
    assert_eq!(game.event().await, expected);
    assert_eq!(game.instance.stop(GRACE).await.exit_code, Some(3));
    game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(game.saved("last"), "last\n");
}

#[tokio::test]
async fn a_kill_from_outside_is_told_as_the_signal_it_was() {
    let stand = Stand::new().await;
    let mut game = stand.start("echo up; sleep 1000").await;
    game.said("up").await;
    kill(stand.engine(), &game.container()).await;
    let expected = DriverEvent::Exited { code: None, signal: Some(9), out_of_memory: false };
    assert_eq!(game.event().await, expected);
    assert_eq!(game.instance.stop(GRACE).await.exit_code, None);
}

#[tokio::test]
async fn want_of_memory_is_told_whether_it_killed_the_game_or_a_child_of_it() {
    let stand = Stand::new().await;
    let mut game = stand.start("echo 1 > /save/kept; exec tail /dev/zero").await;
    let expected = DriverEvent::Exited { code: None, signal: Some(9), out_of_memory: true };
    assert_eq!(game.event().await, expected);
    assert!(game.instance.stop(GRACE).await.out_of_memory);
    game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(game.saved("kept"), "1\n");

    let mut game = stand.start("tail /dev/zero; exit 4").await;
    let expected = DriverEvent::Exited { code: Some(4), signal: None, out_of_memory: true };
    assert_eq!(game.event().await, expected);
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed_after_the_grace() {
    let stand = Stand::new().await;
    let mut game = stand.start("trap '' TERM; echo up; while :; do sleep 0.05; done").await;
    game.said("up").await;
    let ended = game.instance.stop(Duration::from_millis(200)).await;
    assert_eq!((ended.exit_code, ended.out_of_memory), (None, false));
    assert_eq!(game.events.recv().await, None);
}

#[tokio::test]
async fn a_container_that_somebody_removed_has_ended() {
    let stand = Stand::new().await;
    let mut game = stand.start("echo up; sleep 1000").await;
    game.said("up").await;
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    stand.engine().remove_container(&game.container(), Some(options)).await.unwrap();
    assert!(matches!(game.event().await, DriverEvent::Exited { .. }));
    game.instance.stop(GRACE).await;
    assert!(game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.is_err());
    game.instance.remove().await.unwrap();
    assert_eq!(stand.things().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_engine_that_is_away_for_a_while_ends_no_game() {
    let mut proxy = Proxy::new();
    let stand = Stand::over(Some(proxy.host())).await;
    let mut game = stand.start("echo up; while :; do :; done").await;
    game.said("up").await;
    proxy.cut().await;
    assert!(!stand.driver.ping().await);
    // It plays on, while nobody can see it.
    let direct = Docker::connect_with_unix_defaults().unwrap();
    assert!(printed(&direct, &game.container()).await.contains("up"));
    let before = game.instance.usage().await.cpu_seconds;
    proxy.mend();
    eventually("the figures go on", PATIENT, async || {
        let now = game.instance.usage().await.cpu_seconds;
        if now > before { Ok(()) } else { Err(format!("{now} after {before}")) }
    })
    .await;
    assert_eq!(game.events.try_recv().ok(), None);
    kill(&direct, &game.container()).await;
    let expected = DriverEvent::Exited { code: None, signal: Some(9), out_of_memory: false };
    assert_eq!(game.event().await, expected);
}

#[tokio::test]
async fn a_stop_waits_for_an_engine_that_is_away() {
    let mut proxy = Proxy::new();
    let stand = Stand::over(Some(proxy.host())).await;
    let game = stand
        .start("trap 'echo late > /save/late; exit 0' TERM; echo up; while :; do sleep 0.05; done")
        .await;
    game.said("up").await;
    proxy.cut().await;
    let (ended, ()) = tokio::join!(game.instance.stop(GRACE), async {
        eventually("the stop tries in vain", PATIENT, async || {
            if proxy.refused() > 3 { Ok(()) } else { Err("not yet".to_owned()) }
        })
        .await;
        proxy.mend();
    });
    assert_eq!(ended.exit_code, Some(0));
    game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(game.saved("late"), "late\n");
    game.instance.remove().await.unwrap();
}

async fn kill(engine: &Docker, container: &str) {
    let options = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
    engine.kill_container(container, Some(options)).await.unwrap();
}
