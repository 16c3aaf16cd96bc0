//! A game that is not here yet: an image from a registry, a package over HTTP, and what a player sees of it.

use super::stand::until_status;
use crate::support::engine::{Engine, LONG, games, image_game};
use crate::support::http::Client;
use crate::support::registry::Registry;
use crate::support::valve::Valve;
use crate::support::wait::eventually;
use bollard::query_parameters::{
    BuildImageOptionsBuilder, PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures_util::TryStreamExt;
use serde_json::Value;
use std::io::Read;

/// 64 hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What has to come over the wire; nothing makes it smaller.
const NOISE: usize = 12 << 20;

fn noise() -> Vec<u8> {
    let mut bytes = vec![0; NOISE];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

fn entry(archive: &mut tar::Builder<Vec<u8>>, name: &str, mode: u32, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, name, content).unwrap();
}

/// An image in a registry and not on the engine: a built-in game and something that has to be pulled.
struct Published {
    registry: Registry,
    /// In front of the registry.
    valve: Valve,
    /// By way of the valve.
    reference: String,
    digest: String,
}

impl Published {
    async fn new(engine: &Engine) -> Self {
        let registry = Registry::open();
        let valve = Valve::before(&registry.host).await;
        let name = format!("{}/playgate/pulled-{}", valve.address, std::process::id());
        let reference = format!("{name}:1");
        let mut context = tar::Builder::new(Vec::new());
        let dockerfile = format!("FROM {}\nCOPY noise /usr/share/noise\nCMD [\"ember\"]\n", games().built_in);
        entry(&mut context, "Dockerfile", 0o644, dockerfile.as_bytes());
        entry(&mut context, "noise", 0o644, &noise());
        let options = BuildImageOptionsBuilder::default().t(&reference).rm(true).forcerm(true).build();
        let body = bollard::body_full(context.into_inner().unwrap().into());
        engine.docker.build_image(options, None, Some(body)).try_collect::<Vec<_>>().await.unwrap();
        let options = PushImageOptionsBuilder::default().tag("1").build();
        engine.docker.push_image(&name, Some(options), None).try_collect::<Vec<_>>().await.unwrap();
        let digests = engine.docker.inspect_image(&reference).await.unwrap().repo_digests.unwrap_or_default();
        let digest = digests.iter().find_map(|known| known.strip_prefix(&format!("{name}@")));
        let digest = digest.expect("a pushed image has a digest").to_owned();
        let published = Self { registry, valve, reference, digest };
        published.forget(engine).await;
        published
    }

    fn name(&self) -> &str {
        self.reference.rsplit_once(':').map_or(&self.reference, |(name, _)| name)
    }

    /// The engine has it no more.
    async fn forget(&self, engine: &Engine) {
        for reference in [self.reference.clone(), format!("{}@{}", self.name(), self.digest)] {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            let _ = engine.docker.remove_image(&reference, Some(options), None).await;
        }
    }
}

/// Looks until a player sees a download on its way, with a number; gives the number.
async fn sees_download(player: &Client, session: &str) -> f64 {
    eventually("the player sees the download", LONG, async || {
        let status = player.status(session).await;
        let progress = &status["progress"];
        let percent = progress["percent"].as_f64().filter(|_| progress["step"] == "downloading");
        percent.filter(|percent| *percent < 100.0).ok_or_else(|| status.to_string())
    })
    .await
}

/// The end of a launch that cannot be; its words.
async fn fails(player: &Client, session: &str) -> String {
    let status = until_status(player, session, "error").await;
    status["endDetail"].as_str().unwrap_or_else(|| panic!("words that help: {status:#}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_launches_cause_one_pull_and_both_see_its_progress() {
    let engine = Engine::connect().await;
    let published = Published::new(&engine).await;
    let gateway = engine.gateway(&image_game("pulled", &published.reference, "")).await;
    let (one, two) = tokio::join!(gateway.guest(), gateway.guest());
    let blobs = || published.registry.count(&["\"GET /v2/", "/blobs/sha256:"]);
    let before = blobs();
    published.valve.allow(NOISE / 3);
    let (first, second) = tokio::join!(one.launch("pulled"), two.launch("pulled"));
    let (by_one, by_two) = tokio::join!(sees_download(&one, &first), sees_download(&two, &second));
    assert!((0.0..100.0).contains(&by_one) && (0.0..100.0).contains(&by_two), "{by_one} {by_two}");
    published.valve.open();
    tokio::join!(until_status(&one, &first, "running"), until_status(&two, &second, "running"));
    // The image's configuration and the one layer that was not here.
    assert_eq!(blobs() - before, 2, "one pull for both");
    tokio::join!(one.stop(&first), two.stop(&second));
    gateway.finish().await;
    published.forget(&engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_over_its_time_is_an_error_and_the_next_player_has_the_game() {
    let engine = Engine::connect().await;
    let published = Published::new(&engine).await;
    let toml = format!("sessions.download_timeout_s = 5\n{}", image_game("pulled", &published.reference, ""));
    let gateway = engine.gateway(&toml).await;
    let player = gateway.guest().await;
    published.valve.allow(NOISE / 3);
    let session = player.launch("pulled").await;
    let words = fails(&player, &session).await;
    assert!(words.to_lowercase().contains("download"), "{words}");
    published.valve.open();
    eventually("the next player plays", LONG, async || {
        let session = player.launch("pulled").await;
        let status = eventually("the launch is decided", LONG, async || {
            let status = player.status(&session).await;
            if status["status"] == "starting" { Err(status.to_string()) } else { Ok(status) }
        })
        .await;
        if status["status"] == "running" {
            player.stop(&session).await;
            return Ok(());
        }
        Err(status.to_string())
    })
    .await;
    gateway.finish().await;
    published.forget(&engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_pulled_is_an_error_in_words() {
    let engine = Engine::connect().await;
    let published = Published::new(&engine).await;
    let wrong = format!("{}@sha256:{}", published.name(), "0".repeat(64));
    // A port that was free a moment ago.
    let nobody = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("{}/playgate/none:1", socket.local_addr().unwrap())
    };
    let toml = [
        image_game("wrong-digest", &wrong, ""),
        image_game("unreachable", &nobody, ""),
        image_game("no-such-tag", &format!("{}:none", published.name()), ""),
    ]
    .concat();
    let gateway = engine.gateway(&toml).await;
    let player = gateway.guest().await;
    for (game, wanted) in
        [("wrong-digest", wrong.as_str()), ("unreachable", "registry"), ("no-such-tag", "none")]
    {
        let session = player.launch(game).await;
        let words = fails(&player, &session).await;
        assert!(words.contains(wanted), "{game}: {words}");
    }
    gateway.finish().await;
    published.forget(&engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_the_engines_own_needs_no_registry() {
    let engine = Engine::connect().await;
    let name = format!("playgate-e2e-{}", std::process::id());
    let options = TagImageOptionsBuilder::default().repo(&name).tag("1").build();
    engine.docker.tag_image(&games().built_in, Some(options)).await.unwrap();
    let gateway = engine.gateway(&image_game("here", &format!("{name}:1"), "")).await;
    let player = gateway.guest().await;
    let session = player.launch_running("here").await;
    player.stop(&session).await;
    gateway.finish().await;
    let options = RemoveImageOptionsBuilder::default().build();
    engine.docker.remove_image(&format!("{name}:1"), Some(options), None).await.unwrap();
}

/// The small game's package, made larger so that a download can be watched.
fn package() -> Vec<u8> {
    let file = std::fs::File::open(games().package.path).unwrap();
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut unpacked).unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let mut given = tar::Archive::new(unpacked.as_slice());
    for item in given.entries().unwrap() {
        let mut item = item.unwrap();
        let mut header = item.header().clone();
        let path = item.path().unwrap().into_owned();
        let mut content = Vec::new();
        item.read_to_end(&mut content).unwrap();
        archive.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    entry(&mut archive, "minesweeper/noise", 0o644, &noise());
    let plain = archive.into_inner().unwrap();
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(plain.as_slice(), flate2::Compression::fast());
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

/// Serves the package; the address of its valve, and the valve.
async fn served(package: Vec<u8>) -> Valve {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let body = bytes::Bytes::from(package);
    let router = axum::Router::new().route("/game.tar.gz", axum::routing::get(async move || body.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Valve::before(&address).await
}

fn package_game(slug: &str, url: &str, sha256: &str, more: &str) -> String {
    let launcher = games().package.launcher;
    format!(
        "[[games]]\nslug = \"{slug}\"\ntitle = \"{slug}\"\nwidth = 640\nheight = 480\n{more}\n\
         package = {{ url = \"{url}\", sha256 = \"{sha256}\", launcher = \"{launcher}\" }}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_is_downloaded_once_seen_and_played() {
    let engine = Engine::connect().await;
    let package = package();
    let digest = sha256(&package);
    let valve = served(package).await;
    let url = format!("http://{}/game.tar.gz", valve.address);
    let gateway = engine.gateway(&package_game("mines", &url, &digest, "")).await;
    let (one, two) = tokio::join!(gateway.guest(), gateway.guest());
    valve.allow(NOISE / 3);
    let (first, second) = tokio::join!(one.launch("mines"), two.launch("mines"));
    tokio::join!(sees_download(&one, &first), sees_download(&two, &second));
    valve.open();
    tokio::join!(until_status(&one, &first, "running"), until_status(&two, &second, "running"));
    assert_eq!(valve.connections(), 1, "one download for both");
    tokio::join!(one.stop(&first), two.stop(&second));
    // The launcher counts its starts in the save directory: there is something to keep.
    let slots = one.slots("mines").await;
    assert!(slots.iter().any(|slot| slot["empty"] == Value::Bool(false)), "{slots:?}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_downloaded_is_an_error_in_words() {
    let engine = Engine::connect().await;
    let package = package();
    let digest = sha256(&package);
    let valve = served(package).await;
    let base = format!("http://{}", valve.address);
    let nobody = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/game.tar.gz", socket.local_addr().unwrap())
    };
    let toml = [
        package_game("wrong-digest", &format!("{base}/game.tar.gz"), &"0".repeat(64), ""),
        package_game("unreachable", &nobody, &digest, ""),
        package_game("not-there", &format!("{base}/none.tar.gz"), &digest, ""),
    ]
    .concat();
    let gateway = engine.gateway(&format!("sessions.download_timeout_s = 20\n{toml}")).await;
    let player = gateway.guest().await;
    for (game, wanted) in
        [("wrong-digest", "game.tar.gz"), ("unreachable", "game.tar.gz"), ("not-there", "404")]
    {
        let session = player.launch(game).await;
        let words = fails(&player, &session).await;
        assert!(words.contains(wanted), "{game}: {words}");
    }
    gateway.finish().await;
}
