//! Chromium by Debian's ChromeDriver, with a profile of its own.
//!
//! The autoplay policy is never relaxed and no media flag is set: what plays here plays for people.

use super::artifacts;
use super::bypass;
use super::line::Far;
use super::page::Page;
use super::wait::{PATIENT, eventually};
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{ChromiumLikeCapabilities, TypingData};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const FLAGS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// What pages may keep, as people set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookies {
    Kept,
    /// None of third parties: as browsers come to do by themselves.
    OfOneParty,
    /// None, and no storage.
    Forbidden,
}

/// How the browser is started.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// A host name taken for this machine, as `--host-resolver-rules` does it.
    pub(crate) host: Option<&'static str>,
    /// For a gateway with a certificate of its own making.
    pub(crate) any_certificate: bool,
    pub(crate) dark: bool,
    /// Touch screen and a phone's pixels.
    pub(crate) phone: bool,
    pub(crate) cookies: Cookies,
    /// On the far side of a line; absent: beside the test.
    pub(crate) far: Option<Far>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 800,
            host: None,
            any_certificate: false,
            dark: false,
            phone: false,
            cookies: Cookies::Kept,
            far: None,
        }
    }
}

/// A running browser with one tab.
pub(crate) struct Chrome {
    driver: WebDriver,
    // Ended after the session, then the profile goes.
    _service: Child,
    _profile: TempDir,
}

impl Chrome {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let profile = TempDir::new().unwrap();
        let (service, port) = chromedriver(options.far.as_ref()).await;
        let mut capabilities = DesiredCapabilities::chrome();
        for flag in FLAGS {
            capabilities.add_arg(flag).unwrap();
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        capabilities.add_arg(&format!("--window-size={},{}", options.width, options.height)).unwrap();
        if let Some(host) = options.host {
            capabilities.add_arg(&format!("--host-resolver-rules=MAP {host} 127.0.0.1")).unwrap();
        }
        if options.any_certificate {
            capabilities.add_arg("--ignore-certificate-errors").unwrap();
        }
        let wishes = match options.cookies {
            Cookies::Kept => None,
            Cookies::OfOneParty => Some(serde_json::json!({
                "profile.cookie_controls_mode": 1, "profile.block_third_party_cookies": true,
            })),
            Cookies::Forbidden => {
                Some(serde_json::json!({ "profile.default_content_setting_values.cookies": 2 }))
            }
        };
        if let Some(wishes) = wishes {
            capabilities.add_experimental_option("prefs", wishes).unwrap();
        }
        let driver =
            WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await.expect("Chromium starts");
        let chrome = Self { driver, _service: service, _profile: profile };
        if options.dark {
            let features = serde_json::json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
            chrome.devtools("Emulation.setEmulatedMedia", serde_json::json!({ "features": features })).await;
        }
        if options.phone {
            let metrics = serde_json::json!({
                "width": options.width, "height": options.height, "deviceScaleFactor": 2, "mobile": true,
            });
            chrome.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
            let touch = serde_json::json!({ "enabled": true, "maxTouchPoints": 5 });
            chrome.devtools("Emulation.setTouchEmulationEnabled", touch).await;
        }
        chrome
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        self.driver
            .cdp()
            .send_raw(command, parameters)
            .await
            .expect("ChromeDriver passes DevTools commands on");
    }

    /// Runs a script in every page before the page's own.
    pub(crate) async fn before_pages(&self, script: &str) {
        let source = serde_json::json!({ "source": script });
        self.devtools("Page.addScriptToEvaluateOnNewDocument", source).await;
    }

    /// Types keys at whatever has the focus.
    pub(crate) async fn keys(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.expect("keys can be typed");
    }

    /// Presses a key while Ctrl and Alt are held.
    pub(crate) async fn with_ctrl_alt(&self, key: char) {
        let chain = self.driver.action_chain().key_down(Key::Control).key_down(Key::Alt);
        let chain = chain.key_down(key).key_up(key).key_up(Key::Alt).key_up(Key::Control);
        chain.perform().await.expect("keys can be typed");
    }

    /// A click at a place of the game's picture, in pixels of its 1280x720.
    pub(crate) async fn click_picture(&self, x: f64, y: f64) {
        let place = self.run(PICTURE_PLACE).await.unwrap();
        let (left, top, scale) = (&place["left"], &place["top"], &place["scale"]);
        let at = |start: &Value, offset: f64| {
            (start.as_f64().unwrap() + offset * scale.as_f64().unwrap()).round() as i64
        };
        let chain = self.driver.action_chain().move_to(at(left, x), at(top, y));
        chain.click().perform().await.expect("the picture can be clicked");
    }

    /// Real clicks at places of the page, one after the other.
    pub(crate) async fn click_all(&self, places: &[(i64, i64)]) {
        let quick = Some(Duration::from_millis(20));
        let mut chain = self.driver.action_chain_with_delay(None, quick);
        for (x, y) in places {
            chain = chain.move_to(*x, *y).click();
        }
        chain.perform().await.expect("the page can be clicked");
    }

    /// Gives the window another size, and the page the time to take it.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        self.driver.set_window_rect(0, 0, width, height).await.expect("the window can be resized");
        let painted = "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))); return null";
        self.run(painted).await.unwrap();
    }

    /// From here on the page is the one inside a frame, which an expression names.
    pub(crate) async fn enter(&self, frame: &str) {
        self.leave().await;
        eventually(&format!("{frame} can be entered"), PATIENT, async || {
            let found = self.driver.execute(format!("return {frame}"), Vec::new()).await;
            let element = found.and_then(thirtyfour::session::scriptret::ScriptRet::element);
            let element = element.map_err(|error| error.to_string())?;
            element.enter_frame().await.map_err(|error| error.to_string())
        })
        .await;
    }

    /// From here on it is the whole page again.
    pub(crate) async fn leave(&self) {
        self.driver.enter_default_frame().await.expect("there is a page around");
    }

    pub(crate) async fn quit(self) {
        let _ = self.driver.quit().await;
    }
}

/// Where the picture stands in the page: it keeps its shape inside the video element.
pub(crate) const PICTURE_PLACE: &str = r"
    const video = document.querySelector('#video');
    const box = video.getBoundingClientRect();
    const scale = Math.min(box.width / 1280, box.height / 720);
    return { left: box.left + (box.width - 1280 * scale) / 2, top: box.top + (box.height - 720 * scale) / 2, scale };
";

impl Page for Chrome {
    async fn run(&self, body: &str) -> Result<Value, String> {
        let script = format!("return (async () => {{ {body} }})()");
        let value = self.driver.execute(script, Vec::new()).await.map_err(|error| error.to_string())?;
        Ok(value.json().clone())
    }

    async fn open(&self, url: &str) {
        self.driver.goto(url).await.expect("the page opens");
    }

    async fn click(&self, css: &str) {
        eventually(&format!("{css} can be clicked"), PATIENT, async || {
            let element = self.driver.find(By::Css(css)).await.map_err(|error| error.to_string())?;
            element.click().await.map_err(|error| error.to_string())
        })
        .await;
    }

    async fn move_mouse(&self, x: i64, y: i64) {
        self.driver.action_chain().move_to(x, y).perform().await.expect("the mouse can be moved");
    }

    async fn screenshot(&self, name: &str) {
        let file = artifacts::path(&format!("{name}.png"));
        self.driver.screenshot(&file).await.expect("the page can be pictured");
    }
}

/// ChromeDriver, and the port it can be reached at from here.
async fn chromedriver(far: Option<&Far>) -> (Child, u16) {
    let program = "chromedriver";
    let mut command = far.map_or_else(|| Command::new(program), |far| far.command(program).into());
    let mut child = command
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver is installed (bash tests/run does it)");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let started = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let port = line.strip_prefix("ChromeDriver was started successfully on port ");
            if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
                return Some(port);
            }
        }
        None
    };
    let port =
        tokio::time::timeout(PATIENT, started).await.ok().flatten().expect("chromedriver says its port");
    // Its later words are of no interest, but the pipe must not fill.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    match far {
        Some(far) => (child, bypass::to_far(far, port).await),
        None => (child, port),
    }
}
