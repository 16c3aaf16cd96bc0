//! HTTPS: the certificate of a file or one of our own, reloaded while the gateway runs.

mod addresses;
mod plain;
mod self_signed;
mod watch;

pub use addresses::{host_name, machine_addresses};
pub use plain::expect_tls;
pub use self_signed::{SelfSigned, SelfSignedError, names_of_this_machine};
pub use watch::watch;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no usable {what} in PEM", path.display())]
    Pem { path: PathBuf, what: &'static str },
    #[error("certificate {} and key {} do not work together: {source}", cert.display(), key.display())]
    Pair { cert: PathBuf, key: PathBuf, source: rustls::Error },
    #[error(transparent)]
    SelfSigned(#[from] SelfSignedError),
}

/// Makes aws-lc-rs the process's one crypto provider. Doing it again changes nothing.
pub fn install_provider() {
    // The error is the provider that is installed already: this one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// A server configuration of a certificate chain and its key, for HTTP/2 and HTTP/1.1.
pub fn load(cert: &Path, key: &Path) -> Result<RustlsConfig, TlsError> {
    Ok(RustlsConfig::from_config(server_config(cert, key)?))
}

fn server_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(&read(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| TlsError::Pem { path: cert.to_owned(), what: "certificate" })?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| TlsError::Pem { path: key.to_owned(), what: "private key" })?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|source| TlsError::Pair { cert: cert.to_owned(), key: key.to_owned(), source })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
