//! Requests to registries: bounded in time and size, authorised as they ask.

use super::challenge::{self, Challenge};
use crate::config::RegistryConfig;
use bytes::BytesMut;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, WWW_AUTHENTICATE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Until a connection stands, and for a whole answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects of a blob to where it is stored.
const MAX_REDIRECTS: usize = 5;
/// Tokens remembered; when there are more, all are asked for again.
const MAX_TOKENS: usize = 256;
const MAX_TOKEN_ANSWER: usize = 64 << 10;
/// A token is good for a minute at least (the registry token specification's default).
const TOKEN_FOR: Duration = Duration::from_secs(45);

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Transport(Arc<Shared>);

struct Shared {
    /// Made at the first request.
    http: OnceLock<Client>,
    registries: Vec<RegistryConfig>,
    /// By registry and scope: what to send at once.
    tokens: Mutex<HashMap<String, (Secret, Instant)>>,
}

/// The value of an `Authorization` header. Never shown.
#[derive(Clone)]
struct Secret(String);

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: BytesMut,
}

/// Why there is no answer, in words without secrets.
#[derive(Debug)]
pub(super) enum Failed {
    Unreachable(String),
    Refused(String),
    Status(StatusCode),
    /// An answer that is of no use.
    Answer(String),
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Transport {
    pub(super) fn new(registries: &[RegistryConfig]) -> Self {
        let registries = registries.to_vec();
        Self(Arc::new(Shared { http: OnceLock::new(), registries, tokens: Mutex::default() }))
    }

    /// An answer that is well and has at most `max` bytes.
    pub(super) async fn get(
        &self,
        url: &Url,
        header: Option<(HeaderName, &'static str)>,
        max: usize,
    ) -> Result<Answer, Failed> {
        let request = || {
            let request = self.http().map(|http| http.get(url.clone()))?;
            Ok(match &header {
                Some((name, value)) => request.header(name, *value),
                None => request,
            })
        };
        // Registries give tokens for a repository.
        let key = repository_of(url);
        let mut response = send(authorised(request()?, self.remembered(&key))).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let secret = self.answer_to(url, response.headers()).await?;
            response = send(authorised(request()?, Some(secret.clone()))).await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                return Err(refused(StatusCode::UNAUTHORIZED));
            }
            self.remember(key, secret);
        }
        read(response, max).await
    }

    /// What to send to a registry that asks for it.
    async fn answer_to(&self, url: &Url, headers: &HeaderMap) -> Result<Secret, Failed> {
        let asked = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok());
        let account = self.account(url);
        match challenge::best(asked) {
            Some(Challenge::Basic) => account.map(basic).ok_or_else(|| refused(StatusCode::UNAUTHORIZED)),
            Some(Challenge::Bearer { realm, service, scope }) => {
                let from = challenge::token_url(url, &realm, service.as_deref(), scope.as_deref());
                let from = from.ok_or_else(|| {
                    Failed::Refused("it wants a token from where no password may be sent".to_owned())
                })?;
                let request = authorised(self.http()?.get(from), account.map(basic));
                let answer = read(send(request).await?, MAX_TOKEN_ANSWER).await?;
                let token: Token = serde_json::from_slice(&answer.body)
                    .map_err(|_| Failed::Answer("its token service's answer makes no sense".to_owned()))?;
                let token = token.token.or(token.access_token).filter(|token| !token.is_empty());
                let token =
                    token.ok_or_else(|| Failed::Answer("its token service gives no token".to_owned()))?;
                Ok(Secret(format!("Bearer {token}")))
            }
            None => Err(refused(StatusCode::UNAUTHORIZED)),
        }
    }

    fn account(&self, url: &Url) -> Option<&RegistryConfig> {
        let host = authority(url);
        self.0.registries.iter().find(|config| config.host.eq_ignore_ascii_case(&host))
    }

    fn http(&self) -> Result<&Client, Failed> {
        if let Some(http) = self.0.http.get() {
            return Ok(http);
        }
        let made = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            // The client takes `Authorization` off when the host changes.
            .redirect(Policy::limited(MAX_REDIRECTS))
            .user_agent(concat!("playgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failed::Unreachable(format!("no HTTP client can be made: {error}")))?;
        Ok(self.0.http.get_or_init(|| made))
    }

    fn remembered(&self, key: &str) -> Option<Secret> {
        let tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(key).filter(|(_, since)| since.elapsed() < TOKEN_FOR).map(|(secret, _)| secret.clone())
    }

    fn remember(&self, key: String, secret: Secret) {
        let mut tokens = self.0.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.clear();
        }
        tokens.insert(key, (secret, Instant::now()));
    }
}

fn authorised(request: RequestBuilder, secret: Option<Secret>) -> RequestBuilder {
    match secret {
        Some(Secret(value)) => request.header(AUTHORIZATION, value),
        None => request,
    }
}

fn basic(account: &RegistryConfig) -> Secret {
    use base64::Engine;
    let pair = format!("{}:{}", account.username, account.password.as_deref().unwrap_or_default());
    Secret(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

async fn send(request: RequestBuilder) -> Result<Response, Failed> {
    request.send().await.map_err(unreachable)
}

async fn read(mut response: Response, max: usize) -> Result<Answer, Failed> {
    match response.status() {
        status if status.is_success() => {}
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => return Err(refused(status)),
        status => return Err(Failed::Status(status)),
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > max {
            return Err(Failed::Answer(format!("its answer is larger than {max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { headers: std::mem::take(response.headers_mut()), body })
}

fn refused(status: StatusCode) -> Failed {
    Failed::Refused(format!("it answers {status}"))
}

/// Without the address: it may hold what a redirect was signed with.
fn unreachable(error: reqwest::Error) -> Failed {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    Failed::Unreachable(text)
}

/// `host` or `host:port`, as references and the configuration have it.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// `host/v2/path`: what comes before the kind of thing asked for.
fn repository_of(url: &Url) -> String {
    let path = url.path();
    let end = ["/tags/", "/manifests/", "/blobs/"].iter().filter_map(|kind| path.rfind(kind)).max();
    format!("{}{}", authority(url), &path[..end.unwrap_or(path.len())])
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("registries", &self.0.registries).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_a_repository_and_an_account_for_a_host_with_its_port() {
        let url = |text: &str| Url::parse(text).unwrap();
        let one = url("https://registry.example/v2/a/tags/b/tags/list?n=1");
        assert_eq!(repository_of(&one), "registry.example/v2/a/tags/b");
        let two = url("https://registry.example/v2/a/tags/b/blobs/sha256:1");
        assert_eq!(repository_of(&two), "registry.example/v2/a/tags/b");
        let account =
            |host: &str| RegistryConfig { host: host.to_owned(), username: "me".to_owned(), password: None };
        let transport = Transport::new(&[account("Registry.example:5000"), account("other.example")]);
        assert!(transport.account(&url("https://registry.example:5000/v2/")).is_some());
        assert!(transport.account(&url("https://registry.example/v2/")).is_none());
        assert!(transport.account(&url("https://other.example:443/v2/")).is_some());
    }

    #[test]
    fn secrets_are_not_shown() {
        let account = RegistryConfig {
            host: "a".to_owned(),
            username: "me".to_owned(),
            password: Some("pw".to_owned()),
        };
        assert_eq!(basic(&account).0, "Basic bWU6cHc=");
        assert_eq!(format!("{:?}", basic(&account)), "Secret");
        assert!(!format!("{:?}", Transport::new(&[account])).contains("pw"));
    }
}
