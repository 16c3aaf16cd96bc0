//! The event stream of a real gateway, over a real connection: a game from its start to its end.

use super::joined;
use crate::GARDEN;
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::wait::PATIENT;
use playgate_signaling::message::Role;
use serde_json::{Value, json};

/// An open event stream.
struct Events {
    answer: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(client: &Client, after: Option<&str>) -> Self {
        let mut request =
            client.http().get(format!("{}/api/events", client.base)).bearer_auth(client.token());
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Self { answer, text: String::new() }
    }

    /// The next event of a session.
    async fn next(&mut self) -> Value {
        let read = async {
            loop {
                if let Some((event, rest)) = self.text.split_once("\n\n") {
                    let data = event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                    self.text = rest.to_owned();
                    if let Some(data) = data {
                        return serde_json::from_str(&data).unwrap();
                    }
                    continue;
                }
                let bytes = self.answer.chunk().await.unwrap().expect("the stream goes on");
                self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        };
        tokio::time::timeout(PATIENT, read).await.expect("an event came in time")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_players_stream_tells_a_game_from_its_start_to_its_end_and_another_players_nothing() {
    let gateway = Gateway::start().await;
    let (ada, bob) = (gateway.guest().await, gateway.guest().await);
    let (mut hers, mut his) = (Events::open(&ada, None).await, Events::open(&bob, None).await);
    let id = ada.launch(GARDEN).await;
    let playing = joined(&ada, &id, Role::Player).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(hers.next().await);
    }
    assert_eq!(told[0]["type"], "session.starting");
    // The picture and the player come in either order.
    let mut kinds: Vec<&str> = told[1..].iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["player.joined", "session.running"]);
    drop(hers);
    drop(playing);
    ada.stop(&id).await;

    let mut again = Events::open(&ada, told[2]["id"].as_str()).await;
    let mut ended = again.next().await;
    while ended["type"] != "session.ended" {
        ended = again.next().await;
    }
    assert_eq!(
        (&ended["data"]["sessionId"], &ended["data"]["endReason"]),
        (&json!(id), &json!("stopped_by_user"))
    );
    assert!(ended["data"]["figures"]["duration"].is_u64(), "{ended}");
    assert_eq!(ended["data"]["figures"]["quality"]["viewersMost"], 1, "{ended}");
    // What bob's stream tells first is his own game's start: of hers it said nothing.
    let own = bob.launch(GARDEN).await;
    assert_eq!(his.next().await["data"]["sessionId"], own);
    bob.stop(&own).await;
    drop((again, his));
    gateway.finish().await;
}
