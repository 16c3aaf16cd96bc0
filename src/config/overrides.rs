//! The flags of `serve`: each is the configuration's key of the same name, and wins over it.

use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What is absent, empty or false says nothing.
#[derive(Debug, Clone, Default, clap::Args, Serialize)]
pub struct ConfigOverrides {
    /// HTTP listener [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Media (UDP) listener, one relay shard each [default: address and number of --listen]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media_listen: Vec<SocketAddr>,
    /// Listener for runners and unprotected metrics [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_listen: Option<SocketAddr>,
    /// How players reach this gateway, like https://play.example.org
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Address told to players for media, repeatable [default: every address of the media socket]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub public_ip: Vec<IpAddr>,
    /// Database, saves, keys, certificates [default: playgate-data]
    #[arg(long, value_name = "DIRECTORY")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// Let devices on this network play too: every address, HTTPS, sign-in by a one-time code
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lan: bool,
    /// Certificate chain (PEM), reloaded when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// HTTPS by a certificate of our own for every address and name of the machine
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub tls_self_signed: bool,
    /// What is logged, as in RUST_LOG [default: info]
    #[arg(long, value_name = "FILTER")]
    #[serde(skip)]
    pub log_filter: Option<String>,
}
