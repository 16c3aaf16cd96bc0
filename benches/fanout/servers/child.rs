//! A server's process: started afresh for a run, killed at the run's end, also when the run fails.

use crate::load::Outcome;
use crate::protocol::{Ask, Reply};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with its handle.
#[derive(Debug)]
pub(crate) struct Process(std::process::Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        Ok(Self(command.spawn().map_err(|error| format!("{:?}: {error}", command.get_program()))?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that speaks the bench's protocol.
#[derive(Debug)]
pub(crate) struct Speaker {
    process: Process,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Speaker {
    /// Starts it; gives where the source's packets go.
    pub(crate) fn start(command: &mut Command) -> Outcome<(Self, SocketAddr)> {
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let input = process.0.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(process.0.stdout.take().ok_or("no standard output")?);
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Ends with the process, or with the last one who reads.
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut speaker = Self { process, input, lines };
        let Reply::Ingest(ingest) = speaker.reply()? else {
            return Err("the server does not say where it listens".into());
        };
        Ok((speaker, ingest))
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn ask(&mut self, ask: &Ask) -> Outcome<Reply> {
        self.post(ask)?;
        self.reply()
    }

    /// Asks without waiting for the reply.
    pub(crate) fn post(&mut self, ask: &Ask) -> Outcome<()> {
        let mut line = serde_json::to_string(ask)?;
        line.push('\n');
        Ok(self.input.write_all(line.as_bytes())?)
    }

    /// The next reply, if there is one by then.
    pub(crate) fn reply_until(&mut self, until: Instant) -> Outcome<Option<Reply>> {
        let wait = until.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(wait) {
            Ok(line) => {
                let reply = serde_json::from_str(&line)?;
                if let Reply::Error(error) = reply {
                    return Err(error.into());
                }
                Ok(Some(reply))
            }
            Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err("the server has ended".into()),
        }
    }

    fn reply(&mut self) -> Outcome<Reply> {
        let line = self.lines.recv_timeout(PATIENCE).map_err(|_| "the server says nothing")?;
        let reply = serde_json::from_str(&line)?;
        if let Reply::Error(error) = reply {
            return Err(error.into());
        }
        Ok(reply)
    }
}
