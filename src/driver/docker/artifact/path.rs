//! The path of an artifact: absolute, and without anything that leads back. Pure.

/// Longest path Linux takes.
const MAX: usize = 4096;

/// Normalised: no `.`, no `..`, no empty parts, no trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArtifactPath(String);

impl ArtifactPath {
    /// `..` goes up in the text, as far as the root, before any link is looked at. `None` when it is not absolute, too long,
    /// or holds a NUL.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.starts_with('/') || text.len() > MAX || text.contains('\0') {
            return None;
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        Some(Self(format!("/{}", parts.join("/"))))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// What the artifact is called in its archive.
    pub(super) fn name(&self) -> &str {
        match self.0.rsplit_once('/') {
            Some((_, name)) if !name.is_empty() => name,
            Some(_) | None => "root",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> Option<(String, String)> {
        ArtifactPath::parse(text).map(|path| (path.as_str().to_owned(), path.name().to_owned()))
    }

    #[test]
    fn a_path_is_brought_to_its_shortest_and_stays_below_the_root() {
        for (text, path, name) in [
            ("/var/log/nginx", "/var/log/nginx", "nginx"),
            ("//var//log/", "/var/log", "log"),
            ("/var/./log/.", "/var/log", "log"),
            ("/var/log/../lib", "/var/lib", "lib"),
            ("/../../etc/passwd", "/etc/passwd", "passwd"),
            ("/a/b/../../..", "/", "root"),
            ("/", "/", "root"),
            ("/...", "/...", "..."),
            ("/a b/\u{e4}", "/a b/\u{e4}", "\u{e4}"),
        ] {
            assert_eq!(normal(text), Some((path.to_owned(), name.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = format!("/{}", "a".repeat(MAX));
        for text in ["", "var/log", "./var", "~", "C:/x", "/a\0b", &long] {
            assert_eq!(normal(text), None, "{text}");
        }
    }
}
