//! Janus with its streaming plugin: a configuration of its own, driven by its HTTP API. All on loopback.

use super::child::Process;
use crate::load::{Outcome, PAYLOAD_TYPE};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MOUNTPOINT: u64 = 1;
const PATIENCE: Duration = Duration::from_secs(15);

/// A running Janus with one mountpoint and one session, a handle per viewer.
pub(crate) struct Janus {
    process: Process,
    pub(crate) ingest: SocketAddr,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    session: String,
    _folder: TempDir,
}

impl Janus {
    /// Starts it; tuned: two event loops and two threads that help the mountpoint.
    pub(crate) fn start(tuned: bool) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let ingest = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let api = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        configure(folder.path(), ingest.port(), api.port(), tuned)?;
        // Killed with us, where `setpriv` can say so.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "janus"]);
        if !crate::packages::has("setpriv") {
            command = Command::new("janus");
        }
        command.arg("--configs-folder").arg(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process::start(&mut command)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let root = format!("http://{api}/janus");
        let create = json!({ "janus": "create", "transaction": "create" });
        let started = Instant::now();
        let session = loop {
            match runtime.block_on(post(&http, &root, &create)) {
                Ok(reply) => break number(&reply, "/data/id")?,
                Err(error) if process.has_ended() || started.elapsed() > PATIENCE => {
                    return Err(format!("Janus does not start: {error}").into());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let session = format!("{root}/{session}");
        Ok(Self { process, ingest, runtime, http, session, _folder: folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// A new viewer's handle and Janus's offer to it.
    pub(crate) fn offer(&mut self) -> Outcome<(u64, String)> {
        let attach =
            json!({ "janus": "attach", "plugin": "janus.plugin.streaming", "transaction": "attach" });
        let handle = number(&self.post(&self.session, &attach)?, "/data/id")?;
        let body = json!({ "request": "watch", "id": MOUNTPOINT });
        let watch = json!({ "janus": "message", "transaction": "watch", "body": body });
        self.post(&format!("{}/{handle}", self.session), &watch)?;
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let events = self.runtime.block_on(events(&self.http, &self.session))?;
            for event in events.as_array().into_iter().flatten() {
                if event["sender"] != handle {
                    continue;
                }
                if let Some(sdp) = event["jsep"]["sdp"].as_str() {
                    return Ok((handle, sdp.to_owned()));
                }
                if let Some(error) = event["plugindata"]["data"]["error"].as_str() {
                    return Err(format!("Janus: {error}").into());
                }
            }
        }
        Err("Janus made no offer".into())
    }

    pub(crate) fn answer(&mut self, handle: u64, answer: String) -> Outcome<()> {
        let jsep = json!({ "type": "answer", "sdp": answer });
        let body = json!({ "request": "start" });
        let start = json!({ "janus": "message", "transaction": "start", "body": body, "jsep": jsep });
        self.post(&format!("{}/{handle}", self.session), &start)?;
        Ok(())
    }

    fn post(&self, url: &str, body: &Value) -> Outcome<Value> {
        let reply = self.runtime.block_on(post(&self.http, url, body))?;
        if reply["janus"] == "error" {
            return Err(format!("Janus: {}", reply["error"]).into());
        }
        Ok(reply)
    }
}

async fn post(http: &reqwest::Client, url: &str, body: &Value) -> Result<Value, reqwest::Error> {
    http.post(url).json(body).send().await?.json().await
}

async fn events(http: &reqwest::Client, session: &str) -> Result<Value, reqwest::Error> {
    http.get(format!("{session}?maxev=100")).send().await?.json().await
}

fn number(reply: &Value, pointer: &str) -> Outcome<u64> {
    let number = reply.pointer(pointer).and_then(Value::as_u64);
    number.ok_or_else(|| format!("Janus said {reply}").into())
}

fn configure(folder: &Path, ingest: u16, api: u16, tuned: bool) -> Outcome<()> {
    let plugins = folder.join("plugins");
    let transports = folder.join("transports");
    // Only what is used: the rest would be started with it.
    for (own, kind, module) in [(&plugins, "plugins", "streaming"), (&transports, "transports", "http")] {
        std::fs::create_dir(own)?;
        let name = format!("libjanus_{module}.so");
        std::os::unix::fs::symlink(modules()?.join(kind).join(&name), own.join(&name))?;
    }
    let none = folder.join("none");
    std::fs::create_dir(&none)?;
    let loops = if tuned { "event_loops = 2" } else { "" };
    let threads = if tuned { "threads = 2" } else { "" };
    let main = format!(
        r#"general: {{
  configs_folder = "{folder}"
  plugins_folder = "{plugins}"
  transports_folder = "{transports}"
  events_folder = "{none}"
  loggers_folder = "{none}"
  debug_level = 2
  session_timeout = 0
  {loops}
}}
nat: {{
  ice_lite = false
}}
media: {{
  ipv6 = false
}}
"#,
        folder = folder.display(),
        plugins = plugins.display(),
        transports = transports.display(),
        none = none.display(),
    );
    let http = format!(
        r#"general: {{
  json = "compact"
  base_path = "/janus"
  http = true
  port = {api}
  ip = "127.0.0.1"
  https = false
}}
admin: {{
  admin_http = false
  admin_https = false
}}
"#
    );
    let streaming = format!(
        r#"bench: {{
  type = "rtp"
  id = {MOUNTPOINT}
  {threads}
  media = (
    {{
      type = "video"
      mid = "v"
      port = {ingest}
      iface = "127.0.0.1"
      pt = {PAYLOAD_TYPE}
      codec = "h264"
      fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    }}
  )
}}
"#
    );
    std::fs::write(folder.join("janus.jcfg"), main)?;
    std::fs::write(folder.join("janus.transport.http.jcfg"), http)?;
    std::fs::write(folder.join("janus.plugin.streaming.jcfg"), streaming)?;
    Ok(())
}

/// Where Debian keeps Janus's modules.
fn modules() -> Outcome<PathBuf> {
    for folder in std::fs::read_dir("/usr/lib")? {
        let janus = folder?.path().join("janus");
        if janus.join("plugins").is_dir() {
            return Ok(janus);
        }
    }
    Err("Janus's modules are not under /usr/lib".into())
}
