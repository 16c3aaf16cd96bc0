//! The session cookie: HTTP-only, `SameSite=Lax`, 30 days at most; on https `Secure` and `__Host-` (RFC 6265bis).

use super::service::SIGN_IN;
use axum::http::{HeaderMap, HeaderValue, header};
use playgate_signaling::steps;
use time::OffsetDateTime;

const PLAIN: &str = "playgate-session";
const SECURE: &str = "__Host-playgate-session";

/// The cookie's name on this scheme. On https the plain one is never read: a site on http could have set it.
fn name(https: bool) -> &'static str {
    if https { SECURE } else { PLAIN }
}

/// The token in the request's cookie.
pub fn read(headers: &HeaderMap, https: bool) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| steps::split(value, ';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name(https))
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// `Set-Cookie` that keeps the token until it expires. Absent for a token no header can carry.
pub fn set(token: &str, expires_at: OffsetDateTime, https: bool) -> Option<HeaderValue> {
    let left = (expires_at - OffsetDateTime::now_utc()).whole_seconds();
    let most = i64::try_from(SIGN_IN.as_secs()).unwrap_or(i64::MAX);
    render(token, left.clamp(0, most), https)
}

/// `Set-Cookie` that removes the cookie.
pub fn clear(https: bool) -> Option<HeaderValue> {
    render("", 0, https)
}

fn render(value: &str, max_age: i64, https: bool) -> Option<HeaderValue> {
    let secure = if https { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}", name(https));
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_of_https_is_bound_to_its_host_and_the_plain_one_is_not_read_there() {
        let expires = OffsetDateTime::now_utc() + time::Duration::days(90);
        let secure = set("t", expires, true).unwrap();
        let text = secure.to_str().unwrap();
        assert!(text.starts_with("__Host-playgate-session=t; Path=/; Max-Age=2592000;"), "{text}");
        for part in ["; HttpOnly", "; SameSite=Lax", "; Secure"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!set("t", expires, false).unwrap().to_str().unwrap().contains("Secure"));

        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; playgate-session=one; c"));
        assert_eq!(read(&headers, false), Some("one"));
        assert_eq!(read(&headers, true), None);
    }

    #[test]
    fn the_cookie_never_outlives_its_token() {
        let text = set("t", OffsetDateTime::now_utc() + time::Duration::seconds(90), false).unwrap();
        let age: i64 = text
            .to_str()
            .unwrap()
            .split("Max-Age=")
            .nth(1)
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!((88..=90).contains(&age), "{age}");
    }
}
