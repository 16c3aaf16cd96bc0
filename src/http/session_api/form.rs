//! Reads JSON bodies strictly: every field has its type and its bounds, none is unknown, and everything that is wrong is
//! reported at once.

use super::error::{SessionApiError, Violations};
use crate::http::input::is_json;
use crate::http::limits::{ListLimit, kib};
use crate::http::offload::offload;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use playgate_signaling::steps;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// A body of JSON, not read yet. Its size is limited by [`crate::http::limits`].
#[derive(Debug)]
pub(super) struct JsonBody(Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = SessionApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, SessionApiError> {
        // Clients that leave the type out of a DELETE mean JSON; one that names another does not.
        let other = request.headers().contains_key(header::CONTENT_TYPE) && !is_json(request.headers());
        let limit = crate::http::limits::of(&request);
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                SessionApiError::invalid(format!("The request body is larger than {}.", kib(limit)))
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
        Ok(Self(bytes))
    }
}

impl JsonBody {
    /// Reads the whole body, off the async workers when it is large.
    pub(super) async fn read<T: Send + 'static>(
        self,
        fields: fn(Form) -> Result<T, SessionApiError>,
    ) -> Result<T, SessionApiError> {
        let Self(bytes) = self;
        let read = offload(bytes.len(), move || Form::parse(&bytes).and_then(fields)).await;
        read.map_err(SessionApiError::internal)?
    }
}

/// A JSON object whose fields are taken out one by one; what is left in the end is unknown.
#[derive(Debug)]
pub(super) struct Form {
    fields: Map<String, Value>,
    violations: Violations,
}

impl Form {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SessionApiError> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self { fields, violations: Violations::default() }),
            Ok(_) => Err(SessionApiError::invalid("The request body must be a JSON object.")),
            Err(error) => {
                Err(SessionApiError::invalid(format!("The request body is not valid JSON: {error}.")))
            }
        }
    }

    pub(super) fn refuse(&mut self, field: &str, description: &str) {
        self.violations.add(field, description);
    }

    /// A string of so many bytes.
    pub(super) fn text(&mut self, field: &str, bytes: RangeInclusive<usize>) -> Option<String> {
        let value = self.fields.remove(field)?;
        self.element(value, bytes, || field.to_owned())
    }

    /// An empty string where there is none: that is refused in the end.
    pub(super) fn required_text(&mut self, field: &str, bytes: RangeInclusive<usize>) -> String {
        self.require(field);
        self.text(field, bytes).unwrap_or_default()
    }

    pub(super) fn flag(&mut self, field: &str) -> Option<bool> {
        let flag = self.fields.remove(field)?.as_bool();
        if flag.is_none() {
            self.refuse(field, "must be true or false.");
        }
        flag
    }

    /// A whole number inside the range.
    pub(super) fn whole(&mut self, field: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.fields.remove(field)?;
        let inside = value.as_u64().filter(|number| range.contains(number));
        if inside.is_none() {
            let (first, last) = (range.start(), range.end());
            self.refuse(field, &format!("must be a whole number from {first} to {last}."));
        }
        inside
    }

    /// A list of strings of at least `min` bytes each.
    pub(super) fn texts(&mut self, limit: &ListLimit, min: usize) -> Option<Vec<String>> {
        let field = limit.field;
        let Value::Array(values) = self.fields.remove(field)? else {
            self.refuse(field, "must be a list of strings.");
            return None;
        };
        if values.len() > limit.items {
            self.refuse(field, &format!("must not have more than {} entries.", limit.items));
            return None;
        }
        let mut texts = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            texts.extend(self.element(value, min..=limit.bytes, || format!("{field}[{index}]")));
        }
        Some(texts)
    }

    pub(super) fn required_texts(&mut self, limit: &ListLimit) -> Vec<String> {
        self.require(limit.field);
        self.texts(limit, 0).unwrap_or_default()
    }

    /// An object of strings of at least `min` bytes each.
    pub(super) fn map(&mut self, limit: &ListLimit, min: usize) -> Option<BTreeMap<String, String>> {
        let field = limit.field;
        let Value::Object(values) = self.fields.remove(field)? else {
            self.refuse(field, "must be an object of strings.");
            return None;
        };
        if values.len() > limit.items {
            self.refuse(field, &format!("must not have more than {} entries.", limit.items));
            return None;
        }
        let mut map = BTreeMap::new();
        for (name, value) in values {
            steps::spend(name.len());
            if name.len() > limit.name_bytes {
                let text = format!("has a name longer than {} bytes.", limit.name_bytes);
                self.refuse(&format!("{field}.{name}"), &text);
                continue;
            }
            let text = self.element(value, min..=limit.bytes, || format!("{field}.{name}"));
            map.extend(text.map(|text| (name, text)));
        }
        Some(map)
    }

    /// Refuses what is left, and reports everything that was wrong.
    pub(super) fn finish(mut self) -> Result<(), SessionApiError> {
        for field in self.fields.keys() {
            steps::spend(field.len());
            self.violations.add(field, "is not a field of this request.");
        }
        self.violations.finish()
    }

    fn require(&mut self, field: &str) {
        if !self.fields.contains_key(field) {
            self.refuse(field, "is required.");
        }
    }

    fn element(
        &mut self,
        value: Value,
        bytes: RangeInclusive<usize>,
        name: impl FnOnce() -> String,
    ) -> Option<String> {
        let Value::String(text) = value else {
            steps::spend(1);
            self.refuse(&name(), "must be a string.");
            return None;
        };
        steps::spend(text.len() + 1);
        if bytes.contains(&text.len()) {
            return Some(text);
        }
        if text.is_empty() {
            self.refuse(&name(), "must not be empty.");
        } else {
            self.refuse(&name(), &format!("must not be longer than {} bytes.", bytes.end()));
        }
        None
    }
}
