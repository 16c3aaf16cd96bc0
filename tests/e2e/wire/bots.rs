//! `playgate bots` as people and scripts call it.

use crate::GARDEN;
use crate::support::gateway::{Gateway, Options};
use crate::support::http::Client;
use serde_json::{Value, json};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

async fn bots(gateway: &Gateway, game: &str, arguments: &[&str]) -> Output {
    called(gateway, &[&["--game", game], arguments].concat()).await
}

async fn called(gateway: &Gateway, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["bots", "--url", &gateway.url])
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// The report of a run that passed.
#[track_caller]
fn passed(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&said).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bots_launch_watch_decode_and_stop() {
    let gateway = Gateway::start().await;
    let plan = ["--sessions", "2", "--duration", "3s", "--input", "key:right every 500ms"];
    let expected = ["--expect", "frames-min>=3", "--json"];
    let report = passed(&bots(&gateway, GARDEN, &[&plan[..], &expected].concat()).await);
    assert_eq!(report["passed"], true);
    for bot in report["bots"].as_array().unwrap() {
        assert_eq!((&bot["width"], &bot["height"]), (&1280.into(), &720.into()));
        assert!(number(&bot["markedFrames"]) > 0 && number(&bot["keyFrames"]) > 0, "{bot}");
        assert!(number(&bot["inputs"]) > 0 && bot["packetsLost"] == 0, "{bot}");
        assert!(bot["cipher"].as_str().unwrap().to_uppercase().contains("GCM"), "{bot}");
    }
    gateway.finish().await;
}

/// Built-in games at a quarter of their pixels, and two sessions of an owner and four viewers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_and_light_viewers_by_grants_are_measured_and_written_up() {
    let small =
        "[[games]]\nslug = \"ember\"\ntitle = \"Ember\"\nwidth = 640\nheight = 360\nfps = 15\nkbps = 800\n";
    let gateway = Gateway::with_toml(small).await;
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("report.html");
    let plan = [
        "--sessions",
        "2",
        "--viewers",
        "4",
        "--players",
        "1",
        "--ramp",
        "1s",
        "--duration",
        "6s",
        "--mode",
        "light",
        "--full-every",
        "5",
        "--input",
        "random every 400ms",
        "--seed",
        "7",
        "--json",
        "--expect",
        "failed-bots<=0",
        "--expect",
        "frames-min>=20",
        "--expect",
        "packets-that-did-not-open<=0",
    ];
    let mut arguments = plan.to_vec();
    arguments.extend(["--report", page.to_str().unwrap()]);
    let report = passed(&bots(&gateway, "ember", &arguments).await);
    let all = report["bots"].as_array().unwrap();
    assert_eq!(all.len(), 10);
    for (index, bot) in all.iter().enumerate() {
        let (kind, mode) = match index % 5 {
            0 => ("owner", "full"),
            1 => ("player", "light"),
            _ => ("spectator", "light"),
        };
        assert_eq!((&bot["kind"], &bot["mode"]), (&kind.into(), &mode.into()));
        let steps = ["signalingMs", "answeredMs", "connectedMs", "firstPacketMs", "firstFrameMs"];
        let times: Vec<f64> = steps.iter().map(|step| bot["steps"][step].as_f64().unwrap()).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!(bot["steps"]["launchedMs"].is_number(), kind == "owner");
        assert_eq!(number(&bot["inputs"]) > 0, kind != "spectator", "{bot}");
        if mode == "full" {
            assert_eq!((&bot["width"], &bot["height"]), (&640.into(), &360.into()));
            assert!(number(&bot["glassToGlassMs"]["count"]) > 0, "{bot}");
            assert!(number(&bot["inputToPictureMs"]["count"]) > 0, "{bot}");
        } else {
            let (packets, opened) = (number(&bot["packets"]), number(&bot["packetsOpened"]));
            assert!(opened > 0 && opened <= packets / 64 + 2, "{opened} of {packets}");
        }
    }
    assert_eq!(report["fairnessBySession"].as_array().unwrap().len(), 2);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("10 bots on 2 sessions") && page.matches("<svg").count() == 6);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_frames_are_a_failure_with_words() {
    let gateway = Gateway::start().await;
    let output = bots(&gateway, GARDEN, &["--duration", "500ms", "--expect", "frames-min>=1000000"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("DID NOT HOLD: frames-min>=1000000"), "{said}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_figure_or_no_plan_is_refused_before_anything_is_launched() {
    let gateway = Gateway::start().await;
    let output = bots(&gateway, GARDEN, &["--expect", "speed>=1"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("first-frame-p95"), "the names are listed");
    let output = bots(&gateway, GARDEN, &["--input", "jump every 1s"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`jump` is no action"));
    gateway.finish().await;
}

/// Between a bot and its gateway: cuts a signaling connection, once, when its welcome has passed.
async fn cutting_once(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cuts = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, cuts) = (to.clone(), Arc::clone(&cuts));
            tokio::spawn(async move {
                let mut server = TcpStream::connect(&to).await.unwrap();
                let mut first = [0; 4096];
                let length = client.peek(&mut first).await.unwrap_or_default();
                let signaling = String::from_utf8_lossy(&first[..length]).contains("/signal ");
                if signaling && cuts.fetch_add(1, Ordering::Relaxed) == 0 {
                    let (mut from_server, mut to_server) = server.split();
                    let (mut from_client, mut to_client) = client.split();
                    let mut limited = (&mut from_server).take(1_800);
                    tokio::select! {
                        _ = tokio::io::copy(&mut limited, &mut to_client) => {}
                        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    }
                } else {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_whose_signaling_is_cut_comes_back_and_says_so() {
    let gateway = Gateway::start().await;
    let url = cutting_once(gateway.url.trim_start_matches("http://").to_owned()).await;
    let output = Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["bots", "--url", &url, "--game", GARDEN, "--mode", "light", "--duration", "4s", "--json"])
        .args(["--input", "key:right every 200ms", "--expect", "frames-min>=3", "--expect", "reconnects>=1"])
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let report = passed(&output);
    assert_eq!(report["bots"][0]["reconnects"]["signaling"], 1, "{report:#}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_plays_over_ipv6() {
    let options = Options { listen: "[::1]:0".to_owned(), ..Default::default() };
    let gateway = Gateway::with(options).await;
    assert!(gateway.url.starts_with("http://[::1]:"), "{}", gateway.url);
    for mode in ["full", "light"] {
        let plan = ["--duration", "2s", "--mode", mode, "--expect", "frames-min>=3"];
        let output = bots(&gateway, GARDEN, &plan).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{mode}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    gateway.finish().await;
}

/// The token of a new embed.
async fn embed(owner: &Client, wish: Value) -> String {
    let mut body = json!({ "origins": ["https://arcade.example"] });
    body.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
    owner.post("/api/embeds", body).await.expect(201)["token"].as_str().expect("a token").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_of_an_embed_watch_its_session_and_its_token_is_written_nowhere() {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    let token = embed(&owner, json!({ "sessionId": session, "role": "spectator" })).await;
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let plan = [
        "--viewers",
        "3",
        "--full-every",
        "2",
        "--mode",
        "light",
        "--duration",
        "2s",
        "--input",
        "random every 200ms",
    ];
    let files = ["--json", "--report", page.to_str().unwrap()];
    let output = called(&gateway, &[&["--embed", &token][..], &plan, &files].concat()).await;
    let report = passed(&output);
    assert_eq!(report["plan"]["game"], "an embed");
    let all = report["bots"].as_array().unwrap();
    assert_eq!(all.len(), 3);
    for bot in all {
        assert_eq!((&bot["kind"], &bot["sessionId"]), (&json!("visitor"), &json!(session)));
        assert_eq!(bot["inputs"], 0, "a spectator's visitor presses nothing");
        assert!(number(&bot["frames"]) > 0, "{bot}");
    }
    let written = [output.stdout, output.stderr, std::fs::read(page).unwrap()]
        .map(|text| String::from_utf8(text).unwrap());
    let said = written.iter().chain(&gateway.log()).any(|text| text.contains(&token));
    assert!(!said, "the token is written somewhere");
    // Who came by it leaves the session alone.
    assert_eq!(owner.status(&session).await["status"], "running");
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_of_an_embedded_game_each_launch_play_and_end_it() {
    let gateway = Gateway::start().await;
    let acme = gateway.client().with_token(&gateway.mint(&["--organisation", "acme"]).await);
    let token = embed(&acme, json!({ "game": GARDEN, "role": "player" })).await;
    let plan = ["--viewers", "2", "--duration", "3s", "--input", "key:right every 300ms", "--json"];
    let report = passed(&called(&gateway, &[&["--embed", &token][..], &plan].concat()).await);
    let all = report["bots"].as_array().unwrap();
    assert_ne!(all[0]["sessionId"], all[1]["sessionId"]);
    for bot in all {
        assert!(number(&bot["inputToPictureMs"]["count"]) > 0, "{bot}");
        let status = acme.status(bot["sessionId"].as_str().unwrap()).await;
        assert_eq!(status["endReason"], "stopped_by_user");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embed_goes_with_no_game_and_a_refused_token_is_told_without_its_text() {
    let gateway = Gateway::start().await;
    let token = "pge_nobodys";
    for more in [["--game", GARDEN], ["--sessions", "2"], ["--token", "x"]] {
        let output = called(&gateway, &[&["--embed", token, "--viewers", "2"][..], &more].concat()).await;
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("cannot be used with") && said.contains(more[0]), "{said}");
    }
    let nobody = called(&gateway, &["--embed", token]).await;
    assert!(!nobody.status.success() && String::from_utf8_lossy(&nobody.stderr).contains("--viewers"));
    let refused = called(&gateway, &["--embed", token, "--viewers", "1"]).await;
    let said =
        format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("embed_unknown") && !said.contains(token), "{said}");
    gateway.finish().await;
}
