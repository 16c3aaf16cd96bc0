//! Joining a session over its signaling WebSocket: welcome, offer, answer.

use super::api::{Api, ApiError};
use super::media::local_addresses;
use super::tls;
use super::viewer::{Srtp, Viewer, ViewerError, ViewerOptions};
use playgate_signaling::client::{ClientError, ConnectOptions, SignalingClient, connect};
use playgate_signaling::message::Role;
use std::net::SocketAddr;
use std::time::Duration;

/// For each step of signaling.
pub const SIGNALING_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Viewer(#[from] ViewerError),
    #[error("signaling: {0}")]
    Signaling(#[from] ClientError),
    #[error("cannot resolve the gateway's address")]
    Resolve(#[source] std::io::Error),
}

/// How to join.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// The wanted role.
    pub role: Role,
    pub srtp: Srtp,
    /// See [`ViewerOptions::keep_picture`].
    pub keep_picture: bool,
    /// Take any TLS certificate.
    pub insecure: bool,
}

/// A viewer and the signaling connection it came by.
pub struct Joined {
    pub signaling: SignalingClient,
    pub viewer: Viewer,
}

/// Joins a session with the token of `api`. What the gateway gave is in [`SignalingClient::welcome`].
pub async fn join(api: &Api, session: &str, options: &JoinOptions) -> Result<Joined, JoinError> {
    let url = api.signaling_url(session)?;
    let connecting = ConnectOptions {
        token: api.token().map(str::to_owned),
        role: Some(options.role),
        tls: options.insecure.then(tls::without_verification),
        timeout: SIGNALING_TIMEOUT,
        ..Default::default()
    };
    let mut signaling = connect(url.as_str(), connecting).await?;
    let media = &signaling.welcome().media;
    let mut remotes: Vec<SocketAddr> = media.iter().filter_map(|address| address.parse().ok()).collect();
    if remotes.is_empty() {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        remotes = tokio::net::lookup_host((host, port)).await.map_err(JoinError::Resolve)?.collect();
    }
    let viewing = ViewerOptions {
        local: local_addresses(&remotes),
        srtp: options.srtp,
        input: true,
        keep_picture: options.keep_picture,
    };
    let viewer = Viewer::connect(&viewing, async |sdp| signaling.negotiate(sdp, |_| {}).await).await?;
    Ok(Joined { signaling, viewer })
}
