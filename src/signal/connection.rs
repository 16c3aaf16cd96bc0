//! One signaling WebSocket: turns frames, pushes, finished calls and time into events of the machine, and its outputs
//! into calls and messages. Decides nothing itself.
//!
//! Never waits on the peer: what is sent goes through a bounded queue, what is asked of the core runs beside the loop.
//! Calls of the core are always awaited to their end, so that no admission is left behind.

use super::admission::{Admitted, Refusal, Request, admit};
use super::core::Known;
use super::inside::{Heard, Inside};
use super::metrics::Cut;
use super::push::{Meaning, of_standing, of_view};
use super::state::SignalState;
use super::websocket::Outgoing;
use crate::auth::{Lapse, Principal};
use crate::model::ids::{SessionId, ViewerId};
use crate::session::ServiceError;
use crate::session::view::SessionView;
use axum::extract::ws::{Message, WebSocket};
use axum::http::{Extensions, HeaderMap};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use playgate_signaling::bucket::Bucket;
use playgate_signaling::control::Wish;
use playgate_signaling::machine::{Event, GatewayMachine, Leave, Output, Resume};
use playgate_signaling::message::{ClientMessage, ErrorCode, MessageError, Role, ServerMessage, close};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval_at};

/// Pings of ours that may stay without any frame from the peer.
const SILENT_PINGS: u32 = 3;
/// Pings and pongs of the peer at once, and the time that gives one more.
const CONTROL_FRAMES: (u32, Duration) = (50, Duration::from_millis(100));

/// What a call of the core came to.
enum Done {
    Admission(Result<Box<Admitted>, Refusal>),
    Answer {
        id: u32,
        result: Result<String, Refusal>,
    },
    Status(Option<Box<SessionView>>),
    Kept,
    /// The words, when a wish for the controls was refused.
    Wished(Option<String>),
}

/// Whom the upgrade request was from, and what it came with.
pub(super) struct Opener {
    pub(super) who: Option<Known>,
    pub(super) headers: HeaderMap,
    pub(super) extensions: Extensions,
}

pub(super) struct Connection {
    state: SignalState,
    session: SessionId,
    /// Whom the upgrade request was from.
    who: Option<Known>,
    /// What the upgrade request came with.
    came_with: Arc<(HeaderMap, Extensions)>,
    machine: GatewayMachine,
    outbox: mpsc::Sender<Outgoing>,
    calls: JoinSet<Done>,
    inside: Option<Inside>,
    leave: Option<Leave>,
    /// Wishes wait for each other, as their order counts; no more of them than messages may come at once.
    wishes: VecDeque<Wish<ViewerId>>,
    wishing: bool,
    control_frames: Bucket,
    unanswered_pings: u32,
}

impl Connection {
    pub(super) fn new(
        state: SignalState,
        session: SessionId,
        opener: Opener,
        outbox: mpsc::Sender<Outgoing>,
    ) -> Self {
        let now = Instant::now();
        Self {
            machine: GatewayMachine::new(state.config.limits.clone(), now),
            state,
            session,
            who: opener.who,
            came_with: Arc::new((opener.headers, opener.extensions)),
            outbox,
            calls: JoinSet::new(),
            inside: None,
            leave: None,
            wishes: VecDeque::new(),
            wishing: false,
            control_frames: Bucket::new(CONTROL_FRAMES.0, CONTROL_FRAMES.1, now),
            unanswered_pings: 0,
        }
    }

    /// Runs until the connection is over; gives the viewer back when its media is to stay for a while.
    pub(super) async fn run(mut self, stream: &mut SplitStream<WebSocket>) -> Option<Inside> {
        let period = self.state.config.ping_interval;
        let mut pings = interval_at(tokio::time::Instant::now() + period, period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.machine.is_closed() {
            let timeout = self.machine.poll_timeout();
            tokio::select! {
                frame = stream.next() => self.incoming(frame),
                Some(done) = self.calls.join_next() => self.done(done),
                heard = hear(&mut self.inside, &self.state) => self.heard(heard),
                () = at(timeout) => self.event(Event::Timer),
                _ = pings.tick() => self.ping(),
            }
            self.carry_out();
        }
        while let Some(done) = self.calls.join_next().await {
            self.done(done);
            self.carry_out();
        }
        let inside = self.inside.take()?;
        match self.leave {
            Some(Leave::Broken) => Some(inside),
            Some(Leave::Now) | None => {
                inside.leave().await;
                None
            }
        }
    }

    fn incoming(&mut self, frame: Option<Result<Message, axum::Error>>) {
        self.unanswered_pings = 0;
        match frame {
            Some(Ok(Message::Text(text))) => match ClientMessage::parse(&text) {
                Ok(message) => self.event(Event::Message(message)),
                Err(error) => self.malformed(error),
            },
            Some(Ok(Message::Binary(_))) => self.malformed(MessageError::NotText),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                if !self.control_frames.take(Instant::now(), 1) {
                    self.state.metrics.cut(Cut::Flood);
                    self.event(Event::Disconnected);
                }
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => self.event(Event::Disconnected),
        }
    }

    fn malformed(&mut self, error: MessageError) {
        self.state.metrics.malformed.inc();
        self.event(Event::Malformed(error));
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Admission(Ok(admitted))) => self.admitted(*admitted),
            Ok(Done::Admission(Err(refusal))) => {
                self.state.metrics.cut(Cut::Refused);
                self.event(Event::Refused { code: refusal.code, message: refusal.message });
            }
            Ok(Done::Answer { id, result: Ok(sdp) }) => {
                if let Some(inside) = &self.inside {
                    self.state.viewers.set_media(inside.guard.seat(), true);
                }
                self.event(Event::Answered { id, sdp });
            }
            Ok(Done::Answer { id, result: Err(refusal) }) => {
                self.event(Event::AnswerFailed { id, code: refusal.code, message: refusal.message });
            }
            Ok(Done::Status(Some(view))) => self.meaning(of_view(*view)),
            Ok(Done::Status(None)) => self.over(),
            Ok(Done::Wished(refused)) => {
                if let Some(words) = refused {
                    self.not_allowed(words);
                }
                self.wishing = false;
                self.next_wish();
            }
            Ok(Done::Kept) => {}
            Err(error) => {
                tracing::error!(%error, "a call of the session core failed");
                self.event(Event::Disconnected);
            }
        }
    }

    fn admitted(&mut self, admitted: Admitted) {
        let Admitted { inside, role, welcome, status, control } = admitted;
        self.inside = Some(inside);
        self.event(Event::Admitted { role, welcome: Box::new(welcome) });
        self.meaning(status);
        if !self.machine.is_closed() {
            self.meaning(control);
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Push(meaning) => self.meaning(meaning),
            Heard::Missed => {
                if let Some(inside) = &self.inside {
                    let missed = self.state.core.standing(self.session);
                    let control = missed.map(|standing| of_standing(&standing, inside.guard.seat().viewer));
                    let (state, session, who) = (self.state.clone(), self.session, inside.who.clone());
                    self.calls.spawn(async move {
                        Done::Status(state.core.status(&who, session).await.ok().map(Box::new))
                    });
                    self.meaning(control.unwrap_or(Meaning::Nothing));
                }
            }
            Heard::Over => self.over(),
            Heard::SeatLost => self.replaced(),
            Heard::Lapsed(lapse) => self.lapsed(lapse),
        }
    }

    fn meaning(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Tell(message) | Meaning::Evicted(message) => self.event(Event::Push(message)),
            Meaning::MediaEnded(message) => {
                if let Some(inside) = &self.inside {
                    self.state.viewers.set_media(inside.guard.seat(), false);
                }
                self.event(Event::Push(message));
            }
            Meaning::Ended { status, reason } => {
                self.event(Event::Push(status));
                self.event(Event::Push(ServerMessage::End { reason }));
            }
            Meaning::Nothing => {}
        }
    }

    fn over(&mut self) {
        self.event(Event::Push(ServerMessage::End { reason: "stopped".to_owned() }));
    }

    fn replaced(&mut self) {
        self.evicted(ErrorCode::Replaced, "This view was opened again elsewhere.");
    }

    fn evicted(&mut self, code: ErrorCode, message: &str) {
        let message = message.to_owned();
        self.event(Event::Push(ServerMessage::Error { code, message, fatal: true, offer: None }));
    }

    fn lapsed(&mut self, lapse: Lapse) {
        self.state.metrics.cut(Cut::Refused);
        let by_grant = self.inside.as_ref().is_some_and(|inside| matches!(inside.who, Principal::Grant(_)));
        match lapse {
            Lapse::Expired | Lapse::Revoked if by_grant => {
                self.evicted(ErrorCode::GrantEnded, "Your invitation to this session has ended.");
            }
            Lapse::Expired => {
                self.evicted(ErrorCode::Unauthorized, "Your sign-in has expired. Sign in again.")
            }
            Lapse::Revoked => self.evicted(ErrorCode::Unauthorized, "Your sign-in was revoked."),
        }
    }

    fn ping(&mut self) {
        if self.unanswered_pings >= SILENT_PINGS {
            self.state.metrics.cut(Cut::Silent);
            self.event(Event::Disconnected);
        } else {
            self.unanswered_pings += 1;
            self.enqueue(Outgoing::Ping);
        }
    }

    fn event(&mut self, event: Event) {
        if let Err(error) = self.machine.handle(Instant::now(), event) {
            tracing::error!(%error, "signaling gave its machine an event out of turn");
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Admit { token, role, resume } => self.admit(token, role, resume),
                Output::Answer { id, sdp } => self.answer(id, sdp),
                Output::Keepalive => self.keepalive(),
                Output::Quality(report) => {
                    if let Some(inside) = &self.inside {
                        self.state.core.saw(self.session, inside.guard.seat().viewer, report);
                    }
                }
                Output::Control(wish) => self.wish(wish),
                Output::Send(message) => self.enqueue(Outgoing::Message(message)),
                Output::Leave(how) => self.leave = Some(how),
                Output::Close { code, reason } => {
                    if code == close::FLOOD {
                        self.state.metrics.cut(Cut::Flood);
                    }
                    self.enqueue(Outgoing::Close { code, reason });
                }
            }
        }
    }

    /// A token in `hello` counts before the request's cookie: a page opened by an invitation acts by the invitation.
    fn admit(&mut self, token: Option<String>, role: Option<Role>, resume: Option<Resume>) {
        let (state, session, upgraded) = (self.state.clone(), self.session, self.who.take());
        let came_with = Arc::clone(&self.came_with);
        self.calls.spawn(async move {
            let who = match token {
                Some(token) => state.auth.authenticate_token(&token, &came_with.0, &came_with.1).await,
                None => upgraded,
            };
            let Some(who) = who else {
                let message = "Sign in first, or open the invitation again.";
                return Done::Admission(Err(Refusal::new(ErrorCode::Unauthorized, message)));
            };
            let request = Request { session, who, role, resume };
            Done::Admission(admit(&state, request).await.map(Box::new))
        });
    }

    fn answer(&mut self, id: u32, sdp: String) {
        let Some(viewer) = self.inside.as_ref().map(|inside| inside.guard.seat().viewer) else { return };
        let (state, session) = (self.state.clone(), self.session);
        self.calls.spawn(async move {
            let result = state.core.offer(session, viewer, sdp).await.map_err(Refusal::from);
            Done::Answer { id, result }
        });
    }

    fn wish(&mut self, wish: Wish<String>) {
        match by_id(wish) {
            Some(wish) => self.wishes.push_back(wish),
            None => return self.not_allowed("There is nobody by that id in this session.".to_owned()),
        }
        if !self.wishing {
            self.next_wish();
        }
    }

    fn next_wish(&mut self) {
        let Some(viewer) = self.inside.as_ref().map(|inside| inside.guard.seat().viewer) else { return };
        let Some(wish) = self.wishes.pop_front() else { return };
        self.wishing = true;
        let (state, session) = (self.state.clone(), self.session);
        self.calls.spawn(async move {
            // An ended session is told by its own push.
            match state.core.control(session, viewer, wish).await {
                Err(ServiceError::InvalidRequest(words)) => Done::Wished(Some(words)),
                Ok(()) | Err(_) => Done::Wished(None),
            }
        });
    }

    fn not_allowed(&mut self, message: String) {
        let code = ErrorCode::NotAllowed;
        self.event(Event::Push(ServerMessage::Error { code, message, fatal: false, offer: None }));
    }

    fn keepalive(&mut self) {
        let Some(who) = self.inside.as_ref().map(|inside| inside.who.clone()) else { return };
        let (state, session) = (self.state.clone(), self.session);
        self.calls.spawn(async move {
            // An ended session is told by its own push.
            if let Err(error) = state.core.keepalive(&who, session).await {
                tracing::debug!(%session, %error, "keepalive refused");
            }
            Done::Kept
        });
    }

    fn enqueue(&mut self, outgoing: Outgoing) {
        match self.outbox.try_send(outgoing) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                if !self.machine.is_closed() {
                    self.state.metrics.cut(Cut::SlowReader);
                    self.event(Event::Disconnected);
                }
            }
            Err(mpsc::error::TrySendError::Closed(_)) => self.event(Event::Disconnected),
        }
    }
}

/// With the viewer it names, if that is one.
fn by_id(wish: Wish<String>) -> Option<Wish<ViewerId>> {
    Some(match wish {
        Wish::Request { slot } => Wish::Request { slot },
        Wish::Release => Wish::Release,
        Wish::Pass { to, slot, seconds } => Wish::Pass { to: to.parse().ok()?, slot, seconds },
        Wish::Deny { of } => Wish::Deny { of: of.parse().ok()? },
        Wish::Take { slot } => Wish::Take { slot },
    })
}

async fn hear(inside: &mut Option<Inside>, state: &SignalState) -> Heard {
    match inside {
        Some(inside) => inside.hear(&state.metrics).await,
        None => std::future::pending().await,
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
