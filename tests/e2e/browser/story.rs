//! Come back and continue.

use super::play::chooses;
use crate::GARDEN;
use crate::support::chrome::Chrome;
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::wait::PATIENT;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_stands_where_it_was_left_in_a_new_browser_after_a_restart_of_the_gateway() {
    // Without the marker: pictures are compared.
    let mut gateway = Gateway::with_toml("runner.marker = false").await;
    let player = gateway.guest().await;

    let page = Chrome::start().await;
    page.sign_in(&player.sign_in_link()).await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    page.click("#stage").await;
    let beginning = page.settled_picture().await;
    chooses(&page).await;
    let left = page.settled_picture().await;
    assert!(left.changed(&beginning) > 0.02, "the story has moved");
    page.stop().await;
    page.quit().await;
    let slots = player.slots(GARDEN).await;
    assert_eq!(slots.len(), 3);
    assert_eq!(slots.iter().filter(|slot| slot["empty"] == false).count(), 1, "{slots:?}");
    assert_eq!((&slots[0]["slot"], &slots[0]["empty"]), (&1.into(), &false.into()));

    gateway.terminate().await;
    gateway.restart().await;

    let page = Chrome::start().await;
    page.sign_in(&player.sign_in_link()).await;
    page.open(&format!("{}/play/{GARDEN}", gateway.url)).await;
    page.until_shows_element("[data-slot=\"1\"]").await;
    page.click("[data-slot=\"1\"]").await;
    page.until_state("playing").await;
    page.until_shows(&left, PATIENT).await;
    page.screenshot("continued-garden").await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}
