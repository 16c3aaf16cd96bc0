//! How the bench and a server of its own talk: a JSON object per line, asked on standard input, answered on standard
//! output. A server ends with its input, so none outlives the bench.

use crate::load::Outcome;
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::io::{BufRead, Write};
use std::net::SocketAddr;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    /// A viewer's offer.
    Offer(String),
    /// An offer among others that are not waited for; the answer bears its number.
    Join { number: usize, offer: String },
    /// The server's metrics, as text.
    Metrics,
    /// Where the source sends, now that all viewers are there.
    Ingests,
    /// To the floor: send.
    Burst { addresses: Vec<SocketAddr>, packets: usize, first: u32, frames: u32 },
    /// How often it asked for memory since its start: servers of this binary know.
    Allocations,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// Said first: where the source's packets go.
    Ingest(SocketAddr),
    /// The same, if they go to more than one place.
    Ingests(Vec<SocketAddr>),
    Answer(String),
    Joined {
        number: usize,
        answer: String,
    },
    /// It is being worked on and answered later.
    Taken,
    Metrics(String),
    /// When each frame of a burst began, in nanoseconds since 1970.
    Starts(Vec<u64>),
    Allocations(u64),
    Error(String),
}

/// A server's side: says where it listens, then answers until its input ends.
pub(crate) fn serve(ingest: SocketAddr, mut answer: impl FnMut(Ask) -> Outcome<Reply>) -> Outcome<()> {
    say(&Reply::Ingest(ingest))?;
    for line in std::io::stdin().lock().lines() {
        let reply = match serde_json::from_str(&line?)? {
            Ask::Allocations => Ok(Reply::Allocations(allocations())),
            ask @ (Ask::Offer(_) | Ask::Join { .. } | Ask::Metrics | Ask::Ingests | Ask::Burst { .. }) => {
                answer(ask)
            }
        };
        if matches!(reply, Ok(Reply::Taken)) {
            continue;
        }
        say(&reply.unwrap_or_else(|error| Reply::Error(error.to_string())))?;
    }
    Ok(())
}

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Of the whole process, growing a piece included.
fn allocations() -> u64 {
    let stats = MEMORY.stats();
    (stats.allocations + stats.reallocations) as u64
}

/// One line, whole.
pub(crate) fn say(reply: &Reply) -> Outcome<()> {
    let mut line = serde_json::to_string(reply)?;
    line.push('\n');
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())?;
    Ok(out.flush()?)
}
