//! Where a viewer's packets go: new mappings, spare pairs, replays, and handshakes over bad lines.

use crate::raw_viewer::{Line, RawViewer, media};
use crate::relay_viewer::{Stage, run, until};
use crate::rtp_source::RtpSource;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A plain check this often, as full agents check a pair that matters.
const CHECKS: Duration = Duration::from_millis(250);

/// A NAT between a viewer and the relay: what the viewer sends leaves from another port, which can change.
struct Nat {
    port: u16,
    mapping: Arc<Mutex<Arc<UdpSocket>>>,
    /// What left it.
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Nat {
    fn start(relay: SocketAddr) -> Self {
        let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let port = inside.local_addr().expect("an address").port();
        let (mapping, seen) = (Arc::new(Mutex::new(mapped())), Arc::new(Mutex::new(Vec::new())));
        let viewer = Arc::new(Mutex::new(None));
        let (out, from, sent, known) =
            (Arc::clone(&mapping), Arc::clone(&inside), Arc::clone(&seen), Arc::clone(&viewer));
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((len, address)) = from.recv_from(&mut buffer) {
                *known.lock().expect("lock") = Some(address);
                sent.lock().expect("lock").push(buffer[..len].to_vec());
                let _ = out.lock().expect("lock").send_to(&buffer[..len], relay);
            }
        });
        let back = Arc::clone(&mapping);
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            loop {
                let socket = Arc::clone(&back.lock().expect("lock"));
                let Ok(len) = socket.recv(&mut buffer) else { continue };
                let still_mapped = Arc::ptr_eq(&socket, &back.lock().expect("lock"));
                if let Some(to) = viewer.lock().expect("lock").filter(|_| still_mapped) {
                    let _ = inside.send_to(&buffer[..len], to);
                }
            }
        });
        Self { port, mapping, seen }
    }

    /// Forgets the mapping: what still comes to it goes nowhere. Gives its socket, so that its port stays taken.
    fn rebind(&self) -> Arc<UdpSocket> {
        std::mem::replace(&mut *self.mapping.lock().expect("lock"), mapped())
    }
}

fn mapped() -> Arc<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
    Arc::new(socket)
}

/// A viewer behind a NAT that has a picture.
async fn behind_nat(
    stage: &Stage,
    source: &mut RtpSource,
    session: playgate::model::ids::SessionId,
) -> (Nat, RawViewer) {
    let nat = Nat::start(stage.relay.candidates()[0]);
    let line = Line { port: Some(nat.port), ..Line::default() };
    let mut viewer = RawViewer::connect_over(stage, session, line).await;
    source.key_frame(2);
    until("the picture", || viewer.read() == source.sent.len()).await;
    (nat, viewer)
}

#[test]
fn a_viewer_behind_a_new_mapping_has_media_again_within_three_seconds() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let (nat, mut viewer) = behind_nat(&stage, &mut source, session).await;
        viewer.check(None);
        until("an answer", || {
            viewer.read();
            viewer.answers > 0
        })
        .await;
        let before = viewer.read();
        let _old = nat.rebind();
        let (began, mut checked) = (Instant::now(), None::<Instant>);
        until("media by the new mapping", || {
            if checked.is_none_or(|at| at.elapsed() >= CHECKS) {
                viewer.check(None);
                checked = Some(Instant::now());
            }
            source.frame(1);
            viewer.read() > before
        })
        .await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        eprintln!("media again after {took:?}");
        assert_eq!(stage.counted("path_moves"), 1);
        let (seen, sent) = (viewer.read(), source.sent.len());
        source.frame(4);
        until("the rest", || viewer.read() >= seen + source.sent.len() - sent).await;
    });
}

#[test]
fn what_only_the_viewer_can_write_moves_its_path_at_once_and_copies_of_it_move_nothing() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let (nat, mut viewer) = behind_nat(&stage, &mut source, session).await;
        let _old = nat.rebind();
        viewer.say(b"from an address that no check came from");
        until("the datagram is dropped", || stage.counted("unknown_peer") > 0).await;
        let answers = viewer.answers;
        viewer.check(None);
        until("an answer", || {
            viewer.read();
            viewer.answers > answers
        })
        .await;
        viewer.say(b"from an address that a check came from");
        until("the path moves", || stage.counted("path_moves") == 1).await;
        source.frame(3);
        let sent = source.sent.len();
        until("media by the new mapping", || viewer.read() == sent).await;

        // Somebody who has seen all of it sends it again, as it was.
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
        stranger.set_nonblocking(true).expect("non-blocking");
        let seen = nat.seen.lock().expect("lock").clone();
        for datagram in &seen {
            stranger.send_to(datagram, stage.relay.candidates()[0]).expect("sent");
        }
        until("the copies are seen through", || stage.counted("stun_replayed") > 0).await;
        source.frame(3);
        let sent = source.sent.len();
        until("media goes on", || viewer.read() == sent).await;
        assert_eq!(stage.counted("path_moves"), 1);
        let mut buffer = [0; 2000];
        let answer = stranger.recv(&mut buffer).map(|len| &buffer[..len.min(20)]);
        assert!(answer.is_err(), "the stranger was answered: {answer:?}");
    });
}

#[test]
fn checks_on_a_spare_pair_move_nothing() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let mut viewer = RawViewer::connect(&stage, session).await;
        let spare = UdpSocket::bind("127.0.0.1:0").expect("a port");
        spare.set_nonblocking(true).expect("non-blocking");
        source.key_frame(2);
        until("the picture", || viewer.read() == source.sent.len()).await;
        let (mut buffer, mut answers) = ([0; 2000], 0);
        // Long enough for silence, if the present pair kept any.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(3) {
            if answers % 8 == 0 {
                viewer.check(None);
            }
            viewer.check(Some(&spare));
            source.frame(1);
            let (wanted, sent) = (answers + 1, source.sent.len());
            until("the frame and an answer", || {
                while let Ok(len) = spare.recv(&mut buffer) {
                    assert_eq!(media(&buffer[..len]), None, "media on the spare pair");
                    answers += usize::from(buffer[..len].starts_with(&[1, 1]));
                }
                answers >= wanted && viewer.read() == sent
            })
            .await;
        }
        assert_eq!(stage.counted("path_moves"), 0);
        assert!(answers > 100, "{answers} checks answered on the spare pair");
    });
}

#[test]
fn a_handshake_in_small_pieces_out_of_order_and_repeated_succeeds() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        let line = Line { pieces: Some(61), ..Line::default() };
        let mut viewer = RawViewer::connect_over(&stage, session, line).await;
        source.key_frame(2);
        until("the picture", || viewer.read() == source.sent.len()).await;
        assert_eq!((stage.counted("viewers_sealed_here"), stage.counted("dtls_refused")), (1, 0));
    });
}

#[test]
fn a_handshake_that_loses_the_relays_first_flights_succeeds() {
    run(async {
        let stage = Stage::new();
        let (session, opened) = stage.open().await;
        let mut source = RtpSource::video(opened.rtp_video);
        // The HelloVerifyRequest, then each datagram of the flight behind it.
        let line = Line { lost: 3, ..Line::default() };
        let mut viewer = RawViewer::connect_over(&stage, session, line).await;
        source.key_frame(2);
        until("the picture", || viewer.read() == source.sent.len()).await;
    });
}
