//! The number of files this process may have open: connections are files, too.
//!
//! Many systems start programs with a soft limit of 1,024 and a hard one of hundreds of thousands. The gateway takes the hard
//! one. The processes it starts get the soft one back, because programs that use `select` cannot handle more.

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use std::sync::OnceLock;

/// The soft limit this process was started with; unset while it has it still.
static STARTED_WITH: OnceLock<Rlimit> = OnceLock::new();
/// Of the files, this many are not for connections to the public listener at least: the database, media sockets, containers,
/// runners' channels, pages.
const OTHERS: u64 = 256;
/// What no machine serves.
const MOST: u64 = 1 << 20;

/// Raises the soft limit to the hard one.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            let _ = STARTED_WITH.set(limit);
            tracing::debug!(from = ?limit.current, to = ?limit.maximum, "raised the limit of open files");
        }
        Err(error) => tracing::warn!(%error, limit = ?limit.current, "cannot raise the limit of open files"),
    }
}

/// Gives a child process the soft limit this process was started with.
pub(crate) fn restore_for(child: u32) {
    let (Some(limit), Some(pid)) = (STARTED_WITH.get(), i32::try_from(child).ok().and_then(Pid::from_raw))
    else {
        return;
    };
    // It may have ended already.
    let _ = prlimit(Some(pid), Resource::Nofile, *limit);
}

/// How many connections the public listener may have: three quarters of the files, or all but [`OTHERS`] where that is more.
pub(crate) fn for_connections() -> usize {
    share(getrlimit(Resource::Nofile).current)
}

fn share(files: Option<u64>) -> usize {
    let files = files.unwrap_or(MOST).min(MOST);
    let share = (files / 4 * 3).min(files.saturating_sub(OTHERS)).max(files / 2);
    usize::try_from(share).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(share(Some(1024)), 768);
        assert_eq!(share(Some(256)), 128);
        assert_eq!(share(Some(400)), 200);
        assert_eq!(share(Some(1 << 30)), 786_432);
        assert_eq!(share(None), 786_432);
    }
}
