//! The rules of the dependency graph, read from `cargo metadata` for the machine the tests run on.
//!
//! `cargo metadata` also lists optional dependencies of dependencies whose feature nobody switches on; what is really
//! built, features resolved, is what `cargo tree` walks. Only that counts.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The crates the project is built on.
const FIXED: [&str; 10] = [
    "tokio",
    "axum",
    "webrtc",
    "serde",
    "bollard",
    "uuid",
    "tokio-tungstenite",
    "dashmap",
    "tracing",
    "rcgen",
];

/// Other crypto and TLS stacks than aws-lc-rs and rustls: crates of these names, and of these with something behind a
/// hyphen.
const FORBIDDEN: [&str; 6] = ["ring", "openssl", "native-tls", "boring", "schannel", "security-framework"];

/// One of each: two would mean two stacks.
const SINGLE: [&str; 6] =
    ["rustls", "tokio-rustls", "tungstenite", "tokio-tungstenite", "aws-lc-rs", "aws-lc-sys"];

/// Licences anybody may ship a binary under.
const PERMISSIVE: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    // Of the JPEG encoder; it wants its authors named, and the README does.
    "IJG",
    "ISC",
    "MIT",
    "MIT-0",
    "OFL-1.1",
    "Ubuntu-font-1.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The top level of the repository, besides dotfiles.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "signaling",
    "src",
    "tests",
    "web",
];

/// What may be built besides: the rules count for it too.
const OPTIONAL: [&str; 2] = ["--features", "playgate-runner-gstreamer/gstreamer"];

struct Graph {
    metadata: Value,
    /// Name and version of what is built.
    built: BTreeSet<(String, String)>,
}

impl Graph {
    fn read() -> Self {
        let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let metadata = ["metadata", "--format-version", "1", "--locked", "--filter-platform", &host];
        let metadata = cargo(&[metadata.as_slice(), &OPTIONAL].concat());
        let edges = ["--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}"];
        let tree = cargo(
            &[["tree", "--workspace", "--locked", "--target", &host].as_slice(), &OPTIONAL, &edges].concat(),
        );
        let built = tree.lines().filter_map(|line| {
            let (name, rest) = line.split_once(" v")?;
            Some((name.to_owned(), rest.split_whitespace().next()?.to_owned()))
        });
        let built = built.collect();
        Self { metadata: serde_json::from_str(&metadata).expect("cargo metadata is JSON"), built }
    }

    /// Packages that are built on this platform.
    fn packages(&self) -> impl Iterator<Item = &Value> {
        let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let packages = self.metadata["packages"].as_array().into_iter().flatten();
        packages
            .filter(move |package| self.built.contains(&(text(package, "name"), text(package, "version"))))
    }

    fn versions(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in self.packages() {
            let (Some(name), Some(version)) = (package["name"].as_str(), package["version"].as_str()) else {
                continue;
            };
            versions.entry(name).or_default().push(version);
        }
        versions
    }
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo speaks UTF-8")
}

#[test]
fn the_graph_is_read_whole() {
    let graph = Graph::read();
    assert!(graph.built.len() > 200, "{} packages only", graph.built.len());
    assert_eq!(graph.packages().count(), graph.built.len(), "every built package is known to cargo metadata");
}

#[test]
fn the_ten_fixed_crates_are_normal_dependencies() {
    let graph = Graph::read();
    let playgate = graph.packages().find(|package| package["name"] == "playgate").expect("playgate is there");
    let normal: BTreeSet<&str> = playgate["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|dependency| dependency["kind"].is_null() && dependency["optional"] == false)
        .filter_map(|dependency| dependency["name"].as_str())
        .collect();
    for name in FIXED {
        assert!(normal.contains(name), "{name} is not a normal dependency");
    }
}

#[test]
fn forbidden_crates_are_absent() {
    let graph = Graph::read();
    let versions = graph.versions();
    let is_forbidden = |name: &str| {
        // Which roots the system trusts is no TLS stack.
        name != "openssl-probe" && FORBIDDEN.iter().any(|f| name == *f || name.starts_with(&format!("{f}-")))
    };
    let found: Vec<_> = versions.keys().filter(|name| is_forbidden(name)).collect();
    assert!(found.is_empty(), "came into the graph: {found:?}");
}

#[test]
fn the_gateway_never_links_gstreamer() {
    let tree = |package: &str, more: &[&str]| {
        cargo(
            &[&["tree", "--locked", "--prefix", "none", "--format", "{p}", "--package", package], more]
                .concat(),
        )
    };
    assert!(!tree("playgate", &["--all-features"]).contains("gstreamer"));
    let runner = tree("playgate-runner-gstreamer", &[]);
    assert!(!runner.contains("gstreamer-sys"), "only its feature does");
    assert!(tree("playgate-runner-gstreamer", &["--features", "gstreamer"]).contains("gstreamer-sys"));
}

#[test]
fn there_is_one_tls_stack_and_one_tungstenite() {
    let graph = Graph::read();
    let versions = graph.versions();
    for name in SINGLE {
        assert_eq!(versions.get(name).map(Vec::len), Some(1), "{name}: {:?}", versions.get(name));
    }
}

#[test]
fn every_licence_is_permissive() {
    let graph = Graph::read();
    for package in graph.packages() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(permits(licence), "{} is under {licence:?}", package["name"]);
    }
}

#[test]
fn the_licence_reader_knows_and_or_and_brackets() {
    assert!(permits("MIT/Apache-2.0"));
    assert!(permits("GPL-3.0 OR MIT"));
    assert!(permits("(MIT OR GPL-3.0) AND OFL-1.1"));
    assert!(permits("Apache-2.0 WITH LLVM-exception"));
    assert!(!permits("MIT AND GPL-3.0"));
    assert!(!permits("(GPL-2.0 OR LGPL-2.1) AND MIT"));
    assert!(!permits(""));
}

#[test]
fn the_top_level_holds_what_is_fixed_and_nothing_else() {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("git runs");
    let files = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let found: BTreeSet<&str> = files
        .lines()
        .filter(|file| Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists())
        .filter_map(|file| file.split('/').next())
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(found, BTreeSet::from(TOP_LEVEL));
}

/// The only crate that may, by its own lints; clippy wants a reason for each block there.
const UNSAFE: &str = "src/openh264-control";

#[test]
fn unsafe_code_is_in_one_small_crate_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = ["src", "signaling", "tests", "benches"].map(|name| root.join(name)).to_vec();
    let (mut small, mut files) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|end| end != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            let mut code =
                text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
            files += 1;
            if path.starts_with(root.join(UNSAFE).join("src")) {
                small += code.count();
                continue;
            }
            let forms = ["{", "fn", "impl", "extern", "trait"].map(|form| ["unsafe", form].join(" "));
            let found = code.find(|line| forms.iter().any(|form| line.contains(form)));
            assert_eq!(found, None, "{}", path.display());
        }
    }
    assert!(files > 300 && (1..=300).contains(&small), "{small} lines in {UNSAFE}, {files} files");
}

/// Whether an SPDX expression (or the older slash form) can be met with permissive licences alone.
fn permits(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) && rest.is_empty()
}

fn any_of(words: &mut &[&str]) -> bool {
    let mut met = all_of(words);
    while let Some((&"OR", rest)) = words.split_first() {
        *words = rest;
        met |= all_of(words);
    }
    met
}

fn all_of(words: &mut &[&str]) -> bool {
    let mut met = one(words);
    while let Some((&"AND", rest)) = words.split_first() {
        *words = rest;
        met &= one(words);
    }
    met
}

fn one(words: &mut &[&str]) -> bool {
    let Some((&word, rest)) = words.split_first() else { return false };
    *words = rest;
    if word == "(" {
        let met = any_of(words);
        let Some((&")", rest)) = words.split_first() else { return false };
        *words = rest;
        return met;
    }
    if let Some((&"WITH", rest)) = words.split_first() {
        *words = rest.get(1..).unwrap_or_default();
    }
    PERMISSIVE.contains(&word)
}
