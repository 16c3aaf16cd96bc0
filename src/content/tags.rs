//! The tags of a repository: those on the engine and those in its registry, the newest first.
//!
//! "New" is when the image was made, as it says itself. Telling that of a tag in a registry takes requests, so at most
//! [`MAX_DATED`] are asked for, some at a time, and what was heard is remembered: of an image for good, of what a tag points
//! at for a minute. Tags without a date come last. A registry that is away leaves the engine's own.

use super::ContentError;
use super::references::{Reference, is_tag};
use super::registry::{RegistryClient, Repository};
use crate::config::RegistryConfig;
use bollard::Docker;
use bollard::query_parameters::ListImagesOptions;
use futures_util::{StreamExt, stream};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// Tags of one repository whose date is asked for. The registry's last ones: versions and dates mostly sort upwards.
const MAX_DATED: usize = 200;
/// Requests at a time.
const AT_ONCE: usize = 8;
/// For all of a repository's dates; what is not known by then comes last.
const DATES_WITHIN: Duration = Duration::from_secs(15);
/// For the list itself: all its pages.
const LIST_WITHIN: Duration = Duration::from_secs(20);
/// How long a tag is taken to point at the same image.
const TAG_FOR: Duration = Duration::from_secs(60);
/// Of images and of tags; when there are more, all of that kind are forgotten.
const MAX_REMEMBERED: usize = 10_000;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Tags {
    engine: Docker,
    registry: RegistryClient,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    /// By the digest of an image's configuration.
    created: HashMap<String, Option<OffsetDateTime>>,
    /// By repository and tag: the digest.
    tags: HashMap<(String, String), (String, Instant)>,
}

impl Tags {
    pub(super) fn new(engine: Docker, registries: &[RegistryConfig]) -> Self {
        Self { engine, registry: RegistryClient::new(registries), memory: Arc::default() }
    }

    /// An error only when neither side has any.
    pub(super) async fn of(&self, repository: &str) -> Result<Vec<String>, ContentError> {
        let parsed = Reference::parse(repository).map_err(|error| ContentError::NoSuchImage {
            reference: repository.to_owned(),
            detail: error.to_string(),
        })?;
        let (here, there) = tokio::join!(self.on_engine(&parsed), self.in_registry(&parsed));
        let mut all = match (here, there) {
            (Ok(here), Ok(there)) => merge(here, there),
            (Ok(tags), Err(error)) | (Err(error), Ok(tags)) if !tags.is_empty() => {
                tracing::debug!(repository, %error, "only some of a repository's tags can be told");
                tags
            }
            (Ok(_), Err(error)) | (Err(error), Ok(_) | Err(_)) => return Err(error),
        };
        newest_first(&mut all);
        Ok(all.into_iter().map(|dated| dated.tag).collect())
    }

    async fn on_engine(&self, repository: &Reference) -> Result<Vec<Dated>, ContentError> {
        // The engine's own filter reads patterns, and an IPv6 host is one.
        let images = self.engine.list_images(None::<ListImagesOptions>).await.map_err(|error| {
            ContentError::Other(format!("the engine that runs games does not answer: {error}"))
        })?;
        let name = repository.repository();
        let tags = images.into_iter().flat_map(|image| {
            let created = OffsetDateTime::from_unix_timestamp(image.created).ok();
            image.repo_tags.into_iter().map(move |tag| (tag, created))
        });
        let ours = tags.filter_map(|(reference, created)| {
            let (found, tag) = reference.rsplit_once(':')?;
            (found == name).then(|| Dated { tag: tag.to_owned(), created })
        });
        Ok(ours.collect())
    }

    async fn in_registry(&self, repository: &Reference) -> Result<Vec<Dated>, ContentError> {
        let Some(repository) = RegistryClient::repository(repository) else { return Ok(Vec::new()) };
        let list = tokio::time::timeout(LIST_WITHIN, self.registry.tags(&repository)).await;
        let mut tags = list.unwrap_or_else(|_| {
            Err(ContentError::RegistryUnreachable {
                reference: repository.name().to_owned(),
                detail: "it takes too long to list its tags".to_owned(),
            })
        })?;
        // What is no tag cannot be pulled.
        tags.retain(|tag| is_tag(tag));
        let mut seen = HashSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        let undated = tags.len().saturating_sub(MAX_DATED);
        let dates = self.dates(&repository, &tags[undated..]).await;
        let dated = tags.into_iter().map(|tag| Dated { created: dates.get(&tag).copied(), tag });
        Ok(dated.collect())
    }

    async fn dates(&self, repository: &Repository, tags: &[String]) -> HashMap<String, OffsetDateTime> {
        let mut asked = Vec::with_capacity(tags.len());
        for tag in tags {
            asked.push(async move { (tag, self.date(repository, tag).await) });
        }
        let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut dates = HashMap::new();
        let all = async {
            while let Some((tag, date)) = answers.next().await {
                match date {
                    Ok(Some(date)) => {
                        dates.insert(tag.clone(), date);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(repository = repository.name(), tag, %error, "a tag has no date");
                    }
                }
            }
        };
        if tokio::time::timeout(DATES_WITHIN, all).await.is_err() {
            tracing::debug!(repository = repository.name(), "a registry is slow to tell dates");
        }
        dates
    }

    async fn date(&self, repository: &Repository, tag: &str) -> Result<Option<OffsetDateTime>, ContentError> {
        let key = (repository.name().to_owned(), tag.to_owned());
        let remembered = self.look(|memory| {
            let known = memory.tags.get(&key).filter(|(_, since)| since.elapsed() < TAG_FOR);
            known.map(|(digest, _)| digest.clone())
        });
        let digest = match remembered {
            Some(digest) => digest,
            None => {
                let manifest = self.registry.manifest(repository, tag).await?;
                let known = (manifest.config.clone(), Instant::now());
                self.look(|memory| remember(&mut memory.tags, key, known));
                manifest.config
            }
        };
        if let Some(created) = self.look(|memory| memory.created.get(&digest).copied()) {
            return Ok(created);
        }
        let created = self.registry.created(repository, &digest).await?;
        self.look(|memory| remember(&mut memory.created, digest, created));
        Ok(created)
    }

    /// No await while this is held.
    fn look<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn remember<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if map.len() >= MAX_REMEMBERED {
        map.clear();
    }
    map.insert(key, value);
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Dated {
    tag: String,
    created: Option<OffsetDateTime>,
}

/// What the engine has counts: it is what would be run.
fn merge(mut here: Vec<Dated>, there: Vec<Dated>) -> Vec<Dated> {
    let known: HashSet<String> = here.iter().map(|dated| dated.tag.clone()).collect();
    here.extend(there.into_iter().filter(|dated| !known.contains(&dated.tag)));
    here
}

/// Of those made at the same moment, and of those of which nobody knows, the one whose name sorts last: the higher version,
/// mostly.
fn newest_first(tags: &mut [Dated]) {
    tags.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.tag.cmp(&a.tag)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(tag: &str, at_s: Option<i64>) -> Dated {
        let created = at_s.map(|at| OffsetDateTime::from_unix_timestamp(at).unwrap());
        Dated { tag: tag.to_owned(), created }
    }

    #[test]
    fn the_newest_comes_first_and_what_has_no_date_last() {
        let mut tags = vec![
            dated("1.0", None),
            dated("a", Some(5)),
            dated("1.1", None),
            dated("c", Some(9)),
            dated("b", Some(5)),
        ];
        newest_first(&mut tags);
        let order: Vec<&str> = tags.iter().map(|dated| dated.tag.as_str()).collect();
        assert_eq!(order, ["c", "b", "a", "1.1", "1.0"]);
    }

    #[test]
    fn of_a_tag_on_both_sides_the_engines_counts() {
        let merged = merge(vec![dated("a", Some(1))], vec![dated("a", Some(9)), dated("b", None)]);
        assert_eq!(merged, [dated("a", Some(1)), dated("b", None)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut map = HashMap::new();
        for key in 0..=MAX_REMEMBERED {
            remember(&mut map, key, ());
        }
        assert_eq!(map.len(), 1);
    }
}
