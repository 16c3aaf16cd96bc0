//! Brings an archive by HTTP into a partial file, in as many pieces as it takes.
//!
//! After a break the rest is asked for with `Range`, guarded by `If-Range` when the server gave a strong validator (RFC
//! 9110, 13.1.5 and 14.2); a server that sends the whole again is taken at its word. Nothing here says that the bytes are
//! the right ones: the hash over the whole does, later.

use super::super::ContentError;
use super::super::metrics::{ContentMetrics, Kind};
use super::shelf;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_RANGE, LAST_MODIFIED, RANGE,
};
use reqwest::{Response, StatusCode, Url};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without one byte.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a download is tried.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Attempts in a row that bring nothing.
    pub in_vain: u32,
    /// All attempts.
    pub total: u32,
    /// After the first attempt in vain; doubles with each one.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { in_vain: 5, total: 100, pause: Duration::from_millis(250) }
    }
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Downloader {
    http: reqwest::Client,
    retry: Retry,
    metrics: ContentMetrics,
}

/// An archive that is not whole yet: its bytes, and what the server calls the version they are of.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) file: PathBuf,
    pub(super) validator: PathBuf,
}

/// A download that ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fetched {
    /// Put together from more than one answer, so perhaps from more than one version.
    pub(super) pieced: bool,
}

/// An attempt that did not.
#[derive(Debug)]
struct Broken {
    detail: String,
    again: bool,
    /// It brought something first.
    advanced: bool,
    too_large: bool,
}

impl Part {
    pub(super) fn remove(&self) -> io::Result<()> {
        shelf::remove(&self.file)?;
        shelf::remove(&self.validator)
    }

    async fn len(&self) -> u64 {
        tokio::fs::metadata(&self.file).await.map_or(0, |there| there.len())
    }
}

impl Downloader {
    pub(super) fn new(retry: Retry, metrics: ContentMetrics) -> Result<Self, ContentError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(STALL_TIMEOUT)
            .user_agent(concat!("playgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ContentError::Other(format!("no HTTP client can be made: {}", chain(&error))))?;
        Ok(Self { http, retry, metrics })
    }

    /// Until `part` is as long as the server says; `report` hears bytes done and all bytes.
    pub(super) async fn download(
        &self,
        url: &str,
        part: &Part,
        max_bytes: u64,
        report: impl Fn(u64, u64),
    ) -> Result<Fetched, ContentError> {
        let mut in_vain = 0;
        let mut pieced = part.len().await > 0;
        for attempt in 1.. {
            let broken = match self.attempt(url, part, max_bytes, &report).await {
                Ok(whole) => return Ok(Fetched { pieced: pieced && !whole }),
                Err(broken) => broken,
            };
            pieced |= broken.advanced;
            in_vain = if broken.advanced { 0 } else { in_vain + 1 };
            let last = attempt >= self.retry.total || in_vain >= self.retry.in_vain;
            if last || !broken.again {
                return Err(broken.of(url));
            }
            let url = shown(url);
            tracing::debug!(%url, detail = broken.detail, attempt, "a download broke off and is tried again");
            tokio::time::sleep(self.retry.pause * 2_u32.saturating_pow(in_vain)).await;
        }
        Err(ContentError::Other("no attempt was left".to_owned()))
    }

    /// One request. Whether the answer was the whole archive.
    async fn attempt(
        &self,
        url: &str,
        part: &Part,
        max_bytes: u64,
        report: &impl Fn(u64, u64),
    ) -> Result<bool, Broken> {
        let have = part.len().await;
        let validator = tokio::fs::read_to_string(&part.validator).await.ok();
        let mut request = self.http.get(url).header(ACCEPT_ENCODING, "identity");
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = &validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let mut response = request.send().await.map_err(|error| Broken::of_http(error, false))?;
        let headers = response.headers();
        let (file, mut done, total) = match response.status() {
            StatusCode::OK => {
                let file = begin(part, headers).await.map_err(Broken::of_disk)?;
                (file, 0, response.content_length())
            }
            StatusCode::PARTIAL_CONTENT => {
                let range = content_range(headers);
                let other =
                    validator.is_some_and(|ours| strong(headers).is_some_and(|theirs| theirs != ours));
                let Some((_, total)) = range.filter(|(start, _)| *start == have && !other) else {
                    part.remove().map_err(Broken::of_disk)?;
                    return Err(Broken::again("the server sent another part than asked for"));
                };
                let file = OpenOptions::new().append(true).create(true).open(&part.file).await;
                (file.map_err(Broken::of_disk)?, have, total)
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                // Broken off between the last byte and the next step.
                if unsatisfied(headers) == Some(have) {
                    return Ok(false);
                }
                part.remove().map_err(Broken::of_disk)?;
                return Err(Broken::again("the server has less than it had"));
            }
            status => return Err(Broken::of_status(status)),
        };
        if total.is_some_and(|total| total > max_bytes) {
            return Err(Broken::too_large(max_bytes));
        }
        let whole = done == 0;
        let outcome = self.body(&mut response, file, &mut done, total, max_bytes, report).await;
        outcome.map(|()| whole).map_err(|broken| Broken { advanced: done > have, ..broken })
    }

    async fn body(
        &self,
        response: &mut Response,
        mut file: File,
        done: &mut u64,
        total: Option<u64>,
        max_bytes: u64,
        report: &impl Fn(u64, u64),
    ) -> Result<(), Broken> {
        let ended = loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(Broken::of_http(error, true)),
            };
            *done += chunk.len() as u64;
            if *done > max_bytes {
                return Err(Broken::too_large(max_bytes));
            }
            file.write_all(&chunk).await.map_err(Broken::of_disk)?;
            self.metrics.downloaded(Kind::Package, chunk.len() as u64);
            report(*done, total.unwrap_or_default());
        };
        // Also of what broke off: the next attempt goes on from here.
        file.flush().await.map_err(Broken::of_disk)?;
        ended?;
        if total.is_some_and(|total| *done != total) {
            return Err(Broken::again("the server stopped sending too early"));
        }
        file.sync_all().await.map_err(Broken::of_disk)
    }
}

impl Broken {
    fn again(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), again: true, advanced: false, too_large: false }
    }

    fn of_http(error: reqwest::Error, advanced: bool) -> Self {
        // A URL nobody can ask for does not become better.
        let again = !error.is_builder() && !error.is_redirect();
        Self { again, advanced, ..Self::again(chain(&error.without_url())) }
    }

    fn of_status(status: StatusCode) -> Self {
        let passing = status.is_server_error()
            || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS]
                .contains(&status);
        Self { again: passing, ..Self::again(format!("the server answered {status}")) }
    }

    fn of_disk(error: io::Error) -> Self {
        Self { again: false, ..Self::again(format!("it cannot be kept here: {error}")) }
    }

    fn too_large(max_bytes: u64) -> Self {
        let detail = format!("it is larger than {} MiB", max_bytes / (1024 * 1024));
        Self { again: false, too_large: true, ..Self::again(detail) }
    }

    fn of(self, url: &str) -> ContentError {
        let (url, detail) = (shown(url), self.detail);
        if self.too_large {
            ContentError::TooLarge { url, detail }
        } else {
            ContentError::Download { url, detail }
        }
    }
}

/// An empty part, of the version these headers name.
async fn begin(part: &Part, headers: &HeaderMap) -> io::Result<File> {
    part.remove()?;
    let file = File::create(&part.file).await?;
    if let Some(validator) = strong(headers) {
        tokio::fs::write(&part.validator, validator).await?;
    }
    Ok(file)
}

/// What `If-Range` may carry: a strong entity tag, else a date.
fn strong(headers: &HeaderMap) -> Option<String> {
    let tag = text(headers, &ETAG).filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| text(headers, &LAST_MODIFIED)).map(str::to_owned)
}

/// First byte and complete length of `bytes FIRST-LAST/LENGTH`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let (range, length) = text(headers, &CONTENT_RANGE)?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, length.trim().parse().ok()))
}

/// Complete length of `bytes */LENGTH`.
fn unsatisfied(headers: &HeaderMap) -> Option<u64> {
    text(headers, &CONTENT_RANGE)?.strip_prefix("bytes */")?.trim().parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Without what may be secret in it: user, password, query.
pub(super) fn shown(url: &str) -> String {
    let Ok(mut url) = Url::parse(url) else {
        return "an address that is none".to_owned();
    };
    url.set_query(None);
    url.set_fragment(None);
    // Fails only for addresses without a host, which have neither.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// An error with its sources: the first text alone rarely says what happened.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}

/// SHA-256 of a file. Blocks.
pub(super) fn hash(path: &Path) -> io::Result<[u8; 32]> {
    use std::io::Read;
    let mut file = std::fs::File::open(path)?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            let mut digest = [0; 32];
            digest.copy_from_slice(context.finish().as_ref());
            return Ok(digest);
        }
        context.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        assert_eq!(shown("https://me:word@host/a.tar.gz?key=1#x"), "https://host/a.tar.gz");
        assert!(!shown("http://[bad?key=1").contains("key"));
    }

    #[test]
    fn ranges_are_read_and_nonsense_is_not() {
        let headers = |value: &str| HeaderMap::from_iter([(CONTENT_RANGE, value.parse().unwrap())]);
        assert_eq!(content_range(&headers("bytes 5-9/10")), Some((5, Some(10))));
        assert_eq!(content_range(&headers("bytes 5-9/*")), Some((5, None)));
        assert_eq!(content_range(&headers("bytes */10")), None);
        assert_eq!(unsatisfied(&headers("bytes */10")), Some(10));
        assert_eq!(content_range(&headers("items 5-9/10")), None);
    }

    #[test]
    fn a_weak_tag_is_not_for_ranges() {
        let mut headers = HeaderMap::from_iter([(ETAG, "W/\"1\"".parse().unwrap())]);
        assert_eq!(strong(&headers), None);
        headers.insert(ETAG, "\"1\"".parse().unwrap());
        assert_eq!(strong(&headers), Some("\"1\"".to_owned()));
    }
}
