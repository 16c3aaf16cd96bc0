//! A save on its way in and out of containers.

use super::stand::Stand;
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
        assert!(game.instance.collect_save(&game.save_dir).await.is_err(), "it plays");
        game.instance.stop(Duration::ZERO).await;
        game.instance.collect_save(&game.save_dir).await.unwrap();
        assert_eq!(game.saved("deep/er/old"), "old\nmore\n", "{path}");
        assert_eq!(game.saved("new/dir/file"), "fresh\n", "{path}");
        assert_eq!(fs::read(game.save_dir.join("large")).unwrap(), large, "{path}");
        assert!(!game.save_dir.join("gone").exists() && !game.save_dir.join("link").exists(), "{path}");
        game.instance.remove().await.unwrap();
        let error = game.instance.collect_save(&game.save_dir).await.unwrap_err().to_string();
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
    game.instance.collect_save(&game.save_dir).await.unwrap();
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
    let error = game.instance.collect_save(&target).await.unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    let left: Vec<_> = fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["save"]);
    assert_eq!(fs::read_to_string(target.join("good")).unwrap(), "good");
    // Nothing is lost: with room, it comes out.
    game.instance.collect_save(&game.save_dir).await.unwrap();
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
