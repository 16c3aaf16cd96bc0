//! What the foreign servers need: Debian's packages, and pion's program built. What is missing leaves its rows out.

use crate::load::Outcome;
use crate::servers::Kind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PION: &str = "golang-github-pion-webrtc.v3-dev";
const GOCODE: &str = "/usr/share/gocode";

/// Where the programs are.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub(crate) pion: Option<PathBuf>,
    /// The fan-out benchmark of the commit that figures are compared with.
    pub(crate) baseline: Option<PathBuf>,
}

/// Installs what is missing where that is ours to do; gives the kinds that can run.
pub(crate) fn prepare(kinds: &[Kind]) -> Outcome<(Tools, Vec<Kind>)> {
    let pion = kinds.contains(&Kind::Pion);
    let janus = kinds.contains(&Kind::Janus) || kinds.contains(&Kind::JanusTuned);
    let mut missing = Vec::new();
    if janus && !has("janus") {
        missing.push("janus");
    }
    if pion && !has("go") {
        missing.push("golang-go");
    }
    if pion && !Path::new(GOCODE).join("src/github.com/pion/webrtc").is_dir() {
        missing.push(PION);
    }
    if !missing.is_empty() && rustix::process::geteuid().is_root() && has("apt-get") {
        crate::tell(&format!("installing {}", missing.join(" ")));
        install(&missing);
    }
    let mut tools = Tools::default();
    let mut able = Vec::new();
    for kind in kinds {
        let lacks = match kind {
            Kind::Floor | Kind::Relay | Kind::RelayStriped | Kind::Webrtc => None,
            Kind::Baseline => {
                tools.baseline = baseline();
                let why = "PLAYGATE_TEST_BASELINE names no build of it (bash tests/run perf --baseline)";
                tools.baseline.is_none().then(|| why.to_owned())
            }
            Kind::Pion => build_pion(&mut tools).err().map(|error| error.to_string()),
            Kind::Janus | Kind::JanusTuned => (!has("janus")).then(|| "no janus is installed".to_owned()),
        };
        match lacks {
            None => able.push(*kind),
            Some(why) => crate::tell(&format!("{} is left out: {why}", kind.name())),
        }
    }
    Ok((tools, able))
}

/// Beside the `playgate` that `tests/baseline` built.
fn baseline() -> Option<PathBuf> {
    let playgate = PathBuf::from(std::env::var_os("PLAYGATE_TEST_BASELINE")?);
    Some(playgate.with_file_name("fanout")).filter(|bench| bench.is_file())
}

/// Versions for the table.
pub(crate) fn versions(kinds: &[Kind]) -> Vec<(String, String)> {
    let mut versions = vec![("playgate".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    // As the manifest pins it.
    if kinds.contains(&Kind::Webrtc) {
        versions.push(("webrtc crate".to_owned(), "0.21.1".to_owned()));
    }
    for (kind, name, package) in
        [(Kind::Pion, "pion", PION), (Kind::Pion, "go", "golang-go"), (Kind::Janus, "Janus", "janus")]
    {
        if kinds.contains(&kind) || (kind == Kind::Janus && kinds.contains(&Kind::JanusTuned)) {
            let shown = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
            let version = shown.map(|shown| String::from_utf8_lossy(&shown.stdout).trim().to_owned());
            versions.push((name.to_owned(), version.unwrap_or_default()));
        }
    }
    versions
}

/// Whether a program is on the path.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn install(packages: &[&str]) {
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let had_janus = has("janus");
    // Lists may be there already.
    let _ = apt(&["update", "-qq"]);
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(packages);
    if !apt(&args) {
        crate::tell("apt-get did not succeed");
    }
    // The package may have started a service, which nobody asked for.
    if !had_janus && has("janus") && Path::new("/run/systemd/system").is_dir() {
        let _ = Command::new("systemctl").args(["disable", "--now", "janus.service"]).status();
    }
}

fn build_pion(tools: &mut Tools) -> Outcome<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fanout");
    std::fs::create_dir_all(&folder)?;
    let program = folder.join("pion");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/fanout/pion/main.go"))
        // Debian's packages are sources in one tree, without modules.
        .env("GO111MODULE", "off")
        .env("GOPATH", GOCODE)
        .env("GOFLAGS", "")
        .env("GOCACHE", folder.join("go-cache"))
        .output()
        .map_err(|error| format!("go: {error}"))?;
    if !built.status.success() {
        return Err(format!("go build: {}", String::from_utf8_lossy(&built.stderr).trim()).into());
    }
    tools.pion = Some(program);
    Ok(())
}
