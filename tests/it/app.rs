//! Listeners, certificates and codes on real sockets, with the fake session core behind them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod idle;

use crate::http::fake::{FakeCore, assets};
use crate::http::fake_embeds::FakeEmbeds;
use crate::http::fake_hosted::FakeHosted;
use crate::http::nodes::OneNode;
use crate::thumbnail::{FakeFrames, program};
use playgate::app::open_store;
use playgate::auth::{Auth, MemoryLedger};
use playgate::config::Config;
use playgate::http::{Front, FrontDeps, HttpMetrics, Serving};
use playgate::thumbnail::Thumbnailer;
use prometheus_client::registry::Registry;
use reqwest::{Certificate, Client, StatusCode};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

struct Gateway {
    serving: Serving,
    said: Arc<Mutex<Vec<String>>>,
    dir: tempfile::TempDir,
}

fn config(dir: &Path) -> Config {
    Config { data_dir: dir.to_owned(), listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() }
}

impl Gateway {
    async fn start(change: impl FnOnce(&mut Config, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        change(&mut config, dir.path());
        let front = Front::bind(&config).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let mut registry = Registry::default();
        let frames = Arc::new(FakeFrames::default());
        let pictures = Thumbnailer::new(frames, program(), &mut registry);
        let deps = FrontDeps {
            core: Arc::new(FakeCore::default()),
            hosted: Arc::new(FakeHosted::default()),
            embeds: Arc::new(FakeEmbeds::default()),
            nodes: Arc::new(OneNode),
            events: open_store(&dir.path().join("events.db")).await.unwrap(),
            webhooks: Vec::new(),
            auth: Auth::open(&config, Arc::new(MemoryLedger::default())).unwrap(),
            signal: axum::Router::new(),
            metrics: HttpMetrics::new(&mut registry),
            registry: Arc::new(registry),
            thumbnails: |_| None,
            pictures,
            assets: assets(),
            announce: Arc::new(move |line| heard.lock().unwrap().push(line.to_owned())),
        };
        Self { serving: front.serve(&config, deps).unwrap(), said, dir }
    }

    fn port(&self) -> u16 {
        self.serving.address.port()
    }

    /// Trusts the certificate of this gateway and no other.
    fn client(&self, pem: &str) -> Client {
        let pem = std::fs::read(self.dir.path().join(pem)).unwrap();
        trusting(&pem)
    }
}

fn trusting(pem: &[u8]) -> Client {
    let root = Certificate::from_pem(pem).unwrap();
    Client::builder().tls_certs_only([root]).no_proxy().build().unwrap()
}

fn write_certificate(dir: &Path) -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    std::fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(dir.join("cert.pem"), &pem).unwrap();
    pem.into_bytes()
}

#[tokio::test]
async fn a_taken_port_is_said_in_words() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = Config { listen: taken.local_addr().unwrap(), ..config(dir.path()) };
    let error = Front::bind(&config).unwrap_err().to_string();
    assert!(error.contains("the port is taken"), "{error}");
}

#[tokio::test]
async fn a_plain_gateway_answers_and_its_number_is_free_for_media() {
    let gateway = Gateway::start(|_, _| {}).await;
    let url = format!("http://127.0.0.1:{}", gateway.port());
    assert_eq!(gateway.serving.base_url, url);
    std::net::UdpSocket::bind(gateway.serving.address).unwrap();
    let health: Value =
        Client::new().get(format!("{url}/api/health")).send().await.unwrap().json().await.unwrap();
    assert_eq!(health["status"], "ok");
    let address = gateway.serving.address;
    gateway.serving.stop().await;
    assert!(std::net::TcpStream::connect(address).is_err(), "a stopped gateway listens no more");
}

#[tokio::test]
async fn an_open_event_stream_does_not_hold_the_gateway_up() {
    let gateway = Gateway::start(|_, _| {}).await;
    let base = gateway.serving.base_url.clone();
    let http = Client::builder().no_proxy().build().unwrap();
    let guest: Value =
        http.post(format!("{base}/api/auth/guest")).send().await.unwrap().json().await.unwrap();
    let token = guest["token"].as_str().unwrap();
    let request = http.get(format!("{base}/api/events")).bearer_auth(token);
    let mut stream = request.send().await.unwrap().error_for_status().unwrap();
    gateway.serving.stop().await;
    assert_eq!(stream.chunk().await.unwrap(), None, "it ended in order");
}

#[tokio::test]
async fn our_own_certificate_is_good_for_every_address_and_name_of_the_machine() {
    let gateway = Gateway::start(|config, _| config.tls_self_signed = true).await;
    let names = playgate::http::tls::names_of_this_machine();
    assert!(names.contains("localhost") && names.contains("127.0.0.1"), "{names:?}");
    let client = gateway.client("tls/self-signed.pem");
    for name in ["localhost", "127.0.0.1"] {
        let answer =
            client.get(format!("https://{name}:{}/api/health", gateway.port())).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
    }
    // The other names resolve or not as the machine likes: send them all to the listener.
    for name in names.iter().filter(|name| name.parse::<std::net::IpAddr>().is_err()) {
        let pem = std::fs::read(gateway.dir.path().join("tls/self-signed.pem")).unwrap();
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
            .resolve(name, gateway.serving.address)
            .no_proxy()
            .build()
            .unwrap();
        let answer =
            client.get(format!("https://{name}:{}/api/health", gateway.port())).send().await.unwrap();
        assert!(matches!(answer.status(), StatusCode::OK | StatusCode::MISDIRECTED_REQUEST), "{name}");
    }
    let stranger = Client::builder().no_proxy().build().unwrap();
    assert!(stranger.get(format!("https://localhost:{}/", gateway.port())).send().await.is_err());
}

#[tokio::test]
async fn plain_http_on_the_https_port_is_sent_on() {
    let gateway = Gateway::start(|config, _| config.tls_self_signed = true).await;
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let answer = client.get(format!("http://127.0.0.1:{}/play/x", gateway.port())).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    let target = format!("https://127.0.0.1:{}/play/x", gateway.port());
    assert_eq!(answer.headers()["location"], target.as_str());
}

#[tokio::test]
async fn a_changed_certificate_is_served_without_a_restart() {
    let gateway = Gateway::start(|config, dir| {
        write_certificate(dir);
        config.tls_cert = Some(dir.join("cert.pem"));
        config.tls_key = Some(dir.join("key.pem"));
    })
    .await;
    let url = format!("https://localhost:{}/api/health", gateway.port());
    gateway.client("cert.pem").get(&url).send().await.unwrap();
    // Half a pair keeps the old one; the whole new one is taken.
    let old = std::fs::read(gateway.dir.path().join("cert.pem")).unwrap();
    std::fs::write(gateway.dir.path().join("cert.pem"), "half").unwrap();
    trusting(&old).get(&url).send().await.unwrap();
    let new = write_certificate(gateway.dir.path());
    let deadline = Instant::now() + Duration::from_secs(20);
    while trusting(&new).get(&url).send().await.is_err() {
        assert!(Instant::now() < deadline, "the new certificate was not taken");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn certificate_files_that_cannot_work_are_named() {
    let dir = tempfile::tempdir().unwrap();
    write_certificate(dir.path());
    let (cert, key, bad) =
        (dir.path().join("cert.pem"), dir.path().join("key.pem"), dir.path().join("bad.pem"));
    std::fs::write(&bad, "nothing").unwrap();
    let mut config = config(dir.path());
    for (c, k, part) in [
        (Some(&cert), None, "--tls-key"),
        (Some(&bad), Some(&key), "bad.pem"),
        (Some(&cert), Some(&bad), "private key"),
        (Some(&dir.path().join("none.pem")), Some(&key), "none.pem"),
    ] {
        (config.tls_cert, config.tls_key) = (c.cloned(), k.cloned());
        let error = Front::bind(&config).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn on_the_local_network_a_one_time_code_signs_in() {
    let gateway = Gateway::start(|config, _| {
        config.lan = true;
        config.public_url = Some("https://localhost:1".into());
    })
    .await;
    let link = gateway.said.lock().unwrap()[0].clone();
    let code = link.strip_prefix("https://localhost:1/signin#code=").unwrap().to_owned();
    let client = gateway.client("tls/self-signed.pem");
    let base = format!("https://localhost:{}", gateway.port());
    let sign_in =
        |code: &str| client.post(format!("{base}/api/auth/code")).json(&json!({ "code": code })).send();

    let providers: Value =
        client.get(format!("{base}/api/auth/providers")).send().await.unwrap().json().await.unwrap();
    assert_eq!(providers, json!({ "guest": false, "signInUrl": null, "code": true }));
    assert_eq!(sign_in("WRNG-CODE").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    let answer = sign_in(&code).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.starts_with("__Host-playgate-session=") && cookie.ends_with("; Secure"), "{cookie}");
    let token = answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
    let games = client.get(format!("{base}/api/games")).bearer_auth(token).send().await.unwrap();
    assert_eq!(games.status(), StatusCode::OK);

    assert_eq!(sign_in(&code).await.unwrap().status(), StatusCode::UNAUTHORIZED, "a used code is used");
    assert_eq!(gateway.said.lock().unwrap().len(), 2, "and a new one was told");
    for _ in 0..3 {
        sign_in("WRNG-CODE").await.unwrap();
    }
    let limited = sign_in("WRNG-CODE").await.unwrap();
    assert_eq!(
        (limited.status(), &limited.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"60".parse().unwrap())
    );
}

#[tokio::test]
async fn lan_links_name_every_address_people_can_reach() {
    let gateway = Gateway::start(|config, _| config.lan = true).await;
    let said = gateway.said.lock().unwrap().clone();
    let reachable = playgate::http::tls::machine_addresses().into_iter().filter(|ip| !ip.is_loopback());
    let reachable: Vec<_> =
        reachable.filter(|ip| ip.is_ipv4() || gateway.serving.address.is_ipv6()).collect();
    assert_eq!(said.len(), reachable.len());
    for (line, ip) in said.iter().zip(reachable) {
        let start = format!("https://{}/signin#code=", SocketAddr::new(ip, gateway.port()));
        assert!(line.starts_with(&start) && line.len() == start.len() + 9, "{line}");
    }
}
