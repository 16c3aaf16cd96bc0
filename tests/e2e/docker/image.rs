//! `playgate image build` and `playgate image check` with a real engine.

#[path = "../../support/faulty_runner.rs"]
mod faulty_runner;

use crate::support::engine::games;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The broken images: one program each.
const BROKEN: [(&str, &[&str]); 5] = [
    ("says_nothing", &["hello", "first_key_frame"]),
    ("sends_a_recording", &["profile", "b_frames"]),
    ("sends_large_packets", &["packet_size"]),
    ("is_deaf_to_pli", &["pli"]),
    ("stays_and_saves_nothing", &["sigterm", "save"]),
];

fn playgate(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_playgate")).arg("image").args(words).output().unwrap()
}

fn engine(words: &[&str]) -> String {
    let out = Command::new("docker").args(words).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "docker {words:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// An image that is removed when the test ends.
struct Image(String);

impl Image {
    fn named(what: &str) -> Self {
        Self(format!("playgate-test-image-{what}-{}", std::process::id()))
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "--force", &self.0]).output();
    }
}

/// Networks that no other test has.
fn subnets() -> [String; 2] {
    let third = std::process::id() % 250;
    [format!("10.214.{third}.0/24"), format!("10.215.{third}.0/24")]
}

/// An image of this very test program with the libraries it needs and a recording: every broken image's contents.
fn faulty_image(dir: &Path) -> Image {
    let root = dir.join("root");
    let program = std::env::current_exe().unwrap();
    std::fs::create_dir_all(root.join("tmp")).unwrap();
    let stripped = Command::new("strip").arg("-o").args([&root.join("faulty"), &program]).status();
    if !stripped.is_ok_and(|status| status.success()) {
        std::fs::copy(&program, root.join("faulty")).unwrap();
    }
    let libraries = Command::new("ldd").arg(&program).output().unwrap();
    for word in
        String::from_utf8_lossy(&libraries.stdout).split_whitespace().filter(|word| word.starts_with('/'))
    {
        let to = root.join(word.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(word, to).unwrap();
    }
    faulty_runner::record(&root.join("main.h264"));
    let image = Image::named("faulty");
    let mut import = Command::new("docker")
        .args(["import", "--change", r#"ENTRYPOINT ["/faulty","--ignored","--nocapture","--exact"]"#])
        .args(["--change", "USER 1000:1000", "--change"])
        .arg(format!("ENV {}=/main.h264", faulty_runner::STREAM))
        .args(["-", &image.0])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut archive = tar::Builder::new(import.stdin.take().unwrap());
    archive.append_dir_all(".", &root).unwrap();
    archive.into_inner().unwrap().flush().unwrap();
    assert!(import.wait().unwrap().success());
    image
}

fn check(image: &str, more: &[&str]) -> (Option<i32>, Value) {
    let [subnet, open_subnet] = subnets();
    let networks = ["--subnet", &subnet, "--open-subnet", &open_subnet];
    let out = playgate(&[&["check", image, "--json"][..], &networks, more].concat());
    let text = String::from_utf8_lossy(&out.stderr);
    let report = serde_json::from_slice(&out.stdout).unwrap_or_else(|error| panic!("{error}: {text}"));
    (out.status.code(), report)
}

fn check_program(image: &str, program: &str, more: &[&str]) -> (Option<i32>, Value) {
    let program = format!("docker::image::faulty_runner::{program}");
    let size = ["--width", "320", "--height", "180", "--kbps", "1000", "--grace", "3"];
    check(image, &[&size[..], more, &["--", &program]].concat())
}

fn failed(report: &Value) -> Vec<String> {
    let verdicts = report["verdicts"].as_array().unwrap();
    let failed = verdicts.iter().filter(|verdict| verdict["outcome"] == "fail");
    failed.map(|verdict| verdict["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_check_names_the_fault_of_each_broken_image_and_passes_the_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let image = faulty_image(dir.path());
    let (code, report) = check_program(&image.0, "keeps_the_contract", &["--save-path", "/save"]);
    assert_eq!((code, failed(&report)), (Some(0), Vec::new()), "{report:#}");
    for (program, faults) in BROKEN {
        let more: &[&str] =
            if program == "says_nothing" { &["--start-timeout", "5"] } else { &["--save-path", "/save"] };
        let (code, report) = check_program(&image.0, program, more);
        let failed = failed(&report);
        assert_eq!(code, Some(1), "{program}: {report:#}");
        assert!(
            faults.iter().all(|fault| failed.iter().any(|found| found == fault)),
            "{program}: {failed:?}"
        );
    }
    let subnet = &subnets()[0];
    let node = format!("label=playgate.node=check-{}", subnet.trim_end_matches("/24").replace('.', "-"));
    for kind in [&["ps", "--all"][..], &["network", "ls"], &["volume", "ls"]] {
        let left = engine(&[kind, &["--quiet", "--filter", &node]].concat());
        assert_eq!(left, "", "{kind:?}");
    }
}

#[test]
fn the_images_of_the_test_games_keep_the_contract() {
    let games = games();
    for (image, save) in [
        (games.freedoom, "/home/player/.local/share/chocolate-doom"),
        (games.the_question, "/home/player/.renpy"),
        (games.built_in, "/save"),
    ] {
        let (code, report) = check(&image, &["--save-path", save]);
        assert_eq!((code, failed(&report)), (Some(0), Vec::new()), "{image}: {report:#}");
    }
}

#[test]
fn the_last_words_of_an_image_that_ends_are_told() {
    let (code, report) = check(&games().built_in, &["--start-timeout", "5", "--", "no-such-game"]);
    assert_eq!(code, Some(1), "{report:#}");
    assert!(failed(&report).contains(&"stays_up".to_owned()), "{report:#}");
    assert!(report["last_words"].to_string().contains("no-such-game"), "{report:#}");
}

#[test]
fn an_image_that_is_not_there_has_exit_code_two() {
    let out = playgate(&["check", "playgate-test-no-such-image"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("playgate-test-no-such-image"));
    let out = playgate(&["build", "--base", "playgate-test-no-such-image", "--generic", "--tag", "x"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("playgate-test-no-such-image"));
}

#[test]
fn a_directory_becomes_an_image_with_player_runner_and_repairs() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let patch = file("patch", "a patch\n");
    file("game/start.sh", "#!/bin/sh\necho \"$GREETING\"; cat /opt/game/repaired\n");
    let (image, base, game) = (Image::named("built"), games().runner, dir.path().join("game"));
    let copy = format!("{}:/etc/playgate-patch", patch.display());
    let words = [
        &["build", "--base", &base, "--tag", &image.0, "--dir", game.to_str().unwrap(), "--copy", &copy][..],
        &[
            "--run",
            "cat /etc/playgate-patch >/opt/game/repaired; id -u >>/opt/game/repaired; chmod 755 /opt/game/*",
        ],
        &["--env", "GREETING=a \"$HOME\" \\ b", "--", "/opt/game/start.sh"],
    ]
    .concat();
    let out = playgate(&words);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&out.stdout).starts_with(&format!("{} sha256:", image.0)));

    let config: Value =
        serde_json::from_str(&engine(&["inspect", "--format", "{{json .Config}}", &image.0])).unwrap();
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["Labels"]["playgate.contract"], "1");
    assert_eq!(
        config["Entrypoint"],
        serde_json::json!(["/usr/bin/tini", "--", "/usr/local/bin/playgate", "runner", "--"])
    );
    assert_eq!(config["Cmd"], serde_json::json!(["/opt/game/start.sh"]));

    let run =
        |words: &[&str]| engine(&[&["run", "--rm", "--network", "none", "--entrypoint"], words].concat());
    assert_eq!(run(&["/opt/game/start.sh", &image.0]), "a \"$HOME\" \\ b\na patch\n0");
    assert!(run(&["playgate", &image.0, "version"]).starts_with("playgate "), "the runner runs in it");
    let facts = "id -u; stat -c %u /home/player /save; wc -c </etc/machine-id; \
                 for program in Xvfb pulseaudio tini; do command -v $program; done";
    let facts = run(&["/bin/sh", &image.0, "-c", facts]);
    assert_eq!(facts, "1000\n1000\n1000\n33\n/usr/bin/Xvfb\n/usr/bin/pulseaudio\n/usr/bin/tini");
}

#[test]
fn a_build_that_fails_shows_the_end_of_its_output() {
    let (image, base) = (Image::named("failing"), games().runner);
    let line = "echo the-repair-says-this; exit 7";
    let words = ["build", "--base", &base, "--tag", &image.0, "--package", "tini", "--run", line, "--", "x"];
    let out = playgate(&words);
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("\n  the-repair-says-this") && text.contains('7'), "{text}");
}
