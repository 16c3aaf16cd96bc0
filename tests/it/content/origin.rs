//! The HTTP server packages come from: each test says how it misbehaves.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::get;
use futures_util::stream;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Bytes of a body between two looks at what is to happen.
const PIECE: usize = 16 * 1024;

/// How one archive is served.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) body: Bytes,
    pub(super) etag: Option<String>,
    /// Requests with `Range` get the whole.
    pub(super) ignores_range: bool,
    /// The first answers, so many, end after so many bytes.
    pub(super) breaks: (usize, usize),
    /// Answers with this status instead.
    pub(super) status: Option<u16>,
    /// After half of its pieces a body waits for a permit.
    pub(super) gate: Option<Arc<Semaphore>>,
}

impl Serving {
    pub(super) fn whole(body: &[u8]) -> Self {
        Self {
            body: Bytes::copy_from_slice(body),
            etag: Some("\"1\"".to_owned()),
            ignores_range: false,
            breaks: (0, 0),
            status: None,
            gate: None,
        }
    }
}

/// A request as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) range: Option<String>,
    pub(super) if_range: Option<String>,
}

#[derive(Clone, Default)]
struct Shared {
    served: Arc<Mutex<HashMap<String, Serving>>>,
    asked: watch::Sender<Vec<Asked>>,
}

/// Ends with its test.
pub(super) struct Origin {
    address: SocketAddr,
    shared: Shared,
    server: JoinHandle<()>,
}

impl Origin {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared::default();
        let app = Router::new().route("/{name}", get(answer)).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, shared, server }
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Serves an archive at the path that is the hash of `of`, and gives the package.
    pub(super) fn serve(&self, of: &[u8], serving: Serving) -> playgate::content::Package {
        let package = super::package(self, of);
        self.shared.served.lock().unwrap().insert(package.sha256.to_string(), serving);
        package
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.borrow().clone()
    }

    pub(super) async fn until_asked(&self, times: usize) {
        self.shared.asked.subscribe().wait_for(|asked| asked.len() >= times).await.unwrap();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap().to_owned());
    let asked = Asked { range: text(header::RANGE), if_range: text(header::IF_RANGE) };
    let mut earlier = 0;
    shared.asked.send_modify(|all| {
        earlier = all.len();
        all.push(asked.clone());
    });
    let serving = shared.served.lock().unwrap().get(&name).cloned();
    let Some(serving) = serving else { return status(404) };
    if let Some(code) = serving.status {
        return status(code);
    }
    let fits = asked.if_range.is_none_or(|validator| Some(validator) == serving.etag);
    let start = asked.range.filter(|_| fits && !serving.ignores_range);
    let start =
        start.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let (length, from) = (serving.body.len(), start.unwrap_or(0));
    let mut response = Response::builder();
    if let Some(etag) = &serving.etag {
        response = response.header(header::ETAG, etag);
    }
    if start.is_some() && from >= length {
        let range = format!("bytes */{length}");
        let response =
            response.status(StatusCode::RANGE_NOT_SATISFIABLE).header(header::CONTENT_RANGE, range);
        return response.body(Body::empty()).unwrap();
    }
    if start.is_some() {
        let range = format!("bytes {from}-{}/{length}", length - 1);
        response = response.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, range);
    }
    let breaks_after = (earlier < serving.breaks.0).then_some(serving.breaks.1);
    response.header(header::CONTENT_LENGTH, length - from).body(body(&serving, from, breaks_after)).unwrap()
}

fn body(serving: &Serving, from: usize, breaks_after: Option<usize>) -> Body {
    let rest = serving.body.slice(from..);
    let rest = rest.slice(..breaks_after.unwrap_or(rest.len()).min(rest.len()));
    let mut pieces: Vec<io::Result<Bytes>> = Vec::new();
    for start in (0..rest.len()).step_by(PIECE) {
        pieces.push(Ok(rest.slice(start..(start + PIECE).min(rest.len()))));
    }
    if breaks_after.is_some() {
        pieces.push(Err(io::Error::other("the connection breaks, as the test wants")));
    }
    let (middle, gate) = (pieces.len() / 2, serving.gate.clone());
    let pieces = pieces.into_iter().enumerate();
    Body::from_stream(stream::unfold((pieces, gate), move |(mut pieces, gate)| async move {
        let (index, piece) = pieces.next()?;
        if let Some(gate) = gate.as_ref().filter(|_| index == middle) {
            gate.acquire().await.unwrap().forget();
        }
        // What came before the break arrives before it.
        tokio::task::yield_now().await;
        Some((piece, (pieces, gate)))
    }))
}

fn status(code: u16) -> Response<Body> {
    Response::builder().status(code).body(Body::empty()).unwrap()
}
