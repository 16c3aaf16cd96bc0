//! Crashes at every step of a commit, damage, and archives made to do harm.

use super::*;
use crate::ids::UserId;
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
        SaveStore::open(&self.data, self.store.clone(), 3).await.unwrap()
    }

    fn game_dir(&self, text: &str) -> PathBuf {
        let path = self.dir.path().join("game");
        fs::create_dir_all(path.join("deep")).unwrap();
        fs::write(path.join("save.bin"), text).unwrap();
        fs::write(path.join("deep/more.bin"), text).unwrap();
        path
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
        saves.commit(fixture.slot, fixture.game_dir("good"), 1).await.unwrap().unwrap();
        let id = VersionId::new();
        let packed = saves.pack(fixture.slot, id, fixture.game_dir("newer")).await.unwrap().unwrap();
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
    saves.commit(fixture.slot, fixture.game_dir("one"), 1).await.unwrap().unwrap();
    let two = saves.commit(fixture.slot, fixture.game_dir("two"), 2).await.unwrap().unwrap();
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
    let row = saves.commit(fixture.slot, fixture.game_dir("one"), 1).await.unwrap().unwrap();
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
        let row = saves.commit(fixture.slot, fixture.game_dir(&text), round).await.unwrap().unwrap();
        assert_eq!(row.number, u64::try_from(round).unwrap());
        let again = saves.commit(fixture.slot, fixture.game_dir(&text), round).await.unwrap();
        assert_eq!(again, None);
    }
    let numbers: Vec<u64> =
        fixture.store.versions(fixture.slot).await.unwrap().iter().map(|row| row.number).collect();
    assert_eq!(numbers, [5, 4, 3]);
    assert_eq!(fixture.files(), 3);
    assert_eq!(fixture.restored(&saves).await.as_deref(), Some("round 5"));
}

#[tokio::test]
async fn an_empty_directory_and_unfinished_files_and_links_are_not_saves() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    let dir = fixture.dir.path().join("game");
    fs::create_dir_all(dir.join("empty")).unwrap();
    fs::write(dir.join("save.bin.tmp"), "half").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
    assert_eq!(saves.commit(fixture.slot, dir, 1).await.unwrap(), None);
    assert_eq!(fixture.restored(&saves).await, None);
    assert_eq!(fixture.files(), 0);
}

#[tokio::test]
async fn clearing_a_slot_removes_its_archives() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    saves.commit(fixture.slot, fixture.game_dir("one"), 1).await.unwrap().unwrap();
    assert!(saves.clear(fixture.slot).await.unwrap());
    assert_eq!(fixture.files(), 0);
    assert_eq!(fixture.restored(&saves).await, None);
}

#[test]
fn archives_that_lead_outside_or_hold_anything_but_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut cases = vec![
        ("../out", tar::EntryType::Regular),
        ("/abs", tar::EntryType::Regular),
        ("a/../../out", tar::EntryType::Regular),
    ];
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Char, tar::EntryType::Fifo] {
        cases.push(("entry", kind));
    }
    for (index, (name, kind)) in cases.into_iter().enumerate() {
        let archive = dir.path().join(format!("{index}.tar.gz"));
        write_archive(&archive, name, kind, b"x");
        let error =
            archive::unpack(&archive, &dir.path().join(format!("target{index}/in")), SaveLimits::default());
        assert!(matches!(error, Err(SaveError::Unsafe(_))), "{name} {kind:?}: {error:?}");
        assert!(!dir.path().join(format!("target{index}/out")).exists());
    }
}

#[test]
fn a_foreign_archive_with_a_name_of_any_length_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("bomb.tar.gz");
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader, tar::EntryType::XGlobalHeader] {
        write_archive(&archive, "name", kind, &vec![b'a'; 1 << 20]);
        let checked = archive::check(&archive, SaveLimits::default());
        assert!(matches!(checked, Err(SaveError::Unsafe(_))), "{kind:?}: {checked:?}");
    }
    write_archive(&archive, "name", tar::EntryType::Regular, b"x");
    archive::check(&archive, SaveLimits::default()).unwrap();
}

#[tokio::test]
async fn an_upload_is_packed_anew_and_leaves_nothing_beside_it() {
    let fixture = Fixture::new().await;
    let saves = fixture.open().await;
    let good = saves.commit(fixture.slot, fixture.game_dir("good"), 1).await.unwrap().unwrap();
    fixture.game_dir("newer");
    saves.commit(fixture.slot, fixture.game_dir("newer"), 2).await.unwrap().unwrap();
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

#[test]
fn too_many_files_and_too_many_bytes_are_refused_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    fs::create_dir_all(&source).unwrap();
    for number in 0..5 {
        fs::write(source.join(number.to_string()), vec![0; 1000]).unwrap();
    }
    let few = SaveLimits { max_entries: 4, max_bytes: 1 << 20 };
    let small = SaveLimits { max_entries: 100, max_bytes: 4999 };
    let archive = dir.path().join("good.tar.gz");
    archive::pack(&source, &archive, SaveLimits::default()).unwrap().unwrap();
    assert!(matches!(archive::pack(&source, &dir.path().join("a"), few), Err(SaveError::TooManyFiles(4))));
    assert!(matches!(archive::pack(&source, &dir.path().join("b"), small), Err(SaveError::TooLarge)));
    assert!(matches!(archive::unpack(&archive, &dir.path().join("c"), few), Err(SaveError::TooManyFiles(4))));
    assert!(matches!(archive::unpack(&archive, &dir.path().join("d"), small), Err(SaveError::TooLarge)));
    archive::unpack(&archive, &dir.path().join("e"), SaveLimits::default()).unwrap();
}

fn write_archive(path: &Path, name: &str, kind: tar::EntryType, data: &[u8]) {
    let gzip = flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gzip);
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    if kind == tar::EntryType::Symlink || kind == tar::EntryType::Link {
        header.set_link_name("/etc/passwd").unwrap();
        header.set_size(0);
    } else {
        header.set_size(data.len() as u64);
    }
    // Past the library's own refusal of such names.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    builder.append(&header, data).unwrap();
    builder.into_inner().unwrap().finish().unwrap();
}
