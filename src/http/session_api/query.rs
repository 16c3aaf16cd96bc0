//! Query strings, strictly: `name=value` and `name[key]=value` (OpenAPI's `deepObject`, brackets plain or percent-encoded,
//! G27). A parameter that is given twice is refused; one that no operation has is passed over.

use super::error::{SessionApiError, Violations};
use crate::http::limits::{FILTERS, ListLimit};
use crate::session::hosted::HostedFilter;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use playgate_signaling::steps;
use std::collections::HashSet;

/// The pairs, and what was wrong with those that were read so far.
#[derive(Debug)]
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    violations: Violations,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = SessionApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionApiError> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = query.map_err(|_| SessionApiError::invalid("The query string cannot be read."))?;
        Ok(Self { pairs, violations: Violations::default() })
    }
}

impl Params {
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        steps::spend(self.pairs.len());
        let mut found = self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let value = found.next()?.clone();
        if found.next().is_some() {
            self.refuse(name, "must be given once.");
        }
        Some(value)
    }

    /// An empty string where there is none: that is refused in the end.
    pub(super) fn required(&mut self, name: &str) -> String {
        match self.text(name) {
            None => self.refuse(name, "is required."),
            Some(text) if text.is_empty() => self.refuse(name, "must not be empty."),
            Some(text) => return text,
        }
        String::new()
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        match self.text(name).as_deref() {
            None | Some("false") => {}
            Some("true") => return true,
            Some(_) => self.refuse(name, "must be true or false."),
        }
        false
    }

    /// The keys and values of `name[key]=value`, as they were sent.
    fn deep(&mut self, limit: &ListLimit) -> Vec<(String, String)> {
        let name = limit.field;
        let (mut found, mut known) = (Vec::new(), HashSet::new());
        for (key, value) in &self.pairs {
            steps::spend(key.len() + value.len() + 1);
            let Some(rest) = key.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with('['))
            else {
                continue;
            };
            let inner = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let problem = match inner {
                None => "must be written as name[key]=value.",
                Some(inner) if known.contains(inner) => "must be given once.",
                Some(inner) if inner.len() > limit.name_bytes => "has a key that is too long.",
                Some(_) if value.len() > limit.bytes => "has a value that is too long.",
                Some(_) if found.len() == limit.items => "is one key too many.",
                Some(inner) => {
                    known.insert(inner);
                    found.push((inner.to_owned(), value.clone()));
                    continue;
                }
            };
            self.violations.add(key, problem);
        }
        found
    }

    pub(super) fn finish(self) -> Result<(), SessionApiError> {
        self.violations.finish()
    }

    fn refuse(&mut self, field: &str, description: &str) {
        self.violations.add(field, description);
    }
}

/// Rules 8 to 11.
pub(super) fn filter(mut params: Params) -> Result<HostedFilter, SessionApiError> {
    let [with, without, players] = &FILTERS;
    let mut filter = HostedFilter {
        all: params.flag("all"),
        location: params.text("location"),
        image: params.text("image"),
        tag: params.text("tag"),
        host: params.text("host"),
        labels: params.deep(with),
        not_labels: params.deep(without),
        ..HostedFilter::default()
    };
    for (key, value) in params.deep(players) {
        let field = format!("playerCount[{key}]");
        let bound = match key.as_str() {
            "lt" => &mut filter.fewer_players_than,
            "gt" => &mut filter.more_players_than,
            _ => {
                params.refuse(&field, "is no such bound: there are 'lt' and 'gt'.");
                continue;
            }
        };
        *bound = whole(&value);
        if bound.is_none() {
            params.refuse(&field, "must be a whole number.");
        }
    }
    params.finish()?;
    Ok(filter)
}

/// A whole number of any size: no session has so many players that the ends of `i64` would matter.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let beyond = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(beyond))
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn g27_bounds_are_whole_numbers_of_any_size() {
        assert_eq!(whole("5"), Some(5));
        assert_eq!(whole("-1"), Some(-1));
        assert_eq!(whole("99999999999999999999"), Some(i64::MAX));
        assert_eq!(whole("-99999999999999999999"), Some(i64::MIN));
        for text in ["", "-", "1.0", "1e3", "+1", " 1", "0x1", "five"] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
