//! The viewer's side of signaling, as a pure machine: for bots, tests and whoever writes a client in Rust.
//!
//! `hello`, `welcome`, then offers with rising ids, one at a time. Answers to offers that failed are dropped. Knows
//! no socket and no clock.

use crate::message::{ClientMessage, ErrorCode, ServerMessage};

/// Where a client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    AwaitWelcome,
    Ready,
    Offered { id: u32 },
    Closed,
}

/// One connection of a viewer.
#[derive(Debug)]
pub struct ClientMachine {
    state: State,
    next_id: u32,
}

/// What cannot be done or received now.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientMachineError {
    #[error("`hello` is sent once, and first")]
    HelloOnce,
    #[error("not admitted yet")]
    NotAdmitted,
    #[error("an offer waits for its answer")]
    OfferPending,
    #[error("the connection is closed")]
    Closed,
    /// The gateway did something its protocol does not allow.
    #[error("the gateway sent `{0}` out of turn")]
    OutOfTurn(&'static str),
}

impl Default for ClientMachine {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientMachine {
    pub fn new() -> Self {
        Self { state: State::Start, next_id: 1 }
    }

    /// True once welcomed and until the end.
    pub fn is_admitted(&self) -> bool {
        matches!(self.state, State::Ready | State::Offered { .. })
    }

    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The next offer as a message; one at a time. The gateway ends a pending one with an answer or an error.
    pub fn offer(&mut self, sdp: String) -> Result<ClientMessage, ClientMachineError> {
        match self.state {
            State::Ready => {
                let id = self.next_id;
                self.next_id += 1;
                self.state = State::Offered { id };
                Ok(ClientMessage::Offer { id, sdp })
            }
            State::Offered { .. } => Err(ClientMachineError::OfferPending),
            State::Start | State::AwaitWelcome => Err(ClientMachineError::NotAdmitted),
            State::Closed => Err(ClientMachineError::Closed),
        }
    }

    /// Checks any other message before it is sent.
    pub fn send(&mut self, message: &ClientMessage) -> Result<(), ClientMachineError> {
        match (message, self.state) {
            (_, State::Closed) => Err(ClientMachineError::Closed),
            (ClientMessage::Hello { .. }, State::Start) => {
                self.state = State::AwaitWelcome;
                Ok(())
            }
            (ClientMessage::Hello { .. }, State::AwaitWelcome | State::Ready | State::Offered { .. }) => {
                Err(ClientMachineError::HelloOnce)
            }
            (
                ClientMessage::Bye,
                State::Start | State::AwaitWelcome | State::Ready | State::Offered { .. },
            ) => {
                self.state = State::Closed;
                Ok(())
            }
            (ClientMessage::Offer { id, .. }, State::Ready) => {
                self.next_id = id.saturating_add(1);
                self.state = State::Offered { id: *id };
                Ok(())
            }
            (ClientMessage::Offer { .. }, State::Offered { .. }) => Err(ClientMachineError::OfferPending),
            (
                ClientMessage::Keepalive
                | ClientMessage::Quality(_)
                | ClientMessage::RequestControl { .. }
                | ClientMessage::ReleaseControl
                | ClientMessage::PassControl { .. }
                | ClientMessage::DenyControl { .. }
                | ClientMessage::TakeControl { .. }
                | ClientMessage::Ping { .. },
                State::Ready | State::Offered { .. },
            ) => Ok(()),
            (
                ClientMessage::Offer { .. }
                | ClientMessage::Keepalive
                | ClientMessage::Quality(_)
                | ClientMessage::RequestControl { .. }
                | ClientMessage::ReleaseControl
                | ClientMessage::PassControl { .. }
                | ClientMessage::DenyControl { .. }
                | ClientMessage::TakeControl { .. }
                | ClientMessage::Ping { .. },
                State::Start | State::AwaitWelcome,
            ) => Err(ClientMachineError::NotAdmitted),
        }
    }

    /// Takes a message of the gateway; `None` when it is of no interest any more.
    pub fn receive(&mut self, message: ServerMessage) -> Result<Option<ServerMessage>, ClientMachineError> {
        match self.state {
            State::Start => return Err(ClientMachineError::OutOfTurn(name(&message))),
            State::Closed => return Ok(None),
            State::AwaitWelcome | State::Ready | State::Offered { .. } => {}
        }
        match &message {
            ServerMessage::Welcome { .. } => match self.state {
                State::AwaitWelcome => self.state = State::Ready,
                State::Start | State::Ready | State::Offered { .. } | State::Closed => {
                    return Err(ClientMachineError::OutOfTurn("welcome"));
                }
            },
            ServerMessage::Answer { id, .. } => match self.state {
                State::Offered { id: pending } if pending == *id => self.state = State::Ready,
                State::Start | State::AwaitWelcome => return Err(ClientMachineError::OutOfTurn("answer")),
                State::Ready | State::Offered { .. } | State::Closed => return Ok(None),
            },
            ServerMessage::Error { fatal: true, .. } | ServerMessage::End { .. } => {
                self.state = State::Closed
            }
            ServerMessage::Error { offer, .. } => {
                if let State::Offered { id } = self.state
                    && *offer == Some(id)
                {
                    self.state = State::Ready;
                }
            }
            ServerMessage::Status { .. }
            | ServerMessage::Cursor { .. }
            | ServerMessage::Rumble { .. }
            | ServerMessage::Control(_)
            | ServerMessage::Saved => {
                if self.state == State::AwaitWelcome {
                    return Err(ClientMachineError::OutOfTurn(name(&message)));
                }
            }
            ServerMessage::Pong { .. } => {}
        }
        Ok(Some(message))
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.state = State::Closed;
    }
}

/// True for errors after which the same client may try again with a new connection.
pub fn may_retry(code: ErrorCode) -> bool {
    match code {
        ErrorCode::Internal | ErrorCode::TooManyMessages | ErrorCode::MediaEnded | ErrorCode::Full => true,
        ErrorCode::InvalidMessage
        | ErrorCode::InvalidOffer
        | ErrorCode::UnsupportedCodec
        | ErrorCode::Unauthorized
        | ErrorCode::NotFound
        | ErrorCode::GrantEnded
        | ErrorCode::NotAllowed
        | ErrorCode::Replaced => false,
    }
}

fn name(message: &ServerMessage) -> &'static str {
    match message {
        ServerMessage::Welcome { .. } => "welcome",
        ServerMessage::Answer { .. } => "answer",
        ServerMessage::Status { .. } => "status",
        ServerMessage::Cursor { .. } => "cursor",
        ServerMessage::Rumble { .. } => "rumble",
        ServerMessage::Control(_) => "control",
        ServerMessage::Saved => "saved",
        ServerMessage::Pong { .. } => "pong",
        ServerMessage::Error { .. } => "error",
        ServerMessage::End { .. } => "end",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Event, GatewayMachine, Limits, Output};
    use crate::message::{GameHints, PointerMode, Role};
    use proptest::prelude::*;
    use std::time::Instant;

    fn hello() -> ClientMessage {
        ClientMessage::Hello { token: None, role: None, viewer_id: None, resume: None }
    }

    fn welcome() -> ServerMessage {
        ServerMessage::Welcome {
            session_id: String::new(),
            viewer_id: String::new(),
            resume: String::new(),
            resumed: false,
            role: Role::Player,
            slot: None,
            ice_servers: Vec::new(),
            media: Vec::new(),
            game: GameHints {
                slug: String::new(),
                title: String::new(),
                width: 1,
                height: 1,
                pointer: PointerMode::None,
                touch: Vec::new(),
                pads: 0,
            },
        }
    }

    fn ready() -> ClientMachine {
        let mut machine = ClientMachine::new();
        machine.send(&hello()).unwrap();
        machine.receive(welcome()).unwrap();
        machine
    }

    #[test]
    fn offers_wait_for_the_welcome_and_for_each_other() {
        let mut machine = ClientMachine::new();
        assert_eq!(machine.offer(String::new()), Err(ClientMachineError::NotAdmitted));
        let mut machine = ready();
        assert_eq!(machine.offer("a".to_owned()), Ok(ClientMessage::Offer { id: 1, sdp: "a".to_owned() }));
        assert_eq!(machine.offer(String::new()), Err(ClientMachineError::OfferPending));
        assert!(machine.receive(ServerMessage::Answer { id: 1, sdp: String::new() }).unwrap().is_some());
        assert_eq!(machine.offer("b".to_owned()), Ok(ClientMessage::Offer { id: 2, sdp: "b".to_owned() }));
    }

    #[test]
    fn a_failed_offer_may_be_repeated_and_other_errors_do_not_count() {
        let mut machine = ready();
        machine.offer(String::new()).unwrap();
        let error = |offer| ServerMessage::Error {
            code: ErrorCode::InvalidOffer,
            message: String::new(),
            fatal: false,
            offer,
        };
        machine.receive(error(None)).unwrap();
        assert_eq!(machine.offer(String::new()), Err(ClientMachineError::OfferPending));
        machine.receive(error(Some(1))).unwrap();
        assert!(machine.offer(String::new()).is_ok());
    }

    #[test]
    fn after_the_end_nothing_is_sent() {
        let mut machine = ready();
        machine.receive(ServerMessage::End { reason: "idle".to_owned() }).unwrap();
        assert!(machine.is_closed());
        assert_eq!(machine.send(&ClientMessage::Keepalive), Err(ClientMachineError::Closed));
    }

    #[test]
    fn a_gateway_out_of_turn_is_an_error() {
        let mut machine = ClientMachine::new();
        machine.send(&hello()).unwrap();
        let answer = ServerMessage::Answer { id: 1, sdp: String::new() };
        assert_eq!(machine.receive(answer), Err(ClientMachineError::OutOfTurn("answer")));
        assert_eq!(ready().receive(welcome()), Err(ClientMachineError::OutOfTurn("welcome")));
    }

    proptest! {
        /// Whatever the client does through its machine, the gateway's machine has no complaint, and the other way.
        #[test]
        fn the_two_machines_understand_each_other(steps in proptest::collection::vec((0u8..6, any::<bool>()), 0..60)) {
            let now = Instant::now();
            let limits = Limits {
                messages: (1_000, std::time::Duration::ZERO),
                offers: (1_000, std::time::Duration::ZERO),
                ..Limits::default()
            };
            let (mut client, mut gateway) = (ClientMachine::new(), GatewayMachine::new(limits, now));
            client.send(&hello()).unwrap();
            gateway.handle(now, Event::Message(hello())).unwrap();
            let mut pending = None;
            for (step, good) in steps {
                let message = match step {
                    0 | 1 => client.offer(String::new()).ok(),
                    2 => client.send(&ClientMessage::Keepalive).ok().map(|()| ClientMessage::Keepalive),
                    3 => client.send(&ClientMessage::Ping { n: 1 }).ok().map(|()| ClientMessage::Ping { n: 1 }),
                    _ => None,
                };
                if let Some(message) = message {
                    gateway.handle(now, Event::Message(message)).unwrap();
                }
                if step == 4 && let Some(id) = pending.take() {
                    let event = if good {
                        Event::Answered { id, sdp: String::new() }
                    } else {
                        Event::AnswerFailed { id, code: ErrorCode::InvalidOffer, message: String::new() }
                    };
                    gateway.handle(now, event).unwrap();
                }
                while let Some(output) = gateway.poll_output() {
                    match output {
                        Output::Admit { .. } => {
                            let event = Event::Admitted { role: Role::Player, welcome: Box::new(welcome()) };
                            gateway.handle(now, event).unwrap();
                        }
                        Output::Answer { id, .. } => pending = Some(id),
                        Output::Send(message) => {
                            let complaint = matches!(
                                message,
                                ServerMessage::Error { code: ErrorCode::InvalidMessage | ErrorCode::TooManyMessages, .. }
                            );
                            prop_assert!(!complaint, "{message:?}");
                            prop_assert!(client.receive(message).unwrap().is_some());
                        }
                        Output::Keepalive | Output::Quality(_) | Output::Control(_) => {}
                        Output::Leave(_) | Output::Close { .. } => prop_assert!(false, "closed"),
                    }
                }
            }
        }
    }
}
