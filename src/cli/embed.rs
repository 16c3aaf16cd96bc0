//! `playgate embed`: what a site owner pastes to show a stream, with the address and hash of this version's player.

use super::say;
use super::store::StoreArgs;
use super::token::{base_url, web_address};
use crate::http::{Assets, Sdk};
use anyhow::{Context, Result};
use clap::Args;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct EmbedArgs {
    /// What `POST /api/embeds` gave as `url`
    #[arg(value_name = "URL", default_value = "URL")]
    stream: String,
    /// Where the gateway is reached [default: its public URL, else its listener]
    #[arg(long, value_name = "URL", value_parser = web_address)]
    gateway: Option<String>,
    #[command(flatten)]
    at: StoreArgs,
}

pub(super) fn run(args: EmbedArgs) -> Result<ExitCode> {
    let sdk = Sdk::of(&Assets::Embedded).context("this build has no pages inside")?;
    let base = match args.gateway {
        Some(base) => base,
        None => base_url(&args.at.load()?),
    };
    let Sdk { version, integrity } = sdk;
    let base = base.trim_end_matches('/');
    let stream = attribute(&args.stream);
    say("<!-- The newest player, whichever the gateway has: -->")?;
    say(&format!("<script type=\"module\" src=\"{base}/embed.js\"></script>"))?;
    say(&format!("<playgate-player src=\"{stream}\"></playgate-player>"))?;
    say("")?;
    say("<!-- Or exactly this one; it is here until the gateway is updated: -->")?;
    say(&format!(
        "<script type=\"module\" src=\"{base}/embed/v/{version}/embed.js\" integrity=\"{integrity}\" \
         crossorigin=\"anonymous\"></script>"
    ))?;
    say("")?;
    say("<!-- Or without a script: -->")?;
    say(&format!(
        "<iframe src=\"{stream}\" title=\"Game\" allow=\"autoplay; fullscreen; gamepad\" referrerpolicy=\"origin\" \
         style=\"width:100%;aspect-ratio:16/9;border:0\"></iframe>"
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// As the value of an attribute in double quotes.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::attribute;

    #[test]
    fn what_is_pasted_stays_inside_its_attribute() {
        assert_eq!(attribute("https://a/?b&c#\"><script>"), "https://a/?b&amp;c#&quot;>&lt;script>");
    }
}
