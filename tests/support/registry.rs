//! An image registry of a test's own: Debian's `docker-registry` on a loopback port, which engines take without HTTPS.

use super::wait::SOON;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use tempfile::TempDir;

/// The account of a registry that wants one: its name and password, and the password as `htpasswd` keeps it (bcrypt).
pub(crate) const USER: &str = "player";
pub(crate) const PASSWORD: &str = "right";
const PASSWORD_HASH: &str = "$2b$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC";

/// Ends, with everything pushed to it, when it is dropped.
pub(crate) struct Registry {
    /// `127.0.0.1:PORT`: how references to its images begin.
    pub(crate) host: String,
    dir: TempDir,
    process: Child,
}

impl Registry {
    /// Anybody may push and pull.
    pub(crate) fn open() -> Self {
        Self::start(false)
    }

    /// Only [`USER`] with [`PASSWORD`] may.
    pub(crate) fn protected() -> Self {
        Self::start(true)
    }

    fn start(protected: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
             http:\n  addr: 127.0.0.1:0\n",
            path("data").display()
        );
        if protected {
            fs::write(path("htpasswd"), format!("{USER}:{PASSWORD_HASH}\n")).unwrap();
            let file = path("htpasswd");
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display());
        }
        fs::write(path("config.yml"), config).unwrap();
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(path("config.yml"))
            .stdin(Stdio::null())
            .stdout(fs::File::create(path("access.log")).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Debian's docker-registry is installed");
        let log = BufReader::new(process.stderr.take().unwrap());
        let (sender, port) = mpsc::channel();
        // Reads to the end: a full pipe would stop the registry.
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listening on 127.0.0.1:") {
                    let _ = sender.send(rest.chars().take_while(char::is_ascii_digit).collect::<String>());
                }
            }
        });
        let Ok(port) = port.recv_timeout(SOON) else {
            let _ = process.kill();
            let _ = process.wait();
            panic!("the registry does not begin to listen");
        };
        Self { host: format!("127.0.0.1:{port}"), dir, process }
    }

    /// Lines of the access log, `"GET /v2/NAME/blobs/DIGEST HTTP/1.1" 200` among others, that hold all of `words`.
    pub(crate) fn count(&self, words: &[&str]) -> usize {
        let log = fs::read_to_string(self.dir.path().join("access.log")).unwrap();
        log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }

    /// Changes a byte in the middle of every large blob: layers are not what their digests say any more.
    pub(crate) fn spoil_blobs(&self) {
        let mut dirs = vec![self.dir.path().join("data/docker/registry/v2/blobs")];
        while let Some(dir) = dirs.pop() {
            for item in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let path = item.path();
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                let mut blob = fs::read(&path).unwrap();
                if blob.len() > 64 * 1024 {
                    let middle = blob.len() / 2;
                    blob[middle] ^= 1;
                    fs::write(path, blob).unwrap();
                }
            }
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
