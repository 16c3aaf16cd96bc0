//! Files of an ended container, and every way that must not lead out of it.

use super::stand::{Game, SPECIAL, Stand};
use flate2::read::GzDecoder;
use futures_util::{StreamExt, TryStreamExt};
use playgate::driver::{ArtifactError, Driver};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;
use tar::{Archive, EntryType};

const LIMIT: u64 = 1 << 20;

/// Names with their content; of links where they lead.
type Files = BTreeMap<String, String>;

async fn artifact(stand: &Stand, game: &Game, path: &str) -> Result<Files, ArtifactError> {
    let stream = stand.driver.artifact(&game.instance.reference().unwrap(), path, LIMIT).await?;
    let bytes = stream.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap();
    assert_eq!(bytes[..2], [0x1f, 0x8b], "gzip");
    let mut files = Files::new();
    for entry in Archive::new(GzDecoder::new(bytes.as_slice())).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        assert!(!name.starts_with('/') && !name.split('/').any(|part| part == ".."), "{name}");
        let kind = entry.header().entry_type();
        let link = entry.link_name().unwrap().map(|link| link.display().to_string()).unwrap_or_default();
        let content = if kind == EntryType::Directory {
            "directory".to_owned()
        } else if kind == EntryType::Symlink {
            format!("-> {link}")
        } else if kind == EntryType::Link {
            format!("= {link}")
        } else {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            text
        };
        files.insert(name.trim_end_matches('/').to_owned(), content);
    }
    Ok(files)
}

fn files(expected: &[(&str, &str)]) -> Files {
    expected.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}

async fn ended(stand: &Stand, script: &str) -> Game {
    let (_, mut game) = stand.start_server(stand.server_spec(script), &[]).await;
    game.event().await;
    game
}

#[tokio::test]
async fn a_file_or_a_folder_comes_as_it_was_left() {
    let stand = Stand::new().await;
    let game = ended(
        &stand,
        "mkdir -p '/data/deep/a b' && echo one > /data/one && echo two > '/data/deep/a b/two' && cd /data && \
         ln one hard && ln -s one soft && ln -s /etc/passwd out && mkfifo pipe && mknod device c 1 3; \
         echo odd > '/data/..odd'; echo nl > \"$(printf '/data/new\\nline')\"",
    )
    .await;
    let all = artifact(&stand, &game, "/data").await.unwrap();
    // Which of two names of one file comes first is the engine's choice.
    let (mut hard, mut one) = (all["data/hard"].clone(), all["data/one"].clone());
    if one.starts_with('=') {
        std::mem::swap(&mut hard, &mut one);
    }
    assert_eq!(one, "one\n");
    assert!(hard.starts_with("= data/"), "{hard}");
    let expected = files(&[
        ("data", "directory"),
        ("data/..odd", "odd\n"),
        ("data/new\nline", "nl\n"),
        ("data/deep", "directory"),
        ("data/deep/a b", "directory"),
        ("data/deep/a b/two", "two\n"),
        ("data/hard", &all["data/hard"]),
        ("data/one", &all["data/one"]),
        ("data/out", "-> /etc/passwd"),
        ("data/soft", "-> one"),
    ]);
    assert_eq!(all, expected);
    for path in ["/data/one", "//data/./deep/../one", "/data/one/", "/../data/one"] {
        assert_eq!(artifact(&stand, &game, path).await.unwrap(), files(&[("one", "one\n")]), "{path}");
    }
    let deep = artifact(&stand, &game, "/data/deep/a b").await.unwrap();
    assert_eq!(deep, files(&[("a b", "directory"), ("a b/two", "two\n")]));
}

#[tokio::test]
async fn links_lead_nowhere_but_inside_the_container() {
    let stand = Stand::new().await;
    let game = ended(
        &stand,
        "echo inside > /etc/passwd; echo inside > /etc/hostname-of-ours; mkdir /links && cd /links && \
         ln -s /etc/passwd absolute; ln -s ../../../../../../etc/passwd relative; ln -s / root; \
         ln -s ../../../../../.. up; ln -s absolute twice; ln -s /nowhere dangling; ln -s loop loop",
    )
    .await;
    for path in [
        "/links/absolute",
        "/links/relative",
        "/links/twice",
        "/links/root/etc/passwd",
        "/links/up/etc/passwd",
        "/links/up/links/root/etc/passwd",
    ] {
        let got = artifact(&stand, &game, path).await.unwrap();
        let name = path.rsplit('/').next().unwrap();
        assert_eq!(got, files(&[(name, "inside\n")]), "{path}");
    }
    // The whole of it, by way of a link: busybox is larger than the limit.
    let root = artifact(&stand, &game, "/links/root").await;
    assert!(matches!(root, Err(ArtifactError::TooLarge { limit: LIMIT })), "{:?}", root.err());
    for path in ["/links/dangling", "/links/loop", "/links/absolute/below", "/proc/self/root/etc/passwd"] {
        let missing = artifact(&stand, &game, path).await;
        assert!(
            matches!(missing, Err(ArtifactError::NotFound(_) | ArtifactError::Driver(_))),
            "{path}: {missing:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_runs_or_is_too_large_is_told_before_the_first_byte() {
    let stand = Stand::new().await;
    let spec = stand.server_spec(
        "head -c 1048577 /dev/zero > /large; head -c 1048576 /dev/zero > /exact; mkdir /two; \
         cp /exact /two/a; echo x > /two/b; truncate -s 1G /sparse; echo up; exec sleep 1000",
    );
    let (_, game) = stand.start_server(spec, &[]).await;
    game.said("up").await;
    let refused = |result: Result<Files, ArtifactError>| match result {
        Err(ArtifactError::NotFound(text)) => text,
        Err(ArtifactError::TooLarge { limit }) => format!("too large: {limit}"),
        Err(ArtifactError::Driver(error)) => panic!("{error}"),
        Ok(files) => panic!("{:?}", files.keys()),
    };
    let running = refused(artifact(&stand, &game, "/exact").await);
    assert!(running.contains("still runs"), "{running}");
    game.instance.stop(Duration::ZERO).await;
    let missing = refused(artifact(&stand, &game, "/nothing/here").await);
    assert!(missing.contains("/nothing/here"), "{missing}");
    let relative = refused(artifact(&stand, &game, "exact").await);
    assert!(relative.contains("slash"), "{relative}");
    for path in ["/large", "/two", "/sparse", "/"] {
        assert_eq!(refused(artifact(&stand, &game, path).await), format!("too large: {LIMIT}"), "{path}");
    }
    assert_eq!(artifact(&stand, &game, "/exact").await.unwrap()["exact"].len(), 1_048_576);
    assert_eq!(std::fs::read_dir(&stand.hosting.spool).unwrap().filter(is_artifact).count(), 0);
    game.instance.remove().await.unwrap();
    let gone = refused(artifact(&stand, &game, "/exact").await);
    assert!(gone.contains("not there any more"), "{gone}");
}

fn is_artifact(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("artifact"))
}

#[tokio::test]
async fn a_slow_reader_holds_no_container() {
    let stand = Stand::new().await;
    let game = ended(&stand, "head -c 900000 /dev/urandom > /noise").await;
    let reference = game.instance.reference().unwrap();
    let mut slow = stand.driver.artifact(&reference, "/noise", LIMIT).await.unwrap();
    let first = slow.next().await.unwrap().unwrap();
    // The engine would keep it locked until an archive of it has been read to its end.
    tokio::time::timeout(Duration::from_secs(20), game.instance.remove()).await.unwrap().unwrap();
    let rest = slow.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap();
    let bytes = [first.as_ref(), &rest].concat();
    let mut archive = Archive::new(GzDecoder::new(bytes.as_slice()));
    assert_eq!(archive.entries().unwrap().next().unwrap().unwrap().size(), 900_000);
}

#[tokio::test]
async fn volumes_of_the_image_are_in_it_and_go_with_the_container() {
    let stand = Stand::new().await;
    let image = stand.import_with(SPECIAL, &["VOLUME /data"]).await;
    let mut spec = stand.server_spec("echo kept > /data/file; exit 0");
    spec.container.as_mut().unwrap().image = image;
    let (_, mut game) = stand.start_server(spec, &[]).await;
    game.event().await;
    let got = artifact(&stand, &game, "/data").await.unwrap();
    assert_eq!(got, files(&[("data", "directory"), ("data/file", "kept\n")]));
    let found = stand.engine().inspect_container(&game.container(), None).await.unwrap();
    let volume = found.mounts.unwrap()[0].name.clone().unwrap();
    game.instance.remove().await.unwrap();
    assert!(stand.engine().inspect_volume(&volume).await.is_err());
}
