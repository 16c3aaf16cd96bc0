//! One key frame request of a viewer brings one key frame, from its PLI through relay, runner and encoder and back. Each
//! request waits until the one before is answered and settled, so that none are merged.

use crate::support::gateway::Gateway;
use crate::support::wait::{PATIENT, SOON};
use crate::wire::{arcade, joined};
use playgate_signaling::message::Role;

/// Frames until a second key frame for the same request would have come.
const SETTLED: u64 = 20;

async fn one_for_each_of(requests: u64) {
    let gateway = Gateway::start().await;
    let owner = gateway.guest().await;
    let session = owner.launch_running(&arcade(&owner).await).await;
    let player = joined(&owner, &session, Role::Player).await.unwrap().viewer;
    let settled = async |what: &str| {
        let seen = player.stats().frames;
        player.wait_for(what, PATIENT, |stats| stats.frames >= seen + SETTLED).await.unwrap();
    };
    player.wait_for("a frame", PATIENT, |stats| stats.key_frames > 0).await.unwrap();
    // A viewer that joins asks for a key frame, too.
    for _ in 0..5 {
        settled("pictures").await;
    }
    let before = player.stats().key_frames;
    for request in 1..=requests {
        player.request_key_frame();
        player.wait_for("a key frame", SOON, |stats| stats.key_frames >= before + request).await.unwrap();
        settled("pictures after it").await;
        assert_eq!(player.stats().key_frames, before + request, "after {request} requests");
    }
    player.close().await;
    owner.stop(&session).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "counts over time: bash tests/run perf"]
async fn each_request_of_a_viewer_brings_one_key_frame() {
    one_for_each_of(30).await;
}

mod long {
    use super::one_for_each_of;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "ten minutes: bash tests/run long"]
    async fn a_thousand_requests_bring_a_thousand_key_frames() {
        one_for_each_of(1000).await;
    }
}
