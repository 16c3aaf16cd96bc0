//! Which tags of an image there are, and which one is meant (rules 2, 19 and 20).

use super::{HostedImage, LocationView};
use crate::content::Content;
use crate::schedule::{NodeState, rank};
use crate::session::access::internal;
use crate::session::{ServiceError, Sessions};
use std::collections::BTreeMap;

impl Sessions {
    /// The tag to run: the one asked for, if it is there, else the one with the highest priority.
    pub(super) async fn tag(
        &self,
        image: &HostedImage,
        version: Option<&str>,
    ) -> Result<String, ServiceError> {
        let found = match version {
            Some(tag) => self.has_tag(image, tag).await?.then(|| tag.to_owned()),
            None => self.highest_tag(image).await?,
        };
        found.ok_or_else(|| {
            let what = version.map_or("any tag".to_owned(), |tag| format!("the tag '{tag}'"));
            ServiceError::NotFound(format!("The image '{}' does not have {what}.", image.name))
        })
    }

    async fn highest_tag(&self, image: &HostedImage) -> Result<Option<String>, ServiceError> {
        // What is here needs no registry.
        if let Some(first) = image.tags.first()
            && self.is_here(image, first).await
        {
            return Ok(Some(first.clone()));
        }
        let tags = self.tags(image).await?;
        let preferred = image.tags.iter().find(|tag| tags.contains(tag));
        Ok(preferred.or(tags.first()).cloned())
    }

    async fn has_tag(&self, image: &HostedImage, tag: &str) -> Result<bool, ServiceError> {
        Ok(self.is_here(image, tag).await || self.tags(image).await?.iter().any(|known| known == tag))
    }

    async fn is_here(&self, image: &HostedImage, tag: &str) -> bool {
        let Some(content) = &self.context().content else { return false };
        let reference = format!("{}:{tag}", image.repository);
        is_tag(tag) && content.is_cached(&Content::Image { reference }).await
    }

    /// The newest first.
    async fn tags(&self, image: &HostedImage) -> Result<Vec<String>, ServiceError> {
        let Some(content) = &self.context().content else { return Ok(Vec::new()) };
        content.tags(&image.repository).await.map_err(|error| {
            tracing::warn!(image = image.name, %error, "the tags of an image cannot be told");
            ServiceError::StartFailed(format!(
                "The versions of the image '{}' cannot be told now.",
                image.name
            ))
        })
    }

    /// Contract G-8.
    pub async fn image_locations(
        &self,
        organisation: &str,
        image: &str,
    ) -> Result<Vec<LocationView>, ServiceError> {
        let image = self.image(organisation, image)?;
        let game = image.game(image.tags.first().map_or("latest", String::as_str));
        let request =
            crate::session::placement::request(self.context(), &game, None).await.map_err(internal)?;
        let nodes = self.nodes().await?;
        let mut locations: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, _) in rank(&nodes, &request).candidates {
            if let Some(node) = nodes.iter().find(|node| node.name == name) {
                let ips = locations.entry(node.place()).or_default();
                let host = &self.context().hosting.host;
                if !ips.contains(host) {
                    ips.push(host.clone());
                }
            }
        }
        Ok(locations.into_iter().map(|(id, ips)| LocationView { id: id.to_owned(), ips }).collect())
    }

    /// Contract G-9.
    pub async fn image_has_tag(
        &self,
        organisation: &str,
        region: &str,
        image: &str,
        tag: &str,
    ) -> Result<bool, ServiceError> {
        let image = self.image(organisation, image)?;
        if !self.nodes().await?.iter().any(|node: &NodeState| node.is_at(region)) {
            return Err(ServiceError::InvalidRequest(format!("The region '{region}' does not exist.")));
        }
        self.has_tag(image, tag).await
    }
}

/// As image references spell it: else a version could smuggle another reference in.
fn is_tag(tag: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(letter)
        && tag.bytes().all(|byte| letter(byte) || byte == b'.' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::is_tag;

    #[test]
    fn a_tag_is_nothing_but_a_tag() {
        assert!(["latest", "1.2-rc_3", "_", &"a".repeat(128)].iter().all(|tag| is_tag(tag)));
        let bad = ["", ".1", "-", "a/b", "a:b", "a@sha256:0", "ä", "a b", &"a".repeat(129)];
        assert!(!bad.iter().any(|tag| is_tag(tag)));
    }
}
