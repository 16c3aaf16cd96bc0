//! The Dockerfile of a plan. Pure: a plan in, text out.
//!
//! What changes least comes first, so that the engine's cache serves the rest: packages, then the game, then repairs, then
//! the runner. Every shell line is in the JSON form, where neither quotes nor line ends nor `$` mean anything to the
//! builder.

use super::{BaseSource, BuildPlan};
use crate::image::{LABEL_CONTRACT, LABEL_VARIABLES, LABEL_VERSION};
use playgate_signaling::runner::VERSION;
use playgate_signaling::runner::env::{ENCODER, STOP_GRACE_MS};
use std::fmt::Write as _;

/// Where `--dir` goes.
pub const GAME_DIR: &str = "/opt/game";
/// Where the runner goes.
pub const RUNNER: &str = "/usr/local/bin/playgate";

/// What the runner starts or links to, in every image.
const HELPERS: [&str; 8] =
    ["xvfb", "xkb-data", "pulseaudio", "tini", "ca-certificates", "libstdc++6", "libgcc-s1", "passwd"];
/// What games from elsewhere commonly need.
const GENERIC: [&str; 20] = [
    "libsdl2-2.0-0",
    "libsdl2-image-2.0-0",
    "libsdl2-mixer-2.0-0",
    "libsdl2-ttf-2.0-0",
    "libasound2-plugins",
    "libpulse0",
    "libopenal1",
    "libgl1",
    "libgl1-mesa-dri",
    "libegl1",
    "libx11-6",
    "libxcursor1",
    "libxext6",
    "libxi6",
    "libxinerama1",
    "libxrandr2",
    "libxss1",
    "libxxf86vm1",
    "fonts-dejavu-core",
    "zlib1g",
];
/// What the GStreamer runner links to, and the plugins of the encoders it knows; those of VA-API and of NVIDIA's GPUs find the
/// driver's own library, which comes with the driver.
const GSTREAMER: [&str; 6] = [
    "libgstreamer1.0-0",
    "libgstreamer-plugins-base1.0-0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-plugins-ugly",
];
/// Names in the context.
pub(super) const ROOTFS: &str = "rootfs";
pub(super) const RUNNER_FILE: &str = "runner";
pub(super) const DIR: &str = "dir";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("an image needs a name: --tag NAME")]
    NoTag,
    #[error("nothing to play: give --package, --dir or --copy and a command, or --generic")]
    NoGame,
    #[error("an image of a game needs its command: --command \"...\", or -- COMMAND...")]
    NoCommand,
    #[error("{0:?} is no name of a Debian package")]
    Package(String),
    #[error(
        "{0:?} cannot be a variable of an image: a name of letters, digits and _, a value without line ends, and nothing of PLAYGATE_"
    )]
    Variable(String),
    #[error("{0:?} must be an absolute path in the image, without line ends")]
    Target(String),
    #[error("{0:?} cannot stand in a Dockerfile")]
    Text(String),
}

/// The whole file.
pub fn dockerfile(plan: &BuildPlan) -> Result<String, PlanError> {
    check(plan)?;
    let mut text = String::new();
    match &plan.base {
        BaseSource::Image(image) => {
            let _ = writeln!(text, "FROM {image}\nUSER 0:0\nENV PATH=\"${{PATH:-{PATH}}}:/usr/games\"");
        }
        BaseSource::Rootfs(_) => {
            let _ = writeln!(text, "FROM scratch\nADD {ROOTFS} /\nENV PATH=\"{PATH}:/usr/games\"");
        }
    }
    shell(&mut text, &packages(plan));
    shell(&mut text, PLAYER);
    if plan.dir.is_some() {
        let _ = writeln!(text, "COPY {}", json(&[DIR, GAME_DIR]));
    }
    for (index, copy) in plan.copies.iter().enumerate() {
        let _ = writeln!(text, "COPY {}", json(&[&copy_name(index), &copy_target(copy)]));
    }
    for line in &plan.runs {
        shell(&mut text, line);
    }
    // Executable in the context already: a chmod here would be a second copy of it.
    let _ = writeln!(text, "COPY {}", json(&[RUNNER_FILE, RUNNER]));
    let _ = writeln!(text, "ENV HOME=\"/home/player\"");
    for (name, value) in &plan.env {
        let _ = writeln!(text, "ENV {name}={}", quoted(value));
    }
    let _ = writeln!(
        text,
        "LABEL {LABEL_CONTRACT}=\"{VERSION}\" {LABEL_VARIABLES}=\"{STOP_GRACE_MS} {ENCODER}\" {LABEL_VERSION}=\"{}\"",
        env!("CARGO_PKG_VERSION")
    );
    let _ = writeln!(text, "USER 1000:1000\nWORKDIR /home/player");
    let _ = writeln!(text, "ENTRYPOINT {}", json(&["/usr/bin/tini", "--", RUNNER, "runner", "--"]));
    let command: Vec<&str> = plan.command.iter().map(String::as_str).collect();
    let _ = writeln!(text, "CMD {}", json(&command));
    Ok(text)
}

/// uid 1000 is the player, whoever it was before; a machine-id, which audio and D-Bus libraries ask for.
const PLAYER: &str = r#"set -eu
old=$(getent passwd 1000 | cut -d: -f1)
[ -z "$old" ] || [ "$old" = player ] || userdel "$old"
getent group 1000 >/dev/null || groupadd --gid 1000 player
getent passwd player >/dev/null || useradd --uid 1000 --gid 1000 --home-dir /home/player --no-create-home --shell /bin/sh player
install -d -o 1000 -g 1000 -m 0755 /home/player /save
[ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id"#;

fn check(plan: &BuildPlan) -> Result<(), PlanError> {
    if plan.tag.is_empty() {
        return Err(PlanError::NoTag);
    }
    if !plan.generic {
        if plan.packages.is_empty() && plan.dir.is_none() && plan.copies.is_empty() {
            return Err(PlanError::NoGame);
        }
        if plan.command.is_empty() {
            return Err(PlanError::NoCommand);
        }
    }
    if let BaseSource::Image(image) = &plan.base
        && (image.is_empty() || image.contains(|c: char| c.is_whitespace() || c.is_control() || c == '$'))
    {
        return Err(PlanError::Text(image.clone()));
    }
    if let Some(name) = plan.packages.iter().find(|name| !is_package(name)) {
        return Err(PlanError::Package(name.clone()));
    }
    if let Some((name, _)) = plan.env.iter().find(|(name, value)| !is_variable(name, value)) {
        return Err(PlanError::Variable(name.clone()));
    }
    let absolute = |path: &str| path.starts_with('/') && !path.contains(char::is_control);
    match plan.copies.iter().find(|copy| !absolute(&copy.to)) {
        Some(copy) => Err(PlanError::Target(copy.to.clone())),
        None => Ok(()),
    }
}

/// Installs what is missing; a base that has it all needs no network.
fn packages(plan: &BuildPlan) -> String {
    let generic: &[&str] = if plan.generic { &GENERIC } else { &[] };
    let gstreamer: &[&str] = if plan.gstreamer { &GSTREAMER } else { &[] };
    let own = HELPERS.iter().chain(generic).chain(gstreamer).copied();
    let names: Vec<&str> = own.chain(plan.packages.iter().map(String::as_str)).collect();
    let names = names.join(" ");
    let mut excluded = vec!["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*"];
    if plan.slim {
        excluded.extend(["/usr/lib/*/dri/*", "/usr/lib/*/libLLVM*", "/usr/lib/*/libz3*"]);
    }
    let mut rules: Vec<String> = excluded.iter().map(|path| format!("path-exclude={path}")).collect();
    rules.push("path-include=/usr/share/doc/*/copyright".to_owned());
    let rules = rules.join("\\n");
    format!(
        "set -eu\n\
         if dpkg -s {names} >/dev/null 2>&1; then exit 0; fi\n\
         export DEBIAN_FRONTEND=noninteractive\n\
         mkdir -p /etc/dpkg/dpkg.cfg.d\n\
         printf '{rules}\\n' >/etc/dpkg/dpkg.cfg.d/playgate\n\
         apt-get update\n\
         apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io {names}\n\
         rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb"
    )
}

pub(super) fn copy_name(index: usize) -> String {
    format!("copy-{index}")
}

/// A file copied to a directory keeps its name, as `cp` does it.
fn copy_target(copy: &super::CopySpec) -> String {
    match copy.from.file_name() {
        Some(name) if copy.to.ends_with('/') && !copy.from.is_dir() => {
            format!("{}{}", copy.to, name.to_string_lossy())
        }
        Some(_) | None => copy.to.clone(),
    }
}

fn shell(text: &mut String, line: &str) {
    let _ = writeln!(text, "RUN {}", json(&["/bin/sh", "-c", line]));
}

fn json(words: &[&str]) -> String {
    serde_json::Value::from(words).to_string()
}

/// A value between double quotes, in which the builder would see `"`, `\` and `$`.
fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Debian Policy 5.6.7, with a version or a release behind it.
fn is_package(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.=:~_".contains(c);
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.len() <= 200
        && name.chars().all(fits)
}

fn is_variable(name: &str, value: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with("PLAYGATE_")
        && !value.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::super::CopySpec;
    use super::*;
    use std::path::PathBuf;

    fn plan() -> BuildPlan {
        BuildPlan {
            base: BaseSource::Image("base:1".to_owned()),
            tag: "game".to_owned(),
            generic: false,
            slim: false,
            packages: vec!["freedoom".to_owned()],
            dir: None,
            copies: Vec::new(),
            runs: Vec::new(),
            env: Vec::new(),
            command: vec!["chocolate-doom".to_owned(), "-iwad".to_owned(), "a \"b\"".to_owned()],
            runner: PathBuf::from("/proc/self/exe"),
            gstreamer: false,
            no_cache: false,
            verbose: false,
        }
    }

    #[test]
    fn a_game_runs_as_the_player_below_tini_and_the_runner() {
        let text = dockerfile(&plan()).unwrap();
        assert!(text.starts_with("FROM base:1\nUSER 0:0\n"), "{text}");
        assert!(text.contains(
            "\nENTRYPOINT [\"/usr/bin/tini\",\"--\",\"/usr/local/bin/playgate\",\"runner\",\"--\"]\n"
        ));
        assert!(text.ends_with("\nCMD [\"chocolate-doom\",\"-iwad\",\"a \\\"b\\\"\"]\n"), "{text}");
        assert!(text.contains("\nUSER 1000:1000\n") && text.contains("playgate.contract=\"1\""));
        for package in HELPERS.into_iter().chain(["freedoom"]) {
            assert!(text.contains(&format!(" {package}")), "{package}");
        }
        assert!(!text.contains("libsdl2") && !text.contains("libLLVM"));
    }

    #[test]
    fn the_generic_image_has_no_game_but_what_games_need() {
        let plan =
            BuildPlan { generic: true, slim: true, packages: Vec::new(), command: Vec::new(), ..plan() };
        let text = dockerfile(&plan).unwrap();
        assert!(text.contains("libsdl2-2.0-0") && text.contains("path-exclude=/usr/lib/*/libLLVM*"));
        assert!(text.ends_with("\nCMD []\n"));
    }

    #[test]
    fn an_image_with_gstreamer_has_its_plugins_and_tells_that_encoders_have_names() {
        let text = dockerfile(&BuildPlan { gstreamer: true, ..plan() }).unwrap();
        for package in GSTREAMER {
            assert!(text.contains(&format!(" {package}")), "{package}");
        }
        let without = dockerfile(&plan()).unwrap();
        assert!(!without.contains("gstreamer"), "{without}");
        assert!(
            without.contains("playgate.variables=\"PLAYGATE_STOP_GRACE_MS PLAYGATE_ENCODER\""),
            "{without}"
        );
    }

    #[test]
    fn a_root_file_system_is_unpacked_by_the_builder() {
        let plan = BuildPlan { base: BaseSource::Rootfs(PathBuf::from("/x.tar.gz")), ..plan() };
        assert!(dockerfile(&plan).unwrap().starts_with("FROM scratch\nADD rootfs /\n"));
    }

    #[test]
    fn the_runner_comes_last_and_repairs_follow_the_game() {
        let file = std::env::current_exe().unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let plan = BuildPlan {
            dir: Some(PathBuf::from("/games/x")),
            copies: vec![
                CopySpec { from: file.clone(), to: "/tmp/".to_owned() },
                CopySpec { from: file, to: "/etc/one file".to_owned() },
            ],
            runs: vec!["sed -i 's/\"$a\"/\\n/' x\nrm y".to_owned()],
            ..plan()
        };
        let text = dockerfile(&plan).unwrap();
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
        let order = [
            at("apt-get install"),
            at("COPY [\"dir\",\"/opt/game\"]"),
            at(&format!("COPY [\"copy-0\",\"/tmp/{name}\"]")),
            at("COPY [\"copy-1\",\"/etc/one file\"]"),
            at(r#"RUN ["/bin/sh","-c","sed -i 's/\"$a\"/\\n/' x\nrm y"]"#),
            at("COPY [\"runner\",\"/usr/local/bin/playgate\"]"),
        ];
        assert!(order.is_sorted(), "{order:?}");
    }

    #[test]
    fn values_are_quoted_and_what_cannot_be_is_refused() {
        let with =
            |name: &str, value: &str| BuildPlan { env: vec![(name.to_owned(), value.to_owned())], ..plan() };
        let text = dockerfile(&with("A_1", r#"I take "all" \ $responsibility"#)).unwrap();
        assert!(text.contains(r#"ENV A_1="I take \"all\" \\ \$responsibility""#), "{text}");
        for (name, value) in [("", "x"), ("1A", "x"), ("A B", "x"), ("A", "x\ny"), ("PLAYGATE_TOKEN", "x")] {
            assert!(matches!(dockerfile(&with(name, value)), Err(PlanError::Variable(_))), "{name}");
        }
        let package = |name: &str| BuildPlan { packages: vec![name.to_owned()], ..plan() };
        for name in ["", "-y", "a b", "a;b", "A", "a$(b)"] {
            assert!(matches!(dockerfile(&package(name)), Err(PlanError::Package(_))), "{name}");
        }
        let base = BuildPlan { base: BaseSource::Image("x\nRUN y".to_owned()), ..plan() };
        assert!(matches!(dockerfile(&base), Err(PlanError::Text(_))));
        let copy = CopySpec { from: PathBuf::from("/x"), to: "etc".to_owned() };
        assert!(matches!(dockerfile(&BuildPlan { copies: vec![copy], ..plan() }), Err(PlanError::Target(_))));
    }

    #[test]
    fn an_image_of_nothing_is_refused() {
        let nothing = BuildPlan { packages: Vec::new(), ..plan() };
        assert_eq!(dockerfile(&nothing), Err(PlanError::NoGame));
        assert_eq!(dockerfile(&BuildPlan { command: Vec::new(), ..plan() }), Err(PlanError::NoCommand));
        assert_eq!(dockerfile(&BuildPlan { tag: String::new(), ..plan() }), Err(PlanError::NoTag));
    }
}
