//! One error of the core, told by each API in its own way (contract, "Between the two APIs").

use super::Office;
use playgate::session::ServiceError;
use serde_json::json;
use std::time::Duration;

type Refuse = fn() -> ServiceError;

/// The same refusal at both doors: the player's status and code, then the organisation's.
async fn told(refuse: Refuse) -> [(u16, String); 2] {
    let office = Office::new().await;
    *office.site.core.refuse.lock().unwrap() = Some(refuse);
    office.site.hosted.refuse(refuse);
    let player = office.site.post("/api/game/launch", &json!({ "gameSlug": "garden" })).await;
    let studio = office.send("POST", "/session", &json!({ "location": "europe", "image": "nginx" })).await;
    let code = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    assert!(player.json()["message"].is_string() && player.json().get("code").is_none());
    assert!(studio.json()["message"].is_string() && studio.json().get("error").is_none());
    [
        (player.status.as_u16(), code(&player.json()["error"])),
        (studio.status.as_u16(), code(&studio.json()["code"])),
    ]
}

#[tokio::test]
async fn x1_x2_a_bad_request_is_400_to_players_and_422_to_organisations() {
    let [player, studio] = told(|| ServiceError::InvalidRequest("No.".to_owned())).await;
    assert_eq!(player, (400, "invalid_request".to_owned()));
    assert_eq!(studio, (422, "INVALID_REQUEST".to_owned()));
}

#[tokio::test]
async fn x3_no_capacity_is_503_to_players_and_420_to_organisations() {
    let [player, studio] = told(|| ServiceError::NoServers).await;
    assert_eq!(player, (503, "no_servers".to_owned()));
    assert_eq!(studio, (420, "CAPACITY_UNAVAILABLE".to_owned()));
}

#[tokio::test]
async fn x4_too_many_starts_are_429_to_players_and_420_to_organisations() {
    let [player, studio] = told(|| ServiceError::RateLimited { retry_after: Duration::from_secs(3) }).await;
    assert_eq!(player, (429, "rate_limited".to_owned()));
    assert_eq!(studio, (420, "CAPACITY_UNAVAILABLE".to_owned()));
}
