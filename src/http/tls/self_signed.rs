//! A certificate of our own for every address and name of the machine, kept in `data_dir/tls`.
//!
//! It is made anew 30 days before its end, or when the machine has an address it does not name. Key and certificate
//! are one file, written new and renamed: no crash leaves a pair that does not fit.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// Short enough for every browser (398 days is the most some take).
const LIFETIME: Duration = Duration::days(365);
const RENEW_BEFORE: Duration = Duration::days(30);

#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    #[error("cannot keep the certificate in {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

/// Where the certificate is and what it names.
#[derive(Debug, Clone)]
pub struct SelfSigned {
    /// PEM with the certificate and the key: for both of `load`'s paths.
    pub pem: PathBuf,
    facts: PathBuf,
}

/// What is remembered of the certificate, so that nobody has to parse it.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    names: BTreeSet<String>,
    /// Unix seconds.
    not_after: i64,
}

impl SelfSigned {
    pub fn in_dir(data_dir: &Path) -> Self {
        let dir = data_dir.join("tls");
        Self { pem: dir.join("self-signed.pem"), facts: dir.join("self-signed.json") }
    }

    /// Makes a certificate unless there is a good one. True when it made one.
    pub fn ensure(&self, names: &BTreeSet<String>, now: OffsetDateTime) -> Result<bool, SelfSignedError> {
        if self.is_good(names, now) {
            return Ok(false);
        }
        let not_after = now + LIFETIME;
        let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, "Playgate");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // A client whose clock is a little behind shall take it too.
        params.not_before = now - Duration::days(1);
        params.not_after = not_after;
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let pem = zeroize::Zeroizing::new(format!("{}{}", certificate.pem(), key.serialize_pem()));
        // Facts that outlive their certificate would be believed; a certificate without facts is just made anew.
        remove(&self.facts)?;
        write(&self.pem, pem.as_bytes())?;
        let facts = Facts { names: names.clone(), not_after: not_after.unix_timestamp() };
        let facts = serde_json::to_vec(&facts)
            .map_err(|error| SelfSignedError::Io { path: self.facts.clone(), source: error.into() })?;
        write(&self.facts, &facts)?;
        Ok(true)
    }

    fn is_good(&self, names: &BTreeSet<String>, now: OffsetDateTime) -> bool {
        let read = |path| fs::read(path).ok();
        let Some(facts) = read(&self.facts).and_then(|text| serde_json::from_slice::<Facts>(&text).ok())
        else {
            return false;
        };
        names.is_subset(&facts.names)
            && facts.not_after > (now + RENEW_BEFORE).unix_timestamp()
            && super::load(&self.pem, &self.pem).is_ok()
    }
}

/// What the certificate should name now: the machine's addresses, its name (bare and as `.local`), `localhost`.
pub fn names_of_this_machine() -> BTreeSet<String> {
    let mut names: BTreeSet<String> =
        super::machine_addresses().iter().map(ToString::to_string).chain(["localhost".to_owned()]).collect();
    if let Some(name) = super::host_name() {
        if !name.contains('.') {
            names.insert(format!("{name}.local"));
        }
        names.insert(name);
    }
    names
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SelfSignedError> {
    let new = path.with_extension("new");
    let written = path
        .parent()
        .map_or(Ok(()), |dir| fs::DirBuilder::new().recursive(true).mode(0o700).create(dir))
        .and_then(|()| match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        })
        .and_then(|()| fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new))
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    written.map_err(|source| SelfSignedError::Io { path: path.to_owned(), source })
}

fn remove(path: &Path) -> Result<(), SelfSignedError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(SelfSignedError::Io { path: path.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_certificate_is_kept_until_it_nears_its_end_or_an_address_is_missing() {
        super::super::install_provider();
        let dir = tempfile::tempdir().unwrap();
        let own = SelfSigned::in_dir(dir.path());
        let now = OffsetDateTime::now_utc();
        let here = names(&["127.0.0.1", "::1", "localhost"]);
        assert!(own.ensure(&here, now).unwrap());
        assert!(!own.ensure(&here, now + Duration::days(300)).unwrap());
        assert!(!own.ensure(&names(&["localhost"]), now).unwrap(), "an address less is no reason");
        assert!(own.ensure(&names(&["localhost", "192.0.2.9"]), now).unwrap());
        assert!(own.ensure(&names(&["localhost"]), now + Duration::days(336)).unwrap());
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        super::super::install_provider();
        let dir = tempfile::tempdir().unwrap();
        let own = SelfSigned::in_dir(dir.path());
        let here = names(&["localhost"]);
        own.ensure(&here, OffsetDateTime::now_utc()).unwrap();
        fs::write(&own.pem, "half a file").unwrap();
        assert!(own.ensure(&here, OffsetDateTime::now_utc()).unwrap());
        super::super::load(&own.pem, &own.pem).unwrap();
    }
}
