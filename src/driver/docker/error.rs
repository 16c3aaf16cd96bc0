//! What can go wrong with an engine, in words for an operator or a player, without the full stop.

use crate::driver::{CollectError, DriverError};
use bollard::errors::Error as EngineError;
use ipnet::Ipv4Net;
use std::net::IpAddr;

#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    #[error("{key} is `{host}`: an engine is only spoken to over a socket of this machine (unix:///path)")]
    Host { key: &'static str, host: String },
    #[error("no engine answers at {socket}: {detail}")]
    Unreachable { socket: String, detail: String },
    #[error("the engine at {socket} is version {version} (API {api}); 20.10 (API 1.41) or newer is needed")]
    TooOld { socket: String, version: String, api: String },
    #[error(
        "the network {network} of this node has the subnet {found}, {key} says {wanted}: remove the network or put {key} back"
    )]
    OtherSubnet { network: String, found: String, key: &'static str, wanted: Ipv4Net },
    #[error(
        "there is a network {0} that this node would not have made: remove it or give the node another name"
    )]
    ForeignNetwork(String),
    #[error("{key} = \"{wanted}\" overlaps another network of the engine: choose another")]
    Overlap { key: &'static str, wanted: Ipv4Net },
    #[error("no address is free in {key} ({subnet})")]
    NoAddress { key: &'static str, subnet: Ipv4Net },
    #[error("no port is free in session_api.first_port ({first}) to last_port ({last})")]
    NoPort { first: u16, last: u16 },
    #[error("ports cannot be published at session_api.port_address ({address}): {error}")]
    PortAddress {
        address: IpAddr,
        #[source]
        error: std::io::Error,
    },
    #[error("ports of a container without egress cannot be published")]
    PortsInside,
    #[error("a port of this machine was taken by somebody else before the container had it: {0}")]
    PortTaken(#[source] Refused),
    #[error("a game in a container needs its container described")]
    NoContainer,
    #[error("a container lives at an IPv4 address of its node's networks")]
    Site,
    #[error("the save cannot be kept at {0}: it would be lost, or hide something else")]
    SavePath(String),
    #[error("the start was given up")]
    GivenUp,
    #[error("the save cannot be put into the container: {0}")]
    PutSave(#[source] std::io::Error),
    #[error("the save cannot be taken out of the container: {0}")]
    TakeSave(#[source] std::io::Error),
    #[error("only a container that has ended can be started again")]
    Plays,
    #[error("the container was stopped, so it is not started again")]
    Stopped,
    #[error("the artifact cannot be kept on this machine's disk: {0}")]
    Spool(#[source] std::io::Error),
    #[error("too many artifacts are being fetched: try again later")]
    Busy,
    #[error("the engine cannot {what}: {error}")]
    Engine {
        what: &'static str,
        #[source]
        error: EngineError,
    },
}

/// What the engine said.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Refused(#[from] pub(super) EngineError);

impl DockerError {
    /// For `map_err`: what the engine was asked for.
    pub(super) fn engine(what: &'static str) -> impl Fn(EngineError) -> Self {
        move |error| Self::Engine { what, error }
    }
}

impl From<DockerError> for DriverError {
    fn from(error: DockerError) -> Self {
        let text = error.to_string();
        if let DockerError::PortTaken(_) = error { Self::PortTaken(text) } else { Self::Other(text) }
    }
}

impl From<DockerError> for CollectError {
    fn from(error: DockerError) -> Self {
        Self::Failed(error.into())
    }
}

/// The engine's answer, when there was one.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything else is a connection that failed, in many ways"
)]
pub(super) fn status_of(error: &EngineError) -> Option<u16> {
    match error {
        EngineError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// A result in which "not there" is as good as done.
pub(super) fn unless_absent<T>(result: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if status_of(&error) == Some(404) => Ok(None),
        Err(error) => Err(error),
    }
}
