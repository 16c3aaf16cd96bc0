//! The check's stand and judge against runners that are processes: our own, one that keeps the contract, and broken ones.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use crate::faulty_runner::{STREAM, record};
use playgate::driver::ProcessDriver;
use playgate::image::build::dockerfile::RUNNER;
use playgate::image::check::facts::Asked;
use playgate::image::check::judge::{Outcome, judge};
use playgate::image::check::report::CheckReport;
use playgate::image::check::stand::{Subject, observe};
use playgate::image::glibc::{Base, GlibcError, Needs, Version};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn asked() -> Asked {
    Asked {
        width: 320,
        height: 180,
        kbps: 1000,
        save_expected: true,
        grace: Duration::from_secs(3),
        baseline: Duration::from_millis(1500),
        // Other tests may keep the machine busy.
        key_answer: Duration::from_secs(2),
        ..Asked::default()
    }
}

/// Runs the check's script against a program of this test binary.
async fn check(program: &str, asked: Asked, env: &[(&str, &str)]) -> CheckReport {
    let arguments = ["--ignored", "--exact", &format!("faulty_runner::{program}"), "--nocapture"];
    let arguments = arguments.map(OsString::from).to_vec();
    let driver = ProcessDriver::with_command(std::env::current_exe().unwrap(), arguments);
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let subject = Subject { env: env.collect(), game: program.to_owned(), ..Subject::default() };
    report(&driver, &subject, &asked).await
}

async fn report(driver: &ProcessDriver, subject: &Subject, asked: &Asked) -> CheckReport {
    let facts = observe(driver, subject, asked, std::future::pending()).await.unwrap();
    let report = CheckReport::new(subject.game.clone(), judge(&facts));
    // Shown with the failure.
    eprintln!("{}", report.table());
    report
}

#[tokio::test]
async fn our_own_runner_keeps_the_contract() {
    let driver = ProcessDriver::new(env!("CARGO_BIN_EXE_playgate").into());
    let subject = Subject { game: "ember".to_owned(), ..Subject::default() };
    let report = report(&driver, &subject, &Asked { width: 640, height: 360, ..asked() }).await;
    assert!(report.passed);
}

#[tokio::test]
async fn a_runner_that_keeps_the_contract_passes() {
    let report = check("keeps_the_contract", asked(), &[]).await;
    assert!(report.passed);
    let input = report.verdicts.iter().find(|verdict| verdict.id == "input").unwrap();
    assert_ne!(input.outcome, Outcome::NotJudged, "its picture stands still between inputs");
}

#[tokio::test]
async fn a_runner_that_says_nothing_is_named() {
    let brief = Asked { start_timeout: Duration::from_secs(3), save_expected: false, ..asked() };
    let report = check("says_nothing", brief, &[]).await;
    assert_eq!(report.failed(), ["hello", "first_key_frame"]);
}

#[tokio::test]
async fn the_wrong_profile_and_b_frames_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let stream = dir.path().join("main.h264");
    record(&stream);
    let report = check("sends_a_recording", asked(), &[(STREAM, stream.to_str().unwrap())]).await;
    let failed = report.failed();
    assert!(failed.contains(&"profile") && failed.contains(&"b_frames"), "{failed:?}");
}

#[tokio::test]
async fn large_packets_are_named() {
    assert_eq!(check("sends_large_packets", asked(), &[]).await.failed(), ["packet_size"]);
}

#[tokio::test]
async fn a_runner_deaf_to_pli_is_named() {
    assert_eq!(check("is_deaf_to_pli", asked(), &[]).await.failed(), ["pli"]);
}

#[tokio::test]
async fn a_runner_that_stays_and_saves_nothing_is_named() {
    assert_eq!(check("stays_and_saves_nothing", asked(), &[]).await.failed(), ["sigterm", "save"]);
}

/// As much of a base as is looked at: a package manager and this machine's C library.
fn write_rootfs(out: impl std::io::Write) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let library =
        maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("libc.so"));
    let library = std::fs::read(library.unwrap()).unwrap();
    let mut archive = tar::Builder::new(out);
    for (name, bytes) in
        [("./usr/bin/apt-get", &b"elf"[..]), ("./usr/lib/x86_64-linux-gnu/libc.so.6", &library)]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(bytes.len()).unwrap());
        header.set_mode(0o755);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.into_inner().unwrap().flush().unwrap();
}

#[test]
fn the_libraries_in_a_root_file_system_are_found() {
    let needs = Needs::of_program(&std::env::current_exe().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    for gzip in [false, true] {
        let path = dir.path().join(format!("base-{gzip}"));
        let file = std::fs::File::create(&path).unwrap();
        let out: Box<dyn std::io::Write> = if gzip {
            Box::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()))
        } else {
            Box::new(file)
        };
        write_rootfs(out);
        let base = Base::of_rootfs(&path, needs.machine).unwrap();
        assert!(base.has_apt && base.versions.glibc >= needs.versions.glibc, "{base:?}");
        let mut newer = needs;
        newer.versions.glibc = Some(Version(2, 999, 0));
        let misfit = base.fits(&newer).unwrap_err();
        assert!(matches!(misfit, GlibcError::Misfit { library: "GLIBC", .. }), "{misfit}");
    }
    let nothing = Base::of_rootfs(&dir.path().join("nowhere"), needs.machine);
    assert!(matches!(nothing, Err(GlibcError::Read { .. })));
}

/// A program that asks for a C library nobody has: a version's name in it is overwritten by one of the same length.
fn newer_program(path: &Path) {
    let mut bytes = std::fs::read("/bin/true").unwrap();
    let needs = Needs::of_program(Path::new("/bin/true")).unwrap().versions.glibc.unwrap();
    let name = format!("GLIBC_{needs}\0");
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
    bytes[at..at + name.len()].copy_from_slice("GLIBC_2.99\0".as_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_runner_that_does_not_fit_is_refused_before_an_engine_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (runner, rootfs) = (dir.path().join("runner"), dir.path().join("base.tar"));
    newer_program(&runner);
    write_rootfs(std::fs::File::create(&rootfs).unwrap());
    let out = Command::new(env!("CARGO_BIN_EXE_playgate"))
        .args(["image", "build", "--generic", "--rootfs"])
        .arg(&rootfs)
        .arg("--runner")
        .arg(&runner)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("needs GLIBC 2.99, the base has 2."), "{text}");
}

#[test]
fn wrong_arguments_and_a_missing_engine_have_exit_code_two() {
    let binary = env!("CARGO_BIN_EXE_playgate");
    let run = |words: &[&str], env: BTreeMap<&str, &str>| {
        let out = Command::new(binary).arg("image").args(words).envs(env).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, text) = run(&["build", "--base", "b", "--tag", "t", "--", "x"], BTreeMap::new());
    assert_eq!(code, Some(2));
    assert!(text.contains("nothing to play"), "{text}");
    let nowhere = BTreeMap::from([("DOCKER_HOST", "unix:///nowhere/docker.sock")]);
    for words in [&["build", "--base", "b", "--generic"][..], &["check", "b"]] {
        let (code, text) = run(words, nowhere.clone());
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("no Docker engine answers at unix:///nowhere/docker.sock"), "{text}");
    }
    assert!(RUNNER.starts_with('/'));
}
