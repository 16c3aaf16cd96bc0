//! The name of this gateway's node: configured, or made up once and kept.

use crate::config::NodeConfig;
use std::io::{self, Write};
use std::path::Path;

const FILE: &str = "node-name";
/// As the configuration's own (`node.name`).
const MAX_LEN: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum NodeNameError {
    #[error("cannot keep the node's name in {path}")]
    Io { path: String, source: io::Error },
    #[error("{path} holds no node name; set node.name, or remove the file for a new one")]
    Malformed { path: String },
}

/// `node.name`, else the name that the data directory (which must exist) holds, else a new one, `node-` and eight
/// hexadecimal digits, which it holds from then on.
pub fn node_name(config: &NodeConfig, data_dir: &Path) -> Result<String, NodeNameError> {
    if let Some(name) = &config.name {
        return Ok(name.clone());
    }
    let file = data_dir.join(FILE);
    let path = || file.display().to_string();
    let kept = kept_name(&file).map_err(|source| NodeNameError::Io { path: path(), source })?;
    let name = kept.trim().to_owned();
    if is_name(&name) { Ok(name) } else { Err(NodeNameError::Malformed { path: path() }) }
}

/// Made whole under another name and then linked: of two processes that make one up, both end with the same.
fn kept_name(file: &Path) -> io::Result<String> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read,
    }
    let id = uuid::Uuid::new_v4().simple().to_string();
    let draft = file.with_extension(&id);
    let made = std::fs::File::create_new(&draft).and_then(|mut draft| {
        writeln!(draft, "node-{}", &id[..8])?;
        draft.sync_all()
    });
    let linked = made.and_then(|()| std::fs::hard_link(&draft, file));
    let _ = std::fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => std::fs::read_to_string(file),
    }
}

fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_LEN).contains(&text.len()) && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let name = node_name(&NodeConfig::default(), dir.path()).unwrap();
        assert!(name.starts_with("node-") && name.len() == 13 && is_name(&name), "{name}");
        assert_eq!(node_name(&NodeConfig::default(), dir.path()).unwrap(), name);
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(files, 1, "no draft stays behind");
    }

    #[test]
    fn a_configured_name_wins_and_a_broken_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "Not A Name").unwrap();
        let error = node_name(&NodeConfig::default(), dir.path()).unwrap_err();
        assert!(error.to_string().contains("node.name"), "{error}");
        let config = NodeConfig { name: Some("here".to_owned()), ..NodeConfig::default() };
        assert_eq!(node_name(&config, dir.path()).unwrap(), "here");
    }
}
