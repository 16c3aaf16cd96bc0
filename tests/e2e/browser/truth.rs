//! What the page says is so: `playing` means that a picture moves, trouble means that none does, and nothing is said about a game
//! before the server has been asked. What a page showed is kept by the page itself, change by change.

use super::foreign_producer::{SLUG, config, ffmpeg, free_ports};
use crate::GARDEN;
use crate::support::chrome::Chrome;
use crate::support::firefox::Firefox;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::over_line::OverLine;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, SOON, eventually};
use playgate::netem::{Direction, Loss, Shape};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Keeps what the page shows of its play, from now on: every change, none missed.
const RECORD: &str = r"
    window.shown = [];
    const words = (id) => {
        const element = document.getElementById(id);
        return element && !element.hidden ? element.textContent : null;
    };
    const note = () => {
        const now = { state: document.documentElement?.dataset.state ?? '', trouble: words('trouble'), banner: words('banner') };
        const last = window.shown.at(-1);
        if (!last || Object.keys(now).some(key => now[key] !== last[key])) window.shown.push({ ...now, at: performance.now() });
    };
    new MutationObserver(note).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    note();
";

/// Everything that was shown, as the page kept it.
async fn shown(page: &impl Page) -> Vec<Value> {
    page.run("return window.shown").await.unwrap().as_array().expect("a list").clone()
}

fn has(shown: &[Value], key: &str, wanted: &str) -> bool {
    shown.iter().any(|one| one[key].as_str().is_some_and(|text| text.contains(wanted)))
}

/// The page plays, and nothing on it says otherwise.
async fn until_plays_in_peace(page: &impl Page, within: Duration) {
    eventually("the page plays, and says nothing else", within, async || {
        let now = page
            .run("const { state, trouble, banner } = window.shown.at(-1); return [state, trouble, banner]")
            .await?;
        if now == json!(["playing", null, null]) { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
}

/// Both at once, for each is mostly waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_network_and_a_lost_gateway_are_told_as_they_are() {
    tokio::join!(media_is_blocked_for_thirty_seconds(), the_gateway_is_lost_while_playing());
}

/// The page never plays, and says why without a flicker.
async fn media_is_blocked_for_thirty_seconds() {
    let linked = OverLine::with_toml("").await;
    let blocked = Shape { loss: Loss::Independent(1.0), ..Shape::CLEAR };
    linked.media.set(Direction::Up, blocked);
    linked.media.set(Direction::Down, blocked);
    let page = Chrome::with(linked.browser()).await;
    page.before_pages(RECORD).await;
    page.play(&linked.gateway.url, GARDEN).await;
    let begun = Instant::now();
    page.until_shows_element("#trouble").await;
    page.screenshot("trouble-media").await;
    page.run("document.querySelector('#try-now')?.focus(); return null").await.unwrap();
    eventually("half a minute has gone by", PATIENT, async || {
        if begun.elapsed() >= Duration::from_secs(30) { Ok(()) } else { Err(page.state().await?) }
    })
    .await;

    let all = shown(&page).await;
    assert!(!has(&all, "state", "playing"), "{all:#?}");
    let first = all.iter().position(|one| !one["trouble"].is_null()).expect("trouble was shown");
    let panel = all[first]["trouble"].clone();
    assert!(all[first..].iter().all(|one| one["trouble"] == panel), "it flickered: {all:#?}");
    assert!(panel.as_str().is_some_and(|words| words.contains("Can't receive video")), "{panel}");
    let focus = page.run("return document.activeElement.id").await;
    assert_eq!(focus, Ok(json!("try-now")), "what somebody is about to press stays where it is");
    assert_eq!(page.stats().await.unwrap()["framesShown"], 0);
    // What the gateway was told follows the same rule.
    let status = page.run(STATUS).await.unwrap();
    assert_eq!(status["timeline"]["first_decoded_frame"], Value::Null, "{status:#}");

    linked.media.set(Direction::Up, Shape::CLEAR);
    linked.media.set(Direction::Down, Shape::CLEAR);
    until_plays_in_peace(&page, PATIENT).await;
    eventually("the gateway is told of the first frame", SOON, async || {
        let status = page.run(STATUS).await?;
        if status["timeline"]["first_decoded_frame"].is_string() { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    page.stop().await;
    page.quit().await;
    linked.finish().await;
}

/// The session's status, asked for as the page does.
const STATUS: &str = r"
    const id = window.playgate.last.sessionId;
    return (await fetch(`/api/game/session-status?sessionId=${id}`)).json();
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_was_silent_for_nine_seconds_plays_on_in_chromium_and_firefox() {
    let (video, audio) = free_ports();
    let gateway = Gateway::with_toml(&config(video, audio)).await;
    let gates = [Gate::start(video).await, Gate::start(audio).await];
    let _ffmpeg = ffmpeg(gates[0].port(), gates[1].port());
    let owner = gateway.guest().await;
    let session = owner.launch_running(SLUG).await;
    let link = owner.share(&session, "spectator", 3600).await["url"].as_str().expect("a link").to_owned();
    let (chromium, firefox) = (Chrome::start().await, Firefox::start().await);
    watches(&chromium, &link).await;
    watches(&firefox, &link).await;

    gates.iter().for_each(|gate| gate.set(false));
    let silent = Instant::now();
    for state in [&chromium.state().await, &firefox.state().await] {
        assert_eq!(state.as_deref(), Ok("playing"), "until it is known to be silent");
    }
    chromium.until_state("reconnecting").await;
    firefox.until_state("reconnecting").await;
    eventually("nine seconds of silence have gone by", SOON, async || {
        if silent.elapsed() >= Duration::from_secs(9) { Ok(()) } else { Err(chromium.state().await?) }
    })
    .await;
    chromium.screenshot("source-silent-chromium").await;
    let frames =
        [chromium.number("framesShown").await.unwrap(), firefox.number("framesShown").await.unwrap()];
    gates.iter().for_each(|gate| gate.set(true));
    let returned = Duration::from_secs(2);
    tokio::join!(until_plays_in_peace(&chromium, returned), until_plays_in_peace(&firefox, returned));

    // It stays so while the picture moves on.
    chromium.until_above("framesShown", frames[0] + 60.0).await;
    firefox.until_above("framesShown", frames[1] + 60.0).await;
    until_plays_in_peace(&chromium, Duration::ZERO).await;
    until_plays_in_peace(&firefox, Duration::ZERO).await;
    for all in [shown(&chromium).await, shown(&firefox).await] {
        let states: Vec<_> = all.iter().filter_map(|one| one["state"].as_str()).collect();
        let last = states.iter().rposition(|state| *state != "playing");
        assert!(last.is_some_and(|last| last + 1 < states.len()), "it was seen, and it is over: {all:#?}");
        // The link was never down: nothing may blame it.
        assert!(!has(&all, "trouble", ""), "{all:#?}");
    }
    firefox.screenshot("source-back-firefox").await;
    let still = "return document.querySelector('#still').hidden";
    assert_eq!((chromium.run(still).await, firefox.run(still).await), (Ok(json!(true)), Ok(json!(true))));
    chromium.quit().await;
    firefox.quit().await;
    owner.stop(&session).await;
    gateway.finish().await;
}

async fn watches(page: &impl Page, link: &str) {
    page.open(link).await;
    page.until_state("playing").await;
    page.until_above("framesShown", 30.0).await;
    page.run(&format!("{RECORD} return null")).await.unwrap();
}

/// Counts the connections that the page dials.
const COUNT_SOCKETS: &str = r"
    window.dialled = 0;
    window.WebSocket = class extends WebSocket {
        constructor(...all) { super(...all); window.dialled += 1; }
    };
";

/// The page says what it knows, and after the restart what the status says.
async fn the_gateway_is_lost_while_playing() {
    let mut gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let page = Chrome::start().await;
    page.before_pages(RECORD).await;
    page.before_pages(COUNT_SOCKETS).await;
    page.sign_in(&owner.sign_in_link()).await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    let session = owner.sessions().await.remove(0);
    let link = owner.share(&session, "spectator", 3600).await["url"].as_str().expect("a link").to_owned();
    let friend = Chrome::start().await;
    friend.before_pages(RECORD).await;
    friend.open(&link).await;
    friend.until_state("playing").await;

    gateway.kill().await;
    for page in [&page, &friend] {
        page.until_shows_element("#try-now").await;
        page.until_state("reconnecting").await;
        let all = shown(page).await;
        for words in ["still running", "no video arrives"] {
            assert!(
                !has(&all, "trouble", words) && !has(&all, "banner", words),
                "nobody has said so: {all:#?}"
            );
        }
        assert!(has(&all, "trouble", "Connection lost"), "{all:#?}");
    }
    page.screenshot("trouble-gateway-lost").await;

    // A try that is under way fails at once here; the next one is then a second or two away.
    eventually("Try now dials at once", SOON, async || {
        let dialled = "const before = window.dialled; document.querySelector('#try-now').click(); return window.dialled - before";
        let dialled = page.run(dialled).await?;
        if dialled == 1 { Ok(()) } else { Err(dialled.to_string()) }
    })
    .await;
    page.click("#try-now").await;

    friend.click("#leave").await;
    friend.until_state("ended").await;
    assert_eq!(friend.run(REASON).await, Ok(json!("left")));
    friend.screenshot("left").await;

    gateway.restart().await;
    page.until_state("ended").await;
    page.until_shows_element("#ended").await;
    page.screenshot("ended-gateway-lost").await;
    assert_eq!(page.run(REASON).await, Ok(json!("node_lost")));
    assert_eq!(owner.status(&session).await["endReason"], "node_lost");
    let said = page.run("return document.querySelector('#ended').innerText").await.unwrap();
    assert!(said.as_str().is_some_and(|said| said.contains("The game server was restarted")), "{said}");

    // Whoever left finds out the same when they come back.
    friend.click("#play-again").await;
    eventually("the reason is told", PATIENT, async || {
        let reason = friend.run(REASON).await?;
        if reason == "node_lost" {
            Ok(())
        } else {
            Err(format!("{reason}: {:?}", friend.run("return document.body.innerText").await))
        }
    })
    .await;
    friend.quit().await;
    page.quit().await;
    gateway.finish().await;
}

const REASON: &str = "return document.querySelector('#ended')?.dataset.reason ?? null";
