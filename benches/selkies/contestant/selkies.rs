//! Selkies as its package starts it, in one of its modes, on an X server of its own: the stream as its defaults have it
//! (x264 by the frame), no sound, no login, the size fixed.

use super::control::Reception;
use super::{Control, KBPS, Kind, Tools};
use crate::Outcome;
use crate::program::{HEIGHT, RATE, WIDTH};
use crate::support::chrome::{self, Chrome};
use crate::support::line::{Far, Line};
use crate::support::page::Page;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

/// Its start takes seconds of a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Selkies {
    server: Owned,
    screen: Owned,
    _program: Owned,
    _home: TempDir,
}

/// A process that ends with its handle.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Selkies {
    pub(super) async fn start(
        kind: Kind,
        tools: &Tools,
        line: Option<&Line>,
    ) -> Outcome<(Self, Chrome, Control)> {
        let home = TempDir::new()?;
        let (screen, display) = screen()?;
        let reception = Reception::open(home.path())?;
        let program = Command::new(std::env::current_exe()?)
            .arg("program")
            .arg(reception.path())
            .env("DISPLAY", &display)
            .stdin(Stdio::null())
            .spawn()?;
        let program = Owned(program);
        let control = reception.program().await?;

        let near = line.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |line| IpAddr::V4(line.near().v4));
        let port = std::net::TcpListener::bind((near, 0))?.local_addr()?.port();
        let address = SocketAddr::new(near, port);
        // Its own half of WebRTC's signaling comes by loopback.
        let addresses = if line.is_some() { format!("127.0.0.1,{near}") } else { near.to_string() };
        let log = std::fs::File::create(home.path().join("log"))?;
        let mode = if kind == Kind::SelkiesWebrtc { "webrtc" } else { "websockets" };
        let server = Command::new(tools.selkies.as_ref().ok_or("no selkies")?)
            .args([&format!("--addr={addresses}"), &format!("--port={port}"), &format!("--mode={mode}")])
            .args(["--enable-basic-auth=false", "--audio-enabled=false", "--enable-dual-mode=false"])
            .args(["--encoder=h264enc", &format!("--framerate={RATE}"), &format!("--video-bitrate={KBPS}")])
            .args([
                "--manual-resolution=true",
                &format!("--manual-width={WIDTH}"),
                &format!("--manual-height={HEIGHT}"),
            ])
            // Nothing outside of this machine is asked.
            .args(["--stun-host=127.0.0.1", "--turn-host=", "--turn-shared-secret="])
            .env("DISPLAY", &display)
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let server = Owned(server);
        let explained = |error: Box<dyn std::error::Error>| {
            let log = std::fs::read_to_string(home.path().join("log")).unwrap_or_default();
            format!("{error}; the server says:\n{log}")
        };
        answers(address).await.map_err(explained)?;

        // What the browser may do at all depends on the page's address: it is `localhost` on the far side, too, and the
        // way from there to the server is the line.
        let (port, far) = match line {
            Some(line) => (over(line.far(), address)?, Some(line.far().clone())),
            None => (port, None),
        };
        let page = Chrome::with(chrome::Options { far, ..Default::default() }).await;
        page.before_pages(crate::judge::SCRIPT).await;
        page.open(&format!("http://localhost:{port}/")).await;
        until_picture(&page).await.map_err(explained)?;
        Ok((Self { server, screen, _program: program, _home: home }, page, control))
    }

    pub(super) fn roots(&self) -> Vec<u32> {
        vec![self.server.0.id(), self.screen.0.id()]
    }

    pub(super) async fn end(self) {
        drop(self.server);
    }
}

/// An X server, and its `DISPLAY`.
fn screen() -> Outcome<(Owned, String)> {
    let mut child = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", &format!("{WIDTH}x{HEIGHT}x24"), "-nolisten", "tcp", "-ac"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output")?;
    let screen = Owned(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let number: u32 = line.trim().parse().map_err(|_| "Xvfb does not start")?;
    Ok((screen, format!(":{number}")))
}

/// Over WebRTC the page has a button in its middle, because of the sound that might come: people click there.
async fn until_picture(page: &Chrome) -> Outcome<()> {
    let began = Instant::now();
    loop {
        let middle = page.run("return [innerWidth / 2, innerHeight / 2].map(Math.round)").await?;
        let (x, y) = serde_json::from_value(middle)?;
        page.click_all(&[(x, y)]).await;
        match crate::judge::until_picture(page, Duration::from_secs(3)).await {
            Err(error) if began.elapsed() > PATIENCE => return Err(error),
            Err(_) => {}
            Ok(()) => return Ok(()),
        }
    }
}

/// Waits until the server takes connections.
async fn answers(address: SocketAddr) -> Outcome<()> {
    let began = Instant::now();
    while let Err(error) = TcpStream::connect(address).await {
        if began.elapsed() > PATIENCE {
            return Err(format!("Selkies does not answer: {error}").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A port of the far side's loopback that leads over the line to an address of the near side.
fn over(far: &Far, address: SocketAddr) -> Outcome<u16> {
    let listener = far.enter(|| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let far = far.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let far = far.clone();
            tokio::spawn(async move {
                // A connection that the line is too bad for ends as the browser's own would.
                let connect = move || far.enter(|| std::net::TcpStream::connect(address));
                let Ok(Ok(server)) = tokio::task::spawn_blocking(connect).await else { return };
                let _ = server.set_nonblocking(true);
                let Ok(mut server) = TcpStream::from_std(server) else { return };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    Ok(port)
}
