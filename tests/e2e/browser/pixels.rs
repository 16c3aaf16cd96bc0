//! Every pixel of the picture is the game's: what takes clicks stands beside it, and the menu opens on purpose only.

use crate::GARDEN;
use crate::support::chrome::{Chrome, Options, PICTURE_PLACE};
use crate::support::engine::{Engine, games, image_game};
use crate::support::gateway::Gateway;
use crate::support::page::Page;
use crate::support::wait::{PATIENT, SOON, eventually};
use serde_json::{Value, json};
use thirtyfour::Key;

/// Points along each edge of the picture, corners included.
const POINTS: i64 = 10;

/// What takes the clicks at points of the picture, along its edges and across it, where that is not the stage.
const COVERED: &str = r"
    const video = document.querySelector('#video');
    const box = video.getBoundingClientRect();
    const scale = Math.min(box.width / video.videoWidth, box.height / video.videoHeight);
    const [width, height] = [video.videoWidth * scale, video.videoHeight * scale];
    const [left, top] = [box.left + (box.width - width) / 2, box.top + (box.height - height) / 2];
    // From the first pixel of the page whose middle lies on the picture to the last.
    const along = (start, size, step) => {
        const [first, last] = [Math.ceil(start - 0.5), Math.ceil(start + size - 0.5) - 1];
        return Math.round(first + (last - first) * step / 24);
    };
    const covered = new Set();
    for (let i = 0; i <= 24; i += 1) {
        for (let j = 0; j <= 24; j += 1) {
            const at = [along(left, width, i), along(top, height, j)];
            const hit = document.elementFromPoint(...at);
            if (hit?.closest('#stage') === null) covered.add(`${hit.tagName}#${hit.id} at ${at}`);
        }
    }
    return [...covered];
";

/// Nothing but the stage takes clicks on the picture, wherever the mouse is. Not for the on-screen pad.
pub(super) async fn owns_its_pixels(page: &Chrome) {
    // As people do who look for a menu.
    page.move_mouse(300, 12).await;
    eventually("the picture is the game's alone", SOON, async || {
        let covered = page.run(COVERED).await?;
        if covered == json!([]) { Ok(()) } else { Err(covered.to_string()) }
    })
    .await;
}

/// A side of the picture in the page: where it begins, and how many pixels of the page are one of the game.
#[derive(Debug, Clone, Copy)]
struct Side {
    start: f64,
    scale: f64,
    size: f64,
}

impl Side {
    /// Pixels of the page along it, from the first to the last whose middle lies on the picture.
    fn points(self) -> Vec<i64> {
        let first = (self.start - 0.5).ceil();
        let last = (self.start + self.size * self.scale - 0.5).ceil() - 1.0;
        (0..POINTS)
            .map(|i| (first + (last - first) * i as f64 / (POINTS - 1) as f64).round() as i64)
            .collect()
    }

    /// The game's pixel below the middle of one of the page's.
    fn pixel(self, at: i64) -> i64 {
        ((at as f64 + 0.5 - self.start) / self.scale).floor() as i64
    }
}

/// Where the picture of 1280x720 is now.
async fn sides(page: &Chrome) -> (Side, Side) {
    let place = page.run(PICTURE_PLACE).await.unwrap();
    let number = |name: &str| place[name].as_f64().unwrap();
    let scale = number("scale");
    (Side { start: number("left"), scale, size: 1280.0 }, Side { start: number("top"), scale, size: 720.0 })
}

/// Places of the page, clockwise around the picture from its top left corner, and the game's pixels there.
fn around((across, down): (Side, Side)) -> Vec<((i64, i64), (i64, i64))> {
    let (xs, ys) = (across.points(), down.points());
    let (left, right, top, bottom) = (xs[0], xs[xs.len() - 1], ys[0], ys[ys.len() - 1]);
    let mut places: Vec<(i64, i64)> = Vec::new();
    places.extend(xs.iter().map(|x| (*x, top)));
    places.extend(ys.iter().skip(1).map(|y| (right, *y)));
    places.extend(xs.iter().rev().skip(1).map(|x| (*x, bottom)));
    places.extend(ys.iter().rev().skip(1).take(ys.len() - 2).map(|y| (left, *y)));
    places.into_iter().map(|(x, y)| ((x, y), (across.pixel(x), down.pixel(y)))).collect()
}

/// Where the program in the container was told of presses and of releases, on the whole screen.
async fn events(engine: &Engine, container: &str) -> (Vec<(i64, i64)>, Vec<(i64, i64)>) {
    let said = engine.ask(container, "cat /home/player/events").await;
    let (mut presses, mut releases, mut pressed) = (Vec::new(), Vec::new(), None);
    for line in said.lines() {
        if line.starts_with("Button") {
            pressed = Some(line.starts_with("ButtonPress"));
        }
        let place = line.split_once("root:(").and_then(|(_, rest)| rest.split_once(')'));
        let place = place.and_then(|(place, _)| place.split_once(','));
        let place = place.and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
        match (pressed, place) {
            (Some(true), Some(place)) => presses.push(place),
            (Some(false), Some(place)) => releases.push(place),
            (Some(_) | None, _) => {}
        }
    }
    (presses, releases)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_edge_of_a_container_games_picture_reaches_the_program_and_no_click_ends_the_session() {
    let engine = Engine::connect().await;
    let more = "pointer = \"absolute\"\nwidth = 1280\nheight = 720\nfps = 30";
    let gateway = engine.gateway(&image_game("clicks", &games().clicks, more)).await;
    let player = gateway.guest().await;
    let page = Chrome::start().await;
    page.sign_in(&player.sign_in_link()).await;
    page.play_until_picture(&gateway.url, "clicks").await;
    let session = player.sessions().await.remove(0);
    let container = engine.container(&session).await;
    eventually("the game's window is there", PATIENT, async || {
        if page.picture().await?.shows_something() { Ok(()) } else { Err("one gray".to_owned()) }
    })
    .await;

    let mut wanted = Vec::new();
    // Bars left and right, bars above and below, and a picture that is not made smaller.
    for (width, height) in [(1280, 800), (1600, 700), (900, 1000), (1400, 1000)] {
        page.resize(width, height).await;
        owns_its_pixels(&page).await;
        let places = around(sides(&page).await);
        assert_eq!(places.len(), 36, "ten along each edge");
        page.click_all(&places.iter().map(|(place, _)| *place).collect::<Vec<_>>()).await;
        let before = wanted.len();
        wanted.extend(places.into_iter().map(|(_, pixel)| pixel));
        let (presses, releases) = eventually("every click has reached the program", SOON, async || {
            let (presses, releases) = events(&engine, &container).await;
            if releases.len() >= wanted.len() {
                return Ok((presses, releases));
            }
            Err(format!("{} of {} at {width}x{height}: {presses:?}", releases.len(), wanted.len()))
        })
        .await;
        for ((press, release), wanted) in presses.iter().zip(&releases).zip(&wanted).skip(before) {
            assert_eq!(press, release, "press and release at {width}x{height}");
            let ((x, y), (right_x, right_y)) = (*press, *wanted);
            // Rounding on the way, where a pixel of the page is not a pixel of the game.
            let off = (x - right_x).abs().max((y - right_y).abs());
            let allowed = i64::from(sides(&page).await.0.scale != 1.0);
            assert!(off <= allowed, "({x}, {y}) instead of ({right_x}, {right_y}) at {width}x{height}");
        }
    }
    let corners = [(0, 0), (1279, 0), (1279, 719), (0, 719)];
    assert!(corners.iter().all(|corner| wanted.contains(corner)), "the corners were clicked");

    page.click_all(&[around(sides(&page).await)[9].0; 3]).await;
    assert_eq!(page.state().await.unwrap(), "playing", "a click in the top right corner ends nothing");
    assert!(!page.shows("dialog").await.unwrap(), "and asks nothing");
    assert_eq!(player.status(&session).await["status"], "running");
    page.screenshot("clicks").await;
    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}

async fn menu_is(page: &Chrome, open: bool) {
    eventually(&format!("the menu is {}", if open { "open" } else { "closed" }), SOON, async || {
        if page.menu_is_open().await? == open { Ok(()) } else { Err("it is not".to_owned()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_menu_opens_on_purpose_and_ending_asks_first() {
    let gateway = Gateway::with_toml("runner.marker = false").await;
    let page = Chrome::with(Options { width: 1000, height: 700, ..Default::default() }).await;
    page.play_until_picture(&gateway.url, GARDEN).await;
    let said = page.run("return document.querySelector('#toast.shown')?.textContent ?? null").await.unwrap();
    assert!(
        said.as_str().is_some_and(|said| said.contains("Esc")),
        "the shortcut is shown at first play: {said}"
    );
    let title = page.settled_picture().await;
    owns_its_pixels(&page).await;
    menu_is(&page, false).await;

    // Opened and closed by the handle, by the keyboard, and by a click back into the game, which gets that click.
    page.click("#handle").await;
    menu_is(&page, true).await;
    page.screenshot("menu-open").await;
    page.click("#handle").await;
    menu_is(&page, false).await;
    page.keys(Key::Escape).await;
    menu_is(&page, true).await;
    page.keys(Key::Escape).await;
    menu_is(&page, false).await;
    for open in [true, false, true] {
        page.with_ctrl_alt('m').await;
        menu_is(&page, open).await;
    }
    assert!(page.picture().await.unwrap().changed(&title) < 0.01, "the game got none of that");
    page.click_picture(250.0, 448.0).await;
    menu_is(&page, false).await;
    page.until_changed(&title).await;

    // Enter, Escape, a click beside and two quick clicks mean that the game goes on.
    for refusal in [Key::Enter, Key::Escape] {
        page.press_in_menu("#stop").await;
        page.until_shows_element("#confirm").await;
        let focus = page.run("return document.activeElement.textContent").await;
        assert_eq!(focus, Ok(json!("Keep playing")));
        page.keys(refusal).await;
        eventually("the question is gone", SOON, async || {
            if page.shows("#confirm").await? { Err("it stands".to_owned()) } else { Ok(()) }
        })
        .await;
    }
    page.open_menu().await;
    let stop = page.run("const r = document.querySelector('#stop').getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]");
    let stop = stop.await.unwrap();
    let stop = [&stop[0], &stop[1]].map(|at: &Value| at.as_f64().unwrap().round() as i64);
    page.click_all(&[(stop[0], stop[1]); 2]).await;
    assert_eq!(page.state().await.unwrap(), "playing");

    // In full screen the picture gives nothing away either.
    if page.shows("#confirm").await.unwrap() {
        page.click("#confirm-no").await;
    }
    page.press_in_menu("#fullscreen").await;
    eventually("the theatre fills the screen", SOON, async || {
        let full = page.run("return document.fullscreenElement?.id ?? null").await?;
        if full == "theatre" { Ok(()) } else { Err(full.to_string()) }
    })
    .await;
    page.click_picture(640.0, 300.0).await;
    owns_its_pixels(&page).await;
    page.screenshot("full-screen").await;
    page.with_ctrl_alt('m').await;
    menu_is(&page, true).await;
    page.click("#stop").await;
    page.until_shows_element("#confirm").await;
    page.screenshot("end-game-full-screen").await;
    page.click("#confirm-yes").await;
    page.until_state("ended").await;
    page.quit().await;
    gateway.finish().await;
}
