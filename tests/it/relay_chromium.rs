//! The relay with Chromium: a real decoder, a real jitter buffer, real losses on the way.

use crate::relay_viewer::{Stage, event, run, until};
use bytes::Bytes;
use openh264::encoder::{Encoder, EncoderConfig};
use openh264::formats::YUVSource;
use playgate::model::ids::ViewerId;
use playgate::relay::{AddViewer, RelayEvent};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const OFFER: &str = r#"
const done = arguments[0];
(async () => {
  document.body.innerHTML = '<video autoplay muted playsinline></video>';
  const video = document.querySelector('video');
  const pc = window.pc = new RTCPeerConnection();
  pc.addTransceiver('video', {direction: 'recvonly'});
  pc.addTransceiver('audio', {direction: 'recvonly'});
  window.input = pc.createDataChannel('input');
  pc.ontrack = event => {
    if (event.track.kind === 'video') { video.srcObject = event.streams[0]; event.receiver.jitterBufferTarget = 0; }
    window.streams = (window.streams || new Set()).add(event.streams[0].id);
  };
  await pc.setLocalDescription();
  done(pc.localDescription.sdp);
})();
"#;

const ACCEPT: &str = r#"
const done = arguments[1];
window.pc.setRemoteDescription({type: 'answer', sdp: arguments[0]}).then(() => done(true), error => done(String(error)));
"#;

const RESTART: &str = r#"
const done = arguments[0];
(async () => {
  await window.pc.setLocalDescription(await window.pc.createOffer({iceRestart: true}));
  done(window.pc.localDescription.sdp);
})();
"#;

const STATS: &str = r#"
const done = arguments[0];
(async () => {
  const found = {streams: (window.streams || new Set()).size, state: window.pc.connectionState};
  const video = document.querySelector('video');
  found.width = video.videoWidth;
  for (const stat of (await window.pc.getStats()).values()) {
    if (stat.type === 'inbound-rtp' && stat.kind === 'video') Object.assign(found, {
      decoded: stat.framesDecoded, nacks: stat.nackCount, plis: stat.pliCount, lost: stat.packetsLost,
      repaired: stat.retransmittedPacketsReceived || 0, freezes: stat.freezeCount,
      delay: stat.jitterBufferDelay / Math.max(1, stat.jitterBufferEmittedCount)});
    if (stat.type === 'remote-outbound-rtp' && stat.kind === 'video') found.reports = stat.reportsSent;
    if (stat.type === 'transport') found.cipher = stat.srtpCipher;
  }
  done(found);
})();
"#;

#[test]
fn chromium_plays_with_gcm_and_goes_on_after_an_ice_restart() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let camera = Camera::start(opened.rtp_video);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        let browser = Browser::start().await;
        let offer = browser.script(OFFER, json!([])).await;
        let viewer = ViewerId::new();
        let offer = offer.as_str().expect("an offer").to_owned();
        let spec = AddViewer { session, viewer, slot: Some(0), offer };
        let answer = stage.relay.add_viewer(spec).await.expect("answered");
        assert_eq!(browser.script(ACCEPT, json!([answer])).await, json!(true));
        let stats = browser.decoded(60).await;
        assert_eq!(stats["cipher"], "SRTP_AEAD_AES_128_GCM", "{stats}");
        assert_eq!(
            (&stats["width"], &stats["lost"], &stats["freezes"]),
            (&json!(320), &json!(0), &json!(0)),
            "{stats}"
        );
        assert_eq!(stats["streams"], 2, "video and audio are apart");
        browser.script("window.input.send(new Uint8Array([6])); arguments[0](true)", json!([])).await;
        let input = event(&mut opened, |event| matches!(event, RelayEvent::Input { .. })).await;
        assert_eq!(input, RelayEvent::Input { viewer, slot: 0, frame: Bytes::from_static(&[6]) });

        let offer = browser.script(RESTART, json!([])).await.as_str().expect("an offer").to_owned();
        let answer = stage.relay.renegotiate(session, viewer, offer).await.expect("answered");
        assert_eq!(browser.script(ACCEPT, json!([answer])).await, json!(true));
        let before = stats["decoded"].as_u64().unwrap_or(0);
        let stats = browser.decoded(before + 60).await;
        assert!(stats["reports"].as_u64() > Some(0), "sender reports: {stats}");
        assert_eq!((&stats["state"], &stats["freezes"]), (&json!("connected"), &json!(0)), "{stats}");
        drop(camera);
    });
}

#[test]
fn a_spectator_in_chromium_becomes_a_player_and_watches_again_without_a_new_offer_or_a_lost_packet() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let camera = Camera::start(opened.rtp_video);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        let browser = Browser::start().await;
        let offer = browser.script(OFFER, json!([])).await.as_str().expect("an offer").to_owned();
        let viewer = ViewerId::new();
        let spec = AddViewer { session, viewer, slot: None, offer };
        let answer = stage.relay.add_viewer(spec).await.expect("answered");
        assert!(answer.contains("transport-cc") && answer.contains("transport-wide-cc"), "{answer}");
        assert_eq!(browser.script(ACCEPT, json!([answer])).await, json!(true));
        let decoded = browser.decoded(30).await["decoded"].as_u64().unwrap_or(0);
        let send = async |byte: u8| {
            browser
                .script(
                    "window.input.send(new Uint8Array([arguments[0]])); arguments[1](true)",
                    json!([byte]),
                )
                .await
        };
        send(5).await;
        until("the spectator's input is dropped", || stage.counted("input_without_slot") > 0).await;

        stage.relay.set_slot(session, viewer, Some(0)).await.expect("a slot");
        send(6).await;
        let mut heard = (false, false);
        while heard != (true, true) {
            // What its link carries is known from its feedback alone.
            let news = |event: &RelayEvent| {
                matches!(event, RelayEvent::Input { .. } | RelayEvent::LinkRate(Some(_)))
            };
            if let RelayEvent::Input { frame, .. } = event(&mut opened, news).await {
                assert_eq!(frame, Bytes::from_static(&[6]));
                heard.0 = true;
            } else {
                heard.1 = true;
            }
        }
        let stats = browser.decoded(decoded + 60).await;

        stage.relay.set_slot(session, viewer, None).await.expect("no slot");
        event(&mut opened, |event| *event == RelayEvent::LinkRate(None)).await;
        let stats = browser.decoded(stats["decoded"].as_u64().unwrap_or(0) + 30).await;
        assert_eq!(stats["state"], "connected", "{stats}");
        let broken = (&stats["lost"], &stats["nacks"], &stats["plis"]);
        assert_eq!(broken, (&json!(0), &json!(0), &json!(0)), "the picture went on: {stats}");
        drop(camera);
    });
}

#[test]
fn chromium_repairs_losses_by_rtx_without_a_freeze() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let camera = Camera::start(opened.rtp_video);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        let relay = stage.relay.candidates()[0];
        let hop = Hop::start(relay, 40);
        let browser = Browser::start().await;
        let offer = browser.script(OFFER, json!([])).await.as_str().expect("an offer").to_owned();
        let spec = AddViewer { session, viewer: ViewerId::new(), slot: None, offer };
        let answer = stage.relay.add_viewer(spec).await.expect("answered");
        // The way leads through the hop.
        let answer = answer.replace(&format!("{} typ host", relay.port()), &format!("{} typ host", hop.port));
        assert_eq!(browser.script(ACCEPT, json!([answer])).await, json!(true));
        let stats = browser.decoded(200).await;
        assert!(hop.dropped.load(Ordering::Relaxed) > 0);
        assert!(stats["nacks"].as_u64() > Some(0) && stats["repaired"].as_u64() > Some(0), "{stats}");
        assert!(stage.counted("retransmits") > 0);
        drop(camera);
    });
}

#[test]
fn a_page_recovers_at_the_next_key_frame_of_a_producer_that_ignores_requests() {
    run(async {
        let stage = Stage::new();
        let (session, mut opened) = stage.open().await;
        let camera = Camera::stubborn(opened.rtp_video);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        let relay = stage.relay.candidates()[0];
        let hop = Hop::start(relay, usize::MAX);
        let browser = Browser::start().await;
        let offer = browser.script(OFFER, json!([])).await.as_str().expect("an offer").to_owned();
        let spec = AddViewer { session, viewer: ViewerId::new(), slot: None, offer };
        let answer = stage.relay.add_viewer(spec).await.expect("answered");
        let answer = answer.replace(&format!("{} typ host", relay.port()), &format!("{} typ host", hop.port));
        assert_eq!(browser.script(ACCEPT, json!([answer])).await, json!(true));
        browser.decoded(60).await;

        // One packet is lost before the gateway.
        camera.film.lose_packet.store(true, Ordering::Relaxed);
        until("the loss", || !camera.film.lose_packet.load(Ordering::Relaxed)).await;
        let stats = camera.is_decoded_whole_after_the_next_key_frame(&browser).await;
        assert_eq!(stats["lost"], 1, "nothing but that packet: {stats}");

        // Nothing reaches the page for a second and a half.
        hop.dead.store(true, Ordering::Relaxed);
        camera.sent(camera.frames() + 45).await;
        hop.dead.store(false, Ordering::Relaxed);
        camera.is_decoded_whole_after_the_next_key_frame(&browser).await;
    });
}

/// How a camera is told what to do, and what it has done.
#[derive(Default)]
struct Film {
    stop: AtomicBool,
    /// A key frame every [`STUBBORN`] frames, and none for any request.
    stubborn: bool,
    /// One packet of the next ordinary frame is lost before the gateway.
    lose_packet: AtomicBool,
    frames: AtomicUsize,
}

/// Frames from one key frame to the next: 2 s.
const STUBBORN: usize = 60;

/// An encoder that draws, sends, and obeys key frame requests.
struct Camera {
    film: Arc<Film>,
}

impl Camera {
    fn start(to: SocketAddr) -> Self {
        Self::with(to, Film::default())
    }

    /// One that ignores key frame requests, as a plain encoder on a command line does.
    fn stubborn(to: SocketAddr) -> Self {
        Self::with(to, Film { stubborn: true, ..Film::default() })
    }

    fn with(to: SocketAddr, film: Film) -> Self {
        let film = Arc::new(film);
        let shared = Arc::clone(&film);
        std::thread::spawn(move || shared.run(to));
        Self { film }
    }

    fn frames(&self) -> usize {
        self.film.frames.load(Ordering::Relaxed)
    }

    async fn sent(&self, frames: usize) {
        until("frames of the camera", || self.frames() >= frames).await;
    }

    /// After the next key frame nothing is missing, and frames are decoded one after the other. A busy machine decodes late:
    /// it has the time of two groups for the frames of one. A page that waits for key frames decodes two or three in it.
    async fn is_decoded_whole_after_the_next_key_frame(&self, browser: &Browser) -> Value {
        let key_frame = (self.frames() / STUBBORN + 1) * STUBBORN;
        // The page has shown the key frame by then.
        self.sent(key_frame + STUBBORN / 2).await;
        let before = browser.script(STATS, json!([])).await;
        let (sent, decoded) = (self.frames(), before["decoded"].as_u64().unwrap_or(0));
        loop {
            self.sent(self.frames() + 5).await;
            let late = self.frames() - sent > 2 * STUBBORN;
            let after = browser.script(STATS, json!([])).await;
            let shown = after["decoded"].as_u64().unwrap_or(0) - decoded;
            if shown >= STUBBORN as u64 {
                let missed = |stats: &Value| ["lost", "nacks"].map(|figure| stats[figure].as_u64());
                assert_eq!(missed(&before), missed(&after), "{before} {after}");
                return after;
            }
            assert!(
                !late,
                "{shown} frames decoded while {} were sent: {before} {after}",
                self.frames() - sent
            );
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.film.stop.store(true, Ordering::Relaxed);
    }
}

struct Picture {
    luma: Vec<u8>,
    chroma: Vec<u8>,
}

impl YUVSource for Picture {
    fn dimensions(&self) -> (usize, usize) {
        (320, 180)
    }

    fn strides(&self) -> (usize, usize, usize) {
        (320, 160, 160)
    }

    fn y(&self) -> &[u8] {
        &self.luma
    }

    fn u(&self) -> &[u8] {
        &self.chroma
    }

    fn v(&self) -> &[u8] {
        &self.chroma
    }
}

impl Film {
    fn run(&self, to: SocketAddr) {
        let api = openh264::OpenH264API::from_source();
        let mut encoder = Encoder::with_api_config(api, EncoderConfig::new()).expect("an encoder");
        let mut source = crate::rtp_source::RtpSource::video(to);
        let mut picture = Picture { luma: vec![0; 320 * 180], chroma: vec![128; 160 * 90] };
        let (start, mut frame) = (Instant::now(), 0u32);
        while !self.stop.load(Ordering::Relaxed) {
            for (at, pixel) in picture.luma.iter_mut().enumerate() {
                let (x, y) = (at % 320, at / 320);
                *pixel = ((x + frame as usize * 3) ^ (y * 2)) as u8;
            }
            let key = (frame as usize).is_multiple_of(STUBBORN);
            if self.stubborn && key {
                encoder.force_intra_frame();
            }
            source.lose_next = !key && self.lose_packet.swap(false, Ordering::Relaxed);
            let stream = encoder.encode(&picture).expect("encoded").to_vec();
            source.access_unit(&stream);
            frame += 1;
            self.frames.store(frame as usize, Ordering::Relaxed);
            while start.elapsed() < Duration::from_millis(33) * frame {
                if source.picture_loss_requests() > 0 && !self.stubborn {
                    encoder.force_intra_frame();
                }
            }
        }
    }
}

/// A way that loses every n-th media packet towards the browser, or all of them.
struct Hop {
    port: u16,
    dropped: Arc<AtomicUsize>,
    dead: Arc<AtomicBool>,
}

impl Hop {
    fn start(relay: SocketAddr, every: usize) -> Self {
        let outside = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let inside = UdpSocket::bind("127.0.0.1:0").expect("a port");
        inside.connect(relay).expect("connected");
        let port = outside.local_addr().expect("an address").port();
        let dropped = Arc::new(AtomicUsize::new(0));
        let client = Arc::new(std::sync::Mutex::new(None));
        let (outside_in, inside_out, seen) = (
            outside.try_clone().expect("a socket"),
            inside.try_clone().expect("a socket"),
            Arc::clone(&client),
        );
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((len, from)) = outside_in.recv_from(&mut buffer) {
                *seen.lock().expect("lock") = Some(from);
                let _ = inside_out.send(&buffer[..len]);
            }
        });
        let count = Arc::clone(&dropped);
        let dead = Arc::new(AtomicBool::new(false));
        let is_dead = Arc::clone(&dead);
        std::thread::spawn(move || {
            let (mut buffer, mut media) = ([0; 2000], 0usize);
            while let Ok(len) = inside.recv(&mut buffer) {
                media += usize::from(buffer[0] >= 128);
                if is_dead.load(Ordering::Relaxed) || (buffer[0] >= 128 && media.is_multiple_of(every)) {
                    count.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                if let Some(to) = *client.lock().expect("lock") {
                    let _ = outside.send_to(&buffer[..len], to);
                }
            }
        });
        Self { port, dropped, dead }
    }
}

/// Chromium, by the WebDriver protocol.
struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    async fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver (Debian: chromium-driver)");
        let mut port = None;
        let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines();
        while port.is_none() {
            let line = lines.next().expect("its port").expect("text");
            port = line
                .rsplit_once("successfully on port ")
                .map(|(_, port)| port.trim_end_matches('.').to_owned());
        }
        std::thread::spawn(move || lines.for_each(drop));
        let (http, base) = (reqwest::Client::new(), format!("http://127.0.0.1:{}", port.expect("a port")));
        let profile = tempfile::tempdir().expect("a folder");
        let data = format!("--user-data-dir={}", profile.path().display());
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--autoplay-policy=no-user-gesture-required",
            "--disable-gpu",
            &data,
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome",
            "goog:chromeOptions": {"args": arguments}, "timeouts": {"script": 20000}}}});
        let made: Value = post(&http, &format!("{base}/session"), &capabilities).await;
        let session = format!("{base}/session/{}", made["value"]["sessionId"].as_str().expect("a session"));
        post(&http, &format!("{session}/url"), &json!({"url": "data:text/html,<body></body>"})).await;
        Self { driver, http, session, _profile: profile }
    }

    async fn script(&self, script: &str, args: Value) -> Value {
        let url = format!("{}/execute/async", self.session);
        post(&self.http, &url, &json!({"script": script, "args": args})).await["value"].take()
    }

    /// Waits for decoded frames; gives the statistics.
    async fn decoded(&self, frames: u64) -> Value {
        let start = Instant::now();
        loop {
            let stats = self.script(STATS, json!([])).await;
            if stats["decoded"].as_u64().unwrap_or(0) >= frames {
                return stats;
            }
            assert!(start.elapsed() < Duration::from_secs(40), "waited for {frames} frames: {stats}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let session = self.session.clone();
        // Ends the browser too; killing the driver alone would leave it.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(reqwest::Client::new().delete(session).send()))
        })
        .join();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

async fn post(http: &reqwest::Client, url: &str, body: &Value) -> Value {
    let response = http.post(url).json(body).send().await.expect("the driver answers");
    let value: Value = response.json().await.expect("JSON");
    assert!(value["value"]["error"].is_null(), "{value}");
    value
}

/// Keeps the helper in use where only this file's tests run.
#[test]
fn the_camera_sends_key_frames() {
    run(async {
        let stage = Stage::new();
        let (_, mut opened) = stage.open().await;
        let _camera = Camera::start(opened.rtp_video);
        event(&mut opened, |event| *event == RelayEvent::FirstKeyFrame).await;
        until("packets", || stage.counted("ingest_packets") > 3).await;
    });
}
