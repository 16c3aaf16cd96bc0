//! A network namespace of a test's own: an address that is not loopback, and nobody else on the network.

use std::process::Command;

/// The address inside that is not loopback.
pub(crate) const ADDRESS: &str = "10.77.0.1";

const MARK: &str = "PLAYGATE_TEST_NAMESPACE";

/// A veth pair whose both ends are inside, and a route, so that browsers find an interface to use. Without IPv6 addresses
/// of its own making: when one of those becomes usable, a second or two after the start, Chromium takes it for another
/// network and gives up every request under way.
const SET_UP: &str = r#"
set -e
ip link set lo up
ip link add play0 type veth peer name play1
ip link set play0 addrgenmode none
ip link set play1 addrgenmode none
ip addr add 10.77.0.1/24 dev play0
ip link set play0 up
ip link set play1 up
ip route add default dev play0
exec "$@"
"#;

/// True inside. Outside, it runs this test again inside a new namespace, wants it to pass and gives false.
#[must_use]
pub(crate) fn entered(test: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.arg("--net");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let status = command
        .args(["sh", "-c", SET_UP, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1")
        .status()
        .expect("util-linux's unshare is there");
    assert!(status.success(), "{test} failed in its namespace: {status}");
    false
}
