//! Reads JSON bodies and query strings of the Sessions API. Each refusal names the field.
//!
//! A body is an object, its size is limited by [`super::limits`]; unknown fields are ignored.

use super::error::ApiError;
use super::limits::{self, ListLimit, kib};
use super::offload::offload;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use playgate_signaling::message::Role;
use serde_json::{Map, Value};
use std::str::FromStr;

/// A JSON object.
#[derive(Debug)]
pub struct Body(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let json = is_json(request.headers());
        let limit = limits::of(&request);
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let message = format!("The request body is larger than {}.", kib(limit));
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", message)
            } else {
                ApiError::invalid("The request body could not be read.")
            }
        })?;
        if bytes.is_empty() {
            return Err(ApiError::invalid("The request needs a JSON body."));
        }
        if !json {
            return Err(ApiError::invalid(
                "The request body must be JSON: send the header 'Content-Type: application/json'.",
            ));
        }
        let read = offload(bytes.len(), move || serde_json::from_slice(&bytes)).await;
        match read.map_err(ApiError::internal)? {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(other) => Err(ApiError::invalid(format!(
                "The request body must be a JSON object, not {}.",
                kind(&other)
            ))),
            Err(error) => Err(ApiError::invalid(format!("The request body is not valid JSON: {error}."))),
        }
    }
}

impl Body {
    /// A string that must be there and not empty.
    pub fn required_text(&self, field: &str) -> Result<&str, ApiError> {
        let text = self.text(field)?.ok_or_else(|| required(field))?;
        if text.is_empty() {
            return Err(ApiError::invalid(format!("The '{field}' field must not be empty.")));
        }
        Ok(text)
    }

    /// A string; `null` is as good as absent.
    pub fn text(&self, field: &str) -> Result<Option<&str>, ApiError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(field, "a string", other)),
        }
    }

    pub fn flag(&self, field: &str) -> Result<Option<bool>, ApiError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong_type(field, "true or false", other)),
        }
    }

    /// A whole number inside the range.
    pub fn whole(&self, field: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, ApiError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                let inside = number.as_u64().filter(|value| range.contains(value));
                inside.map(Some).ok_or_else(|| out_of_range(field, &range))
            }
            Some(other) => Err(wrong_type(field, "a whole number", other)),
        }
    }

    /// A list of strings.
    pub(super) fn texts(&self, limit: &ListLimit) -> Result<Option<Vec<&str>>, ApiError> {
        let ListLimit { field, items: most, bytes, .. } = *limit;
        let not_texts = |other: &Value| wrong_type(field, "a list of strings", other);
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) if items.len() > most => {
                Err(ApiError::invalid(format!("The '{field}' field must not have more than {most} entries.")))
            }
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| {
                    let text = item.as_str().ok_or_else(|| not_texts(item))?;
                    if text.len() <= bytes { Ok(text) } else { Err(too_long(field, bytes)) }
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(other) => Err(not_texts(other)),
        }
    }

    /// What an invited person may do, which must be there.
    pub fn role(&self, field: &str) -> Result<Role, ApiError> {
        match self.required_text(field)? {
            "player" => Ok(Role::Player),
            "spectator" => Ok(Role::Spectator),
            _ => Err(ApiError::invalid(format!("The '{field}' field must be 'player' or 'spectator'."))),
        }
    }

    /// An id that must be there. One of another form names nothing we have.
    pub fn id<T: FromStr>(&self, field: &str, unknown: &str) -> Result<T, ApiError> {
        self.required_text(field)?.parse().map_err(|_| ApiError::not_found(unknown))
    }
}

/// The query string's pairs.
#[derive(Debug)]
pub struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        query
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|_| ApiError::invalid("The query string cannot be read."))
    }
}

impl Params {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| ApiError::invalid(format!("The '{name}' parameter is required.")))
    }

    pub fn whole(
        &self,
        name: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        text.parse().ok().filter(|value| range.contains(value)).ok_or_else(|| out_of_range(name, &range))
    }

    /// One of a few words; the first is the default.
    pub fn choice<T: Copy, const N: usize>(
        &self,
        name: &str,
        choices: [(&str, T); N],
        default: T,
    ) -> Result<T, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            ApiError::invalid(format!("'{name}' must be one of {}.", words.join(", ")))
        })
    }

    pub fn id<T: FromStr>(&self, name: &str, unknown: &str) -> Result<T, ApiError> {
        self.required(name)?.parse().map_err(|_| ApiError::not_found(unknown))
    }
}

/// Contract 1.5: lower case letters, digits and hyphens, at most 100 characters.
pub fn check_slug(slug: &str) -> Result<(), ApiError> {
    let fits = !slug.is_empty()
        && slug.len() <= 100
        && slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits {
        Ok(())
    } else {
        Err(ApiError::invalid(
            "'gameSlug' is not a slug: lower case letters, digits and hyphens, at most 100.",
        ))
    }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn too_long(field: &str, bytes: usize) -> ApiError {
    ApiError::invalid(format!("An entry of the '{field}' field is longer than {bytes} bytes."))
}

fn required(field: &str) -> ApiError {
    ApiError::invalid(format!("The '{field}' field is required."))
}

fn wrong_type(field: &str, wanted: &str, found: &Value) -> ApiError {
    ApiError::invalid(format!("The '{field}' field must be {wanted}, not {}.", kind(found)))
}

fn out_of_range(field: &str, range: &std::ops::RangeInclusive<u64>) -> ApiError {
    let message = if *range.end() == u64::MAX {
        format!("'{field}' must be a whole number, at least {}.", range.start())
    } else {
        format!("'{field}' must be a whole number from {} to {}.", range.start(), range.end())
    };
    ApiError::invalid(message)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
