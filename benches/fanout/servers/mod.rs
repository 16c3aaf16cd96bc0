//! The servers under test: how each is started, and how it gets its viewers.

mod child;
mod janus;
mod relay;
mod webrtc_crate;

use crate::load::Outcome;
use crate::packages::Tools;
use crate::protocol::{Ask, Reply};
use crate::receivers::Receivers;
use crate::viewer::Viewer;
use child::Speaker;
use clap::ValueEnum;
use janus::Janus;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::ops::Range;
use std::process::Command;
use std::time::Instant;

/// Handshakes under way at once.
const HANDSHAKES: usize = 32;

/// What is measured, in the order of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Floor,
    Relay,
    /// The same on two shards, which share the viewers of a session.
    RelayStriped,
    /// The relay of the commit that figures are compared with (`tests/baseline`), by that commit's own bench.
    Baseline,
    Webrtc,
    Pion,
    Janus,
    JanusTuned,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Floor,
        Self::Relay,
        Self::RelayStriped,
        Self::Baseline,
        Self::Webrtc,
        Self::Pion,
        Self::Janus,
        Self::JanusTuned,
    ];

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Relay => "this relay",
            Self::RelayStriped => "two shards",
            Self::Baseline => "baseline",
            Self::Webrtc => "webrtc crate",
            Self::Pion => "pion",
            Self::Janus => "Janus",
            Self::JanusTuned => "Janus tuned",
        }
    }
}

/// The child's side: runs a server of this binary until its input ends.
pub(crate) fn serve(kind: Kind) -> Outcome<()> {
    match kind {
        Kind::Floor => crate::floor::run(),
        Kind::Relay => relay::run(1),
        Kind::RelayStriped => relay::run(2),
        Kind::Webrtc => webrtc_crate::run(),
        Kind::Baseline | Kind::Pion | Kind::Janus | Kind::JanusTuned => {
            Err("not a server of this binary".into())
        }
    }
}

/// A running server; ends with its handle.
pub(crate) struct Server {
    handle: Handle,
    /// Where the source sends; the floor's is never used.
    pub(crate) ingests: Vec<SocketAddr>,
    kind: Kind,
}

enum Handle {
    /// Answers offers, or bursts.
    Speaker(Speaker),
    /// Offers.
    Janus(Janus),
}

impl Server {
    pub(crate) fn start(kind: Kind, tools: &Tools) -> Outcome<Self> {
        Self::start_with(kind, tools, None)
    }

    /// On one core only: a server that speaks the bench's protocol.
    pub(crate) fn start_on(kind: Kind, tools: &Tools, core: usize) -> Outcome<Self> {
        Self::start_with(kind, tools, Some(core))
    }

    fn start_with(kind: Kind, tools: &Tools, core: Option<usize>) -> Outcome<Self> {
        let mut command = match kind {
            Kind::Floor | Kind::Relay | Kind::RelayStriped | Kind::Webrtc => {
                let mut command = Command::new(std::env::current_exe()?);
                let name = kind.to_possible_value().ok_or("a kind without a name")?;
                command.args(["--serve", name.get_name()]);
                command
            }
            Kind::Baseline => {
                let bench = tools.baseline.as_ref().ok_or("the baseline is not built")?;
                let mut command = Command::new(bench);
                command.args(["--serve", "relay"]);
                command
            }
            Kind::Pion => Command::new(tools.pion.as_ref().ok_or("pion is not built")?),
            Kind::Janus | Kind::JanusTuned => {
                let janus = Janus::start(kind == Kind::JanusTuned)?;
                let ingests = vec![janus.ingest];
                return Ok(Self { handle: Handle::Janus(janus), ingests, kind });
            }
        };
        if let Some(core) = core {
            command = pinned(&command, core);
        }
        let (speaker, ingest) = Speaker::start(&mut command)?;
        Ok(Self { handle: Handle::Speaker(speaker), ingests: vec![ingest], kind })
    }

    pub(crate) fn id(&self) -> u32 {
        match &self.handle {
            Handle::Speaker(speaker) => speaker.id(),
            Handle::Janus(janus) => janus.id(),
        }
    }

    /// Connects viewers by their numbers; gives their addresses. `speak`: they tell the server what browsers tell.
    pub(crate) fn connect(
        &mut self,
        viewers: Range<usize>,
        speak: bool,
        receivers: &Receivers,
    ) -> Outcome<Vec<SocketAddr>> {
        let all = viewers.end;
        let mut addresses = Vec::with_capacity(viewers.len());
        for number in viewers {
            let viewer = match &mut self.handle {
                Handle::Speaker(speaker) => {
                    let (mut viewer, offer) = Viewer::offering(speak)?;
                    let Reply::Answer(answer) = speaker.ask(&Ask::Offer(offer))? else {
                        return Err("the server gave no answer".into());
                    };
                    viewer.answered(answer, speak)?;
                    viewer
                }
                Handle::Janus(janus) => {
                    let (handle, offer) = janus.offer()?;
                    let (viewer, answer) = Viewer::answering(offer)?;
                    janus.answer(handle, answer)?;
                    viewer
                }
            };
            addresses.push(viewer.address());
            receivers.add(viewer)?;
            receivers.connected((number + 1).saturating_sub(HANDSHAKES))?;
        }
        receivers.connected(all)?;
        if let (Kind::Relay | Kind::RelayStriped | Kind::Baseline, Handle::Speaker(speaker)) =
            (self.kind, &mut self.handle)
        {
            let Reply::Ingests(ingests) = speaker.ask(&Ask::Ingests)? else {
                return Err("the relay does not say where it listens".into());
            };
            self.ingests = ingests;
        }
        Ok(addresses)
    }

    /// Posts an offer without waiting for the answer.
    pub(crate) fn post(&mut self, number: usize, offer: String) -> Outcome<()> {
        let Handle::Speaker(speaker) = &mut self.handle else { return Err("it makes offers itself".into()) };
        // The baseline answers one after the other.
        let ask = if self.kind == Kind::Baseline { Ask::Offer(offer) } else { Ask::Join { number, offer } };
        speaker.post(&ask)
    }

    /// The next answer, if there is one by then, with its offer's number where answers have no order.
    pub(crate) fn answer_until(&mut self, until: Instant) -> Outcome<Option<(Option<usize>, String)>> {
        let Handle::Speaker(speaker) = &mut self.handle else { return Err("it makes offers itself".into()) };
        match speaker.reply_until(until)? {
            None => Ok(None),
            Some(Reply::Answer(answer)) => Ok(Some((None, answer))),
            Some(Reply::Joined { number, answer }) => Ok(Some((Some(number), answer))),
            Some(other) => Err(format!("no answer: {other:?}").into()),
        }
    }

    /// The relay's metrics, where it tells.
    pub(crate) fn metrics(&mut self) -> Outcome<Option<String>> {
        let (Kind::Relay, Handle::Speaker(speaker)) = (self.kind, &mut self.handle) else { return Ok(None) };
        let Reply::Metrics(text) = speaker.ask(&Ask::Metrics)? else { return Err("no metrics".into()) };
        Ok(Some(text))
    }

    /// How often it asked for memory since its start; none of foreign servers.
    pub(crate) fn allocations(&mut self) -> Outcome<Option<u64>> {
        let (Kind::Relay | Kind::RelayStriped | Kind::Baseline | Kind::Webrtc, Handle::Speaker(speaker)) =
            (self.kind, &mut self.handle)
        else {
            return Ok(None);
        };
        let Reply::Allocations(count) = speaker.ask(&Ask::Allocations)? else {
            return Err("the server does not say how often it asked for memory".into());
        };
        Ok(Some(count))
    }

    /// Lets the floor send; gives when each frame began.
    pub(crate) fn burst(&mut self, burst: Ask) -> Outcome<Vec<u64>> {
        let Handle::Speaker(speaker) = &mut self.handle else { return Err("not the floor".into()) };
        let Reply::Starts(starts) = speaker.ask(&burst)? else {
            return Err("the floor does not say when it sent".into());
        };
        Ok(starts)
    }
}

/// The same program on one core.
fn pinned(command: &Command, core: usize) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &core.to_string()]).arg(command.get_program()).args(command.get_args());
    pinned
}
