//! `playgate image`: arguments in, one call out, the result on standard output.

use super::say;
use super::serve::{self, ServeArgs};
use crate::config::DockerConfig;
use crate::image::build::{self, BaseSource, BuildPlan, CopySpec};
use crate::image::check::facts::Asked;
use crate::image::check::{self, CheckError, CheckPlan};
use crate::runner::ENCODER_WARNING;
use anyhow::Context;
use clap::{Args, Subcommand};
use ipnet::Ipv4Net;
use playgate_signaling::runner::is_encoder_name;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

const GSTREAMER_RUNNER: &str = "playgate-runner-gstreamer";
/// Could not be begun.
const NOT_RUN: u8 = 2;

#[derive(Debug, Clone, Args)]
pub struct ImageArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    Build(Box<BuildArgs>),
    Check(Box<CheckArgs>),
}

/// Make an image that runs a game: from a Debian base and packages, a directory, or both
///
/// Exit codes: 0 the image is there, 1 the engine could not build it, 2 it could not be begun (wrong arguments, no engine,
/// no such base, or the runner does not run on the base).
///
/// Example: playgate image build --base debian:12 --package chocolate-doom --package freedoom --tag doom
/// --env SDL_RENDER_DRIVER=software -- chocolate-doom -iwad /usr/share/games/doom/freedoom1.wad
#[derive(Debug, Clone, Args)]
struct BuildArgs {
    /// Base: an image on the engine
    #[arg(long, value_name = "IMAGE", conflicts_with = "rootfs", required_unless_present = "rootfs")]
    base: Option<String>,
    /// Base: a root file system, tar or tar.gz (as mmdebstrap makes it)
    #[arg(long, value_name = "FILE")]
    rootfs: Option<PathBuf>,
    /// Name of the image [default with --generic: docker.runner_image of the configuration]
    #[arg(long, value_name = "NAME", required_unless_present = "generic")]
    tag: Option<String>,
    /// The image package games run in: no game, but what games commonly need
    #[arg(long)]
    generic: bool,
    /// Without Mesa's drivers and LLVM: 2D games only
    #[arg(long)]
    slim: bool,
    /// Debian package, repeatable
    #[arg(long = "package", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// Directory that becomes /opt/game
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// File or directory and where it goes, repeatable
    #[arg(long = "copy", value_name = "SRC:DST", value_parser = copy)]
    copies: Vec<CopySpec>,
    /// Shell line run as root when everything is in place, repeatable
    #[arg(long = "run", value_name = "LINE")]
    runs: Vec<String>,
    /// Variable of the game, repeatable
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// The game's command, as a shell line
    #[arg(long = "command", value_name = "LINE", conflicts_with = "command")]
    line: Option<String>,
    /// The game's command
    #[arg(last = true)]
    command: Vec<String>,
    /// Encoders of the image's runner: `gstreamer` adds GStreamer's plugins and its runner [default: openh264 alone]
    #[arg(long, value_enum, value_name = "ENCODERS", conflicts_with = "runner")]
    encoder: Option<Encoders>,
    /// Program that becomes the image's runner [default: this one]
    #[arg(long, value_name = "PATH")]
    runner: Option<PathBuf>,
    /// Run every step again
    #[arg(long)]
    no_cache: bool,
    /// Show the engine's output
    #[arg(long)]
    verbose: bool,
    /// Configuration file (TOML): the engine and the generic image's name
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Encoders {
    #[value(name = "gstreamer")]
    GStreamer,
}

/// Run an image against a gateway of its own and judge it by the runner contract
///
/// Exit codes: 0 it keeps the contract, 1 it breaks it, 2 it could not be run.
#[derive(Debug, Clone, Args)]
struct CheckArgs {
    /// On the engine
    image: String,
    /// Command in place of the image's own
    #[arg(last = true)]
    command: Vec<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Where the game keeps its save; nothing there is a failure then [default: /save]
    #[arg(long, value_name = "PATH")]
    save_path: Option<String>,
    #[arg(long, default_value_t = 1280, value_parser = clap::value_parser!(u32).range(16..=3840))]
    width: u32,
    #[arg(long, default_value_t = 720, value_parser = clap::value_parser!(u32).range(16..=2160))]
    height: u32,
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=240))]
    fps: u32,
    /// Video, kbit/s
    #[arg(long, default_value_t = 6000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    kbps: u32,
    /// Encoder the runner is asked for, such as x264enc
    #[arg(long, value_name = "NAME", value_parser = encoder_name)]
    encoder: Option<String>,
    /// Variable of the game, repeatable
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Seconds until the first picture has to be there
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    start_timeout: u64,
    /// Seconds between SIGTERM and SIGKILL
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    grace: u64,
    /// Cores the container may use
    #[arg(long, default_value_t = 2.0)]
    cpus: f64,
    /// Memory the container may use, MiB
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(64..))]
    memory_mb: u64,
    /// Internal network of the check's own
    #[arg(long, default_value = "10.213.8.0/24")]
    subnet: Ipv4Net,
    /// Open network of the check's own
    #[arg(long, default_value = "10.213.9.0/24")]
    open_subnet: Ipv4Net,
    /// Configuration file (TOML): the engine
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Does what is asked; failures are said on standard error.
pub async fn run(args: ImageArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        What::Build(args) => build(*args).await,
        What::Check(args) => check(*args).await,
    }
}

async fn build(args: BuildArgs) -> anyhow::Result<ExitCode> {
    let docker = match docker(args.config.clone()) {
        Ok(docker) => docker,
        Err(error) => return Ok(failed(&error, NOT_RUN)),
    };
    // This program is put into the image.
    if let Some(warning) = ENCODER_WARNING.filter(|_| args.runner.is_none()) {
        eprintln!("playgate: {warning}");
    }
    let plan = plan(args, &docker)?;
    match build::run(&plan, docker.host.as_deref()).await {
        Ok(built) => {
            say(&format!("{} {} {} MB", built.tag, built.id, built.bytes.div_ceil(1_000_000)))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            let code = error.exit_code();
            Ok(failed(&error.into(), code))
        }
    }
}

fn plan(args: BuildArgs, docker: &DockerConfig) -> anyhow::Result<BuildPlan> {
    let base = match (args.base, args.rootfs) {
        (_, Some(file)) => BaseSource::Rootfs(file),
        (base, None) => BaseSource::Image(base.unwrap_or_default()),
    };
    let command = match args.line {
        Some(line) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line],
        None => args.command,
    };
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let runner = match (args.runner, args.encoder) {
        (Some(path), _) => path,
        (None, Some(Encoders::GStreamer)) => beside(&own)?,
        (None, None) => own,
    };
    Ok(BuildPlan {
        base,
        tag: args.tag.unwrap_or_else(|| docker.runner_image.clone()),
        generic: args.generic,
        slim: args.slim,
        packages: args.packages,
        dir: args.dir,
        copies: args.copies,
        runs: args.runs,
        env: args.env,
        command,
        runner,
        gstreamer: args.encoder == Some(Encoders::GStreamer),
        no_cache: args.no_cache,
        verbose: args.verbose,
    })
}

/// The GStreamer runner, which is installed where this program is.
fn beside(own: &Path) -> anyhow::Result<PathBuf> {
    let path = own.with_file_name(GSTREAMER_RUNNER);
    anyhow::ensure!(
        path.is_file(),
        "{} is missing; make it with: cargo build --release -p {GSTREAMER_RUNNER} --features gstreamer",
        path.display()
    );
    Ok(path)
}

async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let docker = match docker(args.config) {
        Ok(docker) => docker,
        Err(error) => return Ok(failed(&error, NOT_RUN)),
    };
    let defaults = Asked::default();
    let plan = CheckPlan {
        image: args.image,
        command: args.command,
        env: BTreeMap::from_iter(args.env),
        asked: Asked {
            width: args.width,
            height: args.height,
            fps: args.fps,
            kbps: args.kbps,
            encoder: args.encoder,
            save_expected: args.save_path.is_some(),
            save_path: args.save_path.unwrap_or(defaults.save_path),
            start_timeout: Duration::from_secs(args.start_timeout),
            grace: Duration::from_secs(args.grace),
            baseline: defaults.baseline,
            key_answer: defaults.key_answer,
        },
        subnet: args.subnet,
        open_subnet: args.open_subnet,
        cpus: args.cpus,
        memory_mb: args.memory_mb,
    };
    let interrupted = async {
        // Without a handler the default action ends this process anyway.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    match check::run(&plan, docker.host.as_deref(), interrupted).await {
        Ok(report) => {
            let text = if args.json { format!("{:#}\n", report.json()) } else { report.table() };
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(CheckError::Cancelled) => Ok(ExitCode::from(NOT_RUN)),
        Err(error) => Ok(failed(&error.into(), NOT_RUN)),
    }
}

fn docker(config: Option<PathBuf>) -> anyhow::Result<DockerConfig> {
    Ok(serve::load(ServeArgs { config, ..ServeArgs::default() })?.docker)
}

fn failed(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("playgate: {error:#}");
    ExitCode::from(code)
}

fn copy(text: &str) -> Result<CopySpec, String> {
    match text.rsplit_once(':') {
        Some((from, to)) if !from.is_empty() && to.starts_with('/') => {
            Ok(CopySpec { from: PathBuf::from(from), to: to.to_owned() })
        }
        Some(_) | None => Err("write SRC:DST, with an absolute DST".to_owned()),
    }
}

fn encoder_name(text: &str) -> Result<String, String> {
    if is_encoder_name(text) { Ok(text.to_owned()) } else { Err("no name of an encoder".to_owned()) }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        image: ImageArgs,
    }

    fn build_args(words: &[&str]) -> Result<BuildArgs, clap::Error> {
        match Line::try_parse_from(["image", "build"].iter().chain(words))?.image.what {
            What::Build(args) => Ok(*args),
            What::Check(_) => unreachable!("build was asked for"),
        }
    }

    #[test]
    fn a_game_of_packages_is_one_line() {
        let words = [
            "--base",
            "b",
            "--package",
            "p",
            "--package",
            "q",
            "--tag",
            "t",
            "--copy",
            "a:b:/c",
            "--env",
            "A=b=c",
        ];
        let args = build_args(&[&words[..], &["--run", "x", "--", "game", "-f"]].concat()).unwrap();
        let plan = plan(args, &DockerConfig::default()).unwrap();
        assert_eq!(plan.base, BaseSource::Image("b".to_owned()));
        assert_eq!((plan.packages.len(), plan.command), (2, vec!["game".to_owned(), "-f".to_owned()]));
        assert_eq!(plan.copies, [CopySpec { from: PathBuf::from("a:b"), to: "/c".to_owned() }]);
        assert_eq!(plan.env, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(plan.runner, std::env::current_exe().unwrap());
    }

    #[test]
    fn the_gstreamer_runner_is_looked_for_beside_this_program() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("playgate");
        let missing = beside(&own).unwrap_err().to_string();
        assert!(missing.contains("--features gstreamer"), "{missing}");
        std::fs::write(dir.path().join(GSTREAMER_RUNNER), "").unwrap();
        assert_eq!(beside(&own).unwrap(), dir.path().join(GSTREAMER_RUNNER));
        let both = ["--base", "b", "--tag", "t", "--encoder", "gstreamer", "--runner", "/x", "--", "game"];
        assert!(build_args(&both).is_err(), "one program is the runner");
    }

    #[test]
    fn the_generic_image_has_the_configured_name() {
        let args = build_args(&["--rootfs", "x.tar", "--generic", "--slim"]).unwrap();
        let plan = plan(args, &DockerConfig::default()).unwrap();
        assert_eq!(
            (plan.tag.as_str(), plan.base),
            ("playgate-runner:latest", BaseSource::Rootfs("x.tar".into()))
        );
    }

    #[test]
    fn a_command_line_becomes_a_shells() {
        let args =
            build_args(&["--base", "b", "--tag", "t", "--package", "p", "--command", "cd /x && y"]).unwrap();
        let plan = plan(args, &DockerConfig::default()).unwrap();
        assert_eq!(plan.command, ["/bin/sh", "-c", "cd /x && y"]);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for words in [
            &["--tag", "t"][..],
            &["--base", "b"],
            &["--base", "b", "--rootfs", "f", "--tag", "t"],
            &["--base", "b", "--tag", "t", "--copy", "a:b"],
            &["--base", "b", "--tag", "t", "--env", "A"],
            &["--base", "b", "--tag", "t", "--command", "x", "--", "y"],
        ] {
            assert!(build_args(words).is_err(), "{words:?}");
        }
    }
}
