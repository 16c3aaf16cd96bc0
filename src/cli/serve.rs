//! `playgate serve`: runs a gateway until SIGTERM or SIGINT.

use super::say;
use crate::app::App;
use crate::config::{Config, ConfigOverrides, ConfigSource};
use crate::files;
use crate::runner::ENCODER_WARNING;
use crate::telemetry::{self, LogOf};
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub flags: ConfigOverrides,
}

pub(super) async fn run(args: ServeArgs) -> Result<ExitCode> {
    let config = load(args)?;
    telemetry::init(&config.log, LogOf::Process)?;
    files::raise();
    if let Some(warning) = ENCODER_WARNING {
        tracing::warn!("{warning}");
    }
    let mut ends = Ends::listen()?;
    let lan = config.lan;
    // Standard output may be closed while the gateway lives on; the links are then nobody's loss.
    let announce = Arc::new(move |link: &str| drop(say(&format!("Sign in on another device: {link}"))));
    let app = App::default().announcing(announce).start(config).await?;
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
pub(super) fn load(args: ServeArgs) -> Result<Config> {
    Ok(Config::load(ConfigSource { file: args.config, flags: args.flags, ..ConfigSource::from_env() })?)
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
