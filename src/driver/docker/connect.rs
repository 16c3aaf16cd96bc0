//! Finds the engine and makes sure that it is new enough.

use super::error::DockerError;
use bollard::{API_DEFAULT_VERSION, Docker};
use std::time::Duration;
use tokio::time::Instant;

/// An engine that starts together with us gets this long.
const WAIT: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest silence of an engine before its first answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Longest wait for the head of any later answer, in seconds.
const REQUEST_TIMEOUT_S: u64 = 60;
/// Of Docker 20.10: one-shot statistics, static addresses, mounts with labels.
const OLDEST_API: (usize, usize) = (1, 41);
const USUAL_SOCKET: &str = "/var/run/docker.sock";

/// `host` is the configuration's.
pub(super) async fn connect(host: Option<&str>) -> Result<Docker, DockerError> {
    wait_for(socket(host)?, WAIT).await
}

/// The path of the engine's socket. `host` is the configuration's; absent: `DOCKER_HOST`, else the usual place.
pub fn socket(host: Option<&str>) -> Result<String, DockerError> {
    let from_environment = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    choose(host, from_environment.as_deref())
}

async fn wait_for(socket: String, patience: Duration) -> Result<Docker, DockerError> {
    let deadline = Instant::now() + patience;
    loop {
        match tokio::time::timeout(ANSWER_WITHIN, attempt(&socket)).await {
            Ok(Ok(engine)) => return Ok(engine),
            Ok(Err(error @ DockerError::TooOld { .. })) => return Err(error),
            Ok(Err(error)) if Instant::now() >= deadline => return Err(error),
            Err(_) if Instant::now() >= deadline => {
                return Err(DockerError::Unreachable { socket, detail: "it does not answer".to_owned() });
            }
            Ok(Err(_)) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn attempt(socket: &str) -> Result<Docker, DockerError> {
    let unreachable = |error: bollard::errors::Error| DockerError::Unreachable {
        socket: socket.to_owned(),
        detail: error.to_string(),
    };
    let engine = Docker::connect_with_unix(socket, REQUEST_TIMEOUT_S, API_DEFAULT_VERSION)
        .map_err(unreachable)?
        .negotiate_version()
        .await
        .map_err(unreachable)?;
    let told = engine.version().await.map_err(unreachable)?;
    let (version, api) = (told.version.unwrap_or_default(), told.api_version.unwrap_or_default());
    if !is_new_enough(&api) {
        return Err(DockerError::TooOld { socket: socket.to_owned(), version, api });
    }
    tracing::info!(socket, version, api, "speaking to the engine");
    Ok(engine)
}

fn choose(configured: Option<&str>, from_environment: Option<&str>) -> Result<String, DockerError> {
    let (key, host) = match (configured, from_environment) {
        (Some(host), _) => ("docker.host", host),
        (None, Some(host)) => ("DOCKER_HOST", host),
        (None, None) => return Ok(USUAL_SOCKET.to_owned()),
    };
    match host.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(path.to_owned()),
        Some(_) | None => Err(DockerError::Host { key, host: host.to_owned() }),
    }
}

fn is_new_enough(api: &str) -> bool {
    let mut numbers = api.split('.').map(str::parse::<usize>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST_API,
        (Some(_) | None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_comes_before_the_environment_and_only_sockets_are_spoken_to() {
        assert_eq!(choose(None, None).unwrap(), "/var/run/docker.sock");
        assert_eq!(choose(None, Some("unix:///a")).unwrap(), "/a");
        assert_eq!(choose(Some("unix:///b"), Some("unix:///a")).unwrap(), "/b");
        let refused = choose(None, Some("tcp://10.0.0.1:2375")).unwrap_err().to_string();
        assert!(refused.contains("DOCKER_HOST") && refused.contains("tcp://10.0.0.1:2375"), "{refused}");
        assert!(choose(Some("unix://relative"), None).is_err());
    }

    #[test]
    fn engines_before_20_10_are_too_old() {
        assert!(is_new_enough("1.41") && is_new_enough("1.52") && is_new_enough("2.0"));
        assert!(
            !is_new_enough("1.40") && !is_new_enough("1.9") && !is_new_enough("") && !is_new_enough("x.y")
        );
    }

    #[tokio::test]
    async fn a_socket_that_is_not_there_is_named() {
        let error = wait_for("/nowhere/docker.sock".to_owned(), Duration::ZERO).await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/docker.sock"), "{error}");
    }

    #[tokio::test]
    async fn an_engine_that_comes_while_we_wait_is_spoken_to_and_one_that_is_too_old_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.sock").display().to_string();
        let waiting = tokio::spawn(wait_for(path.clone(), WAIT));
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let serving = tokio::spawn(old_engine(listener));
        let error = waiting.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("19.03.15") && error.contains("1.40") && error.contains("20.10"), "{error}");
        serving.abort();
    }

    /// Answers every request with its version.
    async fn old_engine(listener: tokio::net::UnixListener) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let body = r#"{"Version":"19.03.15","ApiVersion":"1.40"}"#;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}
