//! `playgate token`: mints, lists and revokes tokens of users, organisations and operators, with the gateway running or not.

use super::say;
use super::store::{self, StoreArgs};
use crate::app::ledger_over;
use crate::auth::{Auth, MintedScope};
use crate::config::Config;
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use std::process::ExitCode;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// A user's or an operator's token is good for, in days.
const DEFAULT_DAYS: u32 = 30;

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(flatten)]
    at: StoreArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token and print it, a user's with its sign-in link
    Mint(MintArgs),
    /// Show every token minted here, newest first
    List,
    /// Take a token back
    Revoke {
        /// As `list` shows it
        id: Uuid,
    },
}

#[derive(Debug, Args)]
struct MintArgs {
    /// Who signs in with it: 1-128 characters
    #[arg(long, value_name = "NAME", required_unless_present_any = ["operator", "organisation"])]
    user: Option<String>,
    /// The organisation that calls the Session API with it, as `images` names it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["user", "operator", "name", "url"])]
    organisation: Option<String>,
    /// The name shown on pages
    #[arg(long, conflicts_with = "operator")]
    name: Option<String>,
    /// Days it is good for [default: 30; an organisation's: until it is revoked]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: Option<u32>,
    /// For metrics and nodes instead of a user
    #[arg(long, conflicts_with = "user")]
    operator: bool,
    /// A note for the list
    #[arg(long)]
    label: Option<String>,
    /// Where the gateway is reached [default: its public URL, else its listener]
    #[arg(long, value_parser = web_address)]
    url: Option<String>,
}

pub(super) async fn run(args: TokenArgs) -> Result<ExitCode> {
    let config = args.at.load()?;
    let auth = Auth::open(&config, ledger_over(store::open(&config).await?))?;
    match args.what {
        What::Mint(mint) => self::mint(&config, &auth, mint).await,
        What::List => list(&auth).await,
        What::Revoke { id } => revoke(&auth, id).await,
    }
}

async fn mint(config: &Config, auth: &Auth, args: MintArgs) -> Result<ExitCode> {
    let days = |days: u32| Duration::from_secs(u64::from(days) * 24 * 3600);
    if let Some(organisation) = &args.organisation {
        return mint_organisation(auth, organisation, args.days.map(days), args.label).await;
    }
    let lifetime = days(args.days.unwrap_or(DEFAULT_DAYS));
    let minted = match &args.user {
        Some(user) => {
            let minted = auth.mint_user(user, args.name, lifetime, args.label).await.context("--user")?;
            let base = args.url.unwrap_or_else(|| base_url(config));
            say(&format!("Link:    {}/signin#token={}", base.trim_end_matches('/'), minted.token))?;
            minted
        }
        None => auth.mint_operator(lifetime, args.label).await?,
    };
    say(&format!("Token:   {}", minted.token))?;
    say(&format!("Id:      {}", minted.id))?;
    say(&format!("Expires: {}", minted.expires_at.date()))?;
    Ok(ExitCode::SUCCESS)
}

async fn mint_organisation(
    auth: &Auth,
    name: &str,
    lifetime: Option<Duration>,
    label: Option<String>,
) -> Result<ExitCode> {
    let minted = auth.mint_organisation(name, lifetime, label).await.context("--organisation")?;
    say(&format!("Token:   {}", minted.token))?;
    say(&format!("Id:      {}", minted.id))?;
    let expires = minted.expires_at.map_or_else(|| "never".to_owned(), |at| at.date().to_string());
    say(&format!("Expires: {expires}"))?;
    say("Keep it now: only its hash is stored, and it is not shown again.")?;
    Ok(ExitCode::SUCCESS)
}

async fn list(auth: &Auth) -> Result<ExitCode> {
    let now = OffsetDateTime::now_utc();
    for token in auth.ledger().list().await? {
        let state = match (token.revoked, token.expires_at.is_some_and(|at| at <= now)) {
            (true, _) => "revoked",
            (false, true) => "expired",
            (false, false) => "good",
        };
        let subject = token.subject.as_deref().unwrap_or("?");
        let who = match token.scope {
            MintedScope::User => subject.to_owned(),
            MintedScope::Operator => "(operator)".to_owned(),
            MintedScope::Organisation => format!("org:{subject}"),
        };
        let label = token.label.as_deref().unwrap_or_default();
        let made = token.created_at.date();
        let ends = token.expires_at.map_or_else(|| "no end".to_owned(), |at| at.date().to_string());
        say(format!("{}  {state:<7}  {made} to {ends:<10}  {who}  {label}", token.id).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(auth: &Auth, id: Uuid) -> Result<ExitCode> {
    if !auth.ledger().revoke(id).await? {
        bail!("there is no token {id}");
    }
    say(&format!("Revoked: {id}"))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn base_url(config: &Config) -> String {
    let tls = config.lan || config.tls_self_signed || config.tls_cert.is_some();
    let scheme = if tls { "https" } else { "http" };
    let listen = config.listen;
    let host = if listen.ip().is_unspecified() {
        // Everywhere is nowhere to go to.
        format!("localhost:{}", listen.port())
    } else {
        listen.to_string()
    };
    config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{host}"))
}

/// A link without a scheme would lead nowhere.
pub(super) fn web_address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !text.contains(['#', '?', ' ']) => Ok(text.to_owned()),
        Some(_) | None => Err("must be like https://play.example.org".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_links_address_has_a_scheme_and_a_host_somebody_can_go_to() {
        for good in ["https://play.example.org", "http://127.0.0.1:8080/"] {
            assert_eq!(web_address(good).as_deref(), Ok(good));
        }
        for bad in ["play.example.org", "https://", "ftp://x", "https://x/#y", ""] {
            assert!(web_address(bad).is_err(), "{bad}");
        }
        let listen = std::net::SocketAddr::from(([0, 0, 0, 0], 8080));
        assert_eq!(base_url(&Config { listen, ..Config::default() }), "http://localhost:8080");
        assert_eq!(base_url(&Config { listen, lan: true, ..Config::default() }), "https://localhost:8080");
    }
}
