//! One runner's WebSocket, from the upgrade to its close.
//!
//! Everything a runner sends is bounded: size of a message, messages a second, the time until its hello, the time it may
//! be silent. What is not understood is counted and ignored, so that newer runners work with this gateway.

use super::ControlEvent;
use super::hub::{Ended, Entry, Hub, Outbound, Seat};
use crate::model::ids::SessionId;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use playgate_signaling::runner::{GatewayMessage, MAX_MESSAGE_BYTES, RunnerMessage, VERSION};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// Until the first message.
const HELLO: Duration = Duration::from_secs(5);
/// A message the session's actor has no room for waits this long, then the connection ends.
const EVENT_WAIT: Duration = Duration::from_secs(5);
/// One write may take this long.
const WRITE_WAIT: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(10);
/// Without any frame for this long, a pong included, the runner is gone.
const SILENCE: Duration = Duration::from_secs(35);
/// Messages a second a runner may send, and at once.
const RATE: NonZeroU32 = NonZeroU32::new(200).expect("not zero");

/// RFC 6455 section 7.4.1 and the private range of 7.4.2.
mod code {
    pub(super) const NORMAL: u16 = 1000;
    pub(super) const UNSUPPORTED: u16 = 1003;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TRY_LATER: u16 = 1013;
    pub(super) const REPLACED: u16 = 4001;
}

/// Why a connection ends: a close code and words, or nothing when the other side is gone already.
type Close = Option<(u16, &'static str)>;

pub(super) async fn upgrade(
    State(hub): State<Arc<Hub>>,
    Path(session): Path<String>,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Some(token) = bearer(&headers) else {
        hub.metrics.refused.inc();
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let entry = session.parse::<SessionId>().ok().and_then(|session| hub.admit(session, token));
    let Some(entry) = entry else {
        hub.metrics.refused.inc();
        return StatusCode::NOT_FOUND.into_response();
    };
    match socket {
        Ok(socket) => socket
            .max_message_size(MAX_MESSAGE_BYTES)
            .max_frame_size(MAX_MESSAGE_BYTES)
            .on_upgrade(move |socket| serve(hub, entry, session, socket)),
        Err(rejection) => rejection.into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token.trim())
}

async fn serve(hub: Arc<Hub>, entry: Arc<Entry>, session: String, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let close = match timeout(HELLO, hello(&mut stream)).await {
        Ok(Ok(connected)) => welcomed(&hub, &entry, &session, connected, &mut sink, &mut stream).await,
        Ok(Err(close)) => {
            hub.metrics.refused.inc();
            close
        }
        Err(_) => {
            hub.metrics.refused.inc();
            Some((code::POLICY, "no hello within 5 seconds"))
        }
    };
    if let Some((code, reason)) = close {
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = timeout(WRITE_WAIT, sink.send(Message::Close(Some(frame)))).await;
    }
    let _ = timeout(WRITE_WAIT, sink.close()).await;
}

/// Waits for the first message, which has to be a hello of this version.
async fn hello(stream: &mut SplitStream<WebSocket>) -> Result<ControlEvent, Close> {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => {
                return match serde_json::from_str(&text) {
                    Ok(RunnerMessage::Hello { v: VERSION, video, audio, pads, pointer }) => {
                        Ok(ControlEvent::Connected { video, audio, pads, pointer })
                    }
                    Ok(RunnerMessage::Hello { .. }) => {
                        Err(Some((code::POLICY, "this gateway speaks version 1")))
                    }
                    Ok(_) | Err(_) => Err(Some((code::POLICY, "the first message must be hello"))),
                };
            }
            Some(Ok(Message::Binary(_))) => {
                return Err(Some((code::UNSUPPORTED, "no binary frames from a runner")));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
        }
    }
}

/// A connection that said hello, until it ends.
async fn welcomed(
    hub: &Hub,
    entry: &Entry,
    session: &str,
    connected: ControlEvent,
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
) -> Close {
    let turn = entry.turn.lock().await;
    let Some((seat, replaced)) = entry.seat() else { return Some((code::NORMAL, "the session has ended")) };
    let number = seat.number;
    hub.metrics.connected.inc();
    if replaced {
        hub.metrics.replaced.inc();
        tracing::info!(session, "a newer runner connection replaces the older");
    }
    let announced = timeout(EVENT_WAIT, entry.events.send(connected)).await;
    drop(turn);
    let close = match announced {
        Ok(Ok(())) => match write(sink, &text(&welcome(entry))).await {
            Ok(()) => talk(hub, entry, seat, sink, stream).await,
            Err(close) => close,
        },
        Ok(Err(_)) => Some((code::NORMAL, "the session has ended")),
        Err(_) => Some((code::TRY_LATER, "the gateway is overloaded")),
    };
    let _turn = entry.turn.lock().await;
    if entry.unseat(number) {
        let _ = timeout(EVENT_WAIT, entry.events.send(ControlEvent::Disconnected)).await;
    }
    close
}

async fn talk(
    hub: &Hub,
    entry: &Entry,
    mut seat: Seat,
    sink: &mut SplitSink<WebSocket, Message>,
    stream: &mut SplitStream<WebSocket>,
) -> Close {
    let limit: DefaultDirectRateLimiter = RateLimiter::direct(Quota::per_second(RATE));
    let mut heard = Instant::now();
    let mut ping = interval_at(heard + PING_EVERY, PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = async { seat.end.wait_for(Option::is_some).await.ok().and_then(|ended| *ended) } => {
                return match ended {
                    Some(Ended::Replaced) => Some((code::REPLACED, "a newer connection of this session replaced this one")),
                    Some(Ended::Forgotten) | None => Some((code::NORMAL, "the session has ended")),
                };
            }
            // Closed together with `end`, which knows why.
            Some(outbound) = seat.outbound.recv() => {
                if let Err(close) = write(sink, &frame(outbound)).await {
                    return close;
                }
            }
            incoming = stream.next() => {
                heard = Instant::now();
                if limit.check().is_err() {
                    hub.metrics.flooded.inc();
                    return Some((code::POLICY, "too many messages"));
                }
                match incoming {
                    Some(Ok(Message::Text(text))) => {
                        if let Err(close) = pass_on(hub, entry, &text).await {
                            return close;
                        }
                    }
                    Some(Ok(Message::Binary(_))) => return Some((code::UNSUPPORTED, "no binary frames from a runner")),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE {
                    return None;
                }
                if let Err(close) = write(sink, &Message::Ping(bytes::Bytes::new())).await {
                    return close;
                }
            }
        }
    }
}

async fn pass_on(hub: &Hub, entry: &Entry, text: &str) -> Result<(), Close> {
    let message = match serde_json::from_str(text) {
        Ok(RunnerMessage::Hello { .. }) | Err(_) => {
            hub.metrics.ignored.inc();
            tracing::debug!(bytes = text.len(), "ignored a runner's message that is not of this version");
            return Ok(());
        }
        Ok(message) => message,
    };
    let may_be_lost = match &message {
        RunnerMessage::Cursor { .. } | RunnerMessage::Rumble { .. } | RunnerMessage::Health { .. } => true,
        RunnerMessage::Hello { .. }
        | RunnerMessage::Ready
        | RunnerMessage::Saved
        | RunnerMessage::SaveDirty
        | RunnerMessage::Exit { .. } => false,
    };
    let event = ControlEvent::Message(message);
    if may_be_lost {
        if entry.events.try_send(event).is_err() {
            hub.metrics.events_dropped.inc();
        }
        return Ok(());
    }
    match timeout(EVENT_WAIT, entry.events.send(event)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Some((code::NORMAL, "the session has ended"))),
        Err(_) => {
            hub.metrics.events_dropped.inc();
            Err(Some((code::TRY_LATER, "the gateway is overloaded")))
        }
    }
}

async fn write(sink: &mut SplitSink<WebSocket, Message>, message: &Message) -> Result<(), Close> {
    match timeout(WRITE_WAIT, sink.send(message.clone())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(None),
    }
}

fn frame(outbound: Outbound) -> Message {
    match outbound {
        Outbound::Message(message) => text(&message),
        Outbound::Input { slot, frame } => {
            let mut bytes = Vec::with_capacity(1 + frame.len());
            bytes.push(slot);
            bytes.extend_from_slice(&frame);
            Message::Binary(bytes.into())
        }
    }
}

fn text(message: &GatewayMessage) -> Message {
    // These types always serialise; an empty object would be ignored by the runner.
    Message::Text(serde_json::to_string(message).unwrap_or_else(|_| "{}".to_owned()).into())
}

fn welcome(entry: &Entry) -> GatewayMessage {
    let spec = &entry.welcome;
    GatewayMessage::Welcome {
        v: VERSION,
        rtp_video: spec.rtp_video.clone(),
        rtp_audio: spec.rtp_audio.clone(),
        width: spec.width,
        height: spec.height,
        fps: spec.fps,
        kbps: spec.kbps,
    }
}
