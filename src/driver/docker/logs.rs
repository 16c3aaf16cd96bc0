//! What a container has written, as the engine keeps it.
//!
//! Nothing is read ahead: the engine's answer is read when the stream is polled and not before, so a reader that takes
//! nothing costs a socket's buffer. What a container writes meanwhile is the engine's to keep or, beyond the log's bound,
//! to forget.

use super::Node;
use super::error::DockerError;
use super::look::container_of_node;
use crate::driver::ByteStream;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::{StreamExt, TryStreamExt};
use std::io;

/// Standard output and error in one. `None` when there is no such container, or it is not this node's.
pub(super) async fn stream(
    node: &Node,
    container: &str,
    follow: bool,
) -> Result<Option<ByteStream>, DockerError> {
    let Some(found) = container_of_node(node, container).await? else { return Ok(None) };
    let id = found.id.unwrap_or_else(|| container.to_owned());
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(follow).build();
    let lines = node.engine.logs(&id, Some(options));
    Ok(Some(lines.map_ok(LogOutput::into_bytes).map_err(io::Error::other).boxed()))
}
