//! Saves of the process driver, through real child processes and a real store.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use crate::tree::{self, Tree};
use playgate::config::SessionsConfig;
use playgate::driver::{Driver, ProcessDriver, Site, StartSpec};
use playgate::model::ids::{Generation, SessionId, SlotId, UserId};
use playgate::store::{DataDir, SaveStore, SqliteStore, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A game that leaves a copy of `$LEAVES` in place of what it finds, then says so.
const SCRIPT: &str =
    "find . -mindepth 1 -delete && cp -a \"$LEAVES/.\" . && : > \"$LEAVES.done\" && exec sleep 1000";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Stand {
    saves: SaveStore,
    slot: SlotId,
    dir: tempfile::TempDir,
}

impl Stand {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::lock(&dir.path().join("data")).unwrap();
        let store = Arc::new(SqliteStore::open(&data.database()).await.unwrap());
        let slot = store.slots(&UserId("u".to_owned()), "game", 1).await.unwrap()[0].id;
        let saves = SaveStore::open(&data, store, &SessionsConfig::default()).await.unwrap();
        Self { saves, slot, dir }
    }

    /// A session: restores the save, lets the game leave `leaves`, stores that. Gives what was restored.
    async fn plays(&self, leaves: &Tree) -> Tree {
        let session = SessionId::new();
        let (save_dir, copied) = (self.dir.path().join(format!("{session}")), self.dir.path().join("leaves"));
        self.saves.restore(self.slot, save_dir.clone()).await.unwrap();
        let restored = tree::found(&save_dir);
        tree::make(leaves, &copied);
        let arguments = ["-c", SCRIPT].map(OsString::from).to_vec();
        let driver = ProcessDriver::with_command(PathBuf::from("/bin/sh"), arguments);
        let spec = StartSpec {
            session,
            generation: Generation(1),
            game: "game".to_owned(),
            env: BTreeMap::from([("LEAVES".to_owned(), copied.display().to_string())]),
            save_dir: save_dir.clone(),
            seed: None,
            marker: false,
            container: None,
        };
        let (sender, _events) = mpsc::channel(8);
        let instance = driver.start(spec, Site::default(), sender).await.unwrap();
        let done = copied.with_extension("done");
        let said = async {
            while !done.exists() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, said).await.expect("the game leaves its files");
        instance.stop(Duration::from_secs(10)).await;
        let left_out = instance.collect_save(&save_dir, self.saves.limits()).await.unwrap();
        let committed = self.saves.commit(self.slot, save_dir.clone(), 1).await.unwrap();
        assert!(left_out.is_empty() && committed.left_out.is_empty(), "{}", committed.left_out);
        for used in [save_dir, copied] {
            std::fs::remove_dir_all(used).unwrap();
        }
        std::fs::remove_file(done).unwrap();
        restored
    }
}

#[test]
fn any_save_of_a_child_process_is_restored_whole_and_what_it_deletes_stays_deleted() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config::with_cases(24));
    let ran = runner.run(&(tree::trees(), tree::trees()), |(one, other)| {
        runtime.block_on(async {
            let stand = Stand::new().await;
            prop_assert_eq!(stand.plays(&one).await, Tree::new());
            // Each lacks what only the one before had.
            prop_assert_eq!(stand.plays(&other).await, one);
            prop_assert_eq!(stand.plays(&Tree::new()).await, other);
            prop_assert_eq!(stand.plays(&Tree::new()).await, Tree::new());
            Ok(())
        })
    });
    ran.unwrap();
}
