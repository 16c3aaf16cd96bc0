//! A network namespace of the bench's own: no firewall rule, no connection tracking and no other traffic of the machine
//! in the figures, and nothing of the servers to be reached from outside.
//!
//! Beside loopback it has one address on a link to nowhere, because Janus offers no loopback candidates. Packets between
//! addresses of one namespace take loopback all the same. Where the system allows no namespace, the machine's own does.

use crate::load::Outcome;
use crate::packages::has;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// From the range for benchmarks (RFC 2544).
const SETUP: &str = "ip link set lo up && \
    { ip link add bench0 type veth peer name bench1 && ip link set bench1 up || ip link add bench0 type dummy; } && \
    ip addr add 198.18.0.1/32 dev bench0 && ip link set bench0 up";

/// Starts this program again, in a namespace. Returns only where there is none to be had.
pub(crate) fn enter() -> Outcome<()> {
    if !has("unshare") || !has("ip") {
        return Ok(());
    }
    let root = rustix::process::geteuid().is_root();
    let flags: &[&str] = if root { &["--net"] } else { &["--user", "--map-root-user", "--net"] };
    let shell = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(flags).args(["--", "sh", "-c", script]);
        command
    };
    let tried = shell(SETUP).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let script = format!("{{ {SETUP}; }} 2>/dev/null && exec \"$@\"");
    let mut command = shell(&script);
    command.arg("fanout").arg(program).args(std::env::args_os().skip(1)).arg("--isolated");
    Err(command.exec().into())
}
