//! Streams in other people's sites: the example site on another origin, with third-party cookies blocked.

mod refusals;
mod site;

use self::site::Site;
use super::foreign_producer::{SLUG, config, ffmpeg, free_ports};
use super::pixels::owns_its_pixels;
use super::play::PAD;
use crate::GARDEN;
use crate::support::chrome::{Chrome, Cookies, Options};
use crate::support::firefox::Firefox;
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::page::Page;
use crate::support::tools::{npm, ours, run, tools};
use crate::support::wait::{PATIENT, SOON, eventually};
use serde_json::{Value, json};
use thirtyfour::Key;

/// Where the frames are in the example site.
pub(super) const ELEMENT: &str =
    "document.querySelector('playgate-player')?.shadowRoot.querySelector('iframe')";
const FRAME: &str = "document.querySelector('#frame-place iframe')";

async fn browser() -> Chrome {
    Chrome::with(Options { cookies: Cookies::OfOneParty, height: 1000, ..Default::default() }).await
}

pub(super) async fn example(gateway: &Gateway) -> Site {
    Site::start(&gateway.url, vec![ours("web/example")]).await
}

pub(super) async fn organisation(gateway: &Gateway) -> Client {
    gateway.client().with_token(&gateway.mint(&["--organisation", "acme"]).await)
}

/// An embed for a site; `wish` is laid over.
pub(super) async fn minted(owner: &Client, site: &Site, wish: Value) -> Value {
    let mut body = json!({ "role": "player", "origins": [site.origin] });
    body.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
    owner.post("/api/embeds", body).await.expect(201)
}

pub(super) fn url(embed: &Value) -> &str {
    embed["url"].as_str().expect("an address with its token")
}

/// How many visits a token has been used for.
async fn used(owner: &Client, embed: &Value) -> u64 {
    let list = owner.get("/api/embeds").await.expect(200);
    let all = list["embeds"].as_array().expect("a list").clone();
    let own = all.into_iter().find(|one| one["embedId"] == embed["embedId"]);
    own.and_then(|one| one["used"].as_u64()).expect("it is on the list")
}

pub(super) async fn until_element(page: &impl Page, state: &str) {
    eventually(&format!("the element is {state}"), PATIENT, async || {
        let seen = page.run("return document.querySelector('playgate-player')?.state ?? null").await?;
        if seen == *state {
            return Ok(());
        }
        Err(format!("it is {seen}: {}", page.run("return document.body.innerText").await?))
    })
    .await;
}

async fn until_text(page: &impl Page, css: &str, wanted: &str) {
    eventually(&format!("{css} says {wanted:?}"), SOON, async || {
        let script = format!("return document.querySelector({})?.textContent ?? ''", Value::from(css));
        let said = page.run(&script).await?;
        if said.as_str().is_some_and(|said| said.contains(wanted)) { Ok(()) } else { Err(said.to_string()) }
    })
    .await;
}

/// The sound is on the loudspeaker, or not.
async fn until_heard(page: &Chrome, heard: bool) {
    eventually("the sound is as it should be", SOON, async || {
        let muted = page.run("return document.querySelector('#audio').muted").await?;
        if muted == !heard { Ok(()) } else { Err(muted.to_string()) }
    })
    .await;
}

/// In a frame: picture, sound after a click, and every kind of input reaches the game.
async fn plays(page: &Chrome) {
    page.until_state("playing").await;
    page.until_above("framesDecoded", 0.0).await;
    let title = page.settled_picture().await;
    page.click("#stage").await;
    let energy = page.until_above("totalAudioEnergy", 0.0).await;
    page.until_above("totalAudioEnergy", energy).await;
    until_heard(page, true).await;
    page.keys(Key::Enter).await;
    page.until_changed(&title).await;
    let told = page.settled_picture().await;
    page.run(PAD).await.unwrap();
    page.run("window.testPad.buttons[0] = { pressed: true, touched: true, value: 1 }; return null")
        .await
        .unwrap();
    page.until_changed(&told).await;
}

/// Sets a cookie as third parties have to; gives whether it is there.
const COOKIE: &str =
    "document.cookie = 'probe=1; SameSite=None; Secure'; return document.cookie.includes('probe=1')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_element_plays_on_another_site_with_third_party_cookies_blocked() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let (acme, site, page) = (organisation(&gateway).await, example(&gateway).await, browser().await);
    let embed = minted(&acme, &site, json!({ "game": GARDEN })).await;
    page.open(&gateway.url).await;
    assert_eq!(page.run(COOKIE).await, Ok(json!(true)), "our own cookies are no third party's");

    let address = site.page("", &[("player", url(&embed))]);
    page.open(&address).await;
    until_element(&page, "playing").await;
    let left = "return location.href + document.documentElement.outerHTML";
    let seen = page.run(left).await.unwrap();
    assert!(
        !seen.as_str().unwrap().contains(embed["token"].as_str().unwrap()),
        "the token is nowhere to be seen"
    );
    until_text(&page, "#now-showing", "The Garden of Forking Paths").await;

    page.enter(ELEMENT).await;
    assert_eq!(
        page.run(COOKIE).await,
        Ok(json!(false)),
        "the point of this test is that there are no cookies"
    );
    let allowed = "return ['autoplay', 'fullscreen', 'gamepad'].filter(name => document.featurePolicy.allowsFeature(name))";
    assert_eq!(page.run(allowed).await, Ok(json!(["autoplay", "fullscreen", "gamepad"])));
    assert_eq!(page.run("return location.hash").await, Ok(json!("")));
    until_heard(&page, false).await;
    // A click on a button of the page's own is as good as one in the frame.
    page.leave().await;
    page.click("#play").await;
    page.enter(ELEMENT).await;
    until_heard(&page, true).await;
    plays(&page).await;
    owns_its_pixels(&page).await;
    let session = page.stats().await.unwrap()["sessionId"].clone();

    // The page's own buttons.
    page.leave().await;
    until_text(&page, "#log", r#""you":{"role":"player","slot":1,"host":true}"#).await;
    page.screenshot("embed-element").await;
    until_text(&page, "#size", "1280 × 720").await;
    page.click("#sound").await;
    page.enter(ELEMENT).await;
    until_heard(&page, false).await;
    page.leave().await;
    page.click("#full").await;
    eventually("the element fills the screen", SOON, async || {
        let element = page.run("return document.fullscreenElement?.localName ?? null").await?;
        if element == "playgate-player" { Ok(()) } else { Err(element.to_string()) }
    })
    .await;
    page.run("return document.exitFullscreen()").await.unwrap();

    // The same tab comes back to the same visit.
    page.open("about:blank").await;
    page.open(&address).await;
    until_element(&page, "playing").await;
    page.enter(ELEMENT).await;
    page.until_state("playing").await;
    assert_eq!(page.stats().await.unwrap()["sessionId"], session);
    assert_eq!(used(&acme, &embed).await, 1);

    // Stopped from outside, played again from inside.
    page.leave().await;
    page.click("#stop").await;
    until_element(&page, "ended").await;
    until_text(&page, "#log", "stopped_by_user").await;
    page.screenshot("embed-ended").await;
    page.enter(ELEMENT).await;
    let out = page.run("return [...document.querySelectorAll('a')].map(a => a.href)").await;
    assert_eq!(out, Ok(json!([])), "nothing leads out of the frame");
    page.click("#play-again").await;
    page.until_state("playing").await;
    assert_eq!(used(&acme, &embed).await, 2);
    assert_ne!(page.stats().await.unwrap()["sessionId"], session);
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_frame_plays_on_another_site_with_third_party_cookies_blocked() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let (acme, site, page) = (organisation(&gateway).await, example(&gateway).await, browser().await);
    let embed = minted(&acme, &site, json!({ "game": GARDEN, "uses": 1 })).await;
    // Nothing to be seen in the element: all of the one visit is the frame's.
    page.open(&site.page("", &[("player", &format!("{}/embed/none", gateway.url)), ("frame", url(&embed))]))
        .await;
    page.click("#frame-open").await;
    page.enter(FRAME).await;
    plays(&page).await;
    assert_eq!(page.run(COOKIE).await, Ok(json!(false)));
    assert_eq!(page.run("return location.hash").await, Ok(json!("")), "the token leaves the address at once");
    page.leave().await;
    until_text(&page, "#frame-said", "The frame is playing.").await;
    page.run("document.querySelector('#frame').scrollIntoView(); return null").await.unwrap();
    page.screenshot("embed-frame").await;

    // The parent's calls, by hand. What comes from elsewhere than the parent is not heard: a frame beside it says the same.
    let call = "{ playgate: 1, type: 'call', id: 1, method: 'stop', args: [] }";
    let beside = "const other = document.createElement('iframe'); other.id = 'beside'; document.body.append(other); return null";
    page.run(beside).await.unwrap();
    page.enter("document.querySelector('#beside')").await;
    let said = format!("parent.{FRAME}.contentWindow.postMessage({call}, '*'); return null");
    page.run(&said).await.unwrap();
    page.enter(FRAME).await;
    let decoded = page.number("framesDecoded").await.unwrap();
    page.until_above("framesDecoded", decoded + 1.0).await;
    page.until_state("playing").await;
    page.leave().await;
    let stop = format!(
        "const frame = {FRAME}; frame.contentWindow.postMessage({call}, '{}'); return null",
        gateway.url
    );
    page.run(&stop).await.unwrap();
    until_text(&page, "#frame-said", "The frame is ended.").await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_element_plays_where_the_browser_lets_nobody_keep_anything() {
    let gateway = Gateway::start().await;
    let (owner, site) = (gateway.guest().await, example(&gateway).await);
    let page = Chrome::with(Options { cookies: Cookies::Forbidden, ..Default::default() }).await;
    let session = owner.launch_running(GARDEN).await;
    let embed = minted(&owner, &site, json!({ "sessionId": session, "role": "spectator" })).await;
    page.open(&site.page("", &[("player", url(&embed))])).await;
    until_element(&page, "playing").await;
    page.enter(ELEMENT).await;
    let kept = page.run("try { sessionStorage.x = 1; return true } catch { return false }").await;
    assert_eq!(kept, Ok(json!(false)), "the point of this test is that there is no storage");
    page.until_state("playing").await;
    page.click("#stage").await;
    until_heard(&page, true).await;
    page.quit().await;
    gateway.finish().await;
}

/// It names no ancestors: the frame knows the page around by the referrer, and by what it says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firefox_shows_element_and_frame_on_another_site() {
    let (video, audio) = free_ports();
    let gateway = Gateway::with_toml(&config(video, audio)).await;
    let _ffmpeg = ffmpeg(video, audio);
    let (owner, site, page) = (gateway.guest().await, example(&gateway).await, Firefox::start().await);
    let session = owner.launch_running(SLUG).await;
    let embed = minted(&owner, &site, json!({ "sessionId": session, "role": "spectator" })).await;
    page.open(&site.page("", &[("player", url(&embed))])).await;
    until_element(&page, "playing").await;
    until_text(&page, "#size", "640 × 360").await;
    page.click("#frame-open").await;
    until_text(&page, "#frame-said", "The frame is playing.").await;
    page.screenshot("embed-firefox").await;
    owner.delete(&format!("/api/embeds/{}", embed["embedId"].as_str().unwrap())).await.expect(204);
    until_text(&page, "#log", "grant_ended").await;
    until_text(&page, "#frame-said", "The frame is failed.").await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_that_is_not_ours_watches_by_whep() {
    let gateway = Gateway::start().await;
    let (owner, site, page) = (gateway.guest().await, example(&gateway).await, browser().await);
    let session = owner.launch_running(GARDEN).await;
    let embed = minted(&owner, &site, json!({ "sessionId": session, "role": "spectator" })).await;
    page.open(&site.page("whep.html", &[("whep", url(&embed))])).await;
    page.click("#watch").await;
    until_text(&page, "#told", "Watching").await;
    eventually("there is a picture", PATIENT, async || {
        if page.picture().await?.shows_something() { Ok(()) } else { Err("one gray".to_owned()) }
    })
    .await;
    page.screenshot("embed-whep").await;
    assert_eq!(gateway.sealed().await, (1, 0), "AES-GCM, at the first handshake");
    let viewers = async |wanted: u64| {
        eventually(&format!("{wanted} watch"), SOON, async || {
            let status = owner.status(&session).await;
            if status["viewers"] == wanted { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    };
    viewers(1).await;
    page.click("#leave").await;
    until_text(&page, "#told", "Not watching").await;
    viewers(0).await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strictly_typed_client_compiles_and_runs() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["client.ts", "conforms.ts", "tsconfig.json"] {
        std::fs::copy(ours("tests/sdk").join(file), dir.path().join(file)).unwrap();
    }
    std::fs::copy(ours("web/embed/embed.d.ts"), dir.path().join("embed.d.ts")).unwrap();
    // By another name, for the compiler to see the script itself and not its types.
    std::fs::copy(ours("web/embed/embed.js"), dir.path().join("written.js")).unwrap();
    std::os::unix::fs::symlink(tools().join("node_modules"), dir.path().join("node_modules")).unwrap();
    run(npm("tsc").args(["-p", "."]).current_dir(dir.path()), "tsc --strict").await;
    run(npm("tsc").arg("-p").arg(ours("web/jsconfig.json")), "the types of the pages").await;

    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    let out = dir.path().join("out");
    let html =
        "<!doctype html><title>c</title><div id=place></div><script type=module src=client.js></script>";
    std::fs::write(out.join("client.html"), html).unwrap();
    let site = Site::start(&gateway.url, vec![out, ours("web/embed")]).await;
    let page = browser().await;
    let embed = minted(&owner, &site, json!({ "sessionId": session, "role": "spectator" })).await;
    page.open(&site.page("client.html", &[("src", url(&embed))])).await;
    let seen = eventually("the client has seen everything", PATIENT, async || {
        let seen = page.run("return window.seen ?? null").await?;
        if seen["statistics"].is_object() && seen["firstFrameMs"].is_number() {
            Ok(seen)
        } else {
            Err(seen.to_string())
        }
    })
    .await;
    assert_eq!(seen["statistics"]["width"], 1280, "{seen}");
    assert_eq!(
        (&seen["title"], &seen["refusal"]),
        (&json!("The Garden of Forking Paths"), &json!(null)),
        "{seen}"
    );
    let states: Vec<_> = seen["states"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(states.first(), Some(&"launching"), "{seen}");
    assert!(states.contains(&"playing"), "{seen}");
    let muted = page.run("await window.player.mute(true); return window.player.muted").await;
    assert_eq!(muted, Ok(json!(true)));
    // It asks for the controls, and asks no longer.
    let asked = async |method: &str, requests: usize| {
        page.run(&format!("await window.player.{method}; return null")).await.unwrap();
        eventually(&format!("{requests} ask"), SOON, async || {
            let control = page.run("return window.seen.control").await?;
            let open = control["requests"].as_array().map(Vec::len);
            if open == Some(requests) && control["you"] == json!({ "role": "spectator", "host": false }) {
                return Ok(());
            }
            Err(control.to_string())
        })
        .await;
    };
    asked("requestControl(1)", 1).await;
    asked("releaseControl()", 0).await;
    // Not its own session to stop.
    let refused = page.run("return window.player.stop().then(() => 'stopped', (error) => error.code)").await;
    assert_eq!(refused, Ok(json!("not_allowed")));
    owner.stop(&session).await;
    eventually("the end is told", SOON, async || {
        let end = page.run("return window.seen.end").await?;
        if end["reason"] == "stopped_by_user" && end["text"].is_string() {
            Ok(())
        } else {
            Err(end.to_string())
        }
    })
    .await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_site_in_the_dark_and_on_a_phone() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let (owner, site) = (gateway.guest().await, example(&gateway).await);
    let session = owner.launch_running(GARDEN).await;
    let embed = minted(&owner, &site, json!({ "sessionId": session, "role": "spectator" })).await;
    let dark = Options { dark: true, height: 1000, ..Default::default() };
    let phone = Options { phone: true, width: 390, height: 844, ..Default::default() };
    for (name, options) in [("dark", dark), ("phone", phone)] {
        let page = Chrome::with(Options { cookies: Cookies::OfOneParty, ..options }).await;
        page.open(&site.page("", &[("player", url(&embed))])).await;
        until_element(&page, "playing").await;
        until_text(&page, "#role", "watching").await;
        let focus = page.run("return document.activeElement.localName").await;
        assert_eq!(focus, Ok(json!("body")), "a player takes the keys from nobody who has not asked for it");
        page.screenshot(&format!("embed-site-{name}")).await;
        let over = page.run("return document.documentElement.scrollWidth - window.innerWidth").await.unwrap();
        assert!(over.as_f64().is_some_and(|over| over <= 1.0), "{name} is {over} pixels too wide");
        page.quit().await;
    }
    gateway.finish().await;
}
