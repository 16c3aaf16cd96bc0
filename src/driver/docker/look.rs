//! A look at one container.

use super::Node;
use super::error::{DockerError, unless_absent};
use super::names::NODE;
use bollard::models::ContainerInspectResponse;

/// `None` when it is not there, or not this node's: a row may be of any age.
pub(super) async fn container_of_node(
    node: &Node,
    container: &str,
) -> Result<Option<ContainerInspectResponse>, DockerError> {
    let found = unless_absent(node.engine.inspect_container(container, None).await)
        .map_err(DockerError::engine("find a container"))?;
    Ok(found.filter(|found| {
        let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
        labels.and_then(|labels| labels.get(NODE)).is_some_and(|label| *label == node.name)
    }))
}

/// It has processes.
pub(super) fn plays(found: &ContainerInspectResponse) -> bool {
    found.state.as_ref().is_some_and(|state| state.running.unwrap_or(false))
}
