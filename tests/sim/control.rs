//! Control handed over in a whole session core: what the runner hears, whom the relay lets in, who is told.

use crate::world::{World, connected, holder_of, until, user_of};
use playgate::auth::Principal;
use playgate::model::ids::{SessionId, ViewerId};
use playgate::relay::RelayEvent;
use playgate::session::ServiceError;
use playgate::session::hosted::HostRequest;
use playgate::session::view::Push;
use playgate_signaling::control::{ControlState, Wish};
use playgate_signaling::input::InputFrame;
use playgate_signaling::message::Role;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn key(usage: u16, down: bool) -> InputFrame {
    InputFrame::Key { usage, down }
}

struct Stage {
    world: World,
    id: SessionId,
    host: ViewerId,
    guest: ViewerId,
    grant: playgate::session::view::GrantView,
    _dir: tempfile::TempDir,
}

impl Stage {
    /// An owner who plays and somebody with a spectator's invitation, both with pictures.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path()).await;
        let id = world.play("ada").await;
        let grant =
            world.sessions.share(&user_of("ada"), id, Role::Spectator, Vec::new(), HOUR).await.unwrap();
        let host = enter(&world, id, &user_of("ada")).await;
        let guest = enter(&world, id, &holder_of(&grant)).await;
        let stage = Self { world, id, host, guest, grant, _dir: dir };
        stage.told(host, |told| told.spectators == 1).await;
        stage
    }

    async fn wishes(&self, from: ViewerId, wish: Wish<ViewerId>) -> Result<(), ServiceError> {
        self.world.sessions.control(self.id, from, wish).await
    }

    async fn passes(&self, seconds: Option<u32>) {
        let wish = Wish::Pass { to: self.guest, slot: None, seconds };
        self.wishes(self.host, wish).await.unwrap();
    }

    async fn presses(&self, viewer: ViewerId, usage: u16) {
        let frame = key(usage, true).to_bytes().into();
        self.world.planes.relay(self.id, RelayEvent::Input { viewer, slot: 0, frame }).await;
    }

    async fn runner_heard(&self, expected: &[InputFrame]) {
        until(async || {
            let heard: Vec<_> =
                self.world.planes.input(self.id).into_iter().map(|(_, frame)| frame).collect();
            (heard == expected).then_some(())
        })
        .await;
    }

    async fn told(&self, viewer: ViewerId, enough: impl Fn(&ControlState) -> bool) -> ControlState {
        until(async || {
            let told = self.world.sessions.standing(self.id)?.told_to(viewer);
            enough(&told).then_some(told)
        })
        .await
    }

    fn slots(&self) -> Vec<(ViewerId, Option<u8>)> {
        let offers = self.world.planes.offers();
        offers
            .into_iter()
            .filter(|(what, ..)| *what == "slot")
            .map(|(_, viewer, slot)| (viewer, slot))
            .collect()
    }
}

async fn enter(world: &World, id: SessionId, who: &playgate::auth::Principal) -> ViewerId {
    let viewer = ViewerId::new();
    world.sessions.admit(who, id, viewer, None).await.unwrap();
    world.sessions.offer(id, viewer, "offer".to_owned()).await.unwrap();
    world.planes.relay(id, RelayEvent::ViewerConnected { viewer, cipher: "GCM".to_owned() }).await;
    viewer
}

#[tokio::test]
async fn at_a_hand_over_held_keys_go_up_and_only_the_new_holders_count() {
    let stage = Stage::new().await;
    let (host, guest) = (stage.host, stage.guest);
    let mut pushes = stage.world.sessions.subscribe(stage.id).unwrap();
    stage.presses(guest, 9).await;
    stage.presses(host, 4).await;
    stage.runner_heard(&[key(4, true)]).await;
    stage.wishes(guest, Wish::Request { slot: None }).await.unwrap();
    stage.passes(None).await;
    stage.presses(host, 5).await;
    stage.presses(guest, 6).await;
    stage.runner_heard(&[key(4, true), key(4, false), key(6, true)]).await;
    assert_eq!(stage.slots(), [(host, None), (guest, Some(0))], "nobody is told before the relay is");
    let mut told = Vec::new();
    while told.len() < 2 {
        if let Push::Control(standing) = pushes.recv().await.unwrap() {
            told.push(standing.told_to(guest));
        }
    }
    assert_eq!((told[0].requests.len(), told[0].you.slot), (1, None));
    assert_eq!((told[1].requests.len(), told[1].you.slot, told[1].spectators), (0, Some(0), 1));
}

#[tokio::test]
async fn a_hot_seat_ends_by_the_clock_and_lets_go_of_what_was_held() {
    let stage = Stage::new().await;
    let (host, guest) = (stage.host, stage.guest);
    stage.passes(Some(30)).await;
    stage.presses(guest, 6).await;
    stage.runner_heard(&[key(6, true)]).await;
    // Keeps its key down: a heartbeat a second.
    for _ in 0..30 {
        stage.world.clock.advance(Duration::from_secs(1));
        let frame = InputFrame::Heartbeat.to_bytes().into();
        stage.world.planes.relay(stage.id, RelayEvent::Input { viewer: guest, slot: 0, frame }).await;
    }
    stage.told(host, |told| told.you.slot == Some(0)).await;
    stage.presses(host, 4).await;
    stage.runner_heard(&[key(6, true), key(6, false), key(4, true)]).await;
}

#[tokio::test]
async fn who_plays_by_a_spectators_invitation_keeps_the_session_and_who_left_gives_it_back() {
    let stage = Stage::new().await;
    let keepalive = async || stage.world.sessions.keepalive(&holder_of(&stage.grant), stage.id).await;
    assert!(matches!(keepalive().await, Err(ServiceError::NotFound(_))));
    stage.passes(None).await;
    assert!(keepalive().await.is_ok());
    // Comes back after a broken connection: it has what it had.
    let again =
        stage.world.sessions.admit(&holder_of(&stage.grant), stage.id, stage.guest, None).await.unwrap();
    assert_eq!((again.role, again.slot), (Role::Player, Some(0)));
    stage.presses(stage.guest, 6).await;
    stage.runner_heard(&[key(6, true)]).await;
    stage.world.sessions.leave(stage.id, stage.guest).await;
    stage.told(stage.host, |told| told.you.slot == Some(0) && told.spectators == 0).await;
    stage.runner_heard(&[key(6, true), key(6, false)]).await;
}

#[tokio::test]
async fn a_revoked_invitation_takes_the_controls_with_it() {
    let stage = Stage::new().await;
    stage.passes(None).await;
    stage.world.sessions.revoke(&user_of("ada"), stage.grant.id).await.unwrap();
    stage.told(stage.host, |told| told.you.slot == Some(0)).await;
}

#[tokio::test]
async fn refusals_have_words() {
    let stage = Stage::new().await;
    match stage.wishes(stage.guest, Wish::Take { slot: None }).await {
        Err(ServiceError::InvalidRequest(words)) => assert!(words.contains("host"), "{words}"),
        other => panic!("{other:?}"),
    }
    let nobody = stage.wishes(ViewerId::new(), Wish::Release).await;
    assert!(matches!(nobody, Err(ServiceError::InvalidRequest(_))));
}

#[tokio::test]
async fn the_crowd_is_told_of_once_for_all_who_came() {
    let stage = Stage::new().await;
    let mut pushes = stage.world.sessions.subscribe(stage.id).unwrap();
    for _ in 0..5 {
        enter(&stage.world, stage.id, &holder_of(&stage.grant)).await;
    }
    stage.told(stage.host, |told| told.spectators == 6).await;
    stage.world.clock.advance(Duration::from_secs(1));
    loop {
        if let Push::Control(standing) = pushes.recv().await.unwrap() {
            let told = standing.told_to(stage.host).spectators;
            // What came before the five may still have been on its way.
            if told == 6 {
                break;
            }
            assert_eq!(told, 1);
        }
    }
}

#[tokio::test]
async fn who_plays_an_organisations_session_is_on_its_list_while_it_plays_and_spectators_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    world.content.has_tags(&["1"]);
    let show = HostRequest {
        id: Some("live".to_owned()),
        location: "europe".to_owned(),
        image: "show".to_owned(),
        ..HostRequest::default()
    };
    let id = world.sessions.host("studio", show).await.unwrap().id;
    world.planes.control(id, connected()).await;
    world.planes.relay(id, RelayEvent::FirstKeyFrame).await;
    let studio = Principal::Organisation("studio".to_owned());
    let share = async |role| world.sessions.share(&studio, id, role, Vec::new(), HOUR).await.unwrap();
    let (play, watch) = (share(Role::Player).await, share(Role::Spectator).await);
    let player = enter(&world, id, &holder_of(&play)).await;
    let guest = enter(&world, id, &holder_of(&watch)).await;
    let listed = async |players: &[String], spectators| {
        until(async || {
            let (view, joined) = world.sessions.describe_hosted("studio", "live").await.unwrap();
            (joined == players && view.spectators == spectators).then_some(())
        })
        .await;
    };
    let (playing, watching) = (format!("grant:{}", play.id), format!("grant:{}", watch.id));
    listed(std::slice::from_ref(&playing), 1).await;
    // Nobody is host here: whoever plays decides.
    world.sessions.control(id, player, Wish::Pass { to: guest, slot: None, seconds: None }).await.unwrap();
    listed(&[watching], 1).await;
    world.sessions.leave(id, guest).await;
    listed(&[playing], 0).await;
    world.sessions.leave(id, player).await;
    listed(&[], 0).await;
}
