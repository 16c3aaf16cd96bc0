//! Connections on which nothing happens (A2).

use super::{Gateway, trusting, write_certificate};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// All of them are gone by then.
const GONE: Duration = Duration::from_secs(75);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Frame types and flags (RFC 9113, section 6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
/// END_STREAM and END_HEADERS.
const WHOLE: u8 = 5;
/// `GET http://localhost/` (RFC 7541: static table, one literal).
const GET: &[u8] = b"\x82\x86\x84\x41\x09localhost";

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    [&head, payload].concat()
}

/// A client that is alive but silent: it answers PINGs and SETTINGS, and after one request, if at all, asks nothing more.
/// Gives how long it lived.
fn silent(mut connection: impl Read + Write, asks: bool) -> Duration {
    let begun = Instant::now();
    connection.write_all(PREFACE).unwrap();
    connection.write_all(&frame(SETTINGS, 0, 0, &[])).unwrap();
    if asks {
        connection.write_all(&frame(HEADERS, WHOLE, 1, GET)).unwrap();
    }
    let (mut head, mut answered) = ([0; 9], false);
    while connection.read_exact(&mut head).is_ok() {
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        if connection.read_exact(&mut payload).is_err() {
            break;
        }
        answered |= head[3] == HEADERS;
        let answer = match (head[3], head[4] & ACK) {
            (SETTINGS, 0) => frame(SETTINGS, ACK, 0, &[]),
            (PING, 0) => frame(PING, ACK, 0, &payload),
            _ => continue,
        };
        if connection.write_all(&answer).is_err() {
            break;
        }
    }
    assert_eq!(answered, asks);
    begun.elapsed()
}

fn over_tcp(port: u16, asks: bool) -> JoinHandle<Duration> {
    std::thread::spawn(move || silent(TcpStream::connect(("127.0.0.1", port)).unwrap(), asks))
}

fn over_tls(port: u16, pem: &[u8], asks: bool) -> JoinHandle<Duration> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    std::thread::spawn(move || {
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        silent(StreamOwned::new(client, TcpStream::connect(("127.0.0.1", port)).unwrap()), asks)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_silent_http2_connections_are_gone_after_75_s_and_streams_are_not() {
    let plain = Gateway::start(|_, _| {}).await;
    let secret = Gateway::start(|config, dir| {
        write_certificate(dir);
        config.tls_cert = Some(dir.join("cert.pem"));
        config.tls_key = Some(dir.join("key.pem"));
    })
    .await;
    let pem = std::fs::read(secret.dir.path().join("cert.pem")).unwrap();

    // An event stream is work, over HTTP/2 as over HTTP/1.
    let mut streams = Vec::new();
    let base = format!("https://localhost:{}", secret.port());
    for (base, http) in [
        (plain.serving.base_url.clone(), reqwest::Client::builder().no_proxy().build().unwrap()),
        (base, trusting(&pem)),
    ] {
        let guest = http.post(format!("{base}/api/auth/guest")).send().await.unwrap();
        let token = guest.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
        let request = http.get(format!("{base}/api/events")).bearer_auth(token);
        streams.push(request.send().await.unwrap().error_for_status().unwrap());
    }

    let begun = Instant::now();
    let mut silent: Vec<_> = (0..150).map(|at| over_tcp(plain.port(), at % 3 > 0)).collect();
    silent.extend((0..50).map(|at| over_tls(secret.port(), &pem, at % 3 > 0)));
    let lives = tokio::task::spawn_blocking(|| {
        silent.into_iter().map(|silent| silent.join().unwrap()).collect::<Vec<_>>()
    });
    let lives = tokio::time::timeout(GONE, lives).await.expect("all are gone after 75 s").unwrap();
    eprintln!("{} connections were gone after {:.1} s", lives.len(), begun.elapsed().as_secs_f64());
    // Those that asked once had their minute; this is no race: less would be another rule's doing.
    assert!(lives.iter().filter(|life| **life > Duration::from_secs(55)).count() > 100, "{lives:?}");

    for stream in &mut streams {
        let comment = stream.chunk().await.unwrap();
        assert!(comment.is_some(), "the event stream goes on");
    }
    drop(streams);
    plain.serving.stop().await;
    secret.serving.stop().await;
}
