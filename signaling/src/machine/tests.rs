//! One behaviour per test, then any sequence of events against the rules that must always hold.

use super::*;
use crate::control::{ControlState, You};
use proptest::prelude::*;

fn hello() -> ClientMessage {
    ClientMessage::Hello { token: Some("t".to_owned()), role: None, viewer_id: None, resume: None }
}

fn offer(id: u32) -> ClientMessage {
    ClientMessage::Offer { id, sdp: format!("offer {id}") }
}

/// Any message will do: the machine does not read the welcome.
fn welcome() -> ServerMessage {
    ServerMessage::Saved
}

struct Bench {
    machine: GatewayMachine,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self { machine: GatewayMachine::new(Limits::default(), now), now }
    }

    fn admitted(role: Role) -> Self {
        let mut bench = Self::new();
        bench.say(hello());
        bench.step(Event::Admitted { role, welcome: Box::new(welcome()) });
        bench
    }

    fn say(&mut self, message: ClientMessage) -> Vec<Output> {
        self.step(Event::Message(message))
    }

    fn step(&mut self, event: Event) -> Vec<Output> {
        self.machine.handle(self.now, event).unwrap();
        self.outputs()
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.poll_output()).collect()
    }
}

const QUALITY: QualityReport = QualityReport {
    duration_ms: 10_000,
    bytes: 1,
    packets: 1,
    lost: 0,
    frozen_ms: 0,
    first_frame_ms: None,
    round_trip_ms: None,
    transport: None,
};

fn codes(outputs: &[Output]) -> Vec<(ErrorCode, bool)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send(ServerMessage::Error { code, fatal, .. }) => Some((*code, *fatal)),
            Output::Send(_)
            | Output::Admit { .. }
            | Output::Answer { .. }
            | Output::Keepalive
            | Output::Quality(_)
            | Output::Control(_)
            | Output::Leave(_)
            | Output::Close { .. } => None,
        })
        .collect()
}

fn close_code(outputs: &[Output]) -> Option<u16> {
    match outputs.last() {
        Some(Output::Close { code, .. }) => Some(*code),
        Some(
            Output::Send(_)
            | Output::Admit { .. }
            | Output::Answer { .. }
            | Output::Keepalive
            | Output::Quality(_)
            | Output::Control(_)
            | Output::Leave(_),
        )
        | None => None,
    }
}

#[test]
fn a_viewer_says_hello_is_admitted_offers_and_gets_its_answer() {
    let mut bench = Bench::new();
    assert_eq!(bench.say(hello()), [Output::Admit { token: Some("t".to_owned()), role: None, resume: None }]);
    assert_eq!(
        bench.step(Event::Admitted { role: Role::Player, welcome: Box::new(welcome()) }),
        [Output::Send(welcome())]
    );
    assert_eq!(bench.say(offer(1)), [Output::Answer { id: 1, sdp: "offer 1".to_owned() }]);
    assert_eq!(
        bench.step(Event::Answered { id: 1, sdp: "answer".to_owned() }),
        [Output::Send(ServerMessage::Answer { id: 1, sdp: "answer".to_owned() })]
    );
    assert_eq!(bench.say(ClientMessage::Keepalive), [Output::Keepalive]);
    assert_eq!(bench.say(ClientMessage::Quality(QUALITY)), [Output::Quality(QUALITY)]);
    assert_eq!(
        bench.say(ClientMessage::Bye),
        [Output::Leave(Leave::Now), Output::Close { code: close::NORMAL, reason: "bye" }]
    );
    assert!(bench.machine.is_closed());
}

#[test]
fn silence_instead_of_hello_is_closed_after_ten_seconds() {
    let mut bench = Bench::new();
    bench.now += Duration::from_millis(9_999);
    assert_eq!(bench.step(Event::Timer), []);
    bench.now = bench.machine.poll_timeout().unwrap();
    assert_eq!(close_code(&bench.step(Event::Timer)), Some(close::TIMEOUT));
    assert_eq!(bench.machine.poll_timeout(), None);
}

#[test]
fn anything_but_hello_first_is_closed() {
    let quality = ClientMessage::Quality(QUALITY);
    for message in [offer(1), ClientMessage::Keepalive, quality, ClientMessage::Ping { n: 1 }] {
        let mut bench = Bench::new();
        let outputs = bench.say(message);
        assert_eq!(codes(&outputs), [(ErrorCode::InvalidMessage, true)]);
        assert_eq!(close_code(&outputs), Some(close::INVALID));
    }
}

#[test]
fn nothing_is_negotiated_before_admission() {
    let mut bench = Bench::new();
    bench.say(hello());
    assert_eq!(codes(&bench.say(offer(1))), [(ErrorCode::InvalidMessage, false)]);
    assert_eq!(codes(&bench.say(hello())), [(ErrorCode::InvalidMessage, false)]);
}

#[test]
fn a_refused_viewer_is_told_why_and_closed() {
    let mut bench = Bench::new();
    bench.say(hello());
    let outputs =
        bench.step(Event::Refused { code: ErrorCode::NotFound, message: "No such session.".to_owned() });
    assert_eq!(codes(&outputs), [(ErrorCode::NotFound, true)]);
    assert_eq!(close_code(&outputs), Some(close::NOT_FOUND));
}

#[test]
fn a_viewer_that_left_during_admission_leaves_no_admission_behind() {
    let mut bench = Bench::new();
    bench.say(hello());
    bench.step(Event::Disconnected);
    assert_eq!(
        bench.step(Event::Admitted { role: Role::Player, welcome: Box::new(welcome()) }),
        [Output::Leave(Leave::Now)]
    );
}

#[test]
fn one_offer_at_a_time_with_rising_ids() {
    let mut bench = Bench::admitted(Role::Spectator);
    bench.say(offer(5));
    assert_eq!(codes(&bench.say(offer(6))), [(ErrorCode::InvalidMessage, false)]);
    bench.step(Event::Answered { id: 5, sdp: String::new() });
    assert_eq!(codes(&bench.say(offer(5))), [(ErrorCode::InvalidMessage, false)]);
    assert_eq!(bench.say(offer(6)), [Output::Answer { id: 6, sdp: "offer 6".to_owned() }]);
}

#[test]
fn a_failed_offer_may_be_followed_by_another() {
    let mut bench = Bench::admitted(Role::Player);
    bench.say(offer(1));
    let failed = Event::AnswerFailed { id: 1, code: ErrorCode::UnsupportedCodec, message: "AV1".to_owned() };
    assert_eq!(codes(&bench.step(failed)), [(ErrorCode::UnsupportedCodec, false)]);
    assert_eq!(bench.say(offer(2)).len(), 1);
}

#[test]
fn an_answer_that_comes_too_late_is_not_sent() {
    let mut bench = Bench::admitted(Role::Player);
    bench.say(offer(1));
    bench.now = bench.machine.poll_timeout().unwrap();
    assert_eq!(codes(&bench.step(Event::Timer)), [(ErrorCode::Internal, false)]);
    assert_eq!(bench.step(Event::Answered { id: 1, sdp: String::new() }), []);
}

#[test]
fn a_spectator_keeps_nothing_alive() {
    assert_eq!(Bench::admitted(Role::Spectator).say(ClientMessage::Keepalive), []);
}

#[test]
fn a_flood_is_closed_and_a_talker_is_not() {
    let mut bench = Bench::admitted(Role::Player);
    for n in 0..1_000 {
        bench.now += Duration::from_millis(200);
        assert_eq!(bench.say(ClientMessage::Ping { n }), [Output::Send(ServerMessage::Pong { n })]);
    }
    let flood: Vec<_> = (0..100).flat_map(|n| bench.say(ClientMessage::Ping { n })).collect();
    assert_eq!(close_code(&flood), Some(close::FLOOD));
    assert!(bench.machine.is_closed());
}

#[test]
fn too_many_offers_are_refused_but_the_viewer_stays() {
    let mut bench = Bench::admitted(Role::Player);
    let mut refused = 0;
    for id in 0..12 {
        refused += codes(&bench.say(offer(id))).len();
        bench.step(Event::Answered { id, sdp: String::new() });
    }
    assert_eq!(refused, 2);
    assert!(!bench.machine.is_closed());
}

#[test]
fn a_broken_connection_leaves_the_media_for_a_while() {
    let mut bench = Bench::admitted(Role::Player);
    assert_eq!(bench.step(Event::Disconnected), [Output::Leave(Leave::Broken)]);
    assert!(bench.machine.is_closed());
}

#[test]
fn an_end_and_an_eviction_close_the_connection() {
    let end = ServerMessage::End { reason: "idle".to_owned() };
    assert_eq!(close_code(&Bench::admitted(Role::Player).step(Event::Push(end))), Some(close::NORMAL));
    let gone = ServerMessage::Error {
        code: ErrorCode::GrantEnded,
        message: "The invitation was taken back.".to_owned(),
        fatal: true,
        offer: None,
    };
    assert_eq!(close_code(&Bench::admitted(Role::Player).step(Event::Push(gone))), Some(close::GRANT_ENDED));
}

#[test]
fn the_shells_mistakes_are_errors() {
    let mut bench = Bench::new();
    let now = bench.now;
    assert!(bench.machine.handle(now, Event::Push(welcome())).is_err());
    let admitted = Event::Admitted { role: Role::Player, welcome: Box::new(welcome()) };
    assert!(bench.machine.handle(now, admitted).is_err());
    assert_eq!(bench.outputs(), []);
}

fn event() -> impl Strategy<Value = Event> {
    let role = || prop_oneof![Just(Role::Player), Just(Role::Spectator)];
    let id = || 0u32..6;
    prop_oneof![
        Just(()).prop_map(|()| Event::Message(hello())),
        id().prop_map(|id| Event::Message(offer(id))),
        Just(()).prop_map(|()| Event::Message(ClientMessage::Keepalive)),
        any::<u32>().prop_map(|n| Event::Message(ClientMessage::Ping { n })),
        Just(()).prop_map(|()| Event::Message(ClientMessage::Bye)),
        Just(()).prop_map(|()| Event::Malformed(MessageError::OutOfRange { field: "x" })),
        role().prop_map(|role| Event::Admitted { role, welcome: Box::new(welcome()) }),
        Just(()).prop_map(|()| Event::Refused { code: ErrorCode::Unauthorized, message: String::new() }),
        id().prop_map(|id| Event::Answered { id, sdp: String::new() }),
        id().prop_map(|id| Event::AnswerFailed { id, code: ErrorCode::InvalidOffer, message: String::new() }),
        Just(()).prop_map(|()| Event::Push(ServerMessage::Rumble {
            pad: 0,
            strong: 0,
            weak: 0,
            duration_ms: 0
        })),
        Just(()).prop_map(|()| Event::Timer),
        Just(()).prop_map(|()| Event::Disconnected),
    ]
}

proptest! {
    #[test]
    fn any_events_keep_the_rules(steps in proptest::collection::vec((event(), 0u64..4_000), 0..80)) {
        let mut bench = Bench::new();
        let (mut admissions, mut in_flight, mut last_id, mut leaves, mut closes) = (0, None, None, 0, 0);
        for (event, wait) in steps {
            bench.now += Duration::from_millis(wait);
            let was_closed = bench.machine.is_closed();
            let late_admission = matches!(event, Event::Admitted { .. });
            let _ = bench.machine.handle(bench.now, event);
            for output in bench.outputs() {
                prop_assert!(!was_closed || (late_admission && output == Output::Leave(Leave::Now)));
                match output {
                    Output::Admit { .. } => admissions += 1,
                    Output::Answer { id, .. } => {
                        prop_assert_eq!(in_flight, None);
                        prop_assert!(last_id.is_none_or(|last| id > last));
                        (in_flight, last_id) = (Some(id), Some(id));
                    }
                    Output::Send(ServerMessage::Answer { id, .. }) => {
                        prop_assert_eq!(in_flight.take(), Some(id));
                    }
                    Output::Send(ServerMessage::Error { offer, .. }) => {
                        if in_flight.is_some() && offer == in_flight {
                            // A refused repeat of the same id is no end of the first.
                            if bench.machine.poll_timeout().is_none() {
                                in_flight = None;
                            }
                        }
                    }
                    Output::Leave(_) if !was_closed => leaves += 1,
                    Output::Close { .. } => closes += 1,
                    Output::Send(_)
                    | Output::Keepalive
                    | Output::Quality(_)
                    | Output::Control(_)
                    | Output::Leave(_) => {}
                }
            }
            prop_assert!(admissions <= 1 && leaves <= 1 && closes <= 1);
        }
    }
}

#[test]
fn wishes_for_the_controls_wait_for_the_welcome_and_roles_follow_what_is_told() {
    let mut bench = Bench::new();
    assert!(
        bench.say(ClientMessage::ReleaseControl).iter().any(|output| matches!(output, Output::Close { .. }))
    );
    let mut bench = Bench::admitted(Role::Spectator);
    assert_eq!(
        bench.say(ClientMessage::RequestControl { slot: None }),
        [Output::Control(Wish::Request { slot: None })]
    );
    assert_eq!(bench.say(ClientMessage::Keepalive), [], "who watches keeps no session");
    let told = ServerMessage::Control(ControlState {
        you: You { role: Role::Player, slot: Some(0), host: false },
        slots: 1,
        holders: Vec::new(),
        requests: Vec::new(),
        spectators: 0,
    });
    assert_eq!(bench.step(Event::Push(told.clone())), [Output::Send(told)]);
    assert_eq!(bench.say(ClientMessage::Keepalive), [Output::Keepalive]);
}
