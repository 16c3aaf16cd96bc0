//! `POST /session` (G-1).
//!
//! Refusals come in this order: what the schema forbids (types, bounds, unknown fields), then what does not exist (404), last
//! what only this server cannot do: a name that no environment can hold, or an id that no URL path can carry.

use super::caller::Organisation;
use super::error::{ErrorResponse, SessionApiError, Violations};
use super::form::{Form, JsonBody};
use crate::http::HttpState;
use crate::http::limits::{ARGS, ENV, LABELS, MAX_ID_BYTES, MAX_NAME_BYTES, MAX_TAG_BYTES, MAX_TTL_BYTES};
use crate::model::instance::Port;
use crate::session::hosted::{HostRequest, may_become_too_long};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Longest ttl, in minutes: eight thousand years. More is an overflow (G17).
const MAX_TTL_MINUTES: u64 = u32::MAX as u64;

/// What a session is started with. No other fields are taken.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct SessionRun {
    /// Yours to choose, 1 to 256 bytes, never used twice. Not `.` or `..` and without control characters, which the path
    /// `/session/{id}` could not carry. Absent: a UUID is made up.
    #[schema(min_length = 1, max_length = 256, example = "f7965a22-e327-4541-a30e-8262890d3a29")]
    id: Option<String>,
    /// A location, or a region to choose the best location of.
    #[schema(min_length = 1, max_length = 256, example = "europe")]
    location: String,
    #[schema(min_length = 1, max_length = 256, example = "nginx")]
    image: String,
    /// Environment of the container; whoever may read the session sees it. At most 1000 variables; names of at most 256
    /// bytes, values not empty. A name and its value together have at most 128 KiB, also once `${GAMEYE_...}` is replaced.
    #[schema(example = json!({ "MAX_PLAYERS": "8" }))]
    env: Option<BTreeMap<String, String>>,
    /// Arguments of its program, at most 1000; none of them is empty or longer than 128 KiB.
    #[schema(max_items = 1000, example = json!(["--match-type=quick-play"]))]
    args: Option<Vec<String>>,
    /// Start it again when it fails: not after a stop, and not at the end of its ttl.
    restart: Option<bool>,
    /// Yours; sessions can be listed by them. At most 256; names of at most 256 bytes, values of at most 4096.
    #[schema(example = json!({ "mode": "ranked" }))]
    labels: Option<BTreeMap<String, String>>,
    /// Tag of the image. Absent: the one with the highest priority.
    #[schema(min_length = 1, max_length = 128, example = "1.27")]
    version: Option<String>,
    /// After this time it is ended by force: hours and minutes, one minute at least.
    #[schema(pattern = "^([0-9]+h([0-9]+m)?|[0-9]+m)$", max_length = 32, example = "2h30m")]
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
    body: JsonBody,
) -> Result<(StatusCode, Json<SessionRunOk>), SessionApiError> {
    let (request, unfit) = body.read(read).await?;
    if let Err(unfit) = unfit {
        state.hosted.locations(&name, &request.image).await?;
        return Err(unfit);
    }
    let view = state.hosted.run(&name, request).await?;
    let ports = view.hosted.ports.iter().map(PublishedPort::new).collect();
    let answer = SessionRunOk { id: view.external_id, host: view.hosted.host.clone(), ports };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The request, and whether this server can do it.
pub(super) fn read(form: Form) -> Result<(HostRequest, Result<(), SessionApiError>), SessionApiError> {
    let request = SessionRun::read(form)?.into_request()?;
    let unfit = unfit(&request);
    Ok((request, unfit))
}

impl PublishedPort {
    fn new(port: &Port) -> Self {
        Self { protocol: port.protocol.name().to_owned(), container: port.container, host: port.host }
    }
}

impl SessionRun {
    pub(super) fn read(mut form: Form) -> Result<Self, SessionApiError> {
        let run = Self {
            id: form.text("id", 1..=MAX_ID_BYTES),
            location: form.required_text("location", 1..=MAX_NAME_BYTES),
            image: form.required_text("image", 1..=MAX_NAME_BYTES),
            env: form.map(&ENV, 1),
            args: form.texts(&ARGS, 1),
            restart: form.flag("restart"),
            labels: form.map(&LABELS, 0),
            version: form.text("version", 1..=MAX_TAG_BYTES),
            ttl: form.text("ttl", 0..=MAX_TTL_BYTES),
            enable_metrics: match form.text("enableMetrics", 0..=MAX_NAME_BYTES).as_deref() {
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

/// What no container can be given (names and values end at a NUL there, and names at `=`), and ids that no path can carry.
fn unfit(request: &HostRequest) -> Result<(), SessionApiError> {
    let mut found = Violations::default();
    let no_nul = "must not hold a NUL character.";
    if let Some(id) = &request.id
        && let Some(text) = unreachable_id(id)
    {
        found.add("id", text);
    }
    // Absent: a UUID.
    let id_bytes = request.id.as_ref().map_or(36, String::len);
    for (name, value) in &request.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            let text = "is no name of an environment variable: it must not be empty nor hold '=' or NUL.";
            found.add(&format!("env.{name}"), text);
        }
        if value.contains('\0') {
            found.add(&format!("env.{name}"), no_nul);
        }
        if may_become_too_long(name, value, id_bytes) {
            let text = "is longer than 128 KiB with its name and with every reference replaced.";
            found.add(&format!("env.{name}"), text);
        }
    }
    for (index, argument) in request.args.iter().enumerate() {
        if argument.contains('\0') {
            found.add(&format!("args[{index}]"), no_nul);
        }
    }
    found.finish()
}

/// Why `/session/{id}` cannot lead to a session of this id. Clients resolve the segments `.` and `..`, percent-encoded too
/// (RFC 3986, section 5.2.4; WHATWG URL), and refuse or strip control characters.
fn unreachable_id(id: &str) -> Option<&'static str> {
    if id == "." || id == ".." {
        Some("must not be '.' or '..': the path of the session would lead elsewhere.")
    } else if id.chars().any(char::is_control) {
        Some("must not hold control characters: the path of the session could not carry them.")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a10_an_id_that_a_path_cannot_carry_is_named() {
        for id in [".", "..", "a\0b", "a\nb", "\u{7f}", "\u{85}"] {
            assert!(unreachable_id(id).is_some(), "{id:?}");
        }
        for id in ["...", ".a", "a.", "a/..", "a b", "%2e", "a?b#c", "\u{2028}", "ü"] {
            assert!(unreachable_id(id).is_none(), "{id:?}");
        }
    }

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
