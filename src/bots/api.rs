//! The Sessions API as a bot calls it (contract 1.1).

use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    /// The API said no: its status, code and sentence.
    #[error("{path}: {status} {code}: {message}")]
    Refused { path: String, status: StatusCode, code: String, message: String },
    #[error("{path}: the answer has no `{field}`")]
    Missing { path: String, field: &'static str },
    #[error("`{0}` is not an address")]
    BadUrl(String),
    #[error("the session became `{status}` instead of running{}", detail.as_ref().map(|d| format!(": {d}")).unwrap_or_default())]
    NotRunning { status: String, detail: Option<String> },
    #[error("the session did not run within {0:?}")]
    Timeout(Duration),
}

/// What a visit of an embed gives.
pub struct Visit {
    pub session: String,
    /// A grant: a secret.
    pub token: String,
    /// This visit launched the game.
    pub may_stop: bool,
}

/// One player's access to a gateway.
#[derive(Debug, Clone)]
pub struct Api {
    pub http: Client,
    base: Url,
    token: Option<String>,
}

impl Api {
    /// `base` is the address `playgate serve` prints.
    pub fn new(http: Client, base: &str) -> Result<Self, ApiError> {
        let base: Url = base.parse().map_err(|_| ApiError::BadUrl(base.to_owned()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(ApiError::BadUrl(base.to_string()));
        }
        Ok(Self { http, base, token: None })
    }

    #[must_use]
    pub fn with_token(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Somebody else at the same gateway.
    #[must_use]
    pub fn as_another(&self, token: String) -> Self {
        Self { token: Some(token), ..self.clone() }
    }

    /// An address below the gateway's.
    pub fn url(&self, path: &str) -> Result<Url, ApiError> {
        self.base.join(path).map_err(|_| ApiError::BadUrl(path.to_owned()))
    }

    /// The signaling WebSocket of a session.
    pub fn signaling_url(&self, session: &str) -> Result<Url, ApiError> {
        let mut url = self.url(&format!("/session/{session}/signal"))?;
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).map_err(|()| ApiError::BadUrl(scheme.to_owned()))?;
        Ok(url)
    }

    /// Becomes a new guest.
    pub async fn become_guest(&mut self) -> Result<(), ApiError> {
        let path = "/api/auth/guest";
        let answer = self.call(Method::POST, path, Some(json!({}))).await?;
        self.token = Some(text(&answer, path, "token")?);
        Ok(())
    }

    /// Launches a game; gives the session's id.
    pub async fn launch(&self, game: &str) -> Result<String, ApiError> {
        let path = "/api/game/launch";
        let answer = self.call(Method::POST, path, Some(json!({ "gameSlug": game }))).await?;
        text(&answer, path, "sessionId")
    }

    /// One poll of a session's status.
    pub async fn status(&self, session: &str) -> Result<String, ApiError> {
        let path = format!("/api/game/session-status?sessionId={session}");
        let answer = self.call(Method::GET, &path, None).await?;
        let status = text(&answer, &path, "status")?;
        if matches!(status.as_str(), "starting" | "running") {
            return Ok(status);
        }
        let detail =
            ["endDetail", "endReason"].iter().find_map(|key| answer[*key].as_str()).map(str::to_owned);
        Err(ApiError::NotRunning { status, detail })
    }

    /// Polls at once and then every `interval` (contract rule 5: 2 s) until the session runs.
    pub async fn wait_running(
        &self,
        session: &str,
        interval: Duration,
        timeout: Duration,
    ) -> Result<(), ApiError> {
        let polling = async {
            let mut ticks = tokio::time::interval(interval);
            loop {
                ticks.tick().await;
                if self.status(session).await? == "running" {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(timeout, polling).await.map_err(|_| ApiError::Timeout(timeout))?
    }

    /// Invites somebody to a session; gives the token that lets them in.
    pub async fn share(&self, session: &str, role: &str) -> Result<String, ApiError> {
        let path = "/api/game/share";
        let answer =
            self.call(Method::POST, path, Some(json!({ "sessionId": session, "role": role }))).await?;
        text(&answer, path, "token")
    }

    /// Exchanges an embed token, which is this caller's, for a grant.
    pub async fn visit(&self) -> Result<Visit, ApiError> {
        let path = "/api/embed/visit";
        let answer = self.call(Method::POST, path, None).await?;
        Ok(Visit {
            session: text(&answer, path, "sessionId")?,
            token: text(&answer, path, "token")?,
            may_stop: answer["mayStop"].as_bool().unwrap_or_default(),
        })
    }

    pub async fn stop(&self, session: &str) -> Result<(), ApiError> {
        self.call(Method::POST, "/api/game/stop", Some(json!({ "sessionId": session }))).await?;
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, ApiError> {
        let mut request = self.http.request(method, self.url(path)?);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let answer = response.json::<Value>().await.unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let of = |key: &str| answer[key].as_str().unwrap_or("-").to_owned();
        Err(ApiError::Refused { path: path.to_owned(), status, code: of("error"), message: of("message") })
    }
}

fn text(answer: &Value, path: &str, field: &'static str) -> Result<String, ApiError> {
    let missing = || ApiError::Missing { path: path.to_owned(), field };
    answer[field].as_str().map(str::to_owned).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signaling_address_keeps_the_security_of_the_page() {
        let api = |base| Api::new(Client::new(), base).unwrap();
        let url = |base| api(base).signaling_url("x").unwrap().to_string();
        assert_eq!(url("http://127.0.0.1:8080/"), "ws://127.0.0.1:8080/session/x/signal");
        assert_eq!(url("https://play.example"), "wss://play.example/session/x/signal");
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        for base in ["play.example", "ftp://play.example", ""] {
            assert!(matches!(Api::new(Client::new(), base), Err(ApiError::BadUrl(_))), "{base}");
        }
    }
}
