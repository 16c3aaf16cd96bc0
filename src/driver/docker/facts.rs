//! What an image says of itself.

use super::error::DockerError;
use super::ports;
use crate::driver::ImageFacts;
use crate::model::instance::ExposedPort;
use bollard::Docker;
use bollard::models::ImageConfig;

/// Of an image that is here, by id or reference.
pub(super) async fn of(engine: &Docker, image: &str) -> Result<ImageFacts, DockerError> {
    let found = engine.inspect_image(image).await.map_err(DockerError::engine("tell about an image"))?;
    Ok(found.config.map(read).unwrap_or_default())
}

/// Ports of protocols that are not published (SCTP) are left out.
fn read(config: ImageConfig) -> ImageFacts {
    let exposed = config.exposed_ports.unwrap_or_default();
    let mut ports: Vec<ExposedPort> = exposed.iter().filter_map(|port| ports::parse(port)).collect();
    ports.sort();
    ports.dedup();
    ImageFacts { ports, labels: config.labels.unwrap_or_default().into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::Protocol;

    #[test]
    fn ports_come_in_order_once_and_without_what_is_not_published() {
        let exposed = ["27015/udp", "80/tcp", "27015/tcp", "80", "9/sctp"].map(str::to_owned).to_vec();
        let facts = read(ImageConfig { exposed_ports: Some(exposed), ..ImageConfig::default() });
        let port = |protocol, container| ExposedPort { protocol, container };
        let expected = [port(Protocol::Tcp, 80), port(Protocol::Tcp, 27015), port(Protocol::Udp, 27015)];
        assert_eq!(facts.ports, expected);
        assert_eq!(read(ImageConfig::default()), ImageFacts::default());
    }
}
