//! What commands that work on a gateway's store have in common: where it is, with the gateway running or not.

use super::serve::{ServeArgs, load};
use crate::app::open_store;
use crate::config::{Config, ConfigOverrides};
use crate::store::{Store, create_private, database_in};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
pub(super) struct StoreArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The gateway's data directory [default: playgate-data]
    #[arg(long, value_name = "DIRECTORY", global = true)]
    data_dir: Option<PathBuf>,
}

impl StoreArgs {
    /// The gateway's configuration.
    pub(super) fn load(self) -> Result<Config> {
        let flags = ConfigOverrides { data_dir: self.data_dir, ..ConfigOverrides::default() };
        load(ServeArgs { config: self.config, flags })
    }
}

/// The gateway's store, made when it is not there.
pub(super) async fn open(config: &Config) -> Result<Arc<dyn Store>> {
    create_private(&config.data_dir).context("cannot make the data directory")?;
    open_store(&database_in(&config.data_dir)).await
}
