//! Every page as axe-core judges it: no fault it calls serious or critical, in light and in dark, at a desk and on a phone.
//!
//! A page that is there by its address alone is a line of [`PAGES`]; one that must be played to is a line of [`tour`].

use super::embed::{ELEMENT, example, minted, organisation, until_element, url};
use crate::GARDEN;
use crate::support::artifacts;
use crate::support::chrome::{Chrome, Options};
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::page::Page;
use crate::support::tools::tools;
use crate::support::wait::{PATIENT, eventually};
use playgate_signaling::client::{ConnectOptions, connect};
use playgate_signaling::message::ClientMessage;
use serde_json::{Value, json};
use thirtyfour::Key;

/// Name, path, and what is there when the page is whole. The first is looked at before anybody has signed in.
const PAGES: [(&str, &str, &str); 8] = [
    ("sign-in", "/signin", "main form, main a, main button"),
    ("catalogue", "/", "[data-game]"),
    ("launch card", "/play/garden-of-forking-paths", "#play"),
    ("no such game", "/play/no-such-game", "#error"),
    ("no such session", "/session/11111111-1111-4111-8111-111111111111/", "#error"),
    ("API", "/docs", "main h2"),
    ("not found", "/no-such-page", "main a"),
    ("unknown embed", "/embed/nobodys", "#refused"),
];

/// Nothing moves or is on its way any more: colours that fade are no colours to judge.
const AT_REST: &str = "
    await document.fonts.ready;
    const moving = document.getAnimations().filter(one => one.effect?.getComputedTiming().endTime < Infinity);
    await Promise.allSettled(moving.map(one => one.finished));
    return document.readyState === 'complete' && [...document.images].every(image => image.complete);
";

/// The faults of the open page, each as one line with the places it is at.
const FAULTS: &str = "
    const { violations } = await axe.run(document, { resultTypes: ['violations'], iframes: false });
    const bad = violations.filter(one => one.impact === 'serious' || one.impact === 'critical');
    return bad.map(one => `${one.impact} ${one.id}: ${one.help}`
        + one.nodes.map(node => `\\n        ${node.target}: ${node.html.slice(0, 200)} ${node.failureSummary}`).join(''));
";

/// How many pixels the words of an explanation stand outside of their card.
const OUTSIDE: &str = "
    const words = document.querySelector('#error').getBoundingClientRect();
    const card = document.querySelector('#error').closest('.notice').getBoundingClientRect();
    const title = document.querySelector('.notice h1').getBoundingClientRect();
    return Math.max(card.left - words.left, words.right - card.right, title.bottom - words.top, words.bottom - card.bottom);
";

/// The source of axe-core.
fn axe() -> String {
    let source = tools().join("node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&source).unwrap_or_else(|error| {
        panic!("{}: {error}: bash tests/session_api/tools makes it", source.display())
    })
}

/// The faults of the page that is open, or of the frame that was entered.
async fn faults(page: &Chrome, axe: &str) -> Vec<String> {
    eventually("the page is at rest", PATIENT, async || {
        if page.run(AT_REST).await? == true { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
    page.run(&format!("if (!window.axe) {{ {axe}\n }} return null")).await.unwrap();
    let found = page.run(FAULTS).await.unwrap();
    let found = found.as_array().expect("axe answers").iter().filter_map(Value::as_str);
    found.map(str::to_owned).collect()
}

struct Judge {
    page: Chrome,
    /// The source of axe-core.
    axe: String,
    look: &'static str,
    faults: Vec<String>,
    judged: usize,
}

impl Judge {
    async fn new(look: &'static str, options: Options) -> Self {
        Self { page: Chrome::with(options).await, axe: axe(), look, faults: Vec::new(), judged: 0 }
    }

    /// Judges what is open, once `css` is shown.
    async fn judge(&mut self, name: &str, css: &str) {
        self.page.until_shows_element(css).await;
        let found = faults(&self.page, &self.axe).await;
        self.judged += 1;
        if css == "#error" {
            let outside = self.page.run(OUTSIDE).await.unwrap();
            assert!(
                outside.as_f64().is_some_and(|outside| outside <= 0.5),
                "{name}: {outside} pixels outside"
            );
        }
        let found: Vec<_> = found.iter().map(|fault| format!("{name}, {}: {fault}", self.look)).collect();
        if !found.is_empty() {
            self.page.screenshot(&format!("accessibility-{}-{}", name.replace(' ', "-"), self.look)).await;
        }
        self.faults.extend(found);
    }

    /// Says what was found.
    async fn end(self) {
        self.page.quit().await;
        if !self.faults.is_empty() {
            let file = artifacts::path(&format!("accessibility-{}.txt", self.look));
            let _ = std::fs::write(&file, self.faults.join("\n"));
        }
        assert!(self.judged > PAGES.len(), "{} pages", self.judged);
        assert!(self.faults.is_empty(), "{} faults:\n{}", self.faults.len(), self.faults.join("\n"));
    }
}

/// Every page there is, one after the other.
async fn tour(look: &'static str, options: Options) {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let player = gateway.guest().await;
    let mut judge = Judge::new(look, options).await;
    for (number, (name, path, css)) in PAGES.into_iter().enumerate() {
        if number == 1 {
            judge.page.sign_in(&player.sign_in_link()).await;
        }
        judge.page.open(&format!("{}{path}", gateway.url)).await;
        judge.judge(name, css).await;
    }

    judge.page.play_until_picture(&gateway.url, GARDEN).await;
    judge.judge("playing", "#stage").await;
    judge.page.open_menu().await;
    judge.judge("the menu", "#bar").await;
    judge.page.click("#stats").await;
    judge.judge("statistics", "#stats-panel").await;
    judge.page.press_in_menu("#stats").await;
    judge.page.press_in_menu("#invite").await;
    judge.judge("invite", "#share").await;
    judge.page.click("#share-create").await;
    judge.page.click("#embed-part summary").await;
    judge.judge("invite with a link", "#share-list li").await;
    judge.page.click("#share-close").await;
    asked_for_the_controls(&mut judge, &player).await;
    judge.page.press_in_menu("#stop").await;
    judge.judge("whether to end the game", "#confirm-no").await;
    judge.page.click("#confirm-no").await;
    judge.page.stop().await;
    judge.judge("ended", "#ended").await;
    another_save(&judge.page, &gateway.url).await;

    judge.page.open(&format!("{}/play/{GARDEN}", gateway.url)).await;
    judge.page.click("[data-delete='1']").await;
    judge.judge("a question", "#confirm-no").await;
    judge.page.click("#confirm-no").await;
    judge.page.click("[data-history='1']").await;
    judge.judge("saves", "[data-restore]").await;
    judge.page.open(&format!("{}/session/{}/#token=nobody's", gateway.url, uuid::Uuid::new_v4())).await;
    judge.judge("refused invitation", "#error").await;

    let session = player.launch_running(GARDEN).await;
    judge.page.open(&format!("{}/play/{}", gateway.url, crate::wire::arcade(&player).await)).await;
    judge.judge("another game runs", "#busy").await;
    let grant = player.share(&session, "spectator", 3600).await;
    judge.page.open(grant["url"].as_str().expect("a link")).await;
    judge.page.until_state("playing").await;
    judge.judge("spectator", "#stage").await;
    player.stop(&session).await;
    judge.page.until_state("ended").await;
    judge.judge("ended for a spectator", "#ended").await;
    embedded(&mut judge, &gateway).await;
    judge.end().await;
    gateway.finish().await;
}

/// Somebody asks for the controls, and is given them.
async fn asked_for_the_controls(judge: &mut Judge, player: &Client) {
    let session = player.sessions().await.remove(0);
    let grant = player.share(&session, "spectator", 3600).await;
    let token = grant["token"].as_str().map(str::to_owned);
    let url = player.api().signaling_url(&session).unwrap();
    let mut friend = connect(url.as_str(), ConnectOptions { token, ..Default::default() }).await.unwrap();
    friend.send(ClientMessage::RequestControl { slot: None }).await.unwrap();
    judge.page.open_request().await;
    judge.judge("asked for the controls", "#control-panel [data-give]").await;
    judge.page.click("#control-panel [data-give]").await;
    eventually("the question is answered", PATIENT, async || {
        if judge.page.shows("#control-panel").await? { Err("it is still asked".to_owned()) } else { Ok(()) }
    })
    .await;
    judge.page.run("document.querySelector('#people').click(); return null").await.unwrap();
    judge.judge("somebody else plays", "#control-panel [data-take]").await;
    judge.page.click("#control-panel [data-take]").await;
    friend.close().await;
}

/// The embed's own page, and the example site around it.
async fn embedded(judge: &mut Judge, gateway: &Gateway) {
    let (acme, site) = (organisation(gateway).await, example(gateway).await);
    let embed = minted(&acme, &site, json!({ "game": GARDEN })).await;
    let told = [("player", url(&embed))];
    for (name, path, css) in [("example site", "", "#element"), ("WHEP example", "whep.html", "#watch")] {
        judge.page.open(&site.page(path, &told)).await;
        judge.judge(name, css).await;
    }
    judge.page.open(url(&embed)).await;
    judge.judge("embed on its own", "#refused").await;

    judge.page.open(&site.page("", &told)).await;
    until_element(&judge.page, "playing").await;
    judge.page.enter(ELEMENT).await;
    judge.judge("embed", "#stage").await;
    let id = embed["embedId"].as_str().expect("an id");
    acme.delete(&format!("/api/embeds/{id}")).await.expect(204);
    judge.judge("embed that is over", "#ended, #refused").await;
    judge.page.leave().await;
}

/// Plays the save on, so that there is a version to go back to.
async fn another_save(page: &Chrome, base: &str) {
    page.open(&format!("{base}/play/{GARDEN}")).await;
    page.click("[data-slot='1']").await;
    page.until_state("playing").await;
    let before = page.settled_picture().await;
    page.click("#stage").await;
    page.keys(Key::Enter).await;
    page.until_changed(&before).await;
    page.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_has_a_serious_fault_in_light_at_a_desk() {
    tour("light", Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_has_a_serious_fault_in_dark_on_a_phone() {
    tour("dark-phone", Options { dark: true, phone: true, width: 390, height: 844, ..Default::default() })
        .await;
}
