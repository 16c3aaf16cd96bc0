//! What happens to sessions, told to those they belong to: by event streams (`http::events`) and by webhooks.
//!
//! The store notes every event in the transaction that makes it, so that none is lost with a gateway; everything here reads
//! what was noted, as late and as often as it must. Events are kept for [`KEPT`].

mod signature;
pub mod webhooks;

pub use signature::{Signer, SignerError};
pub use webhooks::{WebhookView, Webhooks};

use crate::model::clock::to_time;
use crate::model::events::{EventKind, EventRow};
use crate::model::ids::Owner;
use crate::render::{figures, millis};
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than a webhook is tried.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// An event as it is told, the same to everybody: `id`, `type`, `at` (RFC 3339, UTC) and `data`. Whoever gets an `id` twice
/// has got the same event twice.
pub fn body(event: &EventRow) -> Value {
    let session = &event.session;
    let mut data = json!({
        "sessionId": session.id,
        "gameSlug": session.game,
        "gameTitle": session.title,
    });
    if let Owner::Organisation(_) = session.owner {
        data["session"] = json!(session.external_id);
    }
    match event.kind {
        EventKind::Starting | EventKind::Running | EventKind::Stopping => {}
        EventKind::PlayerJoined | EventKind::PlayerLeft => data["player"] = json!(event.player),
        EventKind::Ended => {
            data["status"] = json!(session.status);
            data["endReason"] = json!(session.end_reason);
            data["endDetail"] = json!(session.end_detail);
            data["figures"] = figures(&crate::session::report(session));
        }
    }
    json!({ "id": event.id.to_string(), "type": event.kind, "at": millis(to_time(event.at)), "data": data })
}
