//! A client of the HTTP API that shows status and body as they are.

use super::wait::{PATIENT, eventually};
use playgate::bots::api::Api;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// `null` when the body is no JSON.
    pub(crate) body: Value,
}

impl Reply {
    /// The body's `error` code.
    pub(crate) fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }
}

/// Somebody at the API. Takes any certificate: a test that cares for it looks by itself.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) base: String,
    pub(crate) token: Option<String>,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self { base: base.to_owned(), token: None, http }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub(crate) async fn become_guest(&self) -> Self {
        let body = self.post("/api/auth/guest", json!({})).await.expect(201);
        self.with_token(body["token"].as_str().expect("a guest has a token"))
    }

    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("this client is signed in")
    }

    /// The bots' client with this one's token.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.http.clone(), &self.base).unwrap().with_token(self.token().to_owned())
    }

    pub(crate) fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// A link that turns this client's token into the cookie of a browser.
    pub(crate) fn sign_in_link(&self) -> String {
        format!("{}/signin#token={}", self.base, self.token())
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(Method::POST, path, Some(body)).await
    }

    /// A page that is no JSON, found.
    pub(crate) async fn text(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.base));
        let response = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = response.send().await.expect("the gateway answers");
        response.error_for_status().expect("found").text().await.expect("text")
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("the gateway answers");
        Reply { status: response.status(), body: response.json().await.unwrap_or(Value::Null) }
    }

    /// Launches and gives the session's id.
    pub(crate) async fn launch(&self, game: &str) -> String {
        let body = self.post("/api/game/launch", json!({ "gameSlug": game })).await.expect(202);
        body["sessionId"].as_str().expect("a session has an id").to_owned()
    }

    pub(crate) async fn status(&self, session: &str) -> Value {
        self.get(&format!("/api/game/session-status?sessionId={session}")).await.expect(200)
    }

    pub(crate) async fn until_status(&self, session: &str, wanted: &str) -> Value {
        eventually(&format!("the session is {wanted}"), PATIENT, async || {
            let status = self.status(session).await;
            if status["status"] == wanted { Ok(status) } else { Err(format!("{status:#}")) }
        })
        .await
    }

    /// Launches and waits for the picture.
    pub(crate) async fn launch_running(&self, game: &str) -> String {
        let session = self.launch(game).await;
        self.until_status(&session, "running").await;
        session
    }

    pub(crate) async fn stop(&self, session: &str) -> Value {
        self.post("/api/game/stop", json!({ "sessionId": session })).await.expect(200)
    }

    /// The ids of the user's active sessions.
    pub(crate) async fn sessions(&self) -> Vec<String> {
        let body = self.get("/api/game/sessions").await.expect(200);
        let sessions = body["sessions"].as_array().expect("a list");
        sessions.iter().filter_map(|session| session["sessionId"].as_str().map(str::to_owned)).collect()
    }

    /// The user's slots of a game.
    pub(crate) async fn slots(&self, game: &str) -> Vec<Value> {
        let body = self.get(&format!("/api/game/save-slots?gameSlug={game}")).await.expect(200);
        body["slots"].as_array().expect("slots").clone()
    }

    /// Invites to a session; the grant as the API gives it.
    pub(crate) async fn share(&self, session: &str, role: &str, expires_in: u64) -> Value {
        let body = json!({ "sessionId": session, "role": role, "expiresIn": expires_in });
        self.post("/api/game/share", body).await.expect(201)
    }
}
