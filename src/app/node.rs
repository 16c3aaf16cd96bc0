//! The name this gateway goes by as a node.

use crate::config::NodeConfig;
use crate::store::DataDir;
use anyhow::{Context, Result};

/// The configured name, else one that is made up once and kept: labels of what lives on the engine carry it.
pub(super) fn name(config: &NodeConfig, data_dir: &DataDir) -> Result<String> {
    if let Some(name) = &config.name {
        return Ok(name.clone());
    }
    let file = data_dir.root().join("node-name");
    if let Ok(kept) = std::fs::read_to_string(&file)
        && is_name(kept.trim())
    {
        return Ok(kept.trim().to_owned());
    }
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let name = format!("node-{}", &unique[..8]);
    std::fs::write(&file, format!("{name}\n"))
        .with_context(|| format!("cannot keep the node's name in {}", file.display()))?;
    Ok(name)
}

/// As the configuration demands of `node.name`.
fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_up_once_and_the_configured_one_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::lock(dir.path()).unwrap();
        let made_up = name(&NodeConfig::default(), &data_dir).unwrap();
        assert!(is_name(&made_up), "{made_up}");
        assert_eq!(name(&NodeConfig::default(), &data_dir).unwrap(), made_up);
        let config = NodeConfig { name: Some("oslo-1".to_owned()), ..NodeConfig::default() };
        assert_eq!(name(&config, &data_dir).unwrap(), "oslo-1");
    }
}
