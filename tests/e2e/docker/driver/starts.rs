//! Starts that race, fail, or are given up.

use super::stand::Stand;
use crate::support::wait::{PATIENT, SOON, eventually};
use playgate::driver::{Driver, DriverEvent, Site, SiteRequest, StartSpec};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::mpsc;

#[tokio::test]
async fn racing_starts_get_addresses_of_their_own() {
    let stand = Stand::new().await;
    let one = async || {
        let spec = stand.spec("ip -4 address show dev eth0; echo end; sleep 1000");
        let site = stand.driver.site(spec.session, &SiteRequest::default()).await.unwrap();
        let address = site.address.unwrap();
        (address, stand.start_at(spec, site).await)
    };
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    let started = [a, b, c, d];
    let addresses: HashSet<_> = started.iter().map(|(address, _)| *address).collect();
    assert_eq!(addresses.len(), started.len());
    for (address, game) in &started {
        let text = game.said("end").await;
        assert!(text.contains(&format!("inet {address}/24")), "{address}: {text}");
        game.instance.stop(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing_and_says_why() {
    let stand = Stand::new().await;
    let fail = async |spec: StartSpec| {
        let (sender, mut events) = mpsc::channel::<DriverEvent>(8);
        let site = stand.driver.site(spec.session, &SiteRequest::default()).await.unwrap();
        let error = stand.driver.start(spec, site, sender).await.map(|_| ()).unwrap_err().to_string();
        assert_eq!(events.recv().await, None);
        assert_eq!(stand.things().await, Vec::<String>::new());
        error
    };
    let mut spec = stand.spec("");
    spec.container.as_mut().unwrap().image = "playgate-test-there-is-no-such-image".to_owned();
    let error = fail(spec).await;
    assert!(error.contains("playgate-test-there-is-no-such-image"), "{error}");

    let mut spec = stand.spec("");
    spec.container.as_mut().unwrap().command = vec!["/no/such/program".to_owned()];
    let error = fail(spec).await;
    assert!(error.contains("/no/such/program"), "{error}");

    let mut spec = stand.spec("");
    spec.container.as_mut().unwrap().save_path = "/tmp/save".to_owned();
    let error = fail(spec).await;
    assert!(error.contains("/tmp/save"), "{error}");

    let mut spec = stand.spec("");
    spec.container = None;
    fail(spec).await;
}

#[tokio::test]
async fn the_same_start_twice_does_not_harm_the_first() {
    let stand = Stand::new().await;
    let spec = stand.spec("echo up; sleep 1000");
    let mut game = stand.start_spec(spec.clone()).await;
    let (sender, _events) = mpsc::channel(8);
    assert!(stand.driver.start(spec, Site::default(), sender).await.is_err());
    game.said("up").await;
    assert_eq!(game.events.try_recv().ok(), None);
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_leaves_nothing() {
    let stand = Stand::new().await;
    // Given up at once, and when there is something of it.
    for seen in ["", "home", "porter", "save"] {
        let spec = stand.spec("echo up; sleep 1000");
        std::fs::write(spec.save_dir.join("large"), vec![b'x'; 20_000_000]).unwrap();
        let site = stand.driver.site(spec.session, &SiteRequest::default()).await.unwrap();
        let (sender, mut events) = mpsc::channel(8);
        let mut start = stand.driver.start(spec, site, sender);
        tokio::select! {
            biased;
            _ = &mut start => {}
            () = eventually("something of it is there", PATIENT, async || {
                let there = seen.is_empty() || stand.things().await.iter().any(|name| name.ends_with(seen));
                if there { Ok(()) } else { Err("not yet".to_owned()) }
            }) => {}
        }
        drop(start);
        // Whoever works on it holds the other end.
        let over = async { while events.recv().await.is_some() {} };
        tokio::time::timeout(PATIENT, over).await.unwrap();
        eventually("nothing is left", SOON, async || match stand.things().await {
            things if things.is_empty() => Ok(()),
            things => Err(format!("{things:?}")),
        })
        .await;
    }
}

#[tokio::test]
async fn a_site_that_nobody_took_is_free_again() {
    let stand = Stand::new().await;
    let mut seen = HashSet::new();
    for _ in 0..600 {
        let spec = stand.spec("");
        seen.insert(stand.driver.site(spec.session, &SiteRequest::default()).await.unwrap().address.unwrap());
    }
    assert!(seen.len() <= 253);
    let gateway = stand.driver.gateways()[0];
    assert!(!seen.contains(&gateway));
}
