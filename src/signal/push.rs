//! The session core's pushes as messages to one viewer.

use crate::model::ids::ViewerId;
use crate::model::session::{EndReason, Status};
use crate::relay::SourceFault;
use crate::session::control::Standing;
use crate::session::view::{Push, SessionView};
use playgate_signaling::message::{self, ErrorCode, Progress, ServerMessage};
use serde::Serialize;

/// What a push is to one viewer.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    Tell(ServerMessage),
    /// The viewer's media ended.
    MediaEnded(ServerMessage),
    /// The viewer must go.
    Evicted(ServerMessage),
    /// The session ended: its last status, then the end with its reason.
    Ended {
        status: ServerMessage,
        reason: String,
    },
    /// For another viewer.
    Nothing,
}

pub(super) fn meaning(push: Push, me: ViewerId) -> Meaning {
    match push {
        Push::Status { status, progress, end_reason, source_faults } => {
            status_meaning(status, progress, end_reason, source_faults)
        }
        Push::Cursor { visible, png, hotspot_x, hotspot_y } => {
            Meaning::Tell(ServerMessage::Cursor { visible, png, hotspot_x, hotspot_y })
        }
        Push::Rumble { pad, strong, weak, duration_ms } => {
            Meaning::Tell(ServerMessage::Rumble { pad, strong, weak, duration_ms })
        }
        Push::Saved => Meaning::Tell(ServerMessage::Saved),
        Push::Control(standing) => of_standing(&standing, me),
        Push::ViewerGone { viewer, reason } if viewer == me => Meaning::MediaEnded(ServerMessage::Error {
            code: ErrorCode::MediaEnded,
            message: format!("The media connection ended: {reason}"),
            fatal: false,
            offer: None,
        }),
        Push::Evicted { viewer, code, message } if viewer == me => {
            Meaning::Evicted(ServerMessage::Error { code, message, fatal: true, offer: None })
        }
        Push::ViewerGone { .. } | Push::Evicted { .. } => Meaning::Nothing,
    }
}

/// Who plays, asks and watches, as it is told to one viewer.
pub(super) fn of_standing(standing: &Standing, me: ViewerId) -> Meaning {
    Meaning::Tell(ServerMessage::Control(standing.told_to(me)))
}

/// The session's state at admission.
pub(super) fn of_view(view: SessionView) -> Meaning {
    status_meaning(view.status, view.progress, view.end_reason, view.source_faults)
}

fn status_meaning(
    status: Status,
    progress: Option<Progress>,
    end_reason: Option<EndReason>,
    source_faults: Vec<SourceFault>,
) -> Meaning {
    let message = ServerMessage::Status {
        status: name(&status),
        progress,
        end_reason: end_reason.map(|reason| name(&reason)),
        source_faults: source_faults
            .into_iter()
            .map(|fault| message::SourceFault { code: fault.code().to_owned(), message: fault.to_string() })
            .collect(),
    };
    match status {
        Status::Starting | Status::Running | Status::Stopping => Meaning::Tell(message),
        Status::Stopped | Status::Error => {
            let reason = end_reason.map_or_else(|| name(&status), |reason| name(&reason));
            Meaning::Ended { status: message, reason }
        }
    }
}

/// The wire name that serde gives a unit variant.
fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_is_told_with_its_reason() {
        let push = Push::Status {
            status: Status::Stopped,
            progress: None,
            end_reason: Some(EndReason::OutOfMemory),
            source_faults: Vec::new(),
        };
        assert_eq!(
            meaning(push, ViewerId::new()),
            Meaning::Ended {
                status: ServerMessage::Status {
                    status: "stopped".to_owned(),
                    progress: None,
                    end_reason: Some("out_of_memory".to_owned()),
                    source_faults: Vec::new(),
                },
                reason: "out_of_memory".to_owned()
            }
        );
    }

    #[test]
    fn what_concerns_another_viewer_is_not_told() {
        let push = Push::ViewerGone { viewer: ViewerId::new(), reason: String::new() };
        assert_eq!(meaning(push, ViewerId::new()), Meaning::Nothing);
    }
}
