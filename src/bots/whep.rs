//! A plain WHEP client (draft-ietf-wish-whep): any server that speaks it, nothing of ours assumed.

use super::viewer::{Viewer, ViewerError, ViewerOptions};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use std::time::Duration;

const SDP: &str = "application/sdp";

/// Shortest and longest wait before an endpoint that is not ready is asked again.
const RETRY: std::ops::RangeInclusive<u64> = 1..=10;

#[derive(Debug, thiserror::Error)]
pub enum WhepError {
    #[error("WHEP endpoint: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the WHEP endpoint answered {status}: {body}")]
    Refused { status: StatusCode, body: String },
    #[error("the WHEP endpoint's answer has no usable {0}")]
    BadAnswer(&'static str),
    #[error(transparent)]
    Viewer(#[from] ViewerError),
}

/// Where and as whom to watch.
#[derive(Debug, Clone)]
pub struct WhepEndpoint {
    pub http: Client,
    pub url: Url,
    pub token: Option<String>,
}

/// The resource a WHEP endpoint made for one viewer.
#[derive(Debug, Clone)]
pub struct WhepResource {
    endpoint: WhepEndpoint,
    pub location: Url,
}

impl WhepEndpoint {
    /// Connects a viewer; asks again as long as the endpoint says `Retry-After`, at most `attempts` times.
    pub async fn watch(
        &self,
        options: &ViewerOptions,
        attempts: u32,
    ) -> Result<(Viewer, WhepResource), WhepError> {
        let mut location = None;
        let viewer = Viewer::connect(options, async |offer| -> Result<String, WhepError> {
            let (answer, at) = self.post(offer, attempts).await?;
            location = Some(at);
            Ok(answer)
        })
        .await?;
        let location = location.ok_or(WhepError::BadAnswer("Location"))?;
        Ok((viewer, WhepResource { endpoint: self.clone(), location }))
    }

    /// Posts an offer; the answer and the resource's address.
    pub async fn post(&self, offer: String, attempts: u32) -> Result<(String, Url), WhepError> {
        let mut left = attempts;
        loop {
            let request = self.http.post(self.url.clone()).header(CONTENT_TYPE, SDP).body(offer.clone());
            let response = authorized(request, self.token.as_deref()).send().await?;
            let status = response.status();
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            if status == StatusCode::CREATED {
                let is_sdp = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with(SDP));
                let location = header(LOCATION).and_then(|at| self.url.join(at).ok());
                if !is_sdp {
                    return Err(WhepError::BadAnswer("Content-Type"));
                }
                let location = location.ok_or(WhepError::BadAnswer("Location"))?;
                return Ok((response.text().await?, location));
            }
            let retry = header(RETRY_AFTER).and_then(|seconds| seconds.parse::<u64>().ok());
            left = left.saturating_sub(1);
            match retry {
                Some(seconds) if left > 0 => {
                    let wait = Duration::from_secs(seconds.clamp(*RETRY.start(), *RETRY.end()));
                    tokio::time::sleep(wait).await;
                }
                Some(_) | None => return Err(WhepError::Refused { status, body: response.text().await? }),
            }
        }
    }
}

impl WhepResource {
    /// Ends the viewing.
    pub async fn delete(self) -> Result<(), WhepError> {
        let request = self.endpoint.http.delete(self.location.clone());
        let response = authorized(request, self.endpoint.token.as_deref()).send().await?;
        let status = response.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(WhepError::Refused { status, body: response.text().await? })
        }
    }
}

fn authorized(request: reqwest::RequestBuilder, token: Option<&str>) -> reqwest::RequestBuilder {
    match token {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    }
}
