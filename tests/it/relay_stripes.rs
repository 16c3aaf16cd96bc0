//! A session on two shards, with real viewers and a synthetic source.

use crate::relay_viewer::{Stage, Traits, Watcher, event, run, until};
use crate::rtp_source::RtpSource;
use playgate::model::ids::SessionId;
use playgate::relay::{OpenedSession, RelayEvent};

/// A player and three spectators of a session on two shards, and its source.
struct House {
    stage: Stage,
    session: SessionId,
    opened: OpenedSession,
    source: RtpSource,
    player: Watcher,
    spectators: Vec<Watcher>,
}

impl House {
    async fn new() -> Self {
        let stage = Stage::with_shards(2);
        let (session, opened) = stage.open().await;
        let source = RtpSource::video(opened.rtp_video);
        let player = Watcher::new(Traits::default()).await;
        player.watch(&stage, session, Some(0)).await.expect("answered");
        let mut house = Self { stage, session, opened, source, player, spectators: Vec::new() };
        for _ in 0..3 {
            let spectator = Watcher::new(Traits::default()).await;
            spectator.watch(&house.stage, session, None).await.expect("answered");
            house.spectators.push(spectator);
        }
        for watcher in house.watchers() {
            watcher.connected().await;
        }
        house
    }

    fn watchers(&self) -> impl Iterator<Item = &Watcher> {
        std::iter::once(&self.player).chain(&self.spectators)
    }

    /// Sends a key frame and some more, which everybody gets.
    async fn film(&mut self) {
        self.source.key_frame(3);
        for _ in 0..20 {
            self.source.frame(4);
            let sent = self.source.sent.len();
            until("each frame", || self.watchers().all(|watcher| watcher.seen.video_count() >= sent)).await;
        }
    }
}

#[test]
fn spectators_are_spread_over_shards_and_get_every_packet_in_order() {
    run(async {
        let mut house = House::new().await;
        assert_eq!(house.stage.viewers(), [2, 2], "the player at home, and a spectator beside it");
        house.film().await;
        house.source.restart();
        house.film().await;
        for watcher in house.watchers() {
            assert!(watcher.seen.payloads() == house.source.sent, "complete and in order");
        }
        assert_eq!(house.stage.counted("replica_full"), 0);
        let watcher = house.spectators.first().expect("a spectator");
        house.stage.relay.set_slot(house.session, watcher.id, Some(1)).await.expect("known");
    });
}

#[test]
fn a_session_is_watched_until_the_last_viewer_on_any_shard_has_gone() {
    run(async {
        let mut house = House::new().await;
        event(&mut house.opened, |event| *event == RelayEvent::Watched(true)).await;
        let viewers: Vec<_> = house.watchers().map(|watcher| watcher.id).collect();
        for (left, viewer) in viewers.iter().enumerate().rev() {
            house.stage.relay.remove_viewer(house.session, *viewer).await;
            if left > 0 {
                while let Ok(event) = house.opened.events.try_recv() {
                    assert!(!matches!(event, RelayEvent::Watched(_)), "{event:?} with {left} left");
                }
            }
        }
        event(&mut house.opened, |event| *event == RelayEvent::Watched(false)).await;
    });
}

#[test]
fn joiners_start_from_the_group_of_pictures_on_every_shard_and_after_its_panic() {
    run(async {
        let mut house = House::new().await;
        house.film().await;
        for viewers in [[3, 2], [3, 3]] {
            let late = Watcher::new(Traits::default()).await;
            late.watch(&house.stage, house.session, None).await.expect("answered");
            until("the group of pictures", || late.seen.video_count() >= 3).await;
            assert_eq!(house.stage.viewers(), viewers);
            house.spectators.push(late);
        }
        house.stage.relay.panic_shard(1).expect("told");
        event(&mut house.opened, |event| matches!(event, RelayEvent::ViewerGone { .. })).await;
        let again = Watcher::new(Traits::default()).await;
        again.watch(&house.stage, house.session, None).await.expect("answered");
        until("the group of pictures again", || again.seen.video_count() >= 3).await;
    });
}

#[test]
fn a_panic_at_home_leaves_spectators_on_other_shards_their_connections() {
    run(async {
        let mut house = House::new().await;
        house.film().await;
        while house.opened.events.try_recv().is_ok() {}
        house.stage.relay.panic_shard(0).expect("told");
        let mut gone = Vec::new();
        while gone.len() < 2 {
            let event =
                event(&mut house.opened, |event| matches!(event, RelayEvent::ViewerGone { .. })).await;
            if let RelayEvent::ViewerGone { viewer, .. } = event {
                gone.push(viewer);
            }
        }
        assert!(gone.contains(&house.player.id));
        let before: Vec<_> = house.spectators.iter().map(|watcher| watcher.seen.video_count()).collect();
        let stay = |watcher: &&Watcher| !gone.contains(&watcher.id);
        let begun = std::time::Instant::now();
        // The source is taken up again where it is, once the shard is back.
        while house
            .spectators
            .iter()
            .zip(&before)
            .filter(|(watcher, _)| stay(watcher))
            .any(|(watcher, before)| watcher.seen.video_count() < before + 3)
        {
            assert!(begun.elapsed().as_secs() < 20, "the picture goes on");
            house.source.key_frame(3);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn the_end_of_a_session_is_its_end_on_every_shard() {
    run(async {
        let mut house = House::new().await;
        house.film().await;
        house.stage.relay.close(house.session).await;
        until("an empty relay", || house.stage.viewers() == [0, 0]).await;
    });
}
