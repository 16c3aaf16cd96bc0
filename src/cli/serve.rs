//! `playgate serve`: runs a gateway until SIGTERM or SIGINT.

use super::{init_logs, say};
use crate::app::App;
use crate::config::Config;
use anyhow::{Context, Result};
use clap::Args;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Each flag is the configuration's key of the same name, and wins over it.
#[derive(Debug, Clone, Default, Args, Serialize)]
pub struct ServeArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
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
}

pub(super) async fn run(args: ServeArgs) -> Result<ExitCode> {
    let config = load(&args)?;
    init_logs(&config.log)?;
    let mut ends = Ends::listen()?;
    let lan = config.lan;
    // Standard output may be closed while the gateway lives on; the links are then nobody's loss.
    let announce = Arc::new(move |link: &str| drop(say(&format!("Sign in on another device: {link}"))));
    let app = App::start_with(config, announce).await?;
    if !lan {
        say(&format!("Playgate is ready: {}/", app.base_url))?;
    }
    ends.wait().await;
    tracing::info!("stopping: sessions end and their saves are stored");
    tokio::select! {
        () = app.stop() => Ok(ExitCode::SUCCESS),
        () = ends.wait() => {
            tracing::warn!("told twice to stop: leaving at once");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Defaults, file, environment, flags.
pub(super) fn load(args: &ServeArgs) -> Result<Config> {
    // MERGE: Config::load(args.config.as_deref(), flags)
    let mut sources = Figment::from(Serialized::defaults(Config::default()));
    if let Some(path) = &args.config {
        sources = sources.merge(Toml::file_exact(path));
    }
    let sources = sources.merge(Env::prefixed("PLAYGATE_").split("__")).merge(Serialized::defaults(args));
    sources.extract().context("configuration")
}

/// SIGTERM and SIGINT.
struct Ends {
    term: Signal,
    int: Signal,
}

impl Ends {
    fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { term: on(SignalKind::terminate())?, int: on(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
