//! A save on its way in and out of containers.

use super::stand::Stand;
use crate::support::tree::{self, Kind, Tree};
use playgate::driver::CollectError;
use playgate::save_tree::{SaveLimits, SaveRefused};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_save_goes_in_and_comes_out_with_its_directories_wherever_it_is_kept() {
    let stand = Stand::new().await;
    for path in ["/save", "/home/player/.game/saves", "/home/player", "/opt/data"] {
        let mut spec = stand.spec(
            "cd $PLAYGATE_SAVE_DIR && cat deep/er/old && echo more >> deep/er/old && rm gone && \
             mkdir -p new/dir && echo fresh > new/dir/file && ln -s /etc/passwd link && \
             touch $HOME/elsewhere && echo end; sleep 1000",
        );
        spec.container.as_mut().unwrap().save_path = path.to_owned();
        let large = vec![b'x'; 3_000_000];
        fs::create_dir_all(spec.save_dir.join("deep/er")).unwrap();
        fs::write(spec.save_dir.join("deep/er/old"), "old\n").unwrap();
        fs::write(spec.save_dir.join("gone"), "gone").unwrap();
        fs::write(spec.save_dir.join("large"), &large).unwrap();
        let game = stand.start_spec(spec).await;
        game.said("end").await;
        assert!(game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.is_err(), "it plays");
        game.instance.stop(Duration::ZERO).await;
        let left_out = game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
        assert_eq!(left_out.to_string(), "Not kept: `link` (a link that may lead outside the save)");
        assert_eq!(game.saved("deep/er/old"), "old\nmore\n", "{path}");
        assert_eq!(game.saved("new/dir/file"), "fresh\n", "{path}");
        assert_eq!(fs::read(game.save_dir.join("large")).unwrap(), large, "{path}");
        assert!(!game.save_dir.join("gone").exists() && !game.save_dir.join("link").exists(), "{path}");
        game.instance.remove().await.unwrap();
        let error =
            game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap_err().to_string();
        assert!(error.contains("gone"), "{error}");
        assert_eq!(game.saved("new/dir/file"), "fresh\n", "{path}");
    }
    assert_eq!(stand.things().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_game_that_saves_on_sigterm_gets_its_second_and_its_save_counts() {
    let stand = Stand::new().await;
    let mut game = stand
        .start("trap 'sleep 1; echo late > /save/late; exit 0' TERM; echo up; while :; do sleep 0.05; done")
        .await;
    game.said("up").await;
    let ended = game.instance.stop(GRACE).await;
    assert_eq!((ended.exit_code, ended.out_of_memory), (Some(0), false));
    game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(game.saved("late"), "late\n");
    // Again is the same, and nothing was told of an end that was asked for.
    assert_eq!(game.instance.stop(Duration::ZERO).await, ended);
    assert_eq!(game.events.recv().await, None);
}

#[tokio::test]
async fn a_disk_that_is_full_leaves_the_last_good_save() {
    let stand = Stand::new().await;
    let disk = stand.dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let _mounted = Tmpfs::mount(&disk, "size=1m");
    let target = disk.join("save");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("good"), "good").unwrap();
    let game = stand.start("head -c 3000000 /dev/zero > /save/large; echo end; sleep 1000").await;
    game.said("end").await;
    game.instance.stop(Duration::ZERO).await;
    let error = game.instance.collect_save(&target, SaveLimits::default()).await.unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    let left: Vec<_> = fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["save"]);
    assert_eq!(fs::read_to_string(target.join("good")).unwrap(), "good");
    // Nothing is lost: with room, it comes out.
    game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(fs::metadata(game.save_dir.join("large")).unwrap().len(), 3_000_000);
}

/// The engine gives times to the second, and sets none before 1970 but those of links.
fn as_the_engine_gives(mut tree: Tree) -> Tree {
    tree.values_mut().for_each(|node| {
        let is_kept = node.mtime.0 >= 0 || matches!(node.kind, Kind::Link(_));
        node.mtime = if is_kept { (node.mtime.0, 0) } else { (0, 0) };
    });
    tree
}

/// What the engine makes of names, times, modes and links: the code on both of its sides is tried with many more trees
/// without it.
#[tokio::test]
async fn random_saves_go_in_and_come_out_the_same() {
    let stand = Stand::new().await;
    let mut runner = TestRunner::deterministic();
    // One large enough that nothing is missing in it.
    let mut trees = std::iter::repeat_with(|| tree::trees().new_tree(&mut runner).unwrap().current());
    for path in ["/save", "/home/player/.game", "/home/player"] {
        let tree = trees.find(|tree| tree.len() > 10).unwrap();
        let mut spec = stand.spec("echo up; exec sleep 1000");
        spec.container.as_mut().unwrap().save_path = path.to_owned();
        fs::remove_dir(&spec.save_dir).unwrap();
        tree::make(&tree, &spec.save_dir);
        let game = stand.start_spec(spec).await;
        game.said("up").await;
        game.instance.stop(Duration::ZERO).await;
        let left_out = game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
        assert!(left_out.is_empty(), "{left_out}");
        assert_eq!(tree::found(&game.save_dir), as_the_engine_gives(tree), "{path}");
        game.instance.remove().await.unwrap();
    }
}

#[tokio::test]
async fn times_modes_links_and_every_name_that_a_game_leaves_come_out() {
    let stand = Stand::new().await;
    let script = "cd /save && echo 1 > older && touch -d @1000000000 older && echo 2 > newer && touch -d @1000000100 newer && \
         ln -s older link && ln -s /save/older own && ln older hard && echo 3 > program && chmod 4755 program && \
         echo 4 > x.new && echo 5 > y.tmp && mkdir -p empty/inner && chmod 700 empty && touch -d @1000000000 empty && \
         mkfifo pipe && ln -s /etc/passwd out && ln -s ../etc up && rm gone && echo end; exec sleep 1000";
    let spec = stand.spec(script);
    fs::write(spec.save_dir.join("gone"), "gone").unwrap();
    let game = stand.start_spec(spec).await;
    game.said("end").await;
    game.instance.stop(Duration::ZERO).await;
    let left_out = game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(left_out.count(), 3, "{left_out}");
    for part in ["`pipe` (a pipe)", "`out` (a link", "`up` (a link"] {
        assert!(left_out.to_string().contains(part), "{left_out}");
    }
    let tree = tree::found(&game.save_dir);
    let names: BTreeSet<&str> = tree.keys().map(|path| path.to_str().unwrap()).collect();
    let expected =
        ["empty", "empty/inner", "hard", "link", "newer", "older", "own", "program", "x.new", "y.tmp"];
    assert_eq!(names, BTreeSet::from(expected));
    let node = |name: &str| &tree[Path::new(name)];
    assert_eq!((node("older").mtime, node("newer").mtime), ((1_000_000_000, 0), (1_000_000_100, 0)));
    assert_eq!((node("empty").mtime, node("empty").mode), ((1_000_000_000, 0), 0o700));
    assert_eq!(node("program").mode, 0o755, "set-uid is dropped");
    assert_eq!(node("link").kind, Kind::Link("older".into()));
    assert_eq!(node("own").kind, Kind::Link("older".into()), "a link into the save is made relative");
    assert_eq!((&node("hard").kind, node("hard").mtime), (&node("older").kind, node("older").mtime));
}

#[tokio::test]
async fn a_game_that_removes_its_save_directory_leaves_an_empty_save() {
    let stand = Stand::new().await;
    let mut spec = stand.spec("rm -r $PLAYGATE_SAVE_DIR && echo end; exec sleep 1000");
    spec.container.as_mut().unwrap().save_path = "/home/player/.game".to_owned();
    fs::write(spec.save_dir.join("last"), "last").unwrap();
    let game = stand.start_spec(spec).await;
    game.said("end").await;
    game.instance.stop(Duration::ZERO).await;
    game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    assert!(tree::found(&game.save_dir).is_empty());
}

#[tokio::test]
async fn a_save_over_its_limits_is_refused_with_its_size_and_stays_where_it_is() {
    let stand = Stand::new().await;
    let spec = stand.spec("truncate -s 3000000 /save/large; echo end; exec sleep 1000");
    fs::write(spec.save_dir.join("good"), "good").unwrap();
    let game = stand.start_spec(spec).await;
    game.said("end").await;
    game.instance.stop(Duration::ZERO).await;
    let small = SaveLimits { max_bytes: 1 << 20, ..SaveLimits::default() };
    let error = game.instance.collect_save(&game.save_dir, small).await.unwrap_err();
    let expected = SaveRefused::TooLarge { bytes: 3_000_004, limit: 1 << 20 };
    assert!(matches!(&error, CollectError::Refused(refused) if *refused == expected), "{error:?}");
    assert_eq!(tree::found(&game.save_dir).len(), 1, "what was restored is untouched");
    game.instance.collect_save(&game.save_dir, SaveLimits::default()).await.unwrap();
    assert_eq!(fs::metadata(game.save_dir.join("large")).unwrap().len(), 3_000_000);
}

struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path, options: &str) -> Self {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status();
        assert!(status.unwrap().success(), "mounting needs root");
        Self(at)
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}
