//! A house with a real Xvfb and a real PulseAudio: what runs in it, how it ends, what it leaves behind.

use playgate::runner::RunnerError;
use playgate::runner::desktop::supervise::{House, HouseEvent, HouseSpec};
use playgate::runner::desktop::x;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

const SOON: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

fn spec(directory: &Path, script: &str) -> HouseSpec {
    HouseSpec {
        command: vec!["/bin/sh".into(), "-c".into(), script.into()],
        width: 320,
        height: 200,
        runtime_dir: directory.join("run"),
        home: directory.to_owned(),
    }
}

async fn open(script: &str) -> (House, TempDir) {
    let directory = tempfile::tempdir().expect("directory");
    let house = House::open(spec(directory.path(), script)).await.expect("opens");
    (house, directory)
}

async fn event(house: &mut House) -> HouseEvent {
    timeout(SOON, house.events.recv()).await.expect("in time").expect("there is a house")
}

/// Waits until the file is there and has a line.
async fn line(path: &Path) -> String {
    let deadline = Instant::now() + SOON;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') {
            return text.trim().to_owned();
        }
        assert!(Instant::now() < deadline, "{} stays empty", path.display());
        tokio::time::sleep(LOOK).await;
    }
}

/// Living processes whose command line or environment names the text.
fn processes(text: &str) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").expect("proc").flatten();
    entries
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let read = |name| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let names = String::from_utf8_lossy(&read("cmdline")).contains(text)
                || String::from_utf8_lossy(&read("environ")).contains(text);
            // Of a zombie neither can be read.
            names.then_some(pid)
        })
        .collect()
}

/// Processes of this program, helpers included.
fn named(program: &str, text: &str) -> Vec<Pid> {
    let is = |pid: &Pid| {
        let path = format!("/proc/{}/comm", pid.as_raw_nonzero());
        std::fs::read_to_string(path).is_ok_and(|name| name.trim() == program)
    };
    processes(text).into_iter().filter(is).collect()
}

async fn nothing_is_left_of(house: &str, display: &str) {
    let deadline = Instant::now() + SOON;
    while !processes(house).is_empty() {
        assert!(Instant::now() < deadline, "{:?} are left", processes(house));
        tokio::time::sleep(LOOK).await;
    }
    let socket = format!("/tmp/.X11-unix/X{}", display.trim_start_matches(':'));
    assert!(!Path::new(&socket).exists(), "{socket} is left");
}

#[tokio::test]
async fn the_screen_has_its_size_and_nobody_gets_in_without_the_cookie() {
    use x11rb::connection::Connection;
    let (house, _directory) = open("true").await;
    let (connection, screen) = x::connect(&house.display, Some(&house.authority)).expect("the cookie opens");
    let root = &connection.setup().roots[screen];
    assert_eq!((root.width_in_pixels, root.height_in_pixels, root.root_depth), (320, 200, 24));
    let other = tempfile::tempdir().expect("directory");
    let wrong = other.path().join("cookie");
    let mut cookie = std::fs::read(&house.authority).expect("readable");
    *cookie.last_mut().expect("bytes") ^= 1;
    std::fs::write(&wrong, cookie).expect("written");
    assert!(x::connect(&house.display, Some(&wrong)).is_err());
    drop(connection);
    let (display, run) = (house.display.clone(), house.authority.display().to_string());
    house.close().await;
    nothing_is_left_of(&run, &display).await;
}

#[tokio::test]
async fn the_game_finds_screen_and_sound_and_none_of_our_secrets() {
    let directory = tempfile::tempdir().expect("directory");
    let mut house =
        House::open(spec(directory.path(), "env > seen.new && mv seen.new seen")).await.expect("opens");
    house.start_game().await.expect("starts");
    assert!(house.start_game().await.is_err(), "once");
    assert_eq!(event(&mut house).await, HouseEvent::GameEnded { code: Some(0), signal: None });
    let seen = std::fs::read_to_string(directory.path().join("seen")).expect("written into its home");
    let value = |name: &str| {
        let line = seen.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} is missing")).to_owned()
    };
    assert_eq!(value("DISPLAY"), house.display);
    assert_eq!(value("XAUTHORITY"), house.authority.display().to_string());
    assert_eq!(value("PULSE_SERVER"), format!("unix:{}", house.sound_socket.display()));
    assert_eq!(value("SDL_AUDIODRIVER"), "pulse");
    assert_eq!(value("HOME"), directory.path().display().to_string());
    assert_eq!((value("PLAYGATE_WIDTH"), value("PLAYGATE_HEIGHT")), ("320".to_owned(), "200".to_owned()));
    let ours = ["WIDTH", "HEIGHT", "SAVE_DIR"].map(|name| format!("PLAYGATE_{name}="));
    let secret =
        seen.lines().find(|line| line.starts_with("PLAYGATE_") && !ours.iter().any(|o| line.starts_with(o)));
    assert_eq!(secret, None);
    house.close().await;
}

#[tokio::test]
async fn a_games_exit_code_and_signal_are_told_after_its_children_are_dead() {
    for (script, end) in [
        ("sleep 600 & exit 7", HouseEvent::GameEnded { code: Some(7), signal: None }),
        ("sleep 600 & kill -SEGV $$", HouseEvent::GameEnded { code: None, signal: Some(11) }),
    ] {
        let (mut house, _directory) = open(script).await;
        house.start_game().await.expect("starts");
        assert_eq!(event(&mut house).await, end);
        let run = house.authority.display().to_string();
        assert_eq!(named("sleep", &run), []);
        house.stop_game(SOON).await;
        house.close().await;
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().expect("directory");
    let mut spec = spec(directory.path(), "");
    spec.command = vec!["/nowhere/game".into()];
    let mut house = House::open(spec).await.expect("opens");
    let error = house.start_game().await.expect_err("there is no such program");
    assert!(matches!(error, RunnerError::Crashed { part: "game", .. }), "{error}");
    house.close().await;
}

#[tokio::test]
async fn a_launcher_that_dies_of_the_stop_leaves_its_game_the_time_to_save() {
    // The shell dies of SIGTERM at once; what it started takes its time and needs the screen meanwhile.
    let game = r#"trap 'sleep 0.3; test -S /tmp/.X11-unix/X${DISPLAY#:} && echo saved > save; exit 0' TERM
        echo $$ > begun; while :; do sleep 0.05; done"#;
    let (mut house, directory) = open(&format!("sh -c '{}' & wait", game.replace('\'', r"'\''"))).await;
    house.start_game().await.expect("starts");
    line(&directory.path().join("begun")).await;
    house.stop_game(SOON).await;
    assert_eq!(line(&directory.path().join("save")).await, "saved");
    house.stop_game(SOON).await;
    assert!(house.events.try_recv().is_err(), "a game that was stopped did not end by itself");
    let (display, run) = (house.display.clone(), house.authority.display().to_string());
    house.close().await;
    nothing_is_left_of(&run, &display).await;
}

#[tokio::test]
async fn a_game_that_does_not_listen_is_killed_after_its_grace() {
    let (mut house, directory) = open("trap '' TERM; echo $$ > begun; while :; do sleep 0.05; done").await;
    house.start_game().await.expect("starts");
    line(&directory.path().join("begun")).await;
    house.stop_game(Duration::from_millis(100)).await;
    assert_eq!(named("sh", &house.authority.display().to_string()), []);
    house.close().await;
}

#[tokio::test]
async fn without_its_screen_a_game_is_lost() {
    let (mut house, _directory) = open("sleep 600").await;
    house.start_game().await.expect("starts");
    let run = house.authority.display().to_string();
    let server = named("Xvfb", &run);
    assert_eq!(server.len(), 1);
    kill_process(server[0], Signal::KILL).expect("killed");
    let HouseEvent::Lost { part: "X server", message } = event(&mut house).await else {
        panic!("it is lost")
    };
    assert!(message.contains("signal: 9"), "{message}");
    let display = house.display.clone();
    house.close().await;
    nothing_is_left_of(&run, &display).await;
}

#[tokio::test]
async fn a_sound_server_that_dies_is_started_again_until_it_died_too_often() {
    let (mut house, directory) = open("true").await;
    let run = directory.path().display().to_string();
    for death in 1..=6 {
        let servers = named("pulseaudio", &run);
        assert_eq!(servers.len(), 1, "before death {death}");
        kill_process(servers[0], Signal::KILL).expect("killed");
        match event(&mut house).await {
            HouseEvent::Restarted("audio server") => assert!(death <= 5),
            HouseEvent::Lost { part: "audio server", message } => {
                assert!(death == 6 && message.contains("signal: 9"), "{message}");
            }
            event @ (HouseEvent::GameEnded { .. } | HouseEvent::Restarted(_) | HouseEvent::Lost { .. }) => {
                panic!("{event:?}")
            }
        }
    }
    house.close().await;
}

#[tokio::test]
async fn a_house_that_is_dropped_leaves_nothing_behind() {
    let (mut house, directory) = open("trap '' TERM; sleep 600 & echo $$ > begun; wait").await;
    house.start_game().await.expect("starts");
    line(&directory.path().join("begun")).await;
    let (display, run) = (house.display.clone(), house.authority.display().to_string());
    assert!(processes(&run).len() >= 3);
    drop(house);
    nothing_is_left_of(&run, &display).await;
    assert!(
        !directory.path().join("run/sound").exists() && !directory.path().join("run/Xauthority").exists()
    );
}

#[tokio::test]
async fn houses_stand_side_by_side() {
    let ((one, _a), (two, _b)) = tokio::join!(open("true"), open("true"));
    assert_ne!(one.display, two.display);
    one.close().await;
    x::connect(&two.display, Some(&two.authority)).expect("the other still answers");
    two.close().await;
}
