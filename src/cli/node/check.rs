//! `playgate node check`: what of this machine games in containers can reach.

use super::super::say;
use crate::config::Config;
use crate::driver::docker;
use crate::node::node_name;
use crate::node::reach::sockets::{self, Listening, Transport};
use crate::node::reach::{Bridges, Reachable, Whose, judge, proof};
use crate::store::create_private;
use anyhow::{Context, Result};
use bollard::{API_DEFAULT_VERSION, Docker};
use clap::Args;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::process::ExitCode;

/// Longest wait for an answer of the engine, in seconds.
const ENGINE_TIMEOUT_S: u64 = 30;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Also try it from inside a container of this image (any with a C library that fits this program)
    #[arg(long)]
    image: Option<String>,
    /// For machines
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Config, args: CheckArgs) -> Result<ExitCode> {
    let bridges = Bridges::of(&config.docker);
    let lock = config.data_dir.join("gateway.lock");
    let listening = sockets::listening(&lock).context("cannot read what listens on this machine")?;
    let mut found = judge(listening, bridges);
    if let Some(image) = &args.image {
        create_private(&config.data_dir).context("cannot make the data directory")?;
        let node = node_name(&config.node, &config.data_dir)?;
        let engine = engine(config).await?;
        proof::prove(&engine, &node, image, config.docker.subnet, bridges, &mut found).await?;
    }
    let findings = found.iter().filter(|one| one.is_finding()).count();
    if args.json {
        let sockets: Vec<Value> = found.iter().map(body).collect();
        let body = json!({
            "internalGateway": bridges.internal,
            "openGateway": bridges.open,
            "sockets": sockets,
            "findings": findings,
        });
        say(&serde_json::to_string_pretty(&body)?)?;
    } else {
        tell(&found, bridges, args.image.is_some(), findings)?;
    }
    Ok(if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Inside the container.
pub(super) fn reach(host: Ipv4Addr, ports: &[u16]) -> Result<ExitCode> {
    say(&serde_json::to_string(&proof::reach(host, ports))?)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(found: &[Reachable], bridges: Bridges, tried: bool, findings: usize) -> Result<()> {
    let (internal, open) = (bridges.internal, bridges.open);
    say(&format!("Games without egress reach this machine at {internal}, games with egress at {open} and"))?;
    say("every other address of it. What listens there, packet filters left aside:")?;
    say("")?;
    let head = ["SOCKET", "WHOSE", "NO EGRESS", "EGRESS", "TRIED"].map(str::to_owned);
    let rows = found.iter().map(|one| {
        let listening = &one.listening;
        [
            format!("{} {}", transport(listening.transport), listening.address),
            whose(one),
            yes(one.internal),
            yes(one.open),
            one.proved.map_or_else(
                || "-".to_owned(),
                |proved| if proved { "reached" } else { "blocked" }.to_owned(),
            ),
        ]
    });
    super::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())?;
    say("")?;
    if !tried {
        say("Tried from nowhere: --image IMAGE tries TCP from inside a container without egress.")?;
    }
    say(&match findings {
        0 => "Nothing but the gateway is in reach.".to_owned(),
        1 => "1 socket that is not the gateway's is in reach. Bind it to 127.0.0.1, or filter it.".to_owned(),
        many => {
            format!(
                "{many} sockets that are not the gateway's are in reach. Bind them to 127.0.0.1, or filter them."
            )
        }
    })
}

fn body(one: &Reachable) -> Value {
    let listening = &one.listening;
    let owner = listening.owner.as_ref();
    json!({
        "transport": listening.transport,
        "address": listening.address,
        "uid": listening.uid,
        "pid": owner.map(|owner| owner.pid),
        "program": owner.map(|owner| &owner.program),
        "whose": one.whose,
        "internal": one.internal,
        "open": one.open,
        "proved": one.proved,
        "finding": one.is_finding(),
    })
}

fn whose(one: &Reachable) -> String {
    let Listening { uid, owner, .. } = &one.listening;
    match (one.whose, owner) {
        (Whose::Private, _) => "gateway, for runners".to_owned(),
        (Whose::Public, _) => "gateway, for everybody".to_owned(),
        (Whose::Other, Some(owner)) => format!("{} ({})", owner.program, owner.pid),
        (Whose::Other, None) => format!("of user {uid}"),
    }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// As the gateway finds it.
async fn engine(config: &Config) -> Result<Docker> {
    let path = docker::socket(config.docker.host.as_deref())?;
    let engine = Docker::connect_with_unix(&path, ENGINE_TIMEOUT_S, API_DEFAULT_VERSION)
        .with_context(|| format!("cannot use {path}"))?;
    engine.negotiate_version().await.with_context(|| format!("no engine answers at {path}"))
}
