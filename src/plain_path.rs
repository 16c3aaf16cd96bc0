//! Paths from outside (archives, configuration) that may lead nowhere else. Pure: nothing is looked up.

use std::path::{Component, Path, PathBuf};

/// A relative path without `.`; `None` when it is absolute or has a `..`, and so could lead outside.
pub(crate) fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(clean)
}

/// Absolute, without `..`, and not the root itself.
pub(crate) fn is_below_root(path: &Path) -> bool {
    let mut parts = path.components();
    parts.next() == Some(Component::RootDir)
        && parts.clone().next().is_some()
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_inside_or_is_refused() {
        assert_eq!(inside(Path::new("./a/./b")), Some(PathBuf::from("a/b")));
        assert_eq!(inside(Path::new("")), Some(PathBuf::new()));
        for path in ["/a", "..", "a/../b", "a/.."] {
            assert_eq!(inside(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn the_root_is_not_below_itself() {
        assert!(is_below_root(Path::new("/a")) && is_below_root(Path::new("/a/b")));
        for path in ["", "/", "//", "a", "/a/..", "/../a"] {
            assert!(!is_below_root(Path::new(path)), "{path}");
        }
    }
}
