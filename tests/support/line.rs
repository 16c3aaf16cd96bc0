//! An emulated line between this process's network namespace and another one: a TUN device in each, and a
//! [`Bridge`] between them. It carries UDP and TCP over IPv4 and IPv6 and needs root, no netem.
//!
//! The gateway and the test stay on the near side; players (browsers, bots) are started on the far side, which has nothing
//! but its loopback and the line. Everything ends with the [`Line`].

use playgate::netem::{Bridge, BridgeConfig, Counters, Course, Direction, Shape};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tappers::Tun;

/// Packets that wait in the kernel until the bridge reads them.
const DEVICE_QUEUE: u32 = 4096;

/// Whether this process can make lines: root that may make TUN devices, which a container's root often may not.
pub(crate) fn available() -> bool {
    rustix::process::geteuid().is_root() && Tun::new().map(|tun| delete(&name(&tun))).is_ok()
}

/// One side's addresses on the line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
}

impl Addresses {
    pub(crate) fn both(self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }
}

/// A line; clear at first. `Up` is from the far side to this one.
pub(crate) struct Line {
    bridge: Bridge,
    near: Addresses,
    /// The near device's name; the far one's is the same.
    device: String,
    far: Far,
}

/// The far side; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Far(Arc<Namespace>);

#[derive(Debug)]
struct Namespace {
    /// Keeps the namespace; ends when its standard input is closed, so also with this process.
    keeper: Child,
    addresses: Addresses,
}

impl Line {
    /// A line from this process's namespace to a new one.
    pub(crate) fn to_new_namespace(seed: u64) -> Self {
        let [near, far] = [(); 2].map(|()| Tun::new().expect("root opens a TUN device"));
        let [device, far_device] = [&near, &far].map(name);
        let (near_side, far_side) = addresses(index(&device));
        let keeper = keeper();
        let inside = format!("/proc/{}/ns/net", keeper.id());
        ip(&["link", "set", &far_device, "netns", &keeper.id().to_string(), "name", &device]);
        up(&[], &device, near_side);
        let enter = [&format!("--net={inside}"), "ip"];
        run(Command::new("nsenter").args(enter).args(["link", "set", "lo", "up"]));
        up(&enter, &device, far_side);
        for family in ["-4", "-6"] {
            run(Command::new("nsenter")
                .args(enter)
                .args([family, "route", "add", "default", "dev", &device]));
        }
        let clear = Course::steady(Shape::CLEAR);
        let config = BridgeConfig { up: clear.clone(), down: clear, seed };
        let bridge = Bridge::start(far, near, config).expect("a thread");
        let far = Far(Arc::new(Namespace { keeper, addresses: far_side }));
        Self { bridge, near: near_side, device, far }
    }

    /// This side's addresses.
    pub(crate) fn near(&self) -> Addresses {
        self.near
    }

    pub(crate) fn far(&self) -> &Far {
        &self.far
    }

    /// Changes a direction. Packets under way keep the times they have been given.
    pub(crate) fn set(&self, direction: Direction, course: impl Into<Course>) {
        self.bridge.set(direction, course);
    }

    /// Loses everything both ways for so long.
    pub(crate) fn outage(&self, lasts: Duration) {
        self.bridge.outage(lasts);
    }

    /// In IP packets and their bytes.
    pub(crate) fn counters(&self, direction: Direction) -> Counters {
        self.bridge.counters(direction)
    }

    /// Packets that the kernel dropped before the bridge could read them: a test that sees any has measured the machine.
    pub(crate) fn kernel_drops(&self) -> u64 {
        let dropped = |process: &str| {
            let text = std::fs::read_to_string(format!("/proc/{process}/net/dev")).expect("proc(5)");
            let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{}:", self.device)));
            let field = line.and_then(|line| line.split_whitespace().nth(11)?.parse::<u64>().ok());
            field.expect("the device's counters")
        };
        dropped("self") + dropped(&self.far.0.keeper.id().to_string())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        delete(&self.device);
    }
}

impl Far {
    pub(crate) fn addresses(&self) -> Addresses {
        self.0.addresses
    }

    /// A program on the far side.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg("--").arg(program);
        command
    }

    /// Runs `act` on the far side. The sockets that it makes stay there.
    pub(crate) fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(self.path()).expect("the far side is there");
        let inside = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root enters a namespace");
            act()
        };
        std::thread::scope(|scope| scope.spawn(inside).join().expect("no panic on the far side"))
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.keeper.id())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn name(tun: &Tun) -> String {
    let name = tun.name().expect("a device has a name").name();
    name.into_string().expect("a device's name is ASCII")
}

/// Closing a device would end it, too, but tappers closes in builds with debug assertions only.
fn delete(device: &str) {
    let _ = Command::new("ip").args(["link", "delete", device]).stderr(Stdio::null()).status();
}

/// A process in a network namespace of its own.
fn keeper() -> Child {
    let mut keeper = Command::new("unshare")
        .args(["--net", "sh", "-c", "echo inside; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("util-linux's unshare is there");
    let mut said = String::new();
    let output = keeper.stdout.as_mut().expect("piped");
    BufReader::new(output).read_line(&mut said).expect("readable");
    assert_eq!(said, "inside\n", "root makes a namespace");
    keeper
}

/// Addresses of both sides that no other line of this machine has: from 198.18.0.0/15, for measurements (RFC 2544), and
/// from a unique local prefix.
fn addresses(index: u32) -> (Addresses, Addresses) {
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + (index % 0x1_0000) * 2;
    let side = |offset: u32| Addresses {
        v4: Ipv4Addr::from(first + offset),
        v6: Ipv6Addr::from((0xfd70_6c61_7967_6174_u128 << 64) | u128::from(index) << 16 | u128::from(offset)),
    };
    (side(0), side(1))
}

/// The interface index, which no other device of the namespace has.
fn index(device: &str) -> u32 {
    let output = Command::new("ip").args(["-o", "link", "show", device]).output().expect("iproute2 is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(':').next().and_then(|index| index.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

/// Gives a device its addresses. Without IPv6 addresses of its own making, which become usable seconds later: Chromium takes
/// that for another network.
fn up(enter: &[&str], device: &str, addresses: Addresses) {
    let queue = DEVICE_QUEUE.to_string();
    let (v4, v6) = (format!("{}/31", addresses.v4), format!("{}/127", addresses.v6));
    let steps: [&[&str]; 4] = [
        &["link", "set", device, "txqueuelen", &queue, "addrgenmode", "none"],
        &["addr", "add", &v4, "dev", device],
        &["-6", "addr", "add", &v6, "dev", device, "nodad"],
        &["link", "set", device, "up"],
    ];
    for step in steps {
        match enter {
            [] => ip(step),
            enter => run(Command::new("nsenter").args(enter).args(step)),
        }
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
