//! The annotated defaults: the reference of every key, which loads back to the same values.
//!
//! Keys without a default stand as comments with an example. No value of a running configuration is ever printed, so
//! no secret can be.

use super::schema::Config;
use std::fmt::Write as _;

/// One key: its name, a comment with unit and range, and an example where the default is "nothing".
struct Key {
    name: &'static str,
    comment: &'static str,
    example: Option<&'static str>,
}

const fn key(name: &'static str, comment: &'static str) -> Key {
    Key { name, comment, example: None }
}

const fn optional(name: &'static str, comment: &'static str, example: &'static str) -> Key {
    Key { name, comment, example: Some(example) }
}

const TOP: [Key; 11] = [
    key("listen", "HTTP listener: address and port."),
    key(
        "media_listen",
        "Media (UDP) listeners, one relay shard each. Empty: one, with address and number of `listen`; on loopback, every address for this machine alone.",
    ),
    key(
        "private_listen",
        "Listener for runners (control, RTP) and unprotected metrics. Port 0: any free one.",
    ),
    optional(
        "public_url",
        "How players reach this gateway. Absent: from the request's host.",
        "\"https://play.example.org\"",
    ),
    key("public_ip", "Addresses told to players for media. Empty: every address the media socket covers."),
    key("data_dir", "Database, saves, keys, certificates."),
    key("lan", "Serve the local network: every address, HTTPS by a certificate of our own, one-time codes."),
    optional(
        "tls_cert",
        "Certificate chain (PEM), with `tls_key`; reloaded when it changes.",
        "\"fullchain.pem\"",
    ),
    optional("tls_key", "Private key (PEM) of `tls_cert`.", "\"privkey.pem\""),
    key("tls_self_signed", "HTTPS by a certificate of our own for every address and name of the machine."),
    key(
        "trusted_proxies",
        "Proxies whose X-Forwarded-* is believed: addresses or networks like \"10.0.0.0/8\".",
    ),
];

const AUTH: [Key; 4] = [
    optional(
        "guest",
        "Guests may sign in. Absent: only when the listener is loopback and nothing public is set.",
        "true",
    ),
    optional(
        "sign_in_url",
        "Where the page sends a person without a token.",
        "\"https://example.org/login\"",
    ),
    optional("jwks_file", "A JWKS file (RFC 7517) with keys that verify users' tokens.", "\"keys.json\""),
    key(
        "keys",
        "Keys that verify users' tokens: {kid, alg = HS256|ES256|RS256|EdDSA, secret or public_key_file}.",
    ),
];

const ICE: [Key; 3] = [
    key("urls", "STUN and TURN URLs given to viewers, like \"turn:turn.example.org:3478\"."),
    optional(
        "secret",
        "Shared secret of the TURN server's REST credentials. Needed for turn: and turns:.",
        "\"...\"",
    ),
    key("credential_ttl_s", "Lifetime of a viewer's TURN credentials, in seconds (60-2592000)."),
];

const SESSIONS: [Key; 11] = [
    key("idle_timeout_s", "A session without keepalive ends after this many seconds (1-604800)."),
    key("launches_per_minute", "Launches a user may ask for per minute (1-10000)."),
    key(
        "download_timeout_s",
        "A launch whose game is not downloaded after this many seconds has failed (1-86400); the download goes on.",
    ),
    key(
        "launch_timeout_s",
        "A launch without a picture this many seconds after its game is here has failed (1-3600).",
    ),
    key(
        "flush_timeout_ms",
        "Time for the game to write its save when it is stopped, in milliseconds (1-60000).",
    ),
    key("stop_grace_ms", "Between SIGTERM and SIGKILL, in milliseconds (1-60000)."),
    key("save_versions", "Save versions kept per slot (1-1000)."),
    key("save_mb", "Most that one save may hold, unpacked, in MiB (1-8191)."),
    key("save_files", "Most files, directories and links that one save may hold (1-1000000)."),
    key("capacity", "Sessions this node runs at once (0-10000). 0: one per core."),
    key("max_viewers", "Most viewers of one session (1-100000)."),
];

const RUNNER: [Key; 2] = [
    key("marker", "Draw the measuring marker (frame number as cells) into the built-in games' picture."),
    optional(
        "program",
        "Program that runs the built-in games. Absent: this one.",
        "\"/usr/local/bin/playgate-runner-gstreamer\"",
    ),
];

const NODE: [Key; 7] = [
    optional(
        "name",
        "1-32 lower case letters, digits, hyphens. Absent: made up once, kept in data_dir.",
        "\"fra-1\"",
    ),
    optional("location", "Where this node is, for placement.", "\"frankfurt\""),
    optional("region", "What the location lies in.", "\"europe\""),
    key("labels", "Labels of this node, shown to operators."),
    optional("cpus", "Cores games may use together. Absent: all of the machine's.", "4.0"),
    optional(
        "memory_mb",
        "Memory games may use together, in MiB. Absent: nine tenths of the machine's.",
        "8192",
    ),
    key("gpus", "GPUs games may take (0-64)."),
];

const DOCKER: [Key; 6] = [
    optional(
        "host",
        "The Docker engine, for games with an image or a package. Absent: DOCKER_HOST, else the usual socket.",
        "\"unix:///var/run/docker.sock\"",
    ),
    key("subnet", "Internal network of games without egress."),
    key("open_subnet", "Network of games with egress."),
    key("runner_image", "Image that packages run in (playgate image build --generic)."),
    key("package_cache_mb", "Room for unpacked packages, in MiB (1-10000000)."),
    key("registries", "Credentials of image registries: {host, username, password}."),
];

const SESSION_API: [Key; 9] = [
    key("first_port", "First of the host ports that containers' ports are published at (1024-65535)."),
    key("last_port", "Last of them."),
    key("port_address", "Address of this machine they are published at."),
    optional(
        "host",
        "IPv4 address told to players. Absent: the first of public_ip, else this machine's.",
        "\"203.0.113.7\"",
    ),
    key("starts_per_minute", "Sessions an organisation may start per minute (1-100000)."),
    key("stop_grace_ms", "Between SIGTERM and SIGKILL, in milliseconds (1-60000)."),
    key("restart_limit", "How often in a row a failing container is started again (1-1000)."),
    key(
        "retention_s",
        "A stopped container is kept so long for logs and artifacts, and a save that was refused, in seconds (1-2592000).",
    ),
    key("artifact_mb", "Most that one artifact may be, in MiB (1-10000)."),
];

const LOG: [Key; 2] = [
    key("filter", "What is logged, as in RUST_LOG: \"info\", \"playgate=debug,warn\"."),
    key("json", "One JSON object a line instead of text."),
];

const GAMES: &str = r#"
# Games besides the two built-in ones, as many tables as wanted. An external source, for instance:
# [[games]]
# slug = "camera"                  # lower case letters, digits, hyphens; 1-100 characters
# title = "An external source"     # 1-200 characters
# developer = ""
# description = ""
# tags = []
# driver = "external"
# ingest.video = { listen = "127.0.0.1:6004", codec = "VP8", payload_type = 96 }    # H264, VP8, VP9, AV1; rtcp = "..." if not the RTP source
# ingest.audio = { listen = "127.0.0.1:6006", codec = "opus", payload_type = 111 }
# ingest.allow = ["127.0.0.1"]     # source addresses accepted
# pointer = "absolute"             # or "relative", "none"
# width = 1280                     # pixels, even, 16-7680
# height = 720
# fps = 60                         # 1-240
# kbps = 8000                      # 100-200000
#
# Of a built-in game and of a game in a container:
# encoder = "openh264"             # or, with the GStreamer runner, the name of an element, like "x264enc" or "vp9enc"
#
# A game in a container, from an image or from a package that runs in docker.runner_image, for instance:
# [[games]]
# slug = "the-question"
# title = "The Question"
# image = "registry.example.org/the-question:1"
# # package = { url = "https://games.example.org/novel.tar.gz", sha256 = "64 hexadecimal digits", launcher = "start.sh" }
# pointer = "absolute"
# [games.container]
# save_path = "/home/player/.renpy" # absolute
# memory_mb = 1024                 # 16-1048576
# cpus = 2.0                       # 0.1-256
# pids = 256                       # 8-65536
# egress = false                   # may it open connections to other machines
# gpus = 0                         # of the node's
# devices = []                     # device files like "/dev/uinput"
# stop_grace_ms = 5000             # between SIGTERM and SIGKILL
# pads = 1                         # gamepads, 0-4
# pad_map = { a = "Enter", left = "ArrowLeft" }
# env = { RENPY_RENDERER = "gl" }
# command = []                     # in place of the image's own arguments
"#;

const IMAGES: &str = r#"
# What organisations may start by the Session API, as many tables as wanted. A dedicated server, for instance:
# [[images]]
# name = "arena"                   # what the Session API calls it: 1-100 letters, digits, dots, hyphens, underscores
# repository = "registry.example.org/studio/arena" # without tag
# organisations = ["studio"]       # who may start it (playgate token mint --organisation studio)
# tags = ["stable"]                # by priority, the highest first; others come after, the newest first
# profile = "server"               # or "game": as games of players, with no way out and no published ports
# stream = false                   # true: it speaks the runner contract; pointer, width, height, fps, kbps, encoder as of games
# [images.container]               # as of games
# memory_mb = 512
# cpus = 1.0
"#;

const WEBHOOKS: &str = r#"
# Where organisations are told what happens to their sessions, signed by the Standard Webhooks specification, as many tables as
# wanted, for instance:
# [[webhooks]]
# name = "backend"                 # 1-100 letters, digits, dots, hyphens, underscores
# organisation = "studio"          # whose sessions
# url = "https://studio.example.org/playgate"
# secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3" # whsec_ and base64 of 24 to 64 bytes: make your own
# events = ["session.running", "session.ended"] # none: all; session.starting, session.stopping, player.joined, player.left too
"#;

/// The defaults as TOML, one comment line before each key.
pub fn print_defaults() -> String {
    let defaults = toml::Table::try_from(Config::default()).expect("the defaults are TOML");
    let mut out = String::from(
        "# Playgate's configuration with its defaults. Also by PLAYGATE_* (PLAYGATE_SESSIONS__CAPACITY=4) and by flags.\n\n",
    );
    section(&mut out, &TOP, &defaults);
    for (name, keys) in [
        ("auth", AUTH.as_slice()),
        ("ice", ICE.as_slice()),
        ("sessions", SESSIONS.as_slice()),
        ("runner", RUNNER.as_slice()),
        ("node", NODE.as_slice()),
        ("docker", DOCKER.as_slice()),
        ("session_api", SESSION_API.as_slice()),
        ("log", LOG.as_slice()),
    ] {
        let _ = writeln!(out, "\n[{name}]");
        if let Some(toml::Value::Table(values)) = defaults.get(name) {
            section(&mut out, keys, values);
        }
    }
    out.push_str(GAMES);
    out.push_str(IMAGES);
    out.push_str(WEBHOOKS);
    out
}

fn section(out: &mut String, keys: &[Key], values: &toml::Table) {
    for Key { name, comment, example } in keys {
        let _ = writeln!(out, "# {comment}");
        let _ = match (values.get(*name), example) {
            (Some(value), _) => writeln!(out, "{name} = {value}"),
            (None, Some(example)) => writeln!(out, "# {name} = {example}"),
            (None, None) => Ok(()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields serde knows of a section.
    fn known(section: Option<&str>) -> Vec<&'static str> {
        let text = match section {
            Some(section) => format!("[{section}]\nno_such_key = 1"),
            None => "no_such_key = 1".to_owned(),
        };
        let table: toml::Table = toml::from_str(&text).unwrap();
        let error = figment::Figment::from(figment::providers::Serialized::defaults(table))
            .extract::<Config>()
            .unwrap_err();
        let figment::error::Kind::UnknownField(_, known) = error.kind else { panic!("{error}") };
        known.to_vec()
    }

    #[test]
    fn the_printed_defaults_load_back_to_the_defaults() {
        assert_eq!(toml::from_str::<Config>(&print_defaults()).unwrap(), Config::default());
    }

    #[test]
    fn every_key_is_printed_with_a_comment_and_no_other() {
        let sections = [
            "auth",
            "ice",
            "sessions",
            "runner",
            "node",
            "docker",
            "session_api",
            "log",
            "games",
            "images",
            "webhooks",
        ];
        let names = |keys: &[Key]| keys.iter().map(|key| key.name).collect::<std::collections::BTreeSet<_>>();
        let top = known(None).into_iter().filter(|key| !sections.contains(key)).collect();
        assert_eq!(names(&TOP), top);
        assert_eq!(names(&AUTH), known(Some("auth")).into_iter().collect());
        assert_eq!(names(&ICE), known(Some("ice")).into_iter().collect());
        assert_eq!(names(&SESSIONS), known(Some("sessions")).into_iter().collect());
        assert_eq!(names(&RUNNER), known(Some("runner")).into_iter().collect());
        assert_eq!(names(&NODE), known(Some("node")).into_iter().collect());
        assert_eq!(names(&DOCKER), known(Some("docker")).into_iter().collect());
        assert_eq!(names(&SESSION_API), known(Some("session_api")).into_iter().collect());
        assert_eq!(names(&LOG), known(Some("log")).into_iter().collect());
        for keys in [TOP.as_slice(), &AUTH, &ICE, &SESSIONS, &RUNNER, &NODE, &DOCKER, &SESSION_API, &LOG] {
            for key in keys {
                let line = |prefix: &str| print_defaults().contains(&format!("\n{prefix}{} = ", key.name));
                assert!(line("") || line("# "), "{}", key.name);
            }
        }
    }

    #[test]
    fn the_example_games_images_and_webhooks_are_valid_ones() {
        let printed = print_defaults();
        let examples: Vec<&str> = printed.split("for instance:").skip(1).collect();
        assert_eq!(examples.len(), 4);
        for (number, example) in examples.into_iter().enumerate() {
            // What is left of the line it is announced on; then an empty line of the comment ends it.
            let lines = example.lines().skip(1).take_while(|line| line.len() > 1);
            let text: String =
                lines.map(|line| format!("{}\n", line.strip_prefix("# ").unwrap_or(line))).collect();
            let config: Config = toml::from_str(&text).unwrap();
            let of = |wanted: &[usize]| usize::from(wanted.contains(&number));
            let counts = (config.games.len(), config.images.len(), config.webhooks.len());
            assert_eq!(counts, (of(&[0, 1]), of(&[2]), of(&[3])), "{text}");
            super::super::validate::validate(&config).unwrap();
        }
    }
}
