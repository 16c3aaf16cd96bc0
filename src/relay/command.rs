//! What the control plane asks of a shard.

use super::session::Session;
use super::{AddViewer, Codec, KeyFrame, OpenSession, OpenedSession, RelayError};
use crate::model::ids::{SessionId, ViewerId};
use std::sync::Arc;
use tokio::sync::oneshot;

pub(super) type Reply<T> = oneshot::Sender<Result<T, RelayError>>;

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
    /// Gives a replica of a session that is at home there; the wakers are that shard's and the other's.
    Replicate {
        session: SessionId,
        home: Arc<mio::Waker>,
        there: Arc<mio::Waker>,
        reply: Reply<Box<Session>>,
    },
    TakeReplica {
        replica: Box<Session>,
        reply: Reply<()>,
    },
    Stop,
    /// A fault of the shard's own, for tests of what comes after it.
    Panic,
}
