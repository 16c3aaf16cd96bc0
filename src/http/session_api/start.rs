//! `POST /session` (G-1).
//!
//! What the contract's schema forbids is told first; then what is not there (404); last what is only here impossible: a
//! name no environment can hold, or an id of more than 256 bytes.

use super::caller::Organisation;
use super::error::{ErrorResponse, FieldViolation, SessionApiError};
use super::form::Form;
use crate::driver::Port;
use crate::http::HttpState;
use crate::session::hosted::HostRequest;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Longest id, in bytes.
const MAX_ID_BYTES: usize = 256;
/// Longest ttl, in minutes: eight thousand years. More is an overflow (G17).
const MAX_TTL_MINUTES: u64 = u32::MAX as u64;

/// What a session is started with. No other fields are taken.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct SessionRun {
    /// Yours to choose, 1-256 bytes, never used twice. Absent: a UUID is made up.
    #[schema(min_length = 1, example = "f7965a22-e327-4541-a30e-8262890d3a29")]
    id: Option<String>,
    /// A location, or a region to choose the best location of.
    #[schema(min_length = 1, example = "europe")]
    location: String,
    #[schema(min_length = 1, example = "nginx")]
    image: String,
    /// Environment of the container; whoever may read the session sees it. Values are not empty.
    #[schema(example = json!({ "MAX_PLAYERS": "8" }))]
    env: Option<BTreeMap<String, String>>,
    /// Arguments of its program; none of them is empty.
    #[schema(example = json!(["--match-type=quick-play"]))]
    args: Option<Vec<String>>,
    /// Start it again when it fails: not after a stop, and not at the end of its ttl.
    restart: Option<bool>,
    /// Yours; sessions can be listed by them.
    #[schema(example = json!({ "mode": "ranked" }))]
    labels: Option<BTreeMap<String, String>>,
    /// Tag of the image. Absent: the one with the highest priority.
    #[schema(min_length = 1, example = "1.27")]
    version: Option<String>,
    /// After this time it is ended by force: hours and minutes, one minute at least.
    #[schema(pattern = "^([0-9]+h([0-9]+m)?|[0-9]+m)$", example = "2h30m")]
    ttl: Option<String>,
    /// `"true"` puts CPU, memory and network of this session on `/metrics`.
    enable_metrics: Option<TrueOrFalse>,
}

// G4: the contract has it as a string.
/// A truth value as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum TrueOrFalse {
    True,
    False,
}

/// Where the session can be reached.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionRunOk {
    #[schema(example = "f7965a22-e327-4541-a30e-8262890d3a29")]
    id: String,
    /// IPv4 address of the machine.
    #[schema(example = "203.0.113.7")]
    host: String,
    ports: Vec<PublishedPort>,
}

/// A port of the container, and where it is on the host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Port)]
pub(super) struct PublishedPort {
    /// `tcp` or `udp`.
    #[serde(rename = "type")]
    #[schema(example = "tcp")]
    protocol: String,
    #[schema(minimum = 1, example = 80)]
    container: u16,
    #[schema(minimum = 1, example = 20417)]
    host: u16,
}

/// Start a session
///
/// Answers once the container runs and its ports are bound; the process inside may need a moment more.
#[utoipa::path(
    post, path = "/session", operation_id = "session-run", tag = "Session API",
    request_body = SessionRun,
    responses(
        (status = 201, description = "Started.", body = SessionRunOk),
        (status = 401, description = "No organisation's token.", body = ErrorResponse),
        (status = 404, description = "Location, image or version does not exist for you.", body = ErrorResponse),
        (status = 409, description = "The id was used before.", body = ErrorResponse),
        (status = 420, description = "Not possible now, or too many starts: come back after `Retry-After` seconds.",
            body = ErrorResponse, headers(("Retry-After" = u32, description = "Seconds"))),
        (status = 422, description = "The request is not valid; `violations` name each bad field.", body = ErrorResponse),
    ),
    security(("api-token" = []))
)]
pub(super) async fn run(
    State(state): State<HttpState>,
    Organisation(name): Organisation,
    form: Form,
) -> Result<(StatusCode, Json<SessionRunOk>), SessionApiError> {
    let request = SessionRun::read(form)?.into_request()?;
    let unfit = unfit(&request);
    if !unfit.is_empty() {
        state.hosted.locations(&name, &request.image).await?;
        return Err(SessionApiError::violations(unfit));
    }
    let view = state.hosted.run(&name, request).await?;
    let ports = view.hosted.ports.iter().map(PublishedPort::new).collect();
    let answer = SessionRunOk { id: view.external_id, host: view.hosted.host.clone(), ports };
    Ok((StatusCode::CREATED, Json(answer)))
}

impl PublishedPort {
    fn new(port: &Port) -> Self {
        Self { protocol: port.protocol.name().to_owned(), container: port.container, host: port.host }
    }
}

impl SessionRun {
    pub(super) fn read(mut form: Form) -> Result<Self, SessionApiError> {
        let run = Self {
            id: form.text("id", 1),
            location: form.required_text("location", 1),
            image: form.required_text("image", 1),
            env: form.map("env", 1),
            args: form.texts("args", 1),
            restart: form.flag("restart"),
            labels: form.map("labels", 0),
            version: form.text("version", 1),
            ttl: form.text("ttl", 0),
            enable_metrics: match form.text("enableMetrics", 0).as_deref() {
                None => None,
                Some("true") => Some(TrueOrFalse::True),
                Some("false") => Some(TrueOrFalse::False),
                Some(_) => {
                    form.refuse("enableMetrics", "must be \"true\" or \"false\".");
                    None
                }
            },
        };
        if let Some(ttl) = &run.ttl
            && parse_ttl(ttl).is_none()
        {
            form.refuse("ttl", "must be a time in hours and minutes, like 1h, 2h30m or 45m.");
        }
        form.finish()?;
        Ok(run)
    }

    pub(super) fn into_request(self) -> Result<HostRequest, SessionApiError> {
        Ok(HostRequest {
            id: self.id,
            location: self.location,
            image: self.image,
            version: self.version,
            env: self.env.unwrap_or_default(),
            args: self.args.unwrap_or_default(),
            labels: self.labels.unwrap_or_default(),
            restart: self.restart.unwrap_or_default(),
            ttl: self.ttl.as_deref().and_then(parse_ttl),
            enable_metrics: self.enable_metrics == Some(TrueOrFalse::True),
        })
    }
}

/// G17: `1h`, `2h30m`, `45m`; nothing less than a minute.
fn parse_ttl(text: &str) -> Option<Duration> {
    let whole = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse::<u64>().ok() } else { None }
    };
    let minutes = |text: &str| text.strip_suffix('m').and_then(whole);
    let total = match text.split_once('h') {
        Some((hours, "")) => whole(hours)?.checked_mul(60)?,
        Some((hours, rest)) => whole(hours)?.checked_mul(60)?.checked_add(minutes(rest)?)?,
        None => minutes(text)?,
    };
    (total <= MAX_TTL_MINUTES).then(|| Duration::from_secs(total.max(1) * 60))
}

/// What no container can be given: names and values are ended by a NUL there, and names by `=`.
fn unfit(request: &HostRequest) -> Vec<FieldViolation> {
    let mut found = Vec::new();
    let mut refuse = |field: String, text: String| found.push(FieldViolation::new(field, text));
    let no_nul = "must not hold a NUL character.";
    if let Some(id) = &request.id {
        if id.len() > MAX_ID_BYTES {
            refuse("id".to_owned(), format!("must not be longer than {MAX_ID_BYTES} bytes."));
        }
        if id.contains('\0') {
            refuse("id".to_owned(), no_nul.to_owned());
        }
    }
    for (name, value) in &request.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            let text = "is no name of an environment variable: it must not be empty nor hold '=' or NUL.";
            refuse(format!("env.{name}"), text.to_owned());
        }
        if value.contains('\0') {
            refuse(format!("env.{name}"), no_nul.to_owned());
        }
    }
    for (index, argument) in request.args.iter().enumerate() {
        if argument.contains('\0') {
            refuse(format!("args[{index}]"), no_nul.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g17_ttl_takes_hours_and_minutes_and_nothing_else() {
        for (text, minutes) in [
            ("1h", 60),
            ("2h30m", 150),
            ("1m", 1),
            ("0m", 1),
            ("0h", 1),
            ("0h0m", 1),
            ("1h90m", 150),
            ("007m", 7),
            ("4294967295m", 4_294_967_295),
        ] {
            assert_eq!(parse_ttl(text), Some(Duration::from_secs(minutes * 60)), "{text}");
        }
        for text in [
            "",
            "h",
            "m",
            "hm",
            "1",
            "60",
            "1s",
            "1m30s",
            "30m1h",
            "1h1h",
            "1h30",
            "1 h",
            " 1h",
            "1h ",
            "-1h",
            "+1h",
            "1.5h",
            "1H",
            "１h",
            "1d",
            "1hm",
            "4294967296m",
            "71582789h",
            "18446744073709551616m",
            "307445734561825861h",
        ] {
            assert_eq!(parse_ttl(text), None, "{text}");
        }
    }
}
