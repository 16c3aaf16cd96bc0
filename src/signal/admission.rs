//! Letting a viewer in: who it is, a seat for it (its old one if it comes back), the session core's word, the welcome.
//!
//! A refusal leaves nothing behind, neither here nor in the core; nor does a request that is dropped on the way.

use super::core::Known;
use super::guard::ViewerGuard;
use super::ice::ice_servers;
use super::inside::Inside;
use super::metrics::Cut;
use super::push::{Meaning, of_standing, of_view};
use super::state::SignalState;
use super::viewers::Seat;
use crate::auth::Principal;
use crate::model::ids::{SessionId, ViewerId};
use crate::relay::RelayError;
use crate::session::ServiceError;
use crate::session::view::Push;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use playgate_signaling::machine::Resume;
use playgate_signaling::message::{ErrorCode, Role, ServerMessage};
use time::OffsetDateTime;
use tokio::sync::broadcast;

/// What a viewer asks for.
pub(super) struct Request {
    pub(super) session: SessionId,
    pub(super) who: Known,
    pub(super) role: Option<Role>,
    pub(super) resume: Option<Resume>,
}

/// A viewer that is in.
pub(super) struct Admitted {
    pub(super) inside: Inside,
    pub(super) role: Role,
    pub(super) welcome: ServerMessage,
    /// The session's state now, and who has the controls.
    pub(super) status: Meaning,
    pub(super) control: Meaning,
}

/// Why a viewer is not in.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) message: String,
    /// Absent where signaling itself refused.
    pub(super) source: Option<ServiceError>,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: &str) -> Self {
        Self { code, message: message.to_owned(), source: None }
    }
}

impl From<ServiceError> for Refusal {
    fn from(error: ServiceError) -> Self {
        let code = match &error {
            ServiceError::InvalidRequest(_) => ErrorCode::InvalidMessage,
            ServiceError::NotFound(_) => ErrorCode::NotFound,
            ServiceError::Media(media) => match media {
                RelayError::InvalidOffer(_) => ErrorCode::InvalidOffer,
                RelayError::UnsupportedCodec(_) => ErrorCode::UnsupportedCodec,
                RelayError::NotFound => ErrorCode::NotFound,
                RelayError::Full => ErrorCode::Full,
                RelayError::Unavailable | RelayError::Bind { .. } => ErrorCode::Internal,
            },
            ServiceError::RateLimited { .. } => ErrorCode::TooManyMessages,
            ServiceError::SessionActive
            | ServiceError::SlotInUse
            | ServiceError::NoServers
            | ServiceError::NotReady
            | ServiceError::IdUsed
            | ServiceError::Terminated
            | ServiceError::StartFailed(_)
            | ServiceError::TooManyPlayers { .. }
            | ServiceError::TooLarge { .. }
            | ServiceError::Unavailable(_)
            | ServiceError::Internal(_) => ErrorCode::Internal,
        };
        if let ServiceError::Internal(source) = &error {
            tracing::error!(error = format!("{source:#}"), "the session core failed a viewer");
        }
        Self { code, message: error.to_string(), source: Some(error) }
    }
}

/// Lets a viewer in or says why not.
pub(super) async fn admit(state: &SignalState, request: Request) -> Result<Admitted, Refusal> {
    let Request { session, who: Known { who, validity }, role, resume } = request;
    let secret = new_secret()?;
    let resumed = resume.and_then(|resume| {
        let viewer = resume.viewer_id.parse().ok()?;
        state.viewers.take_over(session, viewer, &who, &resume.secret, &secret)
    });
    let (seat, media) = match resumed {
        Some(resumed) => {
            state.metrics.resumed.inc();
            (resumed.seat, resumed.media)
        }
        None => {
            let seat = state.viewers.insert(session, ViewerId::new(), who.clone(), secret.clone());
            let seat = seat.map_err(|full| {
                state.metrics.cut(Cut::Viewers);
                Refusal {
                    code: ErrorCode::Full,
                    message: full.to_string(),
                    source: Some(ServiceError::Media(RelayError::Full)),
                }
            })?;
            (seat, false)
        }
    };
    let guard = ViewerGuard::new(state, seat);
    match welcome(state, guard.seat(), &who, role, secret, media).await {
        Ok(Welcomed { role, pushes, welcome, status, control }) => {
            let inside = Inside { guard, who, validity, pushes };
            Ok(Admitted { inside, role, welcome, status, control })
        }
        Err(refusal) => {
            guard.leave().await;
            Err(refusal)
        }
    }
}

/// What the core says of an admitted viewer.
struct Welcomed {
    role: Role,
    pushes: broadcast::Receiver<Push>,
    welcome: ServerMessage,
    status: Meaning,
    control: Meaning,
}

async fn welcome(
    state: &SignalState,
    seat: &Seat,
    who: &Principal,
    role: Option<Role>,
    secret: String,
    media: bool,
) -> Result<Welcomed, Refusal> {
    let session = seat.session;
    let admission = state.core.admit(who, session, seat.viewer, role).await?;
    // Subscribed before the state is read, so that no change falls between.
    let ended = || Refusal::new(ErrorCode::NotFound, "This session has ended.");
    let pushes = state.core.subscribe(session).ok_or_else(ended)?;
    let view = state.core.status(who, session).await?;
    let standing = state.core.standing(session);
    let control = standing.map_or(Meaning::Nothing, |standing| of_standing(&standing, seat.viewer));
    let welcome = ServerMessage::Welcome {
        session_id: session.to_string(),
        viewer_id: seat.viewer.to_string(),
        resume: secret,
        resumed: media,
        role: admission.role,
        slot: admission.slot,
        ice_servers: ice_servers(&state.config.ice, seat.viewer, OffsetDateTime::now_utc()),
        media: state.config.media.clone(),
        game: admission.hints,
    };
    Ok(Welcomed { role: admission.role, pushes, welcome, status: of_view(view), control })
}

fn new_secret() -> Result<String, Refusal> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Refusal::new(ErrorCode::Internal, "internal error"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
