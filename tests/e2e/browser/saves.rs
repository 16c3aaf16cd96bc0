//! What the page says of a save when a game has ended.

use crate::support::chrome::Chrome;
use crate::support::engine::{Engine, games, image_game};
use crate::support::page::Page;
use serde_json::Value;

/// Leaves 600 MB when it is asked to.
const HOARDER: &str = r#"
cd "$PLAYGATE_SAVE_DIR"
trap '[ ! -e /tmp/more ] || truncate -s 600M huge; [ -e small ] || : > small; exit 0' TERM
while :; do sleep 0.1; done
"#;

const REASON: &str =
    "Your save is too large to keep (600 MB; the limit is 512 MB). Your previous save is unchanged.";

async fn text_of(page: &Chrome, element: &str) -> String {
    let script = format!("return document.querySelector({element:?})?.textContent ?? \"\"");
    page.run(&script).await.unwrap().as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_of_600_mb_is_refused_and_the_page_the_stop_and_the_status_say_so() {
    let engine = Engine::connect().await;
    let more = format!(
        "width = 640\nheight = 480\ncontainer.command = [\"bash\", \"-c\", {HOARDER:?}]\n\
         container.save_path = \"/home/player/saves\"\ncontainer.memory_mb = 384"
    );
    let gateway = engine.gateway(&image_game("hoarder", &games().runner, &more)).await;
    let player = gateway.guest().await;
    let page = Chrome::start().await;
    page.sign_in(&player.sign_in_link()).await;

    // First a save that is kept.
    page.play_until_picture(&gateway.url, "hoarder").await;
    page.stop().await;
    let words = text_of(&page, "#ended-save").await;
    assert!(words.starts_with("Your progress is saved for this browser."), "{words}");
    let versions = player.slots("hoarder").await;

    page.play_until_picture(&gateway.url, "hoarder").await;
    let session = player.sessions().await.remove(0);
    let container = engine.container(&session).await;
    let pid = engine.pid(&container).await;
    std::fs::write(format!("/proc/{pid}/root/tmp/more"), "").unwrap();
    page.stop().await;
    assert_eq!(text_of(&page, "#ended-save").await, REASON);
    let card = text_of(&page, "#ended").await;
    assert!(!card.contains("progress is saved"), "{card}");
    page.screenshot("ended-save-refused").await;

    let expected = serde_json::json!({ "status": "refused", "reason": REASON });
    assert_eq!(player.stop(&session).await["save"], expected);
    let status: Value = player.status(&session).await;
    assert_eq!((&status["save"], &status["endReason"]), (&expected, &"stopped_by_user".into()));
    // What was refused can be fetched by the operator for a while; what was stored before is as it was.
    assert_eq!(engine.find_container(&session).await.as_ref(), Some(&container));
    assert_eq!(player.slots("hoarder").await, versions);
    page.quit().await;
    gateway.finish().await;
}
