//! What the control plane asks of a shard.

use super::{AddViewer, Codec, KeyFrame, OpenSession, OpenedSession, RelayError};
use crate::ids::{SessionId, ViewerId};
use tokio::sync::oneshot;

pub(super) type Reply<T> = oneshot::Sender<Result<T, RelayError>>;

#[derive(Debug)]
pub(super) enum Command {
    Open {
        spec: OpenSession,
        reply: Reply<OpenedSession>,
    },
    SetSource {
        session: SessionId,
        video: Option<(Codec, u8)>,
        audio: Option<(Codec, u8)>,
        reply: Reply<()>,
    },
    Close {
        session: SessionId,
        reply: Reply<()>,
    },
    AddViewer {
        spec: AddViewer,
        reply: Reply<String>,
    },
    Renegotiate {
        session: SessionId,
        viewer: ViewerId,
        offer: String,
        reply: Reply<String>,
    },
    SetSlot {
        session: SessionId,
        viewer: ViewerId,
        slot: Option<u8>,
        reply: Reply<()>,
    },
    KeyFrame {
        session: SessionId,
        fresh: bool,
        reply: Reply<KeyFrame>,
    },
    RemoveViewer {
        session: SessionId,
        viewer: ViewerId,
        reply: Reply<()>,
    },
    Stop,
    /// A fault of the shard's own, for tests of what comes after it.
    Panic,
}
