//! The games this gateway offers: the built-in ones and those of the configuration, checked once at start.

use super::view::GameView;
use crate::config::{Config, ContainerConfig, DriverName, GameConfig, IngestStream};
use crate::content::{Content, Package, Sha256};
use crate::games::BuiltIn;
use crate::model::instance::Profile;
use crate::relay::{Codec, IngestSpec};
use playgate_signaling::message::{GameHints, PointerMode};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Longest slug (contract 1.5).
pub const MAX_SLUG: usize = 100;
/// Longest title, in characters (contract 1.5).
pub const MAX_TITLE: usize = 200;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CatalogueError {
    #[error("game `{0}`: a slug is 1 to 100 lower case letters, digits and hyphens")]
    BadSlug(String),
    #[error("game `{0}` is there twice")]
    Duplicate(String),
    #[error("game `{0}`: a title has 1 to 200 characters")]
    BadTitle(String),
    #[error(
        "game `{0}`: the process driver runs built-in games only, and there is none of this name; for media from elsewhere set driver = \"external\""
    )]
    NotBuiltIn(String),
    #[error("game `{0}`: driver = \"external\" needs ingest.video and ingest.allow")]
    NoIngest(String),
    #[error("game `{0}`: driver = \"docker\" needs an image, or a package with its SHA-256")]
    NoContent(String),
    #[error("game `{0}`: ingest.allow names no address, so no media could ever come")]
    NobodyAllowed(String),
    #[error("game `{slug}`: ingest.{stream}.codec = \"{codec}\" is not one of {known}")]
    BadCodec { slug: String, stream: &'static str, codec: String, known: &'static str },
    #[error("game `{slug}`: ingest.{stream}.payload_type = {payload_type} is above 127")]
    BadPayloadType { slug: String, stream: &'static str, payload_type: u8 },
    #[error("game `{slug}`: {address} is listened on already")]
    AddressTwice { slug: String, address: SocketAddr },
    #[error("game `{slug}`: pointer = \"{pointer}\" is not absolute, relative or none")]
    BadPointer { slug: String, pointer: String },
    #[error("game `{slug}`: its picture is {width}x{height}, or half or a quarter of that")]
    BadSize { slug: String, width: u32, height: u32 },
    #[error("game `{slug}`: {field} = {value} is not between {least} and {most}")]
    OutOfRange { slug: String, field: &'static str, value: u32, least: u32, most: u32 },
}

/// In the order games are shown. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalogue {
    games: Arc<[Arc<Game>]>,
}

/// One game that can be launched.
#[derive(Debug, Clone)]
pub struct Game {
    pub view: GameView,
    pub fps: u32,
    /// Video bitrate in kbit/s.
    pub kbps: u32,
    /// The encoder its runner is asked for.
    pub encoder: Option<String>,
    pub source: Source,
}

/// Where a game's media comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A built-in game, run by the process driver.
    BuiltIn,
    External {
        video: IngestSpec,
        audio: Option<IngestSpec>,
        allow: Vec<IpAddr>,
    },
    /// In a container, by the docker driver.
    Container(Box<ContainerGame>),
}

/// How a game is run in a container.
#[derive(Debug, Clone)]
pub struct ContainerGame {
    pub profile: Profile,
    /// A picture is awaited.
    pub stream: bool,
    pub content: Content,
    pub config: ContainerConfig,
}

impl Game {
    /// A picture is awaited.
    pub fn streams(&self) -> bool {
        match &self.source {
            Source::BuiltIn | Source::External { .. } => true,
            Source::Container(container) => container.stream,
        }
    }
}

impl Catalogue {
    /// The games built into this binary, then those of the configuration.
    pub fn load(config: &Config) -> Result<Self, CatalogueError> {
        Self::new(crate::games::built_in(), &config.games, &config.docker.runner_image)
    }

    pub fn new(
        built_in: Vec<BuiltIn>,
        configured: &[GameConfig],
        runner_image: &str,
    ) -> Result<Self, CatalogueError> {
        let mut games: Vec<Arc<Game>> =
            built_in.into_iter().map(|game| Arc::new(from_built_in(game))).collect();
        let mut slugs: HashSet<String> = games.iter().map(|game| game.view.slug.clone()).collect();
        let mut addresses = HashSet::new();
        for config in configured {
            let own = games.iter().position(|game| {
                config.driver() == DriverName::Process && is_own(game) && game.view.slug == config.slug
            });
            if let Some(game) = own.and_then(|at| games.get_mut(at)) {
                *game = Arc::new(changed(game, config)?);
                continue;
            }
            let game = from_config(config, runner_image, &mut addresses)?;
            if !slugs.insert(config.slug.clone()) {
                return Err(CatalogueError::Duplicate(config.slug.clone()));
            }
            games.push(Arc::new(game));
        }
        Ok(Self { games: games.into() })
    }

    pub fn get(&self, slug: &str) -> Option<&Arc<Game>> {
        self.games.iter().find(|game| game.view.slug == slug)
    }

    pub fn views(&self) -> Vec<GameView> {
        self.games.iter().map(|game| game.view.clone()).collect()
    }
}

/// Lower case letters, digits and hyphens, at most [`MAX_SLUG`] of them.
pub fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_SLUG
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A codec by its name in SDP.
pub fn video_codec(name: &str) -> Option<Codec> {
    match name.to_ascii_uppercase().as_str() {
        "H264" => Some(Codec::H264),
        "VP8" => Some(Codec::Vp8),
        "VP9" => Some(Codec::Vp9),
        "AV1" => Some(Codec::Av1),
        _ => None,
    }
}

/// A codec by its name in SDP.
pub fn audio_codec(name: &str) -> Option<Codec> {
    name.eq_ignore_ascii_case("opus").then_some(Codec::Opus)
}

fn from_built_in(game: BuiltIn) -> Game {
    Game {
        view: GameView {
            slug: game.slug.to_owned(),
            title: game.title.to_owned(),
            developer: game.developer.to_owned(),
            description: game.description.to_owned(),
            tags: game.tags.iter().map(|tag| (*tag).to_owned()).collect(),
            released: Some(game.released.to_owned()),
            hints: GameHints {
                slug: game.slug.to_owned(),
                title: game.title.to_owned(),
                width: game.width,
                height: game.height,
                pointer: game.pointer,
                touch: game.touch,
                pads: game.pads,
            },
        },
        fps: game.fps,
        kbps: game.kbps,
        encoder: None,
        source: Source::BuiltIn,
    }
}

fn is_own(game: &Game) -> bool {
    matches!(game.source, Source::BuiltIn)
}

/// A built-in game as the configuration wants it: its title, its rate, and its picture at full, half or a quarter of its
/// size.
fn changed(own: &Game, config: &GameConfig) -> Result<Game, CatalogueError> {
    let mut game = own.clone();
    let hints = &mut game.view.hints;
    let slug = &config.slug;
    if config.title.is_empty() || config.title.chars().count() > MAX_TITLE {
        return Err(CatalogueError::BadTitle(slug.clone()));
    }
    let wanted = (config.width.unwrap_or(hints.width), config.height.unwrap_or(hints.height));
    if ![1, 2, 4].map(|divisor| (hints.width / divisor, hints.height / divisor)).contains(&wanted) {
        let (width, height) = (hints.width, hints.height);
        return Err(CatalogueError::BadSize { slug: slug.clone(), width, height });
    }
    (hints.width, hints.height) = wanted;
    hints.title.clone_from(&config.title);
    game.view.title.clone_from(&config.title);
    game.fps = in_range(config, "fps", config.fps, game.fps, 1..=game.fps)?;
    game.kbps = in_range(config, "kbps", config.kbps, game.kbps, 50..=200_000)?;
    game.encoder.clone_from(&config.encoder);
    Ok(game)
}

pub(super) fn from_config(
    config: &GameConfig,
    runner_image: &str,
    addresses: &mut HashSet<SocketAddr>,
) -> Result<Game, CatalogueError> {
    let slug = config.slug.clone();
    if !is_slug(&slug) {
        return Err(CatalogueError::BadSlug(slug));
    }
    if config.title.is_empty() || config.title.chars().count() > MAX_TITLE {
        return Err(CatalogueError::BadTitle(slug));
    }
    let source = match config.driver() {
        DriverName::Process => return Err(CatalogueError::NotBuiltIn(slug)),
        DriverName::External => external(config, addresses)?,
        DriverName::Docker => {
            let content =
                content(config, runner_image).ok_or_else(|| CatalogueError::NoContent(slug.clone()))?;
            Source::Container(Box::new(ContainerGame {
                profile: Profile::Game,
                stream: true,
                content,
                config: config.container.clone(),
            }))
        }
    };
    let hints = GameHints {
        slug,
        title: config.title.clone(),
        width: in_range(config, "width", config.width, 1280, 16..=7680)?,
        height: in_range(config, "height", config.height, 720, 16..=4320)?,
        pointer: pointer(config)?,
        touch: Vec::new(),
        pads: config.container.pads,
    };
    Ok(Game {
        fps: in_range(config, "fps", config.fps, 60, 1..=240)?,
        kbps: in_range(config, "kbps", config.kbps, 4000, 50..=200_000)?,
        encoder: config.encoder.clone(),
        source,
        view: GameView {
            slug: config.slug.clone(),
            title: config.title.clone(),
            developer: config.developer.clone(),
            description: config.description.clone(),
            tags: config.tags.clone(),
            released: None,
            hints,
        },
    })
}

/// Of a game with an image or with a package whose hash can be read.
fn content(config: &GameConfig, runner_image: &str) -> Option<Content> {
    match (&config.image, &config.package) {
        (Some(image), None) => Some(Content::Image { reference: image.clone() }),
        (None, Some(package)) => Some(Content::Package(Package {
            url: package.url.clone(),
            sha256: Sha256::parse(&package.sha256)?,
            launcher: package.launcher.clone(),
            runner_image: runner_image.to_owned(),
        })),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn external(config: &GameConfig, addresses: &mut HashSet<SocketAddr>) -> Result<Source, CatalogueError> {
    let slug = &config.slug;
    let ingest = config.ingest.as_ref().ok_or_else(|| CatalogueError::NoIngest(slug.clone()))?;
    if ingest.allow.is_empty() {
        return Err(CatalogueError::NobodyAllowed(slug.clone()));
    }
    let video = stream(slug, "video", &ingest.video, video_codec, "H264, VP8, VP9, AV1", addresses)?;
    let audio = ingest.audio.as_ref();
    let audio =
        audio.map(|audio| stream(slug, "audio", audio, audio_codec, "opus", addresses)).transpose()?;
    Ok(Source::External { video, audio, allow: ingest.allow.clone() })
}

fn stream(
    slug: &str,
    name: &'static str,
    config: &IngestStream,
    codec: impl Fn(&str) -> Option<Codec>,
    known: &'static str,
    addresses: &mut HashSet<SocketAddr>,
) -> Result<IngestSpec, CatalogueError> {
    let slug = slug.to_owned();
    let Some(codec) = codec(&config.codec) else {
        return Err(CatalogueError::BadCodec { slug, stream: name, codec: config.codec.clone(), known });
    };
    if config.payload_type > 127 {
        let payload_type = config.payload_type;
        return Err(CatalogueError::BadPayloadType { slug, stream: name, payload_type });
    }
    // Port 0 is a new one each time.
    if config.listen.port() != 0 && !addresses.insert(config.listen) {
        return Err(CatalogueError::AddressTwice { slug, address: config.listen });
    }
    Ok(IngestSpec {
        listen: Some(config.listen),
        codec,
        payload_type: config.payload_type,
        rtcp: config.rtcp,
    })
}

fn pointer(config: &GameConfig) -> Result<PointerMode, CatalogueError> {
    match config.pointer.as_deref() {
        None | Some("none") => Ok(PointerMode::None),
        Some("absolute") => Ok(PointerMode::Absolute),
        Some("relative") => Ok(PointerMode::Relative),
        Some(other) => {
            Err(CatalogueError::BadPointer { slug: config.slug.clone(), pointer: other.to_owned() })
        }
    }
}

fn in_range(
    config: &GameConfig,
    field: &'static str,
    value: Option<u32>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, CatalogueError> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = range.into_inner();
    Err(CatalogueError::OutOfRange { slug: config.slug.clone(), field, value, least, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str) -> Result<Catalogue, CatalogueError> {
        let config: crate::config::Config = toml::from_str(toml).unwrap();
        Catalogue::new(Vec::new(), &config.games, &config.docker.runner_image)
    }

    const CAMERA: &str = r#"
        [[games]]
        slug = "camera"
        title = "An external source"
        driver = "external"
        ingest.video = { listen = "127.0.0.1:6004", codec = "VP8", payload_type = 96 }
        ingest.audio = { listen = "127.0.0.1:6006", codec = "opus", payload_type = 111 }
        ingest.allow = ["127.0.0.1"]
    "#;

    #[test]
    fn an_external_game_is_read() {
        let catalogue = load(CAMERA).unwrap();
        let game = catalogue.get("camera").unwrap();
        assert!(
            matches!(&game.source, Source::External { video, audio: Some(_), .. } if video.codec == Codec::Vp8)
        );
        assert_eq!(catalogue.views().len(), 1);
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_name() {
        let with = |from: &str, to: &str| load(&CAMERA.replace(from, to)).unwrap_err();
        assert_eq!(
            load(&CAMERA.repeat(2)).unwrap_err().to_string(),
            "game `camera`: 127.0.0.1:6004 is listened on already"
        );
        assert_eq!(
            load(&format!("{CAMERA}{}", CAMERA.replace("600", "700"))).unwrap_err(),
            CatalogueError::Duplicate("camera".to_owned())
        );
        assert!(matches!(with("\"camera\"", "\"Camera!\""), CatalogueError::BadSlug(_)));
        assert!(matches!(with("An external source", ""), CatalogueError::BadTitle(_)));
        assert!(matches!(with("VP8", "MPEG2"), CatalogueError::BadCodec { stream: "video", .. }));
        assert!(matches!(with("opus", "AAC"), CatalogueError::BadCodec { stream: "audio", .. }));
        assert!(matches!(with("= 96", "= 200"), CatalogueError::BadPayloadType { .. }));
        assert!(matches!(with("[\"127.0.0.1\"]", "[]"), CatalogueError::NobodyAllowed(_)));
        assert!(matches!(with("slug =", "pointer = \"x\"\nslug ="), CatalogueError::BadPointer { .. }));
        assert!(matches!(with("slug =", "fps = 0\nslug ="), CatalogueError::OutOfRange { field: "fps", .. }));
        assert!(matches!(with("external\"", "process\""), CatalogueError::NotBuiltIn(_)));
        let bare = "[[games]]\nslug = \"x\"\ntitle = \"X\"\ndriver = \"external\"";
        assert_eq!(load(bare).unwrap_err(), CatalogueError::NoIngest("x".to_owned()));
    }

    #[test]
    fn a_built_in_game_can_be_shown_smaller_and_slower() {
        let load = |toml: &str| {
            let config: crate::config::Config = toml::from_str(toml).unwrap();
            Catalogue::new(crate::games::built_in(), &config.games, "")
        };
        let ember = "[[games]]\nslug = \"ember\"\ntitle = \"Ember, small\"\n";
        let catalogue = load(&format!("{ember}width = 640\nheight = 360\nfps = 15\nkbps = 800")).unwrap();
        let game = catalogue.get("ember").unwrap();
        let hints = &game.view.hints;
        assert_eq!((hints.width, hints.height, game.fps, game.kbps), (640, 360, 15, 800));
        assert_eq!((game.view.title.as_str(), catalogue.views().len()), ("Ember, small", 2));
        assert!(matches!(load(&format!("{ember}width = 641")), Err(CatalogueError::BadSize { .. })));
        assert!(matches!(
            load(&format!("{ember}fps = 120")),
            Err(CatalogueError::OutOfRange { field: "fps", .. })
        ));
    }

    #[test]
    fn slugs_are_lower_case_digits_and_hyphens() {
        assert!(is_slug("the-game-2") && is_slug(&"a".repeat(100)));
        for bad in ["", "A", "a b", "ä", "a_b", "a/b", &"a".repeat(101)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
