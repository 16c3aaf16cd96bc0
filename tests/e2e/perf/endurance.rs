//! A session that goes on and on: twenty viewers join and leave, and control goes from hand to hand every ten seconds.
//! Nothing may get stuck and memory stays where it is. A minute by `bash tests/run perf`, an hour by `bash tests/run long`.

use crate::support::figures::{median, report};
use crate::support::gateway::Gateway;
use crate::support::processes;
use crate::support::wait::{PATIENT, eventually};
use playgate::bots::join::{JoinOptions, Joined, join};
use playgate::bots::viewer::Srtp;
use playgate_signaling::control::ControlState;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::{ClientMessage, Role, ServerMessage};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval, timeout};

const VIEWERS: u64 = 20;
const HAND_OVER: Duration = Duration::from_secs(10);
/// USB HID usage of Enter, which starts a game anew when it is over: a picture comes of every press.
const ENTER: u16 = 0x28;
/// As of the bots' own campaigns: two cores carry the game, the gateway and twenty viewers.
const SMALL: &str =
    "[[games]]\nslug = \"ember\"\ntitle = \"Ember\"\nwidth = 640\nheight = 360\nfps = 30\nkbps = 1500\n";

/// Waits for a word on control that is enough.
async fn told(joined: &mut Joined, what: &str, enough: impl Fn(&ControlState) -> bool) {
    let wanted = async {
        loop {
            if let ServerMessage::Control(control) = joined.signaling.recv().await.unwrap()
                && enough(&control)
            {
                return;
            }
        }
    };
    timeout(PATIENT, wanted).await.unwrap_or_else(|_| panic!("{what}: nobody says so"));
}

/// Presses a key and waits until the pictures know of it: input and pictures go through.
async fn presses(joined: &Joined) {
    let input = |stats: &playgate::bots::viewer::ViewerStats| stats.marker.map(|marker| marker.input);
    let before = input(&joined.viewer.stats());
    for down in [true, false] {
        joined.viewer.send_input(&InputFrame::Key { usage: ENTER, down }.to_bytes()).await.unwrap();
    }
    joined.viewer.wait_for("the press", PATIENT, |stats| input(stats) != before).await.unwrap();
}

/// Twenty visitors who come one after the other, watch for a while and leave. Gives what they say of it.
async fn visitors(gateway: &Gateway, embed: &Value) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["bots", "--url", &gateway.url, "--embed", embed["token"].as_str().expect("a token"), "--json"])
        .args(["--viewers", &VIEWERS.to_string(), "--mode", "light", "--ramp", "8s", "--duration", "6s"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the bots start");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Resident memory, in KiB, after each group of visitors.
#[derive(Default)]
struct Memory {
    gateway: Vec<f64>,
    runner: Vec<f64>,
}

impl Memory {
    /// By how much the last third lies above the third after the start.
    fn growth(samples: &[f64]) -> f64 {
        let third = samples.len() / 3;
        let early = samples.get(third..2 * third.max(1)).unwrap_or(samples);
        let late = samples.get(2 * third..).unwrap_or(samples);
        median(late) / median(early) - 1.0
    }
}

/// `most`: by how much memory may grow.
async fn goes_on(name: &str, lasts: Duration, most: f64) {
    let gateway = Gateway::with_toml(SMALL).await;
    let owner = gateway.guest().await;
    let session = owner.launch_running("ember").await;
    let grant = owner.share(&session, "player", 7200).await;
    let friend = gateway.client().with_token(grant["token"].as_str().expect("a token"));
    let wish = json!({ "sessionId": session, "role": "spectator", "origins": ["https://arcade.example"] });
    let embed = owner.post("/api/embeds", wish).await.expect(201);
    let options = JoinOptions { role: Role::Player, srtp: Srtp::Gcm, keep_picture: false, insecure: false };
    let mut host = join(&owner.api(), &session, &options).await.unwrap();
    let mut guest = join(&friend.api(), &session, &options).await.unwrap();
    for joined in [&host, &guest] {
        joined.viewer.wait_for("a frame", PATIENT, |stats| stats.marker.is_some()).await.unwrap();
        joined.viewer.input_open().await.unwrap();
    }
    let players = 2;
    let runner = processes::of_session(&session);
    let begun = Instant::now();

    let crowd = async {
        let (mut memory, mut groups) = (Memory::default(), 0);
        while begun.elapsed() < lasts {
            let said = visitors(&gateway, &embed).await;
            assert_eq!(said["figures"]["failed-bots"], 0.0, "{:#}", said["figures"]);
            groups += 1;
            eventually("all visitors have gone", PATIENT, async || {
                let viewers = owner.status(&session).await["viewers"].as_u64().unwrap_or_default();
                if viewers == players { Ok(()) } else { Err(viewers.to_string()) }
            })
            .await;
            memory.gateway.push(processes::resident_kib(&[gateway.pid()]));
            memory.runner.push(processes::resident_kib(&runner));
        }
        (memory, groups)
    };
    let hands = async {
        let mut every = interval(HAND_OVER);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut handed = 0_u32;
        while begun.elapsed() < lasts {
            every.tick().await;
            let viewer_id = guest.signaling.welcome().viewer_id.clone();
            let pass = ClientMessage::PassControl { viewer_id, slot: None, seconds: None };
            host.signaling.send(pass).await.unwrap();
            told(&mut guest, "the guest plays", |control| control.you.slot == Some(0)).await;
            // Words of an earlier turn that nobody has read would be taken for those of the next.
            told(&mut host, "the host plays no more", |control| control.you.slot.is_none()).await;
            presses(&guest).await;
            every.tick().await;
            host.signaling.send(ClientMessage::TakeControl { slot: Some(0) }).await.unwrap();
            told(&mut host, "the host plays", |control| control.you.slot == Some(0)).await;
            told(&mut guest, "the guest plays no more", |control| control.you.slot.is_none()).await;
            presses(&host).await;
            handed += 2;
        }
        handed
    };
    let ((memory, groups), handed) = tokio::join!(crowd, hands);
    let (gateway_grows, runner_grows) = (Memory::growth(&memory.gateway), Memory::growth(&memory.runner));
    report(
        name,
        json!({
            "seconds": begun.elapsed().as_secs(), "visitors": groups * VIEWERS, "hand_overs": handed,
            "gateway_kib": memory.gateway, "runner_kib": memory.runner,
            "gateway_grows": gateway_grows, "runner_grows": runner_grows,
        }),
    );
    assert!(gateway_grows <= most, "the gateway's memory grows by {:.1} %", gateway_grows * 100.0);
    assert!(runner_grows <= most, "the runner's memory grows by {:.1} %", runner_grows * 100.0);
    for joined in [host, guest] {
        joined.viewer.close().await;
    }
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures: bash tests/run perf"]
async fn a_minute_of_coming_and_going_gets_nothing_stuck() {
    // What the first viewers bring is still part of it.
    goes_on("endurance", Duration::from_secs(60), 0.25).await;
}

mod long {
    use super::goes_on;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "an hour: bash tests/run long"]
    async fn an_hour_of_coming_and_going_leaves_memory_where_it_was() {
        goes_on("endurance-hour", Duration::from_secs(3600), 0.05).await;
    }
}
