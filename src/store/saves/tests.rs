//! Crashes at every step of a commit, damage, deletions and limits.

use super::*;
use crate::model::ids::UserId;
use crate::save_tree::sample::{self, Kind, Node};
use crate::store::SqliteStore;

struct Fixture {
    dir: tempfile::TempDir,
    data: Arc<DataDir>,
    store: Arc<SqliteStore>,
    slot: SlotId,
}

impl Fixture {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = Arc::new(DataDir::lock(&dir.path().join("data")).unwrap());
        let store = Arc::new(SqliteStore::open(&data.database()).await.unwrap());
        let slot = store.slots(&UserId("u".to_owned()), "game", 1).await.unwrap()[0].id;
        Self { dir, data, store, slot }
    }

    async fn open(&self) -> SaveStore {
        SaveStore::open_with(&self.data, self.store.clone(), 3, SaveLimits::default()).await.unwrap()
    }

    /// Of the same text, the same to the nanosecond.
    fn game_dir(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("game");
        let _ = fs::remove_dir_all(&path);
        let node = |kind| Node { kind, mode: 0o755, mtime: (1_700_000_000, 123_456_789) };
        let file = || node(Kind::File(text.as_bytes().to_vec()));
        let tree = [("save.bin", file()), ("deep", node(Kind::Directory)), ("deep/more.bin", file())];
        sample::make(&tree.into_iter().map(|(path, node)| (path.into(), node)).collect(), &path);
        path
    }

    async fn commits(&self, saves: &SaveStore, dir: PathBuf, now: Millis) -> Option<VersionRow> {
        let committed = saves.commit(self.slot, dir, now).await.unwrap();
        assert!(committed.left_out.is_empty(), "{}", committed.left_out);
        committed.version
    }

    async fn restored(&self, saves: &SaveStore) -> Option<String> {
        let target = self.dir.path().join("restored");
        saves.restore(self.slot, target.clone()).await.unwrap()?;
        assert_eq!(
            fs::read(target.join("save.bin")).unwrap(),
            fs::read(target.join("deep/more.bin")).unwrap()
        );
        Some(fs::read_to_string(target.join("save.bin")).unwrap())
    }

    fn files(&self) -> usize {
        fs::read_dir(self.data.saves().join(self.slot.to_string())).unwrap().count()
    }
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_commit_leaves_the_last_good_version() {
    for crash_after in ["half an archive", "the archive", "the rename"] {
        let fixture = Fixture::new().await;
        let saves = fixture.open().await;
        fixture.commits(&saves, fixture.game_dir("good"), 1).await.unwrap();
        let id = VersionId::new();
        let packed =
            saves.pack(fixture.slot, id, fixture.game_dir("newer"), Empty::Pack).await.unwrap().0.unwrap();
        match crash_after {
            "half an archive" => {
                let file = File::options().write(true).open(saves.unfinished(fixture.slot, id)).unwrap();
                file.set_len(packed.bytes / 2).unwrap();
            }
            "the rename" => saves.publish(fixture.slot, id).unwrap(),
            _ => {}
        }
        assert_eq!(fixture.files(), 2, "after {crash_after}");
        let reopened = fixture.open().await;
        assert_eq!(fixture.restored(&reopened).await.as_deref(), Some("good"), "after {crash_after}");
        assert_eq!(fixture.files(), 1, "strays are removed after {crash_after}");
    }
}

#[tokio::test]
async fn a_damaged_version_falls_back_to_the_one_before_it() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    fixture.commits(&saves, fixture.game_dir("one"), 1).await.unwrap();
    let two = fixture.commits(&saves, fixture.game_dir("two"), 2).await.unwrap();
    let file = saves.finished(fixture.slot, two.id);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert_eq!(saves.path(&two), None);
    assert_eq!(fixture.restored(&saves).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn when_every_version_is_damaged_nothing_new_is_begun_in_its_place() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    let row = fixture.commits(&saves, fixture.game_dir("one"), 1).await.unwrap();
    fs::remove_file(saves.finished(fixture.slot, row.id)).unwrap();
    let error = saves.restore(fixture.slot, fixture.dir.path().join("restored")).await.unwrap_err();
    assert!(matches!(error, SaveError::AllCorrupt(1)), "{error}");
}

#[tokio::test]
async fn only_the_last_versions_are_kept_and_an_unchanged_save_makes_none() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    for round in 1..=5 {
        let text = format!("round {round}");
        let row = fixture.commits(&saves, fixture.game_dir(&text), round).await.unwrap();
        assert_eq!(row.number, u64::try_from(round).unwrap());
        let again = fixture.commits(&saves, fixture.game_dir(&text), round).await;
        assert_eq!(again, None);
    }
    let numbers: Vec<u64> =
        fixture.store.versions(fixture.slot).await.unwrap().iter().map(|row| row.number).collect();
    assert_eq!(numbers, [5, 4, 3]);
    assert_eq!(fixture.files(), 3);
    assert_eq!(fixture.restored(&saves).await.as_deref(), Some("round 5"));
}

#[tokio::test]
async fn a_game_that_leaves_nothing_in_an_empty_slot_makes_no_version() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    let dir = fixture.dir.path().join("game");
    fs::create_dir_all(&dir).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
    let committed = saves.commit(fixture.slot, dir, 1).await.unwrap();
    assert_eq!(committed.version, None);
    assert_eq!(committed.left_out.to_string(), "Not kept: `link` (a link that may lead outside the save)");
    assert_eq!(fixture.restored(&saves).await, None);
    assert_eq!(fixture.files(), 0);
}

#[tokio::test]
async fn a_deleted_save_stays_deleted() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    fixture.commits(&saves, fixture.game_dir("one"), 1).await.unwrap();
    let dir = fixture.dir.path().join("emptied");
    fs::create_dir(&dir).unwrap();
    let emptied = fixture.commits(&saves, dir.clone(), 2).await.unwrap();
    assert_eq!(fixture.commits(&saves, dir, 3).await, None, "nothing has changed since");
    let target = fixture.dir.path().join("restored");
    assert_eq!(saves.restore(fixture.slot, target.clone()).await.unwrap(), Some(emptied));
    assert!(sample::found(&target).is_empty());
    // What was there before is a version to go back to.
    let versions = fixture.store.versions(fixture.slot).await.unwrap();
    saves.copy(&versions[1], 4).await.unwrap().unwrap();
    assert_eq!(fixture.restored(&saves).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn files_that_games_write_before_they_rename_are_kept() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    let dir = fixture.game_dir("one");
    for name in ["x.new", "save.bin.tmp", "a.part", "b.partial"] {
        fs::write(dir.join(name), name).unwrap();
    }
    let before = sample::found(&dir);
    fixture.commits(&saves, dir, 1).await.unwrap();
    let target = fixture.dir.path().join("restored");
    saves.restore(fixture.slot, target.clone()).await.unwrap();
    assert_eq!(sample::found(&target), before);
}

#[tokio::test]
async fn clearing_a_slot_removes_its_archives() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    fixture.commits(&saves, fixture.game_dir("one"), 1).await.unwrap();
    assert!(saves.clear(fixture.slot).await.unwrap());
    assert_eq!(fixture.files(), 0);
    assert_eq!(fixture.restored(&saves).await, None);
}

#[tokio::test]
async fn an_upload_is_packed_anew_and_leaves_nothing_beside_it() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    let good = fixture.commits(&saves, fixture.game_dir("good"), 1).await.unwrap();
    fixture.game_dir("newer");
    fixture.commits(&saves, fixture.game_dir("newer"), 2).await.unwrap();
    let bytes = fs::read(saves.path(&good).unwrap()).unwrap();
    let body = || futures_util::stream::iter([Ok(bytes::Bytes::from(bytes.clone()))]);
    let made = saves.import(fixture.slot, body(), 3).await.unwrap().unwrap();
    assert_eq!((made.number, made.sha256), (3, good.sha256));
    assert_eq!(fixture.restored(&saves).await.as_deref(), Some("good"));
    assert_eq!(fixture.files(), 3);
    let copied = saves.copy(&good, 4).await.unwrap().unwrap();
    assert_eq!((copied.number, copied.sha256), (4, good.sha256));
    assert_eq!(fixture.files(), 3, "the oldest went");
}

#[tokio::test]
async fn a_save_over_the_limits_is_refused_and_leaves_nothing() {
    let fixture = Fixture::new().await;
    let limits = SaveLimits { max_entries: 3, max_bytes: 20 };
    let saves = SaveStore::open_with(&fixture.data, fixture.store.clone(), 3, limits).await.unwrap();
    let good = fixture.commits(&saves, fixture.game_dir("good"), 1).await.unwrap();
    let error = saves.commit(fixture.slot, fixture.game_dir("more than 20"), 2).await.unwrap_err();
    assert!(matches!(error, SaveError::Refused(SaveRefused::TooLarge { bytes: 24, limit: 20 })), "{error}");
    let dir = fixture.game_dir("good");
    fs::write(dir.join("one more"), "").unwrap();
    let error = saves.commit(fixture.slot, dir, 2).await.unwrap_err();
    assert!(
        matches!(error, SaveError::Refused(SaveRefused::TooManyFiles { entries: 4, limit: 3 })),
        "{error}"
    );
    assert_eq!(fixture.files(), 1);
    assert_eq!(fixture.store.versions(fixture.slot).await.unwrap(), [good]);
    // Lowered limits do not keep a player from what was stored.
    let limits = SaveLimits { max_entries: 1, max_bytes: 1 };
    let saves = SaveStore::open_with(&fixture.data, fixture.store.clone(), 3, limits).await.unwrap();
    assert_eq!(fixture.restored(&saves).await.as_deref(), Some("good"));
}
