//! Control from hand to hand, by clients of our own: what the game saw is in the measuring marker of its pictures.

use super::joined;
use crate::GARDEN;
use crate::support::gateway::Gateway;
use crate::support::wait::{PATIENT, SOON};
use playgate::bots::join::Joined;
use playgate_signaling::control::ControlState;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::{ClientMessage, ErrorCode, Role, ServerMessage};

/// USB HID usage of the Enter key.
const ENTER: u16 = 0x28;

async fn key(joined: &Joined, down: bool) {
    joined.viewer.send_input(&InputFrame::Key { usage: ENTER, down }.to_bytes()).await.unwrap();
}

async fn game_saw(joined: &Joined, presses: u16) {
    let saw = |stats: &playgate::bots::viewer::ViewerStats| {
        stats.marker.is_some_and(|marker| marker.input == presses)
    };
    joined.viewer.wait_for("the press", SOON, saw).await.unwrap();
}

async fn told(joined: &mut Joined, enough: impl Fn(&ControlState) -> bool) -> ControlState {
    let wanted = async {
        loop {
            if let ServerMessage::Control(control) = joined.signaling.recv().await.unwrap()
                && enough(&control)
            {
                return control;
            }
        }
    };
    tokio::time::timeout(PATIENT, wanted).await.expect("it is told")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spectator_asks_and_plays_and_its_time_ends() {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(GARDEN).await;
    let grant = owner.share(&session, "spectator", 3600).await;
    let friend = gateway.client().with_token(grant["token"].as_str().expect("a token"));
    let mut host = joined(&owner, &session, Role::Player).await.unwrap();
    // It asks for more than it was given, so its input channels are there.
    let mut guest = joined(&friend, &session, Role::Player).await.unwrap();
    for view in [&host, &guest] {
        view.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 0).await.unwrap();
        view.viewer.input_open().await.unwrap();
    }
    key(&guest, true).await;
    key(&host, true).await;
    game_saw(&host, 1).await;

    guest.signaling.send(ClientMessage::TakeControl { slot: None }).await.unwrap();
    loop {
        if let ServerMessage::Error { code, fatal, message, .. } = guest.signaling.recv().await.unwrap() {
            assert_eq!((code, fatal), (ErrorCode::NotAllowed, false));
            assert!(message.contains("host"), "{message}");
            break;
        }
    }
    guest.signaling.send(ClientMessage::RequestControl { slot: None }).await.unwrap();
    let asked = told(&mut host, |control| !control.requests.is_empty()).await;
    assert!(asked.you.host && asked.you.slot == Some(0));
    let viewer_id = asked.requests[0].viewer_id.clone();
    assert_eq!(viewer_id, guest.signaling.welcome().viewer_id);
    let pass = ClientMessage::PassControl { viewer_id, slot: None, seconds: Some(8) };
    host.signaling.send(pass).await.unwrap();
    let turn = told(&mut guest, |control| control.you.slot == Some(0)).await;
    assert!(turn.holders[0].until.is_some() && !turn.you.host);
    // The host's key was let go: the game takes the guest's as a new one, and the host's no more.
    key(&host, false).await;
    key(&host, true).await;
    key(&guest, true).await;
    game_saw(&guest, 2).await;

    told(&mut host, |control| control.you.slot == Some(0)).await;
    key(&guest, true).await;
    key(&host, true).await;
    game_saw(&host, 3).await;
    owner.stop(&session).await;
    gateway.finish().await;
}
