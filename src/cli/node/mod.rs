//! `playgate node`: shows the nodes of the store, opens and closes them for sessions, and tells what their games can reach.
//! Works with the gateway running or not.

mod check;

use super::say;
use super::store::{self, StoreArgs};
use crate::config::Config;
use crate::http::nodes_body;
use crate::model::nodes::Admission;
use crate::node::Scheduler;
use crate::node::directory::{Condition, NodeDirectory, NodeView};
use crate::schedule::Needs;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use std::net::Ipv4Addr;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct NodeArgs {
    #[command(flatten)]
    at: StoreArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show every node: how it is, what it has, what is reserved of it
    List {
        /// As `GET /api/nodes` tells it
        #[arg(long)]
        json: bool,
    },
    /// Give a node no new sessions; those on it play on
    Cordon {
        /// As `list` shows it
        name: String,
    },
    /// Give a node sessions again
    Uncordon {
        /// As `list` shows it
        name: String,
    },
    /// Empty a node: no new sessions, and those on it end when their players stop; watch it with `list`
    Drain {
        /// As `list` shows it
        name: String,
    },
    /// Tell what of this machine games in containers can reach; fails when it is more than the gateway
    Check(check::CheckArgs),
    /// Inside a container of `check`: tries to connect
    #[command(hide = true)]
    Reach { host: Ipv4Addr, ports: Vec<u16> },
}

pub(super) async fn run(args: NodeArgs) -> Result<ExitCode> {
    let config = || args.at.load();
    match args.what {
        What::List { json } => list(&config()?, json).await,
        What::Cordon { name } => admit(&config()?, &name, Admission::Cordoned).await,
        What::Uncordon { name } => admit(&config()?, &name, Admission::Open).await,
        What::Drain { name } => admit(&config()?, &name, Admission::Draining).await,
        What::Check(check) => check::run(&config()?, check).await,
        What::Reach { host, ports } => check::reach(host, &ports),
    }
}

async fn list(config: &Config, json: bool) -> Result<ExitCode> {
    let nodes = Scheduler::new(store::open(config).await?).nodes().await?;
    if json {
        say(&serde_json::to_string_pretty(&nodes_body(&nodes))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let head = ["NAME", "HEALTH", "STATE", "SESSIONS", "CORES", "MEMORY", "GPUS", "CPU", "RAM", "WHERE"];
    let rows = nodes.iter().map(row);
    table(&std::iter::once(head.map(str::to_owned)).chain(rows).collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

async fn admit(config: &Config, name: &str, admission: Admission) -> Result<ExitCode> {
    let store = store::open(config).await?;
    if !store.set_node_admission(name, admission).await? {
        bail!("there is no node {name}; `playgate node list` shows them");
    }
    let sessions = store.nodes().await?.into_iter().find(|node| node.said.name == name);
    let sessions = sessions.map_or(0, |node| node.sessions);
    say(&match admission {
        Admission::Open => format!("{name} takes new sessions."),
        Admission::Cordoned => format!("{name} takes no new sessions; {sessions} play on."),
        Admission::Draining => {
            format!("{name} takes no new sessions and is empty when {sessions} have ended.")
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(node: &NodeView) -> [String; 10] {
    let said = &node.said;
    let (total, reserved) = (Needs::from(said.total), Needs::from(node.reserved));
    let health = match node.condition {
        Condition::Healthy => "healthy",
        Condition::Unhealthy => "unhealthy",
        Condition::Silent => "silent",
    };
    let state = match node.admission {
        Admission::Open => "open",
        Admission::Cordoned => "cordoned",
        Admission::Draining => "draining",
    };
    let place = [&said.location, &said.region].into_iter().flatten().cloned().collect::<Vec<_>>();
    [
        said.name.clone(),
        health.to_owned(),
        state.to_owned(),
        format!("{}/{}", node.reserved_sessions, said.capacity),
        format!("{:.1}/{:.1}", reserved.cpus, total.cpus),
        format!("{}/{} MiB", reserved.memory_bytes >> 20, total.memory_bytes >> 20),
        format!("{}/{}", reserved.gpus, total.gpus),
        format!("{:.0} %", node.load.cpu_percent),
        format!("{:.0} %", node.load.memory_percent),
        place.join(", "),
    ]
}

/// Columns as wide as what is in them.
fn table<const N: usize>(rows: &[[String; N]]) -> Result<()> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        say(line.trim_end())?;
    }
    Ok(())
}
