//! Reads what callers send, strictly: every field has its type, none is unknown, and all that is wrong is told at once.

use super::error::{FieldViolation, SessionApiError};
use crate::http::input::is_json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Largest JSON body, in bytes: environments of some 100 KiB exist.
pub(super) const MAX_BODY_BYTES: usize = 1 << 20;

/// A JSON object whose fields are taken out one by one; what is left in the end is unknown.
#[derive(Debug)]
pub(super) struct Form {
    fields: Map<String, Value>,
    violations: Vec<FieldViolation>,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = SessionApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, SessionApiError> {
        // Clients that leave the type out of a DELETE mean JSON; one that names another does not.
        let other = request.headers().contains_key(header::CONTENT_TYPE) && !is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                SessionApiError::invalid(format!(
                    "The request body is larger than {} KiB.",
                    MAX_BODY_BYTES / 1024
                ))
            } else {
                SessionApiError::invalid("The request body could not be read.")
            }
        })?;
        if bytes.is_empty() {
            return Err(SessionApiError::invalid("The request needs a JSON body."));
        }
        if other {
            let details = "The request body must be JSON: send the header 'Content-Type: application/json'.";
            return Err(SessionApiError::invalid(details));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self { fields, violations: Vec::new() }),
            Ok(_) => Err(SessionApiError::invalid("The request body must be a JSON object.")),
            Err(error) => {
                Err(SessionApiError::invalid(format!("The request body is not valid JSON: {error}.")))
            }
        }
    }
}

impl Form {
    pub(super) fn refuse(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.violations.push(FieldViolation::new(field, description));
    }

    /// A string of at least `min` characters.
    pub(super) fn text(&mut self, field: &str, min: usize) -> Option<String> {
        let value = self.fields.remove(field)?;
        self.element(value, min, || field.to_owned())
    }

    /// An empty string where there is none: that is refused in the end.
    pub(super) fn required_text(&mut self, field: &str, min: usize) -> String {
        self.require(field);
        self.text(field, min).unwrap_or_default()
    }

    pub(super) fn flag(&mut self, field: &str) -> Option<bool> {
        let flag = self.fields.remove(field)?.as_bool();
        if flag.is_none() {
            self.refuse(field, "must be true or false.");
        }
        flag
    }

    /// A whole number inside the range.
    pub(super) fn whole(&mut self, field: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.fields.remove(field)?;
        let inside = value.as_u64().filter(|number| range.contains(number));
        if inside.is_none() {
            let (first, last) = (range.start(), range.end());
            self.refuse(field, format!("must be a whole number from {first} to {last}."));
        }
        inside
    }

    /// A list of strings of at least `min` characters each.
    pub(super) fn texts(&mut self, field: &str, min: usize) -> Option<Vec<String>> {
        let Value::Array(values) = self.fields.remove(field)? else {
            self.refuse(field, "must be a list of strings.");
            return None;
        };
        let mut texts = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            texts.extend(self.element(value, min, || format!("{field}[{index}]")));
        }
        Some(texts)
    }

    pub(super) fn required_texts(&mut self, field: &str) -> Vec<String> {
        self.require(field);
        self.texts(field, 0).unwrap_or_default()
    }

    /// An object of strings of at least `min` characters each.
    pub(super) fn map(&mut self, field: &str, min: usize) -> Option<BTreeMap<String, String>> {
        let Value::Object(values) = self.fields.remove(field)? else {
            self.refuse(field, "must be an object of strings.");
            return None;
        };
        let mut map = BTreeMap::new();
        for (name, value) in values {
            let text = self.element(value, min, || format!("{field}.{name}"));
            map.extend(text.map(|text| (name, text)));
        }
        Some(map)
    }

    /// Refuses what is left, and tells all that was wrong.
    pub(super) fn finish(mut self) -> Result<(), SessionApiError> {
        let unknown: Vec<String> = self.fields.keys().cloned().collect();
        for field in unknown {
            self.refuse(field, "is not a field of this request.");
        }
        if self.violations.is_empty() { Ok(()) } else { Err(SessionApiError::violations(self.violations)) }
    }

    fn require(&mut self, field: &str) {
        if !self.fields.contains_key(field) {
            self.refuse(field, "is required.");
        }
    }

    fn element(&mut self, value: Value, min: usize, name: impl FnOnce() -> String) -> Option<String> {
        let Value::String(text) = value else {
            self.refuse(name(), "must be a string.");
            return None;
        };
        if text.len() < min {
            self.refuse(name(), "must not be empty.");
            return None;
        }
        Some(text)
    }
}
