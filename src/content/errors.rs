//! Why content did not come. Each text is a sentence for players and operators, without its full stop.

/// Never holds credentials; the details are what the engine, the registry or the server said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    #[error("the image {reference} cannot be found: {detail}")]
    NoSuchImage { reference: String, detail: String },
    #[error("the image {reference} is not what its digest says: {detail}")]
    WrongDigest { reference: String, detail: String },
    #[error("the registry of {reference} cannot be reached: {detail}")]
    RegistryUnreachable { reference: String, detail: String },
    #[error("the registry of {reference} refused our credentials: {detail}")]
    RegistryRefused { reference: String, detail: String },
    #[error("the package at {url} cannot be downloaded: {detail}")]
    Download { url: String, detail: String },
    #[error("the package at {url} has another SHA-256 than configured")]
    WrongHash { url: String },
    #[error("the package at {url} is not safe to unpack: {detail}")]
    Unsafe { url: String, detail: String },
    #[error("the package at {url} does not fit in the package cache: {detail}")]
    TooLarge { url: String, detail: String },
    #[error("{0}")]
    Other(String),
}
