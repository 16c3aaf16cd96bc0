//! Firefox ESR by WebDriver BiDi, which it speaks itself: no driver in between.

use super::artifacts;
use super::page::Page;
use super::wait::{PATIENT, eventually};
use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const LISTENING: &str = "WebDriver BiDi listening on ";

/// Quiet start; nothing that concerns media is changed.
const PREFERENCES: &str = r#"
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.aboutwelcome.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("toolkit.telemetry.enabled", false);
user_pref("app.update.enabled", false);
user_pref("remote.active-protocols", 1);
"#;

/// A running browser with one tab.
pub(crate) struct Firefox {
    connection: Mutex<Connection>,
    context: String,
    _child: Child,
    _profile: TempDir,
}

struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next: u64,
}

impl Firefox {
    pub(crate) async fn start() -> Self {
        let profile = TempDir::new().unwrap();
        std::fs::write(profile.path().join("user.js"), PREFERENCES).unwrap();
        let mut child = Command::new("firefox-esr")
            .args(["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile"])
            .arg(profile.path())
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("firefox-esr is installed (bash tests/run does it)");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(url) = line.strip_prefix(LISTENING) {
                    return Some(format!("{}/session", url.trim()));
                }
            }
            None
        };
        let url = tokio::time::timeout(PATIENT, listening)
            .await
            .ok()
            .flatten()
            .expect("Firefox says where it listens");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let (socket, _) = connect_async(url).await.expect("Firefox accepts a connection");
        let mut connection = Connection { socket, next: 0 };
        connection.call("session.new", json!({ "capabilities": {} })).await.expect("a session");
        let tree = connection.call("browsingContext.getTree", json!({})).await.expect("contexts");
        let context = tree["contexts"][0]["context"].as_str().expect("a tab").to_owned();
        Self { connection: Mutex::new(connection), context, _child: child, _profile: profile }
    }

    async fn call(&self, method: &str, mut parameters: Value) -> Result<Value, String> {
        parameters["context"] = self.context.clone().into();
        self.connection.lock().await.call(method, parameters).await
    }

    /// Ends the browser by its own command, so that it leaves nothing behind.
    pub(crate) async fn quit(self) {
        let _ = self.connection.lock().await.call("browser.close", json!({})).await;
    }
}

impl Connection {
    async fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        self.next += 1;
        let message = json!({ "id": self.next, "method": method, "params": params });
        self.socket.send(Message::text(message.to_string())).await.map_err(|error| error.to_string())?;
        let answer = async {
            while let Some(Ok(message)) = self.socket.next().await {
                let Ok(text) = message.into_text() else { continue };
                let Ok(answer) = serde_json::from_str::<Value>(&text) else { continue };
                if answer["id"] == self.next {
                    return if answer["type"] == "success" {
                        Ok(answer["result"].clone())
                    } else {
                        Err(answer.to_string())
                    };
                }
            }
            Err("the browser closed the connection".to_owned())
        };
        tokio::time::timeout(PATIENT, answer).await.map_err(|_| format!("{method}: no answer"))?
    }
}

impl Page for Firefox {
    async fn run(&self, body: &str) -> Result<Value, String> {
        // Values come back in BiDi's own notation: JSON text is simpler.
        let expression =
            format!("(async () => JSON.stringify((await (async () => {{ {body} }})()) ?? null))()");
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "target": { "context": self.context },
        });
        let result = self.connection.lock().await.call("script.evaluate", parameters).await?;
        if result["type"] != "success" {
            return Err(result["exceptionDetails"]["text"].to_string());
        }
        let text = result["result"]["value"].as_str().unwrap_or("null");
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    async fn open(&self, url: &str) {
        let parameters = json!({ "url": url, "wait": "complete" });
        self.call("browsingContext.navigate", parameters).await.expect("the page opens");
    }

    async fn click(&self, css: &str) {
        let centre = format!(
            "const e = document.querySelector({}); if (!e) return null; e.scrollIntoView({{ block: 'nearest' }}); \
             const r = e.getBoundingClientRect(); return r.width ? [r.x + r.width / 2, r.y + r.height / 2] : null",
            Value::from(css)
        );
        let at = eventually(&format!("{css} is there"), PATIENT, async || {
            let at = self.run(&centre).await?;
            let coordinate = |i: usize| at[i].as_f64().map(|value| value.round() as i64);
            coordinate(0).zip(coordinate(1)).ok_or_else(|| "it is not".to_owned())
        })
        .await;
        let actions = json!([{
            "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" },
            "actions": [
                { "type": "pointerMove", "x": at.0, "y": at.1 },
                { "type": "pointerDown", "button": 0 },
                { "type": "pointerUp", "button": 0 },
            ],
        }]);
        self.call("input.performActions", json!({ "actions": actions }))
            .await
            .expect("the mouse can be used");
    }

    async fn screenshot(&self, name: &str) {
        let shot = self
            .call("browsingContext.captureScreenshot", json!({}))
            .await
            .expect("the page can be pictured");
        let data = base64::engine::general_purpose::STANDARD
            .decode(shot["data"].as_str().unwrap_or_default())
            .unwrap();
        std::fs::write(artifacts::path(&format!("{name}.png")), data).unwrap();
    }
}
