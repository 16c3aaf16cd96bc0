//! Rules of the Session API: its ports and times, and the images organisations may start.

use super::super::schema::{ImageConfig, SessionApiConfig};
use super::{Invalid, Problem, check, containers, range};
use std::collections::HashSet;

pub(super) fn session_api(config: &SessionApiConfig) -> Result<(), Problem> {
    let path = |key: &str| format!("session_api.{key}");
    range(&path("first_port"), config.first_port.into(), 1024..=65_535)?;
    check(config.last_port >= config.first_port, || path("last_port"), Invalid::PortRange)?;
    if let Some(host) = config.host {
        check(!host.is_unspecified() && !host.is_multicast(), || path("host"), Invalid::PublicIp)?;
    }
    range(&path("starts_per_minute"), config.starts_per_minute.into(), 1..=100_000)?;
    range(&path("stop_grace_ms"), config.stop_grace_ms, 1..=60_000)?;
    range(&path("restart_limit"), config.restart_limit.into(), 1..=1000)?;
    range(&path("retention_s"), config.retention_s, 1..=2_592_000)?;
    range(&path("artifact_mb"), config.artifact_mb, 1..=10_000)
}

pub(super) fn images(images: &[ImageConfig]) -> Result<(), Problem> {
    let mut names = HashSet::new();
    for image in images {
        let path = |key: &str| format!("images.{}.{key}", image.name);
        check(is_name(&image.name, 100), || path("name"), Invalid::ImageName)?;
        check(names.insert(&image.name), || path("name"), Invalid::ImageTwice)?;
        check(is_repository(&image.repository), || path("repository"), Invalid::Repository)?;
        check(!image.organisations.is_empty(), || path("organisations"), Invalid::Empty)?;
        let named = image.organisations.iter().all(|name| !name.is_empty());
        check(named, || path("organisations"), Invalid::Empty)?;
        check(image.tags.iter().all(|tag| is_tag(tag)), || path("tags"), Invalid::Tag)?;
        containers::picture(
            &path,
            image.pointer.as_deref(),
            [image.width, image.height],
            image.fps,
            image.kbps,
        )?;
        containers::encoder(&path, image.encoder.as_deref())?;
        containers::bounds(&path, &image.container)?;
    }
    Ok(())
}

pub(super) fn is_name(text: &str, most: usize) -> bool {
    text.len() <= most
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_tag(text: &str) -> bool {
    is_name(text.strip_prefix('_').unwrap_or(text), 128) || text == "_"
}

/// `host:port/path/name`: what stands behind the last slash has no colon.
fn is_repository(text: &str) -> bool {
    let last = text.rsplit('/').next().unwrap_or_default();
    !last.is_empty() && !last.contains(':') && !text.contains(['@', ' ']) && !text.starts_with(['/', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(toml: &str) -> ImageConfig {
        toml::from_str(&format!("organisations = ['studio']\n{toml}")).unwrap()
    }

    fn refused(toml: &str) -> Invalid {
        images(&[image(toml)]).unwrap_err().invalid
    }

    #[test]
    fn an_image_is_named_and_has_a_repository_without_a_tag() {
        let good =
            "name = 'nginx-1.2_x'\nrepository = 'registry.example.org:5000/team/nginx'\ntags = ['1.2', '_x']";
        images(&[image(good)]).unwrap();
        assert_eq!(images(&[image(good), image(good)]).unwrap_err().invalid, Invalid::ImageTwice);
        assert_eq!(refused("name = '-x'\nrepository = 'x'"), Invalid::ImageName);
        assert_eq!(refused("name = 'a/b'\nrepository = 'x'"), Invalid::ImageName);
        for repository in ["nginx:latest", "nginx@sha256:0", "", "a/", "-x"] {
            assert_eq!(refused(&format!("name = 'x'\nrepository = '{repository}'")), Invalid::Repository);
        }
        assert_eq!(refused("name = 'x'\nrepository = 'x'\ntags = ['a/b']"), Invalid::Tag);
        assert_eq!(refused("name = 'x'\nrepository = 'x'\nfps = 0"), Invalid::Range(1, 240));
        assert_eq!(refused("name = 'x'\nrepository = 'x'\nencoder = 'X 264'"), Invalid::Encoder);
    }

    #[test]
    fn somebody_must_be_allowed_to_start_it() {
        let nobody = toml::from_str("name = 'x'\nrepository = 'x'\norganisations = []").unwrap();
        assert_eq!(images(&[nobody]).unwrap_err().invalid, Invalid::Empty);
    }

    #[test]
    fn g24_ports_are_a_range_from_20000_to_30000_unless_configured() {
        let config = SessionApiConfig::default();
        assert_eq!((config.first_port, config.last_port), (20_000, 30_000));
        let with =
            |first_port, last_port| SessionApiConfig { first_port, last_port, ..SessionApiConfig::default() };
        session_api(&with(20_000, 20_000)).unwrap();
        assert_eq!(session_api(&with(20_000, 19_999)).unwrap_err().invalid, Invalid::PortRange);
        assert_eq!(session_api(&with(80, 90)).unwrap_err().invalid, Invalid::Range(1024, 65_535));
    }
}
