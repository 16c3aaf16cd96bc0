//! Nodes: reserves places on them ([`Scheduler`]), shows them to operators ([`directory`]), and keeps this gateway's own node
//! alive and true in the store ([`NodeHeart`]). A node is a gateway with its engine.

mod chance;
pub mod directory;
pub mod health;
pub mod heart;
pub mod machine;
pub mod name;
pub mod reach;
pub mod scheduler;

pub use directory::{NodeDirectory, NodeView};
pub use heart::{AlwaysThere, DockerProbe, EngineProbe, HeartParts, NodeHeart};
pub use name::node_name;
pub use scheduler::{PlaceError, Placed, SILENT_AFTER_MS, Scheduler};
