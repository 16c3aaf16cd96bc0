//! Who is not let in, and who no longer is, reads why in the frame.

use super::site::Site;
use super::{ELEMENT, browser, example, minted, organisation, until_element, until_text, url};
use crate::GARDEN;
use crate::support::chrome::Chrome;
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::wait::eventually;
use serde_json::{Value, json};
use sqlx::sqlite::SqlitePool;
use std::time::{Duration, Instant};

/// Shows an embed by the element; gives what is said of it in the frame.
async fn refused(page: &Chrome, site: &Site, embed: &Value, code: &str) -> String {
    page.open("about:blank").await;
    page.open(&site.page("", &[("player", url(embed))])).await;
    until_element(page, "failed").await;
    // The page around is told, too.
    until_text(page, "#log", code).await;
    page.screenshot(&format!("embed-refused-{code}")).await;
    page.enter(ELEMENT).await;
    page.until_shows_element("#refused").await;
    let said = page.run("return document.querySelector('#refused').innerText").await.unwrap();
    page.leave().await;
    said.as_str().unwrap_or_default().to_owned()
}

/// Tokens live for a minute at least; nobody waits for that.
async fn runs_out(gateway: &Gateway, embed: &Value) {
    let path = gateway.data_dir().join("playgate.db");
    let store = SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let id = embed["embedId"].as_str().unwrap();
    let changed = sqlx::query("UPDATE embeds SET expires_at = created_at + 1 WHERE id = ?").bind(id);
    assert_eq!(changed.execute(&store).await.unwrap().rows_affected(), 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_reads_why_in_the_frame() {
    let gateway = Gateway::start().await;
    let (acme, site, page) = (organisation(&gateway).await, example(&gateway).await, browser().await);
    let game = json!({ "game": GARDEN });

    let elsewhere = json!({ "game": GARDEN, "origins": ["https://elsewhere.example"] });
    let elsewhere = minted(&acme, &site, elsewhere).await;
    let said = refused(&page, &site, &elsewhere, "embed_wrong_site").await;
    assert!(said.contains("This site may not show this stream."), "{said}");

    let expired = minted(&acme, &site, game.clone()).await;
    runs_out(&gateway, &expired).await;
    let said = refused(&page, &site, &expired, "embed_expired").await;
    assert!(said.contains("This link has run out."), "{said}");

    let used_up = minted(&acme, &site, json!({ "game": GARDEN, "uses": 1 })).await;
    let visitor = gateway.client().with_token(used_up["token"].as_str().unwrap());
    visitor.post("/api/embed/visit", json!({})).await.expect(201);
    let said = refused(&page, &site, &used_up, "embed_used_up").await;
    assert!(said.contains("used as often as it may be"), "{said}");

    let revoked = minted(&acme, &site, game.clone()).await;
    acme.delete(&format!("/api/embeds/{}", revoked["embedId"].as_str().unwrap())).await.expect(204);
    let said = refused(&page, &site, &revoked, "embed_revoked").await;
    assert!(said.contains("taken back"), "{said}");

    // A token of another embed opens nothing here.
    let mut mixed = minted(&acme, &site, game).await;
    let other = elsewhere["token"].as_str().unwrap();
    mixed["url"] = json!(format!("{}/embed/{}#{other}", gateway.url, mixed["embedId"].as_str().unwrap()));
    let said = refused(&page, &site, &mixed, "embed_unknown").await;
    assert!(said.contains("not known here"), "{said}");

    // A site that names itself to nobody is kept out by the browser itself.
    let blocked = format!(
        "const frame = document.createElement('iframe'); frame.id = 'unnamed'; frame.referrerPolicy = 'no-referrer'; \
         frame.src = {}; document.body.append(frame); return null",
        elsewhere["url"]
    );
    page.run(&blocked).await.unwrap();
    eventually("the browser shows its own page", crate::support::wait::SOON, async || {
        page.enter("document.querySelector('#unnamed')").await;
        let at = page.run("return location.href").await?;
        if at.as_str().is_some_and(|at| at.starts_with("chrome-error:")) {
            Ok(())
        } else {
            Err(at.to_string())
        }
    })
    .await;
    page.quit().await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_taken_back_ends_the_running_view_within_two_seconds() {
    let gateway = Gateway::start().await;
    let (owner, site, page) = (gateway.guest().await, example(&gateway).await, browser().await);
    let session = owner.launch_running(GARDEN).await;
    let embed = minted(&owner, &site, json!({ "sessionId": session, "role": "spectator" })).await;
    page.open(&site.page("", &[("player", url(&embed))])).await;
    until_element(&page, "playing").await;
    page.enter(ELEMENT).await;
    page.until_state("playing").await;

    let begun = Instant::now();
    owner.delete(&format!("/api/embeds/{}", embed["embedId"].as_str().unwrap())).await.expect(204);
    let within = Duration::from_secs(2).saturating_sub(begun.elapsed());
    eventually("the view is over", within, async || {
        let ended = page.shows("#ended").await?;
        if ended { Ok(()) } else { Err(page.state().await?) }
    })
    .await;
    let said = page.run("return document.querySelector('#ended').innerText").await.unwrap();
    assert!(said.as_str().unwrap().contains("This player was switched off"), "{said}");
    assert!(!page.shows("#play-again").await.unwrap());
    page.leave().await;
    page.screenshot("embed-taken-back").await;
    until_text(&page, "#log", "grant_ended").await;
    // The game goes on for its owner.
    assert_eq!(owner.status(&session).await["status"], "running");
    page.quit().await;
    gateway.finish().await;
}
