//! The Session API's edge over a fake core: shapes, refusals, ids (contract 2 and 3). What the core decides is tested there.

mod answers;
mod edge;
mod filters;
mod grants;
mod renderings;
mod starts;

use super::fake::{Answer, Site, plain};
use axum::body::Body;
use serde_json::Value;

/// A site with one organisation's token.
pub(crate) struct Office {
    pub(crate) site: Site,
    pub(crate) token: String,
}

impl Office {
    pub(crate) async fn new() -> Self {
        let site = Site::new().await;
        let token = site.auth.mint_organisation("acme", None, None).await.unwrap().token;
        Self { site, token }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        plain(method, path).header("authorization", format!("Bearer {}", self.token))
    }

    pub(crate) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.site.send(self.request(method, path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send_text(method, path, &body.to_string()).await
    }

    pub(crate) async fn send_text(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        self.site.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

impl Answer {
    /// A whole ErrorResponse (contract 2.1, G19) of this status and code, for this path; gives its violated fields.
    #[track_caller]
    pub(crate) fn is_error_response(&self, status: u16, code: &str, path: &str) -> Vec<String> {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        let body = self.json();
        assert_eq!(body["statusCode"], status, "{body}");
        assert_eq!(body["code"], code, "{body}");
        for field in ["message", "details"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
        }
        assert_eq!(body["path"], path, "{body}");
        assert_eq!(body["identifier"], self.header("x-request-id"), "{body}");
        assert!(!self.header("x-request-id").is_empty());
        let at = body["timestamp"].as_str().unwrap();
        assert!(at.len() == 20 && at.ends_with('Z'), "{at}");
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("cache-control"), "no-store");
        let violations = body["violations"].as_array().cloned().unwrap_or_default();
        for violation in &violations {
            assert_eq!(violation.as_object().unwrap().len(), 2, "{violation}");
            assert!(violation["description"].as_str().unwrap().ends_with('.'), "{violation}");
        }
        violations.iter().map(|violation| violation["field"].as_str().unwrap().to_owned()).collect()
    }
}
