//! `GET /session/{id}/signal`: the upgrade, and the socket's two halves around a [`Connection`].
//!
//! The writer is a task of its own behind a bounded queue. A queue that is full means a reader too slow: the
//! connection is cut off, counted, and may resume.

use super::connection::{Connection, Opener};
use super::metrics::Cut;
use super::state::SignalState;
use super::whep_reply::problem;
use crate::model::ids::SessionId;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use playgate_signaling::message::{MAX_MESSAGE_BYTES, ServerMessage};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the writer is given.
pub(super) enum Outgoing {
    Message(ServerMessage),
    Ping,
    /// The last one.
    Close {
        code: u16,
        reason: &'static str,
    },
}

pub(super) async fn upgrade(
    State(state): State<SignalState>,
    Path(session): Path<String>,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let Ok(session) = session.parse::<SessionId>() else {
        return problem(StatusCode::NOT_FOUND, "not_found", "There is no such session.");
    };
    let Ok(permit) = std::sync::Arc::clone(&state.connections).try_acquire_owned() else {
        state.metrics.cut(Cut::Connections);
        let mut busy =
            problem(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many connections. Try again shortly.");
        busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        return busy;
    };
    let who = state.auth.authenticate_headers(&headers, &extensions).await;
    let opener = Opener { who, headers, extensions };
    upgrade
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        // Twice the limit, so that what is somewhat too large is still answered with words.
        .max_message_size(2 * MAX_MESSAGE_BYTES)
        .max_frame_size(2 * MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            state.metrics.connections.inc();
            serve(&state, session, opener, socket).await;
            state.metrics.connections.dec();
            drop(permit);
        })
}

async fn serve(state: &SignalState, session: SessionId, opener: Opener, socket: WebSocket) {
    let (sink, mut stream) = socket.split();
    let (outbox, queue) = mpsc::channel(state.config.outbox);
    let mut writer = tokio::spawn(write(sink, queue, state.config.write_timeout));
    let left = Connection::new(state.clone(), session, opener, outbox).run(&mut stream).await;
    if let Some(inside) = left {
        let state = state.clone();
        tokio::spawn(async move { inside.linger(&state).await });
    }
    // The queue is closed now: what is in it is written, then the peer's part of the close is awaited, because
    // dropping a socket with unread data would lose the last words.
    if tokio::time::timeout(CLOSE_TIMEOUT, &mut writer).await.is_err() {
        writer.abort();
    }
    let drain = async { while let Some(Ok(_)) = stream.next().await {} };
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, drain).await;
}

async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut queue: mpsc::Receiver<Outgoing>,
    write_timeout: Duration,
) {
    while let Some(outgoing) = queue.recv().await {
        let (message, last) = match outgoing {
            Outgoing::Message(message) => (Message::text(message.to_json()), false),
            Outgoing::Ping => (Message::Ping(bytes::Bytes::new()), false),
            Outgoing::Close { code, reason } => {
                (Message::Close(Some(CloseFrame { code, reason: reason.into() })), true)
            }
        };
        let sent = tokio::time::timeout(write_timeout, sink.send(message)).await;
        if last || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}
