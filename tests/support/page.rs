//! Playgate's pages as a test sees them, in whatever browser.
//!
//! The hooks are stable: `data-state` on the root element (`idle, launching, connecting, playing, reconnecting, ended,
//! failed`), `window.playgate.stats()`, the ids `play stage video stop invite stats status error`, and `data-slot`.

use super::gray::{Gray, SAMPLE};
use super::wait::{PATIENT, SOON, eventually};
use serde_json::Value;
use std::time::Duration;

/// On a phone that is held upright the bar has a place of its own. One that comes or goes is not where it will be.
const MENU_IS_OPEN: &str = r"
    const [theatre, bar] = ['#theatre', '#bar'].map(id => document.querySelector(id));
    const stays = matchMedia('(pointer: coarse) and (orientation: portrait)').matches;
    return !!bar && (stays || !theatre.classList.contains('bar-away')) && bar.getAnimations().length === 0;
";

/// A browser's tab.
pub(crate) trait Page {
    /// Runs the body of a function (it may `return` a promise) and gives its value.
    async fn run(&self, body: &str) -> Result<Value, String>;
    async fn open(&self, url: &str);
    /// A real click in the middle of the first element that matches.
    async fn click(&self, css: &str);
    /// Moves the mouse over the page, where there is one.
    async fn move_mouse(&self, _x: i64, _y: i64) {}
    /// A picture of the page in `tests/artifacts/`.
    async fn screenshot(&self, name: &str);

    async fn state(&self) -> Result<String, String> {
        let state = self.run("return document.documentElement.dataset.state || ''").await?;
        Ok(state.as_str().unwrap_or_default().to_owned())
    }

    async fn until_state(&self, wanted: &str) {
        eventually(&format!("the page is {wanted}"), PATIENT, async || {
            let state = self.state().await?;
            if state == wanted {
                return Ok(());
            }
            let said = self.run("return [location.href, document.body.innerText]");
            Err(format!("it is {state:?} and says {}", said.await?))
        })
        .await;
    }

    /// `window.playgate.stats()`; `null` before there are any.
    async fn stats(&self) -> Result<Value, String> {
        self.run("return Promise.resolve(window.playgate?.stats?.() ?? null)").await
    }

    async fn number(&self, key: &str) -> Result<f64, String> {
        Ok(self.stats().await?[key].as_f64().unwrap_or_default())
    }

    /// Waits until a figure of the statistics is above a value; gives the figure.
    async fn until_above(&self, key: &str, value: f64) -> f64 {
        eventually(&format!("{key} is above {value}"), PATIENT, async || {
            let stats = self.stats().await?;
            let seen = stats[key].as_f64().unwrap_or_default();
            if seen > value { Ok(seen) } else { Err(format!("{stats}")) }
        })
        .await
    }

    /// What the video shows now.
    async fn picture(&self) -> Result<Gray, String> {
        Gray::from_sample(&self.run(SAMPLE).await?).ok_or_else(|| "the video has no picture yet".to_owned())
    }

    /// Waits for a picture that shows something and stands still: text has revealed itself. One letter is a few pixels, so
    /// not one may change.
    async fn settled_picture(&self) -> Gray {
        let mut last: Option<(Gray, u32)> = None;
        eventually("the picture stands still", PATIENT, async || {
            let picture = self.picture().await?;
            let still = match &last {
                Some((before, looks)) if picture.shows_something() && picture.changed(before) <= 0.0 => {
                    looks + 1
                }
                Some(_) | None => 0,
            };
            // About a second at 50 ms a look and the time each takes.
            let result = if still >= 12 { Ok(picture.clone()) } else { Err("it still moves".to_owned()) };
            last = Some((picture, still));
            result
        })
        .await
    }

    /// Waits until the video shows something clearly else than `before`.
    async fn until_changed(&self, before: &Gray) -> Gray {
        eventually("the picture changes", SOON, async || {
            let picture = self.picture().await?;
            let changed = picture.changed(before);
            if changed > 0.01 {
                return Ok(picture);
            }
            Err(format!("{changed:.3} of it changed; {}", self.stats().await?))
        })
        .await
    }

    /// Waits until the video shows `wanted` again.
    async fn until_shows(&self, wanted: &Gray, within: Duration) {
        eventually("the picture is the expected one", within, async || {
            let changed = self.picture().await?.changed(wanted);
            if changed < 0.02 { Ok(()) } else { Err(format!("{changed:.3} of it is something else")) }
        })
        .await;
    }

    /// True when an element is there and visible.
    async fn shows(&self, css: &str) -> Result<bool, String> {
        let body = format!(
            "const e = document.querySelector({}); return !!e && e.getClientRects().length > 0",
            Value::from(css)
        );
        Ok(self.run(&body).await?.as_bool().unwrap_or_default())
    }

    async fn until_shows_element(&self, css: &str) {
        eventually(&format!("{css} is shown"), PATIENT, async || {
            if self.shows(css).await? { Ok(()) } else { Err("it is not".to_owned()) }
        })
        .await;
    }

    /// Turns the token of a sign-in link into the page's cookie.
    async fn sign_in(&self, link: &str) {
        self.open(link).await;
        eventually("the token has become a cookie", PATIENT, async || {
            let body = "return fetch('/api/auth/session').then(answer => answer.json())";
            let session = self.run(body).await?;
            if session["user"]["id"].is_string() {
                return Ok(());
            }
            Err(format!("{session}; the page says {}", self.run("return document.body.innerText").await?))
        })
        .await;
    }

    /// Opens a game's page and presses Play.
    async fn play(&self, base: &str, game: &str) {
        self.open(&format!("{base}/play/{game}")).await;
        self.until_state("idle").await;
        self.until_shows_element("#play").await;
        self.click("#play").await;
    }

    /// Opens a game's page, presses Play and waits until frames are decoded.
    async fn play_until_picture(&self, base: &str, game: &str) {
        self.play(base, game).await;
        self.until_state("playing").await;
        self.until_above("framesDecoded", 0.0).await;
    }

    /// Opens the player's menu, where it is closed.
    async fn open_menu(&self) {
        // A caught pointer reaches none of the page's own buttons.
        self.run("document.exitPointerLock?.(); return null").await.expect("the pointer is free");
        if !self.menu_is_open().await.expect("the page answers") {
            self.click("#handle").await;
        }
        eventually("the menu is open", SOON, async || {
            if self.menu_is_open().await? { Ok(()) } else { Err("it is closed".to_owned()) }
        })
        .await;
    }

    async fn menu_is_open(&self) -> Result<bool, String> {
        Ok(self.run(MENU_IS_OPEN).await?.as_bool().unwrap_or_default())
    }

    /// Presses a button of the player's menu.
    async fn press_in_menu(&self, button: &str) {
        self.open_menu().await;
        self.click(button).await;
    }

    /// Waits until the page says that somebody asks to play, and opens the question.
    async fn open_request(&self) {
        eventually("somebody asks to play", PATIENT, async || {
            let asked = self.run("return document.querySelector('#handle.asked') !== null").await?;
            if asked == true { Ok(()) } else { Err("nobody does".to_owned()) }
        })
        .await;
        self.open_menu().await;
        // Where the menu was open before, it is one button further.
        if !self.shows("#control-panel").await.expect("the page answers") {
            self.click("#people").await;
        }
    }

    /// Ends the game by the menu, says so again when asked, and waits for the end.
    async fn stop(&self) {
        self.press_in_menu("#stop").await;
        self.click("#confirm-yes").await;
        self.until_state("ended").await;
    }
}
