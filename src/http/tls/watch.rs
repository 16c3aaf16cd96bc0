//! Keeps the running listener's certificate up to date: a changed file is loaded, our own is renewed.

use super::{SelfSigned, names_of_this_machine, server_config};
use axum_server::tls_rustls::RustlsConfig;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often our own certificate is checked against the machine's addresses.
const CHECK_OWN_EVERY: u32 = 30;

/// Runs until it is dropped. What cannot be loaded is said once, and the certificate of before stays.
pub async fn watch(config: RustlsConfig, cert: PathBuf, key: PathBuf, own: Option<SelfSigned>) {
    let mut seen = (stamp(&cert), stamp(&key));
    let mut round = 0_u32;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        round = round.wrapping_add(1);
        if let Some(own) = own.clone().filter(|_| round.is_multiple_of(CHECK_OWN_EVERY)) {
            renew(own).await;
        }
        let now = (stamp(&cert), stamp(&key));
        if now == seen {
            continue;
        }
        seen = now;
        match server_config(&cert, &key) {
            Ok(fresh) => {
                config.reload_from_config(fresh);
                tracing::info!("the certificate has changed and was loaded");
            }
            Err(error) => {
                tracing::warn!(%error, "the certificate has changed and cannot be used; keeping the one of before")
            }
        }
    }
}

async fn renew(own: SelfSigned) {
    let made =
        tokio::task::spawn_blocking(move || own.ensure(&names_of_this_machine(), OffsetDateTime::now_utc()))
            .await;
    match made {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the certificate could not be renewed"),
        Err(error) => tracing::warn!(%error, "renewing the certificate failed"),
    }
}

fn stamp(path: &Path) -> Option<(SystemTime, u64, u64)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}
