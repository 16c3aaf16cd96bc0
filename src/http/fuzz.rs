//! What fuzzing sees of requests' heads and of the catalogue's search. Called by `crate::fuzz` only.

use super::catalogue::mentions_all;
use super::context::{Access, web_origin};
use super::pages::not_modified;
use crate::auth::cookie;
use crate::config::Config;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The headers that are read before anybody is known, each with the same text, as a trusted proxy may send them.
pub(crate) fn request_head(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let names =
        ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "cookie", "origin", "referer"];
    let mut headers = HeaderMap::new();
    for name in names {
        headers.insert(name, value.clone());
    }
    headers.insert(header::IF_NONE_MATCH, value.clone());
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let config = Config { trusted_proxies: vec![format!("{peer}/8")], ..Config::default() };
    let Ok(access) = Access::new(&config, SocketAddr::from((peer, 80))) else { return };
    let _ = (cookie::read(&headers, false), not_modified(&headers, "W/\"0\""));
    if let Ok(text) = value.to_str()
        && let Some(site) = web_origin(text)
    {
        assert_eq!(web_origin(&site).as_ref(), Some(&site), "an origin is its own origin");
    }
    let Some(context) = access.context(Some(peer), &Uri::from_static("/"), &headers) else { return };
    let sites = ["https://a.example".to_owned(), "http://b.example:8080".to_owned()];
    let _ = (access.serves(&context), context.from_own_page(&headers));
    let _ = (context.from_page_of(&sites, &headers), context.referred_by(&sites, &headers));
}

/// A search of the catalogue.
pub(crate) fn catalogue_search(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let texts = [text.to_owned(), text.to_uppercase()];
    let _ = mentions_all(texts[1..].iter(), text);
    assert!(mentions_all(texts.iter(), &text.to_lowercase()));
}
