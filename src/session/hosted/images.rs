//! The images organisations may start, checked once at start.

use super::super::catalogue::{Game, Source, from_config};
use crate::config::{Config, GameConfig, ImageConfig};
use crate::content::Content;
use crate::model::instance::Profile;
use std::collections::HashSet;
use std::sync::Arc;

/// What cannot be offered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImageError {
    #[error("image `{0}` is there twice")]
    Duplicate(String),
    #[error("image `{name}`: {error}")]
    Bad { name: String, error: super::super::catalogue::CatalogueError },
}

/// One image that can be started.
#[derive(Debug, Clone)]
pub struct HostedImage {
    pub name: String,
    /// Without tag or digest.
    pub repository: String,
    /// Tags by priority, the highest first.
    pub tags: Vec<String>,
    organisations: HashSet<String>,
    game: Game,
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Images {
    images: Arc<[HostedImage]>,
}

impl Images {
    pub fn load(config: &Config) -> Result<Self, ImageError> {
        let mut names = HashSet::new();
        let mut images = Vec::new();
        for image in &config.images {
            if !names.insert(&image.name) {
                return Err(ImageError::Duplicate(image.name.clone()));
            }
            images.push(HostedImage::new(image)?);
        }
        Ok(Self { images: images.into() })
    }

    /// `None` for an image that is not there, or is not this organisation's to start.
    pub fn get(&self, organisation: &str, name: &str) -> Option<&HostedImage> {
        self.by_name(name).filter(|image| image.organisations.contains(organisation))
    }

    pub(in crate::session) fn by_name(&self, name: &str) -> Option<&HostedImage> {
        self.images.iter().find(|image| image.name == name)
    }

    /// Every image as a game, for what looks after content.
    pub fn games(&self) -> impl Iterator<Item = Game> + '_ {
        self.images.iter().map(HostedImage::usual_game)
    }
}

impl HostedImage {
    fn new(config: &ImageConfig) -> Result<Self, ImageError> {
        let name = config.name.clone();
        let game = GameConfig {
            slug: "image".to_owned(),
            title: name.clone(),
            developer: String::new(),
            description: String::new(),
            tags: Vec::new(),
            driver: None,
            ingest: None,
            pointer: config.pointer.clone(),
            width: config.width,
            height: config.height,
            fps: config.fps,
            kbps: config.kbps,
            encoder: config.encoder.clone(),
            image: Some(config.repository.clone()),
            package: None,
            container: config.container.clone(),
        };
        let mut game = from_config(&game, "", &mut HashSet::new())
            .map_err(|error| ImageError::Bad { name: name.clone(), error })?;
        // Beside the slugs of players' games, which have no slash.
        game.view.slug = format!("image/{name}");
        game.view.hints.slug.clone_from(&game.view.slug);
        if let Source::Container(container) = &mut game.source {
            container.profile = config.profile;
            container.stream = config.stream;
            // A server is reached from elsewhere: it lives on the open network (design, decision 11).
            container.config.egress |= config.profile == Profile::Server;
        }
        Ok(Self {
            name,
            repository: config.repository.clone(),
            tags: config.tags.clone(),
            organisations: config.organisations.iter().cloned().collect(),
            game,
        })
    }

    /// A picture is awaited.
    pub(in crate::session) fn streams(&self) -> bool {
        self.game.streams()
    }

    /// What a session of it most likely runs: its highest tag, as far as the configuration tells.
    pub(in crate::session) fn usual_game(&self) -> Game {
        self.game(self.tags.first().map_or("latest", String::as_str))
    }

    /// What a session of it runs.
    pub fn game(&self, tag: &str) -> Game {
        let mut game = self.game.clone();
        if let Source::Container(container) = &mut game.source {
            container.content = Content::Image { reference: format!("{}:{tag}", self.repository) };
        }
        game
    }
}
