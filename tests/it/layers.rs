//! The rules of the module graph, read from the sources: which top-level module uses which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Modules that may use no others than these.
const NARROW: [(&str, &[&str]); 3] =
    [("model", &[]), ("schedule", &["config", "model"]), ("config", &["model", "plain_path"])];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        // Crates of their own have a manifest.
        if entry.is_dir() && !entry.join("Cargo.toml").exists() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// The code of a file without its comments and its tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("readable");
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Names that follow `crate::`, also in braces.
fn used(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::").skip(1).flat_map(|rest| {
        let group = rest.strip_prefix('{').map(|rest| rest.split('}').next().unwrap_or_default());
        let names: Vec<&str> = group.map_or_else(|| vec![rest], |group| group.split(',').collect());
        names.into_iter().map(|name| {
            let name = name.trim_start();
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            &name[..end]
        })
    })
}

/// Which top-level module uses which others.
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let files: Vec<(String, String)> = files
        .iter()
        .filter(|path| !path.to_string_lossy().ends_with("tests.rs"))
        .map(|path| {
            let first = path.strip_prefix(&root).expect("below").iter().next().expect("a name");
            (first.to_string_lossy().trim_end_matches(".rs").to_owned(), code(path))
        })
        .collect();
    let modules: BTreeSet<&str> = files.iter().map(|(module, _)| module.as_str()).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, code) in &files {
        let others = used(code).filter(|name| modules.contains(name) && *name != module);
        graph.entry(module.clone()).or_default().extend(others.map(str::to_owned));
    }
    graph
}

#[test]
fn modules_use_each_other_in_one_direction() {
    let mut left = graph();
    // Takes out, again and again, those that use none of the others.
    loop {
        let done: Vec<String> =
            left.iter().filter(|(_, uses)| uses.is_empty()).map(|(module, _)| module.clone()).collect();
        if done.is_empty() {
            break;
        }
        for module in done {
            left.remove(&module);
            left.values_mut().for_each(|uses| {
                uses.remove(&module);
            });
        }
    }
    assert!(left.is_empty(), "these use each other in a circle, or such a circle: {left:#?}");
}

#[test]
fn what_is_below_everything_uses_nothing_above() {
    let graph = graph();
    for (module, may) in NARROW {
        let uses = graph.get(module).unwrap_or_else(|| panic!("there is no module {module}"));
        let beyond: Vec<_> = uses.iter().filter(|name| !may.contains(&name.as_str())).collect();
        assert!(beyond.is_empty(), "{module} uses {beyond:?}");
    }
}
