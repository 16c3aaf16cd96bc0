//! Configuration: defaults, a TOML file (`--config`), `PLAYGATE_*`, flags, in rising order of precedence.
//!
//! Unknown keys are refused with name and place, values that cannot work with the key and the reason. Nothing here
//! opens a socket or a file other than the configuration.

mod load;
mod overrides;
mod predicates;
mod print;
mod schema;
mod validate;

pub use load::{ConfigError, ConfigSource};
pub use overrides::ConfigOverrides;
pub(crate) use predicates::{is_turn, webhook_key};
pub use print::print_defaults;
pub use schema::{
    AuthConfig, AuthKey, Config, ContainerConfig, DockerConfig, DriverName, GameConfig, IceConfig,
    ImageConfig, IngestConfig, IngestStream, LogConfig, NodeConfig, PackageConfig, RegistryConfig,
    RunnerConfig, SessionApiConfig, SessionsConfig, WebhookConfig,
};
pub use validate::{Invalid, Problem};
