//! Whether a symbolic link stays inside its save. Pure: nothing is looked up.
//!
//! A link is kept when its target climbs (`..`) only at its beginning, no further than the save directory, and goes down
//! from there. It lies in a real directory, so climbing is exact; going down may pass other links of the save, which stay
//! inside by the same rule. A target that climbs after going down could pass a link first and climb from elsewhere: it is
//! not kept.

use std::path::{Component, Path, PathBuf};

/// The target to store for the link at `at` (relative, inside the save); `None` when it may lead outside. `own` is the save
/// directory's absolute path as the game knows it.
pub(super) fn kept(at: &Path, target: &Path, own: &Path) -> Option<PathBuf> {
    if target.is_relative() {
        return stays_inside(at, target).then(|| target.to_owned());
    }
    let inner = target.strip_prefix(own).ok()?;
    let goes_down = inner.components().all(|part| matches!(part, Component::Normal(_)));
    if !goes_down || !own.is_absolute() {
        return None;
    }
    let mut relative: PathBuf = (0..depth(at)).map(|_| Component::ParentDir).collect();
    relative.push(inner);
    Some(if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative })
}

pub(super) fn stays_inside(at: &Path, target: &Path) -> bool {
    let mut up = 0;
    let mut down = false;
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => down = true,
            Component::ParentDir if !down => up += 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    !target.as_os_str().is_empty() && up <= depth(at)
}

/// Directories above the link, inside the save.
fn depth(at: &Path) -> usize {
    at.components().count().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_inside_or_is_not_kept() {
        for (at, target) in [
            ("a", "b"),
            ("a", "."),
            ("a", "./b/c"),
            ("d/a", "../b"),
            ("d/e/a", "../../b"),
            ("d/a", ".."),
            ("a", "a"),
        ] {
            assert!(stays_inside(Path::new(at), Path::new(target)), "{at} -> {target}");
        }
        for (at, target) in [
            ("a", ".."),
            ("a", "../a"),
            ("d/a", "../../b"),
            ("a", "/etc"),
            ("a", "/"),
            ("a", ""),
            ("d/a", "b/../../.."),
            // `b` may be a link to the save directory itself.
            ("a", "b/.."),
            ("a", "b/../c"),
        ] {
            assert!(!stays_inside(Path::new(at), Path::new(target)), "{at} -> {target}");
        }
    }

    #[test]
    fn an_absolute_link_into_the_save_becomes_a_relative_one() {
        let kept = |at: &str, target: &str| super::kept(Path::new(at), Path::new(target), Path::new("/save"));
        assert_eq!(kept("a", "/save/b"), Some("b".into()));
        assert_eq!(kept("d/e/a", "/save/b/c"), Some("../../b/c".into()));
        assert_eq!(kept("a", "/save"), Some(".".into()));
        assert_eq!(kept("d/a", "/save/"), Some("..".into()));
        for target in ["/", "/save2", "/save/../etc", "/save/b/.."] {
            assert_eq!(kept("a", target), None, "{target}");
        }
    }
}
