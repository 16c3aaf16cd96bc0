//! Whether the token behind an open stream is still valid.
//!
//! What outlives its request (event streams, followed logs, downloads, signaling connections, WHEP viewers) holds a
//! [`Validity`]. A token is watched by one task, however many streams it opened: a timer for its end, and a look at the
//! store every [`RECHECK`], because another process may revoke it (`playgate token revoke`).
//!
//! Invariants: a stream learns of a revocation within [`RECHECK`] and the time of one query, of an expiry at once; a
//! token that has lapsed never becomes valid again.
//! Does not: end a stream because the store cannot be read. That is logged, and asked again.

use super::service::{Auth, WeakAuth};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;
use zeroize::Zeroizing;

/// Between two looks at the store. Streams must end within 15 s of a revocation.
const RECHECK: Duration = Duration::from_secs(5);

/// Why a token is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    Expired,
    Revoked,
}

/// The token a request was verified by.
#[derive(Clone)]
pub struct Credential {
    auth: Auth,
    token: Zeroizing<String>,
    good_until: OffsetDateTime,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("good_until", &self.good_until).finish_non_exhaustive()
    }
}

impl Credential {
    pub(crate) fn new(auth: Auth, token: &str, good_until: OffsetDateTime) -> Self {
        Self { auth, token: Zeroizing::new(token.to_owned()), good_until }
    }

    /// Watches the token for as long as the value, or a clone of it, is held.
    pub fn watch(self) -> Validity {
        self.auth.watches().open(self.auth.downgrade(), self.token, self.good_until)
    }
}

/// Tells when a token lapses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Validity(watch::Receiver<Option<Lapse>>);

impl Validity {
    /// A validity that lapses when the sender says so, or is dropped.
    pub fn told_by() -> (watch::Sender<Option<Lapse>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Why it has lapsed, once it has.
    pub fn lapse(&self) -> Option<Lapse> {
        let told = *self.0.borrow();
        // A token that is no longer watched cannot be trusted.
        told.or_else(|| self.0.has_changed().is_err().then_some(Lapse::Revoked))
    }

    /// Waits until it lapses. Cancel safe.
    pub async fn lapsed(&mut self) -> Lapse {
        match self.0.wait_for(Option::is_some).await {
            Ok(lapse) => lapse.unwrap_or(Lapse::Revoked),
            Err(_) => Lapse::Revoked,
        }
    }
}

/// The tokens that are watched, by their SHA-256.
#[derive(Debug, Default)]
pub(super) struct Watches(DashMap<[u8; 32], watch::Sender<Option<Lapse>>>);

impl Watches {
    fn open(&self, auth: WeakAuth, token: Zeroizing<String>, good_until: OffsetDateTime) -> Validity {
        let key = super::opaque::sha256(&token);
        match self.0.entry(key) {
            Entry::Occupied(watched) => Validity(watched.get().subscribe()),
            Entry::Vacant(free) => {
                let (sender, receiver) = watch::channel(None);
                free.insert(sender.clone());
                tokio::spawn(watch_one(auth, key, token, good_until, sender));
                Validity(receiver)
            }
        }
    }

    /// True when no stream holds the token any more; then it is not watched any more.
    fn close(&self, key: &[u8; 32]) -> bool {
        self.0.remove_if(key, |_, sender| sender.receiver_count() == 0).is_some()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// Should the task fail, its token counts as revoked: the last sender goes, and the streams end.
struct OnPanic(WeakAuth, [u8; 32]);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(auth) = self.0.upgrade()
        {
            auth.watches().0.remove(&self.1);
        }
    }
}

async fn watch_one(
    auth: WeakAuth,
    key: [u8; 32],
    token: Zeroizing<String>,
    good_until: OffsetDateTime,
    lapsed: watch::Sender<Option<Lapse>>,
) {
    let _on_panic = OnPanic(auth.clone(), key);
    loop {
        let left = Duration::try_from(good_until - OffsetDateTime::now_utc()).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(left.min(RECHECK)) => {}
            () = lapsed.closed() => {
                if auth.upgrade().is_none_or(|auth| auth.watches().close(&key)) {
                    return;
                }
                continue;
            }
        }
        let Some(auth) = auth.upgrade() else { return };
        let lapse = if OffsetDateTime::now_utc() >= good_until {
            Some(Lapse::Expired)
        } else {
            auth.lapse_of(&token).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot tell whether a token with open streams was revoked");
                None
            })
        };
        if lapse.is_some() {
            auth.watches().0.remove(&key);
            lapsed.send_replace(lapse);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{MemoryLedger, TokenLedger};
    use crate::config::Config;
    use std::sync::Arc;

    async fn desk() -> (tempfile::TempDir, Auth, Arc<MemoryLedger>) {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(MemoryLedger::default());
        let config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        let auth = Auth::open(&config, Arc::clone(&ledger) as Arc<dyn TokenLedger>).unwrap();
        (dir, auth, ledger)
    }

    async fn watched(auth: &Auth, token: &str) -> Validity {
        let verified = auth.verify(token).await.unwrap();
        Credential::new(auth.clone(), token, verified.good_until).watch()
    }

    #[tokio::test]
    async fn all_streams_of_a_token_learn_of_its_revocation_from_one_task() {
        let (_dir, auth, ledger) = desk().await;
        let user = auth.mint_user("ada", None, Duration::from_secs(3600), None).await.unwrap();
        let studio = auth.mint_organisation("studio", None, None).await.unwrap();
        let kept = auth.mint_organisation("studio", None, None).await.unwrap();
        let mut streams = Vec::new();
        for token in [&user.token, &user.token, &studio.token, &studio.token] {
            streams.push(watched(&auth, token).await);
        }
        let other = watched(&auth, &kept.token).await;
        assert_eq!(auth.watches().len(), 3);
        assert!(streams.iter().all(|stream| stream.lapse().is_none()));
        ledger.revoke(user.id).await.unwrap();
        ledger.revoke(studio.id).await.unwrap();
        for stream in &mut streams {
            assert_eq!(stream.lapsed().await, Lapse::Revoked);
            assert_eq!(stream.lapse(), Some(Lapse::Revoked));
        }
        assert_eq!((other.lapse(), auth.watches().len()), (None, 1));
    }

    #[tokio::test]
    async fn a_token_that_runs_out_lapses_by_itself() {
        let (_dir, auth, _) = desk().await;
        let token = auth.mint_user("ada", None, Duration::from_secs(1), None).await.unwrap().token;
        let mut validity = watched(&auth, &token).await;
        assert_eq!(validity.lapsed().await, Lapse::Expired);
    }

    #[tokio::test]
    async fn a_token_is_watched_while_it_has_streams() {
        let (_dir, auth, _) = desk().await;
        let token = auth.mint_guest().unwrap().token;
        let (one, other) = (watched(&auth, &token).await, watched(&auth, &token).await);
        drop(one);
        tokio::task::yield_now().await;
        assert_eq!((auth.watches().len(), other.lapse()), (1, None));
        drop(other);
        let forgotten = async {
            while auth.watches().len() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), forgotten).await.expect("it is not watched any more");
    }

    #[test]
    fn a_token_whose_watch_is_gone_counts_as_revoked() {
        let (sender, validity) = Validity::told_by();
        assert_eq!(validity.lapse(), None);
        drop(sender);
        assert_eq!(validity.lapse(), Some(Lapse::Revoked));
    }

    #[tokio::test]
    async fn a_credential_shows_no_token() {
        let (_dir, auth, _) = desk().await;
        let token = auth.mint_guest().unwrap().token;
        let credential = Credential::new(auth, &token, OffsetDateTime::now_utc());
        assert!(!format!("{credential:?}").contains(&token[..20]));
    }
}
