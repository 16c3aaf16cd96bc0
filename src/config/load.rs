//! Brings the layers of the configuration together and says where a mistake stands.
//!
//! Each layer is read on its own first, so that an error names its file and line, its variable or its flag; figment
//! then merges them. `PLAYGATE_SESSIONS__CAPACITY` is `sessions.capacity`. The variables of the runner contract carry
//! the same prefix and are no configuration; a gateway started inside a game's environment must not trip over them.

use super::overrides::ConfigOverrides;
use super::schema::Config;
use super::validate::{Problem, validate};
use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use playgate_signaling::runner::env as contract;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Prefix of the environment variables.
const PREFIX: &str = "PLAYGATE_";
/// Names the configuration file when there is no `--config`.
const FILE_VARIABLE: &str = "PLAYGATE_CONFIG";

/// Where the configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct ConfigSource {
    /// `--config`. Must exist when given.
    pub file: Option<PathBuf>,
    /// The environment; only `PLAYGATE_*` is looked at.
    pub env: Vec<(String, String)>,
    pub flags: ConfigOverrides,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}")]
    Read { path: PathBuf, source: std::io::Error },
    /// Not TOML, an unknown key or a wrong type.
    #[error("{place}: {message}{}", suggestion.as_ref().map(|key| format!(" (did you mean `{key}`?)")).unwrap_or_default())]
    Layer {
        /// `FILE, line N`, `environment variable NAME`, or `flags`.
        place: String,
        message: String,
        suggestion: Option<String>,
    },
    /// A value that cannot work.
    #[error(transparent)]
    Invalid(#[from] Problem),
}

impl ConfigSource {
    /// This process's environment and nothing else.
    pub fn from_env() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { env: std::env::vars_os().filter_map(text).collect(), ..Self::default() }
    }
}

impl Config {
    /// Reads, merges and checks.
    pub fn load(source: ConfigSource) -> Result<Self, ConfigError> {
        let ConfigSource { file, env, flags } = source;
        let mut merged = defaults();
        let named = env.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
        if let Some(path) = file.or_else(|| named.map(|(_, path)| PathBuf::from(path))) {
            let text = std::fs::read_to_string(&path)
                .map_err(|source| ConfigError::Read { path: path.clone(), source })?;
            merged = merged.merge(of_file(&path, &text)?);
        }
        let mut env: Vec<_> = env.into_iter().filter(|(name, _)| is_configuration(name)).collect();
        env.sort();
        for (name, value) in env {
            merged = merged.merge(of_variable(&name, &value)?);
        }
        merged = merged.merge(of_flags(&flags)?);
        let mut config: Self = merged.extract().map_err(|error| layer_error("configuration", &error))?;
        if let Some(url) = &mut config.public_url {
            url.truncate(url.trim_end_matches('/').len());
        }
        validate(&config)?;
        Ok(config)
    }
}

/// One place that says something.
struct Layer {
    place: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

impl Layer {
    /// Checks the layer alone, over the defaults.
    fn checked(self) -> Result<Self, ConfigError> {
        match defaults().merge(&self).extract::<Config>() {
            Ok(_) => Ok(self),
            Err(error) => Err(layer_error(&self.place, &error)),
        }
    }
}

fn defaults() -> Figment {
    Figment::from(Serialized::defaults(Config::default()))
}

fn of_file(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let place = |line: Option<usize>| match line {
        Some(line) => format!("{}, line {line}", path.display()),
        None => path.display().to_string(),
    };
    let syntax = |error: toml::de::Error| {
        let line = error.span().map(|span| line_of(text, span.start));
        ConfigError::Layer { place: place(line), message: error.message().to_owned(), suggestion: None }
    };
    let table: toml::Table = toml::from_str(text).map_err(syntax)?;
    let values = dict(&table).map_err(|error| layer_error(&place(None), &error))?;
    // Read by itself for the line of a mistake; figment knows none.
    let line =
        toml::from_str::<Config>(text).err().and_then(|e| e.span()).map(|span| line_of(text, span.start));
    Layer { place: place(line), values }.checked()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn is_configuration(name: &str) -> bool {
    const CONTRACT: [&str; 12] = [
        contract::SESSION_ID,
        contract::CONTROL_URL,
        contract::TOKEN,
        contract::RTP_VIDEO,
        contract::RTP_AUDIO,
        contract::WIDTH,
        contract::HEIGHT,
        contract::FPS,
        contract::VIDEO_KBPS,
        contract::SAVE_DIR,
        contract::ON_GATEWAY_LOSS,
        contract::ENCODER,
    ];
    name.starts_with(PREFIX)
        && name != FILE_VARIABLE
        && !CONTRACT.contains(&name)
        && !name.starts_with("PLAYGATE_TEST_")
}

/// Keys whose text is taken as it is, whatever it looks like.
const TEXT_KEYS: [&str; 11] = [
    "listen",
    "private_listen",
    "public_url",
    "data_dir",
    "tls_cert",
    "tls_key",
    "auth.sign_in_url",
    "auth.jwks_file",
    "ice.secret",
    "log.filter",
    "config",
];
/// Keys that hold a list of texts; commas separate.
const LIST_KEYS: [&str; 4] = ["media_listen", "public_ip", "trusted_proxies", "ice.urls"];

fn of_variable(name: &str, text: &str) -> Result<Layer, ConfigError> {
    let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
    let value = if TEXT_KEYS.contains(&key.as_str()) {
        Value::from(text)
    } else if LIST_KEYS.contains(&key.as_str()) && !text.trim_start().starts_with('[') {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Value::from(items.map(Value::from).collect::<Vec<_>>())
    } else {
        // Numbers, booleans, lists and tables in TOML's spelling; anything else is text.
        text.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
    };
    let mut values = Dict::new();
    for part in key.rsplit('.') {
        let inner = if values.is_empty() { value.clone() } else { Value::from(std::mem::take(&mut values)) };
        values = Dict::from([(part.to_owned(), inner)]);
    }
    Layer { place: format!("environment variable {name}"), values }.checked()
}

fn of_flags(flags: &ConfigOverrides) -> Result<Layer, ConfigError> {
    let place = "flags".to_owned();
    let mut values = dict(flags).map_err(|error| layer_error(&place, &error))?;
    if let Some(filter) = &flags.log_filter {
        let log = Dict::from([("filter".to_owned(), Value::from(filter.as_str()))]);
        values.insert("log".to_owned(), Value::from(log));
    }
    Layer { place, values }.checked()
}

fn dict(value: impl Serialize) -> Result<Dict, Box<figment::Error>> {
    Ok(Value::serialize(value)?.into_dict().unwrap_or_default())
}

fn layer_error(place: &str, error: &figment::Error) -> ConfigError {
    let path = error.path.join(".");
    let (message, suggestion) = if let figment::error::Kind::UnknownField(field, known) = &error.kind {
        let inside = error.path.strip_suffix(std::slice::from_ref(field)).unwrap_or(&error.path);
        let section = inside.join(".");
        let message = if section.is_empty() {
            format!("unknown key `{field}`")
        } else {
            format!("unknown key `{field}` in `{section}`")
        };
        (message, nearest(field, known))
    } else if path.is_empty() {
        (error.kind.to_string(), None)
    } else {
        (format!("`{path}`: {}", error.kind), None)
    };
    ConfigError::Layer { place: place.to_owned(), message, suggestion }
}

/// The known key that differs least, if it is near at all.
fn nearest(field: &str, known: &[&str]) -> Option<String> {
    let (distance, key) = known.iter().map(|key| (distance(field, key), key)).min()?;
    (distance <= field.len().div_ceil(3)).then(|| (*key).to_owned())
}

/// Edits between two words (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}
