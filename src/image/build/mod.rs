//! From a base and a game to a runnable image, by the engine's own builder.
//!
//! The runner is compared with the base before anything is built; what cannot run is refused with both versions. The
//! context is streamed: neither the base nor the game is ever whole in memory.
//!
//! A visual novel of Debian's, with two repairs, and a shooter:
//!
//! ```sh
//! playgate image build --rootfs base.tar --tag question --package renpy-thequestion \
//!   --copy repair.py:/tmp/repair.py --run 'python3 /tmp/repair.py && renpy /usr/share/games/renpy/the_question compile' \
//!   --env LIBGL_ALWAYS_SOFTWARE=1 --env RENPY_RENDERER=gl -- renpy /usr/share/games/renpy/the_question
//! playgate image build --base debian:12 --tag freedoom --slim --package chocolate-doom --package freedoom \
//!   --env SDL_RENDER_DRIVER=software --env SDL_FRAMEBUFFER_ACCELERATION=0 -- chocolate-doom
//! ```

mod context;
pub mod dockerfile;
mod progress;

use super::engine::{self, EngineError, ImageFiles};
use super::glibc::{Base, GlibcError, Needs};
use bollard::Docker;
use bollard::query_parameters::{BuildImageOptions, RemoveImageOptions};
use context::{Runner, Source};
use dockerfile::PlanError;
use futures_util::StreamExt;
use progress::Progress;
use std::collections::HashMap;
use std::path::PathBuf;

/// Lines of the engine's output shown when a build fails.
const TAIL: usize = 40;
/// Variables of this process that apt needs to reach its mirrors; the builder knows them by name and keeps none of them.
const PROXIES: [&str; 6] = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/// What is to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildPlan {
    pub base: BaseSource,
    /// Name of the image, with its tag.
    pub tag: String,
    /// The image package games run in: no game of its own, what games commonly need instead.
    pub generic: bool,
    /// Without Mesa's drivers and LLVM (2D games only).
    pub slim: bool,
    /// Debian packages.
    pub packages: Vec<String>,
    /// Copied to [`dockerfile::GAME_DIR`].
    pub dir: Option<PathBuf>,
    pub copies: Vec<CopySpec>,
    /// Shell lines, run as root when everything else is in place.
    pub runs: Vec<String>,
    pub env: Vec<(String, String)>,
    /// What the runner starts when the container is given no other command.
    pub command: Vec<String>,
    /// The program that becomes `/usr/local/bin/playgate`.
    pub runner: PathBuf,
    /// With GStreamer's libraries and plugins; the program is the runner that uses them.
    pub gstreamer: bool,
    /// Runs every step again.
    pub no_cache: bool,
    /// Shows the engine's output.
    pub verbose: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseSource {
    /// On the engine.
    Image(String),
    /// A root file system: tar or tar.gz.
    Rootfs(PathBuf),
}

/// A file or directory of this machine and where it goes in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySpec {
    pub from: PathBuf,
    pub to: String,
}

/// The image that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    pub tag: String,
    /// `sha256:...`
    pub id: String,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Fit(#[from] GlibcError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("cannot read {path}")]
    Source {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// With the end of the engine's output.
    #[error("the image could not be built: {message}\n{tail}")]
    Failed { message: String, tail: String },
}

impl BuildError {
    /// 2 when nothing was built because it could not be begun, 1 when the build itself failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Plan(_) | Self::Fit(_) | Self::Engine(_) | Self::Source { .. } => 2,
            Self::Failed { .. } => 1,
        }
    }
}

/// Builds; progress and notes go to standard error. `host` as in the configuration's `docker.host`.
pub async fn run(plan: &BuildPlan, host: Option<&str>) -> Result<Built, BuildError> {
    let text = dockerfile::dockerfile(plan)?;
    let progress = Progress::new(plan.verbose);
    let needs = Needs::of_program(&plan.runner)?;
    let (docker, base) = match &plan.base {
        BaseSource::Image(image) => {
            let docker = engine::connect(host).await?;
            let base = base_in(&docker, image, needs.machine).await?;
            (docker, base)
        }
        BaseSource::Rootfs(path) => {
            progress.note("looking into the root file system");
            let base = base_of(path.clone(), needs.machine).await?;
            base.fits(&needs)?;
            (engine::connect(host).await?, base)
        }
    };
    if !base.has_apt {
        return Err(GlibcError::NoApt.into());
    }
    let compare_later = base.fits(&needs)?;
    if compare_later {
        progress
            .note("the base has no C++ library: it comes with the packages and is compared after the build");
    }
    let runner = Runner::prepare(&plan.runner).await?;
    let source = Source::of(plan, text, runner)?;
    let id = build(&docker, plan, source, &progress).await?;
    if compare_later {
        let base = base_in(&docker, &plan.tag, needs.machine).await?;
        if let Err(error) = base.fits(&needs) {
            let options = RemoveImageOptions { force: true, ..RemoveImageOptions::default() };
            docker.remove_image(&plan.tag, Some(options), None).await.map_err(EngineError::from)?;
            return Err(error.into());
        }
    }
    let inspected = docker.inspect_image(&plan.tag).await.map_err(EngineError::from)?;
    let bytes = inspected.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    Ok(Built { tag: plan.tag.clone(), id: inspected.id.unwrap_or(id), bytes })
}

async fn base_of(path: PathBuf, machine: u16) -> Result<Base, BuildError> {
    let name = path.display().to_string();
    match tokio::task::spawn_blocking(move || Base::of_rootfs(&path, machine)).await {
        Ok(base) => Ok(base?),
        Err(error) => Err(context::failed(&name, std::io::Error::other(error))),
    }
}

async fn base_in(docker: &Docker, image: &str, machine: u16) -> Result<Base, BuildError> {
    let files = ImageFiles::open(docker, image).await?;
    let base = Base::of_image(&files, machine).await;
    files.close().await?;
    Ok(base?)
}

/// Sends the context and follows the engine's output; gives the image's id.
async fn build(
    docker: &Docker,
    plan: &BuildPlan,
    source: Source,
    progress: &Progress,
) -> Result<String, BuildError> {
    let options = BuildImageOptions {
        dockerfile: context::DOCKERFILE.to_owned(),
        t: Some(plan.tag.clone()),
        nocache: plan.no_cache,
        rm: true,
        forcerm: true,
        networkmode: Some("host".to_owned()),
        buildargs: Some(proxies()),
        ..BuildImageOptions::default()
    };
    progress.sending(source.bytes());
    let body = source.stream(progress.clone());
    let mut output = std::pin::pin!(docker.build_image(options, None, Some(bollard::body_try_stream(body))));
    let mut lines = Tail::default();
    let mut id = None;
    while let Some(info) = output.next().await {
        let failed = |message: String, lines: &Tail| BuildError::Failed { message, tail: lines.text() };
        match info {
            Ok(info) => {
                if let Some(text) = &info.stream {
                    progress.output(text);
                    lines.push(text);
                }
                if let Some(detail) = info.error_detail {
                    return Err(failed(detail.message.unwrap_or_default(), &lines));
                }
                id = info.aux.and_then(|aux| aux.id).or(id);
            }
            Err(bollard::errors::Error::DockerStreamError { error }) => return Err(failed(error, &lines)),
            Err(error) => return Err(failed(error.to_string(), &lines)),
        }
    }
    progress.done();
    id.ok_or_else(|| BuildError::Failed {
        message: "the engine named no image".to_owned(),
        tail: lines.text(),
    })
}

fn proxies() -> HashMap<String, String> {
    PROXIES.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect()
}

/// The last lines of the output.
#[derive(Debug, Default)]
struct Tail(std::collections::VecDeque<String>);

impl Tail {
    fn push(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if self.0.len() == TAIL {
                self.0.pop_front();
            }
            self.0.push_back(line.to_owned());
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_output_is_kept() {
        let mut tail = Tail::default();
        for n in 0..100 {
            tail.push(&format!("line {n}\n\n"));
        }
        let text = tail.text();
        assert_eq!(text.lines().count(), TAIL);
        assert!(text.starts_with("  line 60\n") && text.ends_with("  line 99"), "{text}");
    }
}
