//! What the README tells people to write works.

use playgate::config::Config;

#[test]
fn the_readmes_configurations_load() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let examples = readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("its end"));
    let configs: Vec<Config> =
        examples.map(|example| toml::from_str(example).expect("keys the configuration knows")).collect();
    assert_eq!(configs[0].games[0].slug, "camera");
    assert_eq!(configs[0].auth.keys[0].alg, "EdDSA");
    assert!(configs.iter().any(|config| config.webhooks.iter().any(|webhook| webhook.name == "backend")));
    assert!(configs.iter().any(|config| config.images.iter().any(|image| image.name == "arena")));
}
