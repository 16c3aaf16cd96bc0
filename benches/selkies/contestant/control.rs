//! The bench's end of the program's socket.

use crate::Outcome;
use crate::program::scene::Scene;
use rustix::net::sockopt::socket_peercred;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(40);

/// Where the program of a contestant will report.
pub(super) struct Reception {
    listener: UnixListener,
    path: PathBuf,
}

impl Reception {
    pub(super) fn open(folder: &Path) -> Outcome<Self> {
        let path = folder.join("program.socket");
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the program.
    pub(super) async fn program(self) -> Outcome<Control> {
        let began = Instant::now();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Control::new(stream),
                Err(error) if began.elapsed() > PATIENCE => return Err(format!("no program: {error}").into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

/// The running program.
pub(crate) struct Control {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
    pub(crate) pid: u32,
}

impl Control {
    fn new(stream: UnixStream) -> Outcome<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let pid = u32::try_from(socket_peercred(&stream)?.pid.as_raw_nonzero().get())?;
        let answers = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, answers, pid })
    }

    pub(crate) fn show(&mut self, scene: Scene) -> Outcome<()> {
        self.ask(scene.name()).map(|_| ())
    }

    /// From now on a picture is drawn in so many requests.
    pub(crate) fn requests(&mut self, requests: u16) -> Outcome<()> {
        self.ask(&format!("requests {requests}")).map(|_| ())
    }

    /// Pictures drawn so far, modulo 2^16.
    pub(crate) fn drawn(&mut self) -> Outcome<u16> {
        self.ask("drawn")
    }

    fn ask(&mut self, line: &str) -> Outcome<u16> {
        writeln!(self.stream, "{line}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(answer.trim().parse().map_err(|_| format!("the program answers {answer:?} to {line:?}"))?)
    }
}
