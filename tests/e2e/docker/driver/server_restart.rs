//! The same container started again.

use super::server_ports::heard;
use super::stand::{Stand, tcp};
use playgate::driver::{DriverEvent, Instance};
use std::time::Duration;
use tokio::sync::mpsc;

const GRACE: Duration = Duration::from_secs(20);

fn exited(code: i32) -> Option<DriverEvent> {
    Some(DriverEvent::Exited { code: Some(code), signal: None, out_of_memory: false })
}

/// Starts it again; the events of that life.
async fn restart(instance: &dyn Instance) -> mpsc::Receiver<DriverEvent> {
    let (sender, events) = mpsc::channel(8);
    instance.restart(sender).await.unwrap();
    events
}

#[tokio::test]
async fn a_server_that_ended_starts_again_with_its_files_and_ports_and_its_figures_go_on() {
    let stand = Stand::new().await;
    // The first two lives work for some seconds, so that samples of them are taken, and fail.
    let spec = stand.server_spec(
        "echo x >> /lives; n=$(wc -l < /lives); echo life $n; \
         if [ $n -lt 3 ]; then end=$(($(date +%s)+3)); while [ $(date +%s) -lt $end ]; do :; done; exit $n; fi; \
         exec nc -ll -p 7000 -e /bin/echo life $n",
    );
    let (ports, mut game) = stand.start_server(spec, &[tcp(7000)]).await;
    let again = game.instance.restart(mpsc::channel(8).0).await;
    assert!(again.is_err(), "it plays");
    assert_eq!(Some(game.event().await), exited(1));
    let first = game.instance.stop(GRACE).await;
    assert_eq!((first.exit_code, game.instance.usage().await), (Some(1), first.usage));
    assert!(first.usage.cpu_seconds > 0.0);

    let mut events = restart(game.instance.as_ref()).await;
    assert_eq!(tokio::time::timeout(GRACE, events.recv()).await.unwrap(), exited(2));
    assert_eq!(events.recv().await, None);
    let second = game.instance.usage().await;
    assert!(second.cpu_seconds > first.usage.cpu_seconds, "{second:?} after {first:?}");
    assert!(second.peak_memory_bytes >= first.usage.peak_memory_bytes);
    assert!(second.network_rx_bytes >= first.usage.network_rx_bytes);

    let mut events = restart(game.instance.as_ref()).await;
    assert_eq!(heard(ports[0].host).await, "life 3");
    let text = game.said("life 3").await;
    assert!(text.contains("life 1") && text.contains("life 2"), "{text}");
    let ended = game.instance.stop(Duration::ZERO).await;
    assert!(ended.usage.cpu_seconds >= second.cpu_seconds);
    assert_eq!(events.recv().await, None, "a stop is not told");
    let stopped = game.instance.restart(mpsc::channel(8).0).await.unwrap_err().to_string();
    assert!(stopped.contains("stopped"), "{stopped}");
    assert_eq!(game.instance.stop(GRACE).await, ended);
    game.instance.remove().await.unwrap();
    assert_eq!(stand.things().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stop_that_comes_while_it_is_started_again_ends_it() {
    let stand = Stand::new().await;
    let spec = stand.server_spec("[ -e /once ] || { touch /once; exit 1; }; exec sleep 1000");
    let (_, mut game) = stand.start_server(spec, &[]).await;
    assert_eq!(Some(game.event().await), exited(1));
    let (sender, mut events) = mpsc::channel(8);
    let (restarted, _ended) = tokio::join!(biased_restart(game.instance.as_ref(), sender), async {
        tokio::task::yield_now().await;
        game.instance.stop(Duration::ZERO).await
    });
    restarted.unwrap();
    assert_eq!(events.recv().await, None);
    let state = stand.engine().inspect_container(&game.container(), None).await.unwrap().state.unwrap();
    assert_eq!(state.running, Some(false));
}

async fn biased_restart(
    instance: &dyn Instance,
    sender: mpsc::Sender<DriverEvent>,
) -> Result<(), playgate::driver::DriverError> {
    instance.restart(sender).await
}

#[tokio::test]
async fn a_start_again_that_nobody_waits_for_is_still_kept() {
    let stand = Stand::new().await;
    let spec = stand.server_spec("[ -e /once ] || { touch /once; exit 1; }; exit 5");
    let (_, mut game) = stand.start_server(spec, &[]).await;
    assert_eq!(Some(game.event().await), exited(1));
    let (sender, mut events) = mpsc::channel(8);
    let mut restart = game.instance.restart(sender);
    assert!(futures_util::poll!(&mut restart).is_pending());
    drop(restart);
    assert_eq!(tokio::time::timeout(GRACE, events.recv()).await.unwrap(), exited(5));
    assert_eq!(game.instance.stop(GRACE).await.exit_code, Some(5));
}

#[tokio::test]
async fn a_container_that_is_gone_is_not_started_again() {
    let stand = Stand::new().await;
    let (_, mut game) = stand.start_server(stand.server_spec("exit 4"), &[]).await;
    assert_eq!(Some(game.event().await), exited(4));
    game.instance.remove().await.unwrap();
    let (sender, mut events) = mpsc::channel(8);
    assert!(game.instance.restart(sender).await.is_err());
    assert_eq!(events.recv().await, None);
    assert_eq!(game.instance.stop(GRACE).await.exit_code, Some(4), "as it was");
}
