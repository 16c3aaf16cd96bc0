//! Playing the visual novel by its one key.

use super::wait::PATIENT;
use playgate::bots::join::Joined;
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::ServerMessage;

/// USB HID usage of the Enter key.
const ENTER: u16 = 0x28;

/// Goes on with the story until the game has written a save by itself.
pub(crate) async fn until_saved(joined: &mut Joined) {
    joined.viewer.wait_for("a frame", PATIENT, |stats| stats.frames > 0).await.unwrap();
    joined.viewer.input_open().await.unwrap();
    let mut presses = tokio::time::interval(std::time::Duration::from_millis(300));
    let saved = async {
        loop {
            tokio::select! {
                _ = presses.tick() => for down in [true, false] {
                    joined.viewer.send_input(&InputFrame::Key { usage: ENTER, down }.to_bytes()).await.unwrap();
                },
                message = joined.signaling.recv() => if let ServerMessage::Saved = message.unwrap() { return },
            }
        }
    };
    tokio::time::timeout(PATIENT, saved).await.expect("the game saves while it is played");
}
