//! What the README tells people to write works.

use playgate::config::Config;

#[test]
fn the_readmes_configuration_loads() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let config: Config = toml::from_str(example).expect("keys the configuration knows");
    assert_eq!(config.games[0].slug, "camera");
    assert_eq!(config.auth.keys[0].alg, "EdDSA");
}
