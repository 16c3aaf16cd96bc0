//! Which tags of an image there are, and which one is meant (rules 2, 19 and 20).

use super::{HostedImage, LocationView};
use crate::content::Content;
use crate::content::references::is_tag;
use crate::schedule::{NodeState, rank};
use crate::session::access::internal;
use crate::session::{ServiceError, Sessions};
use std::collections::BTreeSet;

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
        // Else a version could smuggle another reference in.
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
        let request = crate::session::placement::request(self.context(), &image.usual_game(), None)
            .await
            .map_err(internal)?;
        let nodes = self.nodes().await?;
        let ranking = rank(&nodes, &request);
        let named = |name: &String| nodes.iter().find(|node| node.name == *name);
        let places: BTreeSet<&str> =
            ranking.candidates.iter().filter_map(|(name, _)| named(name)).map(NodeState::place).collect();
        // One address serves them all: a gateway places on its own node.
        let ips = vec![self.context().hosting.host.clone()];
        Ok(places.into_iter().map(|id| LocationView { id: id.to_owned(), ips: ips.clone() }).collect())
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
