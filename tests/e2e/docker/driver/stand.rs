//! A node of a test's own on the engine, and games that are shell scripts. All of it is removed when it is dropped.

use crate::support::wait::{PATIENT, eventually};
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListVolumesOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions,
};
use futures_util::StreamExt;
use ipnet::Ipv4Net;
use playgate::config::{DockerConfig, SessionApiConfig};
use playgate::driver::docker::Hosting;
use playgate::driver::{
    ContainerSpec, DockerDriver, Driver, DriverEvent, Instance, Site, SiteRequest, StartSpec,
};
use playgate::model::ids::{Generation, SessionId};
use playgate::model::instance::{ExposedPort, InstanceRef, Port, Profile, Protocol};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Where a test's script keeps its save when it does not say otherwise.
pub(super) const SAVE: &str = "/save";

/// The tag of an image that a test makes for itself.
pub(super) const SPECIAL: &str = "special";

pub(super) struct Stand {
    pub(super) driver: DockerDriver,
    pub(super) config: DockerConfig,
    pub(super) hosting: Hosting,
    pub(super) node: String,
    pub(super) image: String,
    pub(super) dir: TempDir,
}

pub(super) struct Game {
    pub(super) session: SessionId,
    pub(super) instance: Box<dyn Instance>,
    pub(super) events: mpsc::Receiver<DriverEvent>,
    /// The gateway's side of its save.
    pub(super) save_dir: PathBuf,
    engine: Docker,
}

impl Stand {
    pub(super) async fn new() -> Self {
        Self::over(None).await
    }

    /// By way of another socket.
    pub(super) async fn over(host: Option<String>) -> Self {
        let pid = std::process::id();
        let node = format!("test-driver-{pid}");
        let dir = tempfile::tempdir().unwrap();
        let api = SessionApiConfig { port_address: [127, 0, 0, 1].into(), ..SessionApiConfig::default() };
        let hosting = Hosting::new(&api, dir.path());
        let mut third = u8::try_from(pid % 250).unwrap();
        // Other tests have taken some; those say so.
        for _ in 0..250 {
            third = (third + 1) % 250;
            let config = DockerConfig { host: host.clone(), ..subnets(third) };
            match DockerDriver::connect(&config, &node, &hosting).await {
                Ok(driver) => {
                    let image = format!("playgate-test-driver-{pid}");
                    let stand = Self { driver, config, hosting, node, image, dir };
                    stand.import().await;
                    return stand;
                }
                Err(error) => assert!(error.to_string().contains("overlaps"), "{error}"),
            }
        }
        panic!("no subnet is free");
    }

    pub(super) fn engine(&self) -> &Docker {
        self.driver.engine()
    }

    /// Another gateway of the same node.
    pub(super) async fn successor(&self) -> DockerDriver {
        DockerDriver::connect(&self.config, &self.node, &self.hosting).await.unwrap()
    }

    pub(super) fn spec(&self, script: &str) -> StartSpec {
        let session = SessionId::new();
        let save_dir = self.dir.path().join(session.to_string()).join("save");
        std::fs::create_dir_all(&save_dir).unwrap();
        StartSpec {
            session,
            generation: Generation(1),
            game: "the-game".to_owned(),
            env: BTreeMap::from([("PLAYGATE_SESSION_ID".to_owned(), session.to_string())]),
            save_dir,
            seed: None,
            marker: false,
            container: Some(ContainerSpec {
                profile: Profile::Game,
                image: self.image.clone(),
                command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
                package: None,
                save_path: SAVE.to_owned(),
                cpus: 1.0,
                memory_bytes: 96 << 20,
                pids: 32,
                egress: false,
                devices: Vec::new(),
                gpus: 0,
            }),
        }
    }

    /// As the Session API starts an image: with the profile `server`.
    pub(super) fn server_spec(&self, script: &str) -> StartSpec {
        let mut spec = self.spec(script);
        let container = spec.container.as_mut().unwrap();
        container.profile = Profile::Server;
        container.egress = true;
        spec
    }

    pub(super) async fn start_server(&self, spec: StartSpec, ports: &[ExposedPort]) -> (Vec<Port>, Game) {
        let request = SiteRequest { egress: true, ports: ports.to_vec() };
        let site = self.driver.site(spec.session, &request).await.unwrap();
        (site.ports.clone(), self.start_at(spec, site).await)
    }

    pub(super) async fn start(&self, script: &str) -> Game {
        self.start_spec(self.spec(script)).await
    }

    pub(super) async fn start_spec(&self, spec: StartSpec) -> Game {
        let egress = spec.container.as_ref().is_some_and(|container| container.egress);
        let site =
            self.driver.site(spec.session, &SiteRequest { egress, ..SiteRequest::default() }).await.unwrap();
        self.start_at(spec, site).await
    }

    pub(super) async fn start_at(&self, spec: StartSpec, site: Site) -> Game {
        let (session, save_dir) = (spec.session, spec.save_dir.clone());
        let (sender, events) = mpsc::channel(8);
        let instance = self.driver.start(spec, site, sender).await.unwrap();
        Game { session, instance, events, save_dir, engine: self.engine().clone() }
    }

    /// Names of containers and volumes of this node.
    pub(super) async fn things(&self) -> Vec<String> {
        things(self.engine(), &self.node).await
    }

    /// A root file system of busybox alone.
    async fn import(&self) {
        self.import_with("latest", &[]).await;
    }

    /// The same with instructions of a Dockerfile. `tag` is [`SPECIAL`], or what is there is replaced.
    pub(super) async fn import_with(&self, tag: &str, changes: &[&str]) -> String {
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(&self.image)
            .tag(tag)
            .changes(changes.iter().map(|change| (*change).to_owned()).collect())
            .build();
        let body = bollard::body_full(root_file_system().into());
        let mut steps = Box::pin(self.engine().create_image(Some(options), Some(body), None));
        while let Some(step) = steps.next().await {
            step.unwrap();
        }
        format!("{}:{tag}", self.image)
    }
}

impl Game {
    pub(super) fn container(&self) -> String {
        match self.instance.reference() {
            Some(InstanceRef::Container { container }) => container,
            Some(InstanceRef::Process { .. }) | None => panic!("a container has an id"),
        }
    }

    /// Waits until the script has printed a line with this in it; gives all it has printed.
    pub(super) async fn said(&self, what: &str) -> String {
        self.said_within(what, PATIENT).await
    }

    pub(super) async fn said_within(&self, what: &str, within: Duration) -> String {
        let id = self.container();
        eventually(&format!("the game says `{what}`"), within, async || {
            let text = printed(&self.engine, &id).await;
            if text.contains(what) { Ok(text) } else { Err(text) }
        })
        .await
    }

    pub(super) async fn event(&mut self) -> DriverEvent {
        tokio::time::timeout(PATIENT, self.events.recv()).await.expect("an event comes in time").unwrap()
    }

    pub(super) fn saved(&self, name: &str) -> String {
        std::fs::read_to_string(self.save_dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

pub(super) async fn printed(engine: &Docker, container: &str) -> String {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
    let mut lines = Box::pin(engine.logs(container, Some(options)));
    let mut text = String::new();
    while let Some(Ok(line)) = lines.next().await {
        let (LogOutput::StdOut { message }
        | LogOutput::StdErr { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message }) = line;
        text.push_str(&String::from_utf8_lossy(&message));
    }
    text
}

pub(super) fn subnets(third: u8) -> DockerConfig {
    let net = |second| Ipv4Net::new([10, second, third, 0].into(), 24).unwrap();
    DockerConfig { subnet: net(214), open_subnet: net(215), ..DockerConfig::default() }
}

async fn things(engine: &Docker, node: &str) -> Vec<String> {
    let filters = HashMap::from([("label", vec![format!("playgate.node={node}")])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let containers = engine.list_containers(Some(options)).await.unwrap();
    let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
    let volumes = engine.list_volumes(Some(options)).await.unwrap().volumes.unwrap_or_default();
    containers
        .into_iter()
        .flat_map(|container| container.names.unwrap_or_default())
        .chain(volumes.into_iter().map(|volume| volume.name))
        .collect()
}

/// `/bin/busybox` and a link for everything it can do; nothing in it belongs to the player.
fn root_file_system() -> Vec<u8> {
    let program = ["/usr/bin/busybox", "/bin/busybox"]
        .into_iter()
        .find_map(|path| std::fs::read(path).ok())
        .expect("busybox is installed (Debian: busybox-static)");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(program.len() as u64);
    tar.append_data(&mut header, "bin/busybox", program.as_slice()).unwrap();
    let applets = Command::new("busybox").arg("--list").output().unwrap().stdout;
    for applet in String::from_utf8(applets).unwrap().lines().filter(|applet| *applet != "busybox") {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    for dir in ["tmp", "etc", "opt"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, dir, std::io::empty()).unwrap();
    }
    tar.into_inner().unwrap()
}

impl Drop for Stand {
    /// By a connection of its own: the test's may be broken on purpose.
    fn drop(&mut self) {
        let (node, image) = (self.node.clone(), self.image.clone());
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(clean(&node, &image));
        });
        let _ = cleaning.join();
    }
}

async fn clean(node: &str, image: &str) {
    let engine = Docker::connect_with_unix_defaults().unwrap();
    for name in things(&engine, node).await {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let _ = engine.remove_container(name.trim_start_matches('/'), Some(options)).await;
    }
    for name in things(&engine, node).await {
        let _ = engine.remove_volume(&name, None::<RemoveVolumeOptions>).await;
    }
    for kind in ["game", "open"] {
        let _ = engine.remove_network(&format!("playgate-{node}-{kind}")).await;
    }
    for name in [image.to_owned(), format!("{image}:{SPECIAL}")] {
        let _ = engine.remove_image(&name, None::<RemoveImageOptions>, None).await;
    }
}

pub(super) fn tcp(container: u16) -> ExposedPort {
    ExposedPort { protocol: Protocol::Tcp, container }
}

pub(super) fn udp(container: u16) -> ExposedPort {
    ExposedPort { protocol: Protocol::Udp, container }
}
