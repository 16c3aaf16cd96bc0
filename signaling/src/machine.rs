//! The gateway's side of one viewer's signaling, as a pure machine: events in, outputs out, `now` as input.
//!
//! `hello` comes first and in time; nothing else counts until the viewer is admitted; one offer at a time, its ids
//! rising; a flood of messages ends the connection. What the viewer does wrong is answered with an error message,
//! what the shell does wrong is a [`MachineError`]. After [`Output::Close`] no event has any output. Knows neither
//! sockets nor sessions.

use crate::bucket::Bucket;
use crate::control::Wish;
use crate::message::{ClientMessage, ErrorCode, MessageError, QualityReport, Role, ServerMessage, close};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Times and rates of one viewer's signaling.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a connection may be silent before its `hello`.
    pub hello_timeout: Duration,
    /// How long an answer may take.
    pub answer_timeout: Duration,
    /// Messages at once, and the time that gives one more. Beyond them the connection is closed.
    pub messages: (u32, Duration),
    /// The same for offers, which cost most. Beyond them offers are refused.
    pub offers: (u32, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hello_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(15),
            messages: (60, Duration::from_millis(100)),
            offers: (10, Duration::from_secs(2)),
        }
    }
}

/// What a refused message costs, in messages: nonsense is cut off sooner than talk.
const COST_OF_NONSENSE: u32 = 5;

/// What happens to the machine.
#[derive(Debug)]
pub enum Event {
    /// The viewer said something.
    Message(ClientMessage),
    /// The viewer sent something that is no message.
    Malformed(MessageError),
    /// The shell let the viewer in; the welcome is to be sent.
    Admitted { role: Role, welcome: Box<ServerMessage> },
    /// The shell did not let the viewer in.
    Refused { code: ErrorCode, message: String },
    /// The answer asked for.
    Answered { id: u32, sdp: String },
    /// There is no answer; the viewer may offer again.
    AnswerFailed { id: u32, code: ErrorCode, message: String },
    /// A message for the viewer from elsewhere. A fatal error or an end closes the connection.
    Push(ServerMessage),
    /// Time has passed.
    Timer,
    /// The connection is gone.
    Disconnected,
}

/// What the shell is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Decide whether the viewer may come in: answer with `Admitted` or `Refused`.
    Admit {
        token: Option<String>,
        role: Option<Role>,
        resume: Option<Resume>,
    },
    /// Get an answer: answer with `Answered` or `AnswerFailed`.
    Answer {
        id: u32,
        sdp: String,
    },
    /// A player is still there.
    Keepalive,
    /// What the viewer saw of the stream.
    Quality(QualityReport),
    /// What the viewer wants of the controls; a refusal comes as [`Event::Push`].
    Control(Wish<String>),
    Send(ServerMessage),
    /// The viewer's media: kept for a while, or ended at once.
    Leave(Leave),
    /// Close the connection; nothing follows.
    Close {
        code: u16,
        reason: &'static str,
    },
}

/// How a viewer that had been admitted went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// On purpose, or because it had to: its media ends.
    Now,
    /// The connection broke: its media stays for a while.
    Broken,
}

/// The claim to be a viewer that was here before.
#[derive(Clone, PartialEq, Eq)]
pub struct Resume {
    pub viewer_id: String,
    pub secret: String,
}

/// Secrets stay out of logs.
impl std::fmt::Debug for Resume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resume").field("viewer_id", &self.viewer_id).finish_non_exhaustive()
    }
}

/// An event the shell must not give in this state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event} while {state}")]
pub struct MachineError {
    pub event: &'static str,
    pub state: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitHello { deadline: Instant },
    Admitting,
    Ready { role: Role },
    Negotiating { role: Role, id: u32, deadline: Instant },
    Closed,
}

/// One viewer's signaling.
#[derive(Debug)]
pub struct GatewayMachine {
    state: State,
    limits: Limits,
    messages: Bucket,
    offers: Bucket,
    last_offer: Option<u32>,
    outputs: VecDeque<Output>,
}

impl GatewayMachine {
    /// A connection opened `now`.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            state: State::AwaitHello { deadline: now + limits.hello_timeout },
            messages: Bucket::new(limits.messages.0, limits.messages.1, now),
            offers: Bucket::new(limits.offers.0, limits.offers.1, now),
            limits,
            last_offer: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one event. Errors are the shell's mistakes and change nothing; late answers are none.
    pub fn handle(&mut self, now: Instant, event: Event) -> Result<(), MachineError> {
        match event {
            Event::Message(message) => self.message(now, message),
            Event::Malformed(error) => self.malformed(now, &error),
            Event::Admitted { role, welcome } => return self.admitted(role, *welcome),
            Event::Refused { code, message } => return self.refused(code, message),
            Event::Answered { id, sdp } => self.answered(id, ServerMessage::Answer { id, sdp }),
            Event::AnswerFailed { id, code, message } => {
                self.answered(id, ServerMessage::Error { code, message, fatal: false, offer: Some(id) });
            }
            Event::Push(message) => return self.push(message),
            Event::Timer => self.timer(now),
            Event::Disconnected => {
                self.leave(Leave::Broken);
                self.state = State::Closed;
            }
        }
        Ok(())
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Event::Timer`] is wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::AwaitHello { deadline } | State::Negotiating { deadline, .. } => Some(deadline),
            State::Admitting | State::Ready { .. } | State::Closed => None,
        }
    }

    /// True once the connection is over.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn message(&mut self, now: Instant, message: ClientMessage) {
        if self.state == State::Closed || !self.afford(now, 1) {
            return;
        }
        if let Some(wish) = message.wish() {
            return self.wish(now, wish);
        }
        match message {
            ClientMessage::Hello { token, role, viewer_id, resume } => {
                self.hello(now, token, role, viewer_id.zip(resume));
            }
            ClientMessage::Offer { id, sdp } => self.offer(now, id, sdp),
            ClientMessage::Keepalive => match self.state {
                State::Ready { role } | State::Negotiating { role, .. } => {
                    if role == Role::Player {
                        self.outputs.push_back(Output::Keepalive);
                    }
                }
                State::AwaitHello { .. } | State::Admitting | State::Closed => self.too_early(now, None),
            },
            ClientMessage::Quality(report) => match self.state {
                State::Ready { .. } | State::Negotiating { .. } => {
                    self.outputs.push_back(Output::Quality(report));
                }
                State::AwaitHello { .. } | State::Admitting | State::Closed => self.too_early(now, None),
            },
            ClientMessage::Ping { n } => match self.state {
                State::Admitting | State::Ready { .. } | State::Negotiating { .. } => {
                    self.outputs.push_back(Output::Send(ServerMessage::Pong { n }));
                }
                State::AwaitHello { .. } | State::Closed => self.too_early(now, None),
            },
            ClientMessage::Bye => self.close(close::NORMAL, "bye"),
            // Wishes, above.
            ClientMessage::RequestControl { .. }
            | ClientMessage::ReleaseControl
            | ClientMessage::PassControl { .. }
            | ClientMessage::DenyControl { .. }
            | ClientMessage::TakeControl { .. } => {}
        }
    }

    fn wish(&mut self, now: Instant, wish: Wish<String>) {
        match self.state {
            State::Ready { .. } | State::Negotiating { .. } => self.outputs.push_back(Output::Control(wish)),
            State::AwaitHello { .. } | State::Admitting | State::Closed => self.too_early(now, None),
        }
    }

    fn hello(
        &mut self,
        now: Instant,
        token: Option<String>,
        role: Option<Role>,
        resume: Option<(String, String)>,
    ) {
        match self.state {
            State::AwaitHello { .. } => {
                let resume = resume.map(|(viewer_id, secret)| Resume { viewer_id, secret });
                self.state = State::Admitting;
                self.outputs.push_back(Output::Admit { token, role, resume });
            }
            State::Admitting | State::Ready { .. } | State::Negotiating { .. } | State::Closed => {
                self.complain(now, "`hello` comes once", None);
            }
        }
    }

    fn offer(&mut self, now: Instant, id: u32, sdp: String) {
        match self.state {
            State::Ready { role } => {
                if self.last_offer.is_some_and(|last| id <= last) {
                    self.complain(now, "the ids of offers must rise", Some(id));
                } else if !self.offers.take(now, 1) {
                    self.error(
                        ErrorCode::TooManyMessages,
                        "Too many offers. Try again in a moment.",
                        Some(id),
                    );
                } else {
                    self.last_offer = Some(id);
                    let deadline = now + self.limits.answer_timeout;
                    self.state = State::Negotiating { role, id, deadline };
                    self.outputs.push_back(Output::Answer { id, sdp });
                }
            }
            State::Negotiating { .. } => self.complain(now, "one offer at a time", Some(id)),
            State::AwaitHello { .. } | State::Admitting | State::Closed => self.too_early(now, Some(id)),
        }
    }

    fn malformed(&mut self, now: Instant, error: &MessageError) {
        if self.state != State::Closed && self.afford(now, 1) {
            match self.state {
                State::AwaitHello { .. } => self.fatal(ErrorCode::InvalidMessage, &error.to_string()),
                State::Admitting | State::Ready { .. } | State::Negotiating { .. } | State::Closed => {
                    self.complain(now, &error.to_string(), None);
                }
            }
        }
    }

    fn admitted(&mut self, role: Role, welcome: ServerMessage) -> Result<(), MachineError> {
        match self.state {
            State::Admitting => {
                self.state = State::Ready { role };
                self.outputs.push_back(Output::Send(welcome));
                Ok(())
            }
            // It left while the shell was asking; the shell learns that its admission is void.
            State::Closed => {
                self.outputs.push_back(Output::Leave(Leave::Now));
                Ok(())
            }
            State::AwaitHello { .. } | State::Ready { .. } | State::Negotiating { .. } => {
                Err(self.illegal("admitted"))
            }
        }
    }

    fn refused(&mut self, code: ErrorCode, message: String) -> Result<(), MachineError> {
        match self.state {
            State::Admitting => {
                self.fatal(code, &message);
                Ok(())
            }
            State::Closed => Ok(()),
            State::AwaitHello { .. } | State::Ready { .. } | State::Negotiating { .. } => {
                Err(self.illegal("refused"))
            }
        }
    }

    fn answered(&mut self, answered: u32, message: ServerMessage) {
        if let State::Negotiating { role, id, .. } = self.state
            && id == answered
        {
            self.state = State::Ready { role };
            self.outputs.push_back(Output::Send(message));
        }
    }

    fn push(&mut self, message: ServerMessage) -> Result<(), MachineError> {
        match self.state {
            State::Ready { .. } | State::Negotiating { .. } => {
                let ends = match &message {
                    ServerMessage::Error { code, fatal: true, .. } => Some((code.close_code(), "refused")),
                    ServerMessage::End { .. } => Some((close::NORMAL, "the session ended")),
                    ServerMessage::Welcome { .. }
                    | ServerMessage::Answer { .. }
                    | ServerMessage::Status { .. }
                    | ServerMessage::Cursor { .. }
                    | ServerMessage::Rumble { .. }
                    | ServerMessage::Control(_)
                    | ServerMessage::Saved
                    | ServerMessage::Pong { .. }
                    | ServerMessage::Error { .. } => None,
                };
                if let ServerMessage::Control(control) = &message {
                    self.now_has(control.you.role);
                }
                self.outputs.push_back(Output::Send(message));
                if let Some((code, reason)) = ends {
                    self.close(code, reason);
                }
                Ok(())
            }
            State::Closed => Ok(()),
            State::AwaitHello { .. } | State::Admitting => Err(self.illegal("push")),
        }
    }

    /// Roles rise and fall as control is handed over.
    fn now_has(&mut self, new: Role) {
        match &mut self.state {
            State::Ready { role } | State::Negotiating { role, .. } => *role = new,
            State::AwaitHello { .. } | State::Admitting | State::Closed => {}
        }
    }

    fn timer(&mut self, now: Instant) {
        match self.state {
            State::AwaitHello { deadline } if now >= deadline => {
                self.outputs.push_back(Output::Send(ServerMessage::Error {
                    code: ErrorCode::InvalidMessage,
                    message: "No hello in time.".to_owned(),
                    fatal: true,
                    offer: None,
                }));
                self.close(close::TIMEOUT, "no hello");
            }
            State::Negotiating { role, id, deadline } if now >= deadline => {
                self.state = State::Ready { role };
                self.error(ErrorCode::Internal, "There was no answer in time. Offer again.", Some(id));
            }
            State::AwaitHello { .. }
            | State::Admitting
            | State::Ready { .. }
            | State::Negotiating { .. }
            | State::Closed => {}
        }
    }

    /// Pays for a message; a flood ends the connection.
    fn afford(&mut self, now: Instant, cost: u32) -> bool {
        if self.messages.take(now, cost) {
            return true;
        }
        self.fatal(ErrorCode::TooManyMessages, "Too many messages.");
        false
    }

    /// Refuses something that is wrong, which costs more than what is right.
    fn complain(&mut self, now: Instant, message: &str, offer: Option<u32>) {
        if self.afford(now, COST_OF_NONSENSE - 1) {
            self.error(ErrorCode::InvalidMessage, message, offer);
        }
    }

    fn too_early(&mut self, now: Instant, offer: Option<u32>) {
        match self.state {
            State::AwaitHello { .. } => {
                self.fatal(ErrorCode::InvalidMessage, "The first message is `hello`.")
            }
            State::Admitting | State::Ready { .. } | State::Negotiating { .. } | State::Closed => {
                self.complain(now, "wait for `welcome`", offer);
            }
        }
    }

    fn error(&mut self, code: ErrorCode, message: &str, offer: Option<u32>) {
        self.outputs.push_back(Output::Send(ServerMessage::Error {
            code,
            message: message.to_owned(),
            fatal: false,
            offer,
        }));
    }

    fn fatal(&mut self, code: ErrorCode, message: &str) {
        self.outputs.push_back(Output::Send(ServerMessage::Error {
            code,
            message: message.to_owned(),
            fatal: true,
            offer: None,
        }));
        self.close(code.close_code(), "refused");
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        self.leave(Leave::Now);
        self.outputs.push_back(Output::Close { code, reason });
        self.state = State::Closed;
    }

    fn leave(&mut self, how: Leave) {
        match self.state {
            State::Ready { .. } | State::Negotiating { .. } => self.outputs.push_back(Output::Leave(how)),
            State::AwaitHello { .. } | State::Admitting | State::Closed => {}
        }
    }

    fn illegal(&self, event: &'static str) -> MachineError {
        let state = match self.state {
            State::AwaitHello { .. } => "waiting for hello",
            State::Admitting => "admitting",
            State::Ready { .. } => "ready",
            State::Negotiating { .. } => "negotiating",
            State::Closed => "closed",
        };
        MachineError { event, state }
    }
}

#[cfg(test)]
mod tests;
