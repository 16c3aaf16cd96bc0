//! WHEP (draft-ietf-wish-whep, with the conventions of RFC 9725): players that are not our page.
//!
//! The same gateway machine as behind the WebSocket, fed with a `hello` and an offer of our own making, so both ways
//! in obey the same rules. WHEP viewers only watch. The answer holds every candidate, so trickled candidates are
//! accepted and ignored; an ICE restart is served by the stored offer with new credentials.

use super::MAX_BODY_BYTES;
use super::admission::{Refusal, Request, admit};
use super::core::Known;
use super::guard::ViewerGuard;
use super::inside::Inside;
use super::push::Meaning;
use super::state::SignalState;
use super::viewers::Seat;
use super::whep_reply::{link_ice_servers, not_ready, problem, refused};
use crate::model::ids::{SessionId, ViewerId};
use crate::model::session::Status;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use playgate_signaling::machine::{Event, GatewayMachine, Output};
use playgate_signaling::message::{ClientMessage, ErrorCode, Role, ServerMessage};
use playgate_signaling::sdp_fragment::{MEDIA_TYPE as FRAGMENT, SdpFragment};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

const SDP: &str = "application/sdp";

/// A viewer that came by WHEP.
pub(super) struct WhepViewer(Mutex<Negotiation>);

/// Where its offers and answers stand.
struct Negotiation {
    machine: GatewayMachine,
    /// The offer answered last, as text.
    offer: String,
    /// Counts ICE sessions; the entity tag.
    round: u32,
}

/// `POST /session/{id}/whep`: 201 with the answer.
pub(super) async fn create(
    State(state): State<SignalState>,
    Path(session): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let who = authenticate(&state, &headers, &extensions).await?;
    let session: SessionId = session.parse().map_err(|_| not_found())?;
    expect_type(&headers, SDP)?;
    let offer = text(body)?;
    let view = state.core.status(&who.who, session).await.map_err(|error| refused(&error.into()))?;
    match view.status {
        Status::Running => {}
        Status::Starting => return Err(not_ready()),
        Status::Stopping | Status::Stopped | Status::Error => return Err(ended()),
    }
    let mut negotiation = Negotiation::start(&state);
    let (inside, servers) =
        negotiation.enter(&state, session, who).await.map_err(|refusal| refused(&refusal))?;
    let seat = inside.guard.seat().clone();
    match negotiation.negotiate(&state, &seat, offer).await {
        Ok(answer) => {
            let tag = negotiation.tag();
            state.viewers.set_media(&seat, true);
            state.viewers.set_whep(&seat, Arc::new(WhepViewer(Mutex::new(negotiation))));
            state.metrics.whep_viewers.inc();
            tokio::spawn(async move {
                inside.watch(&state).await;
                state.metrics.whep_viewers.dec();
            });
            Ok(created(&seat, answer, tag, &servers))
        }
        Err(refusal) => {
            inside.leave().await;
            Err(refused(&refusal))
        }
    }
}

/// `PATCH /session/{id}/whep/{viewer}`: trickled candidates (204) or an ICE restart (200 with our fragment).
pub(super) async fn update(
    State(state): State<SignalState>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let (seat, viewer) = find(&state, &headers, &extensions, &path).await?;
    expect_type(&headers, FRAGMENT)?;
    let fragment = SdpFragment::parse(&text(body)?)
        .map_err(|error| problem(StatusCode::BAD_REQUEST, "invalid_request", &error.to_string()))?;
    let mut negotiation = viewer.0.lock().await;
    let wanted = headers.get(header::IF_MATCH).ok_or_else(|| {
        problem(
            StatusCode::PRECONDITION_REQUIRED,
            "if_match_required",
            "Send If-Match with the entity tag, or * to restart.",
        )
    })?;
    let any = wanted.as_bytes() == b"*";
    if !any && wanted.as_bytes() != negotiation.tag().as_bytes() {
        return Err(problem(StatusCode::PRECONDITION_FAILED, "stale", "The ICE session is another by now."));
    }
    let restarts = fragment
        .credentials()
        .is_some_and(|new| SdpFragment::of_description(&negotiation.offer).credentials() != Some(new));
    if !restarts {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let offer = fragment.apply(&negotiation.offer);
    let answer = negotiation.negotiate(&state, &seat, offer).await.map_err(|refusal| refused(&refusal))?;
    let mut response = SdpFragment::of_description(&answer).to_text().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
    insert(response.headers_mut(), header::ETAG, negotiation.tag());
    Ok(response)
}

/// `DELETE /session/{id}/whep/{viewer}`: 200.
pub(super) async fn remove(
    State(state): State<SignalState>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, Response> {
    let (seat, _) = find(&state, &headers, &extensions, &path).await?;
    let lost = Arc::clone(&seat.lost);
    if !ViewerGuard::new(&state, seat).leave().await {
        return Err(not_found());
    }
    lost.notify_one();
    Ok(StatusCode::OK.into_response())
}

/// What the endpoint takes, and the answer to a browser's preflight.
pub(super) async fn options() -> Response {
    let headers = [
        (header::HeaderName::from_static("accept-post"), SDP),
        (header::HeaderName::from_static("accept-patch"), FRAGMENT),
        (header::ALLOW, "POST, PATCH, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, PATCH, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-Match"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

impl Negotiation {
    fn start(state: &SignalState) -> Self {
        let machine = GatewayMachine::new(state.config.limits.clone(), Instant::now());
        Self { machine, offer: String::new(), round: 0 }
    }

    /// Hello and admission, as a spectator.
    async fn enter(
        &mut self,
        state: &SignalState,
        session: SessionId,
        who: Known,
    ) -> Result<(Inside, Vec<playgate_signaling::message::IceServer>), Refusal> {
        let hello =
            ClientMessage::Hello { token: None, role: Some(Role::Spectator), viewer_id: None, resume: None };
        self.event(Event::Message(hello))?;
        let Some(Output::Admit { role, resume, .. }) = self.machine.poll_output() else {
            return Err(out_of_turn());
        };
        let admitted = admit(state, Request { session, who, role, resume }).await?;
        let inside = admitted.inside;
        if let Meaning::Ended { .. } = admitted.status {
            inside.leave().await;
            return Err(Refusal::new(ErrorCode::NotFound, "This session has ended."));
        }
        self.event(Event::Admitted { role: admitted.role, welcome: Box::new(admitted.welcome) })?;
        match self.machine.poll_output() {
            Some(Output::Send(ServerMessage::Welcome { ice_servers, .. })) => Ok((inside, ice_servers)),
            Some(_) | None => {
                inside.leave().await;
                Err(out_of_turn())
            }
        }
    }

    /// One offer through the machine and the core.
    async fn negotiate(&mut self, state: &SignalState, seat: &Seat, sdp: String) -> Result<String, Refusal> {
        let id = self.round + 1;
        let offer = sdp.clone();
        self.event(Event::Message(ClientMessage::Offer { id, sdp }))?;
        let sdp = match self.machine.poll_output() {
            Some(Output::Answer { sdp, .. }) => sdp,
            Some(Output::Send(ServerMessage::Error { code, message, .. })) => {
                return Err(Refusal { code, message, source: None });
            }
            Some(_) | None => return Err(out_of_turn()),
        };
        self.round = id;
        match state.core.offer(seat.session, seat.viewer, sdp).await {
            Ok(sdp) => {
                self.event(Event::Answered { id, sdp })?;
                match self.machine.poll_output() {
                    Some(Output::Send(ServerMessage::Answer { sdp, .. })) => {
                        self.offer = offer;
                        Ok(sdp)
                    }
                    Some(_) | None => Err(out_of_turn()),
                }
            }
            Err(error) => {
                let refusal = Refusal::from(error);
                let (code, message) = (refusal.code, refusal.message.clone());
                self.event(Event::AnswerFailed { id, code, message })?;
                while self.machine.poll_output().is_some() {}
                Err(refusal)
            }
        }
    }

    fn tag(&self) -> String {
        format!("\"{}\"", self.round)
    }

    fn event(&mut self, event: Event) -> Result<(), Refusal> {
        self.machine.handle(Instant::now(), event).map_err(|error| {
            tracing::error!(%error, "WHEP gave its machine an event out of turn");
            out_of_turn()
        })
    }
}

async fn authenticate(
    state: &SignalState,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Known, Response> {
    state.auth.authenticate_headers(headers, extensions).await.ok_or_else(|| {
        problem(StatusCode::UNAUTHORIZED, "unauthorized", "You must be logged in to access this resource.")
    })
}

async fn find(
    state: &SignalState,
    headers: &HeaderMap,
    extensions: &Extensions,
    path: &(String, String),
) -> Result<(Seat, Arc<WhepViewer>), Response> {
    let who = authenticate(state, headers, extensions).await?;
    let session: SessionId = path.0.parse().map_err(|_| not_found())?;
    let viewer: ViewerId = path.1.parse().map_err(|_| not_found())?;
    state.viewers.whep(session, viewer, &who.who).ok_or_else(not_found)
}

fn created(
    seat: &Seat,
    answer: String,
    tag: String,
    servers: &[playgate_signaling::message::IceServer],
) -> Response {
    let mut response = (StatusCode::CREATED, answer).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    headers.insert(header::HeaderName::from_static("accept-patch"), HeaderValue::from_static(FRAGMENT));
    insert(headers, header::LOCATION, format!("/session/{}/whep/{}", seat.session, seat.viewer));
    insert(headers, header::ETAG, tag);
    link_ice_servers(headers, servers);
    response
}

#[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Response> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    if given.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let message = format!("The body must be {wanted}.");
    let mut response = problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", &message);
    let name = if wanted == SDP { "accept-post" } else { "accept-patch" };
    response.headers_mut().insert(header::HeaderName::from_static(name), HeaderValue::from_static(wanted));
    Err(response)
}

#[expect(clippy::result_large_err, reason = "the error is the answer, made once a request")]
fn text(body: Result<Bytes, BytesRejection>) -> Result<String, Response> {
    let body = body.map_err(|rejection| {
        let status = rejection.status();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("The body has at most {MAX_BODY_BYTES} bytes.");
            problem(status, "too_large", &message)
        } else {
            problem(status, "invalid_request", "The body could not be read.")
        }
    })?;
    match String::from_utf8(body.into()) {
        Ok(text) if !text.trim().is_empty() => Ok(text),
        Ok(_) => Err(problem(StatusCode::BAD_REQUEST, "invalid_request", "The body is empty.")),
        Err(_) => Err(problem(StatusCode::BAD_REQUEST, "invalid_request", "The body is not UTF-8.")),
    }
}

fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

fn not_found() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "There is no such session or viewer.")
}

fn ended() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "This session has ended.")
}

fn out_of_turn() -> Refusal {
    Refusal::new(ErrorCode::Internal, "internal error")
}
