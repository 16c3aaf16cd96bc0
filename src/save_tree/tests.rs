//! Random trees there and back, and archives made to do harm.

use super::*;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

fn own() -> Foreign<'static> {
    Foreign::LeaveOut { own: Path::new("/save") }
}

fn packed(root: &Path) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    write(&scan(root, SaveLimits::default()).unwrap(), Path::new(""), None, &mut tar).unwrap();
    tar.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_tree_comes_back_whole_and_packs_to_the_same_bytes(tree in sample::trees()) {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        sample::make(&tree, &from);
        let archive = packed(&from);
        let left_out = read(archive.as_slice(), &to, SaveLimits::default(), Foreign::Refuse).unwrap();
        prop_assert!(left_out.is_empty());
        prop_assert_eq!(sample::found(&to), tree);
        prop_assert_eq!(packed(&to), archive);
    }
}

#[test]
fn what_is_not_kept_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("save");
    fs::create_dir_all(root.join("deep")).unwrap();
    fs::write(root.join("file"), "x").unwrap();
    symlink("/etc/passwd", root.join("out")).unwrap();
    symlink("../../x", root.join("deep/up")).unwrap();
    symlink("../file", root.join("deep/in")).unwrap();
    symlink(root.join("file"), root.join("absolute")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
    assert!(made.success());
    let tree = scan(&root, SaveLimits::default()).unwrap();
    let words = tree.left_out.to_string();
    assert_eq!(tree.left_out.count(), 4, "{words}");
    for part in [
        "`out` (a link that may lead outside the save)",
        "`deep/up` (a link",
        "`socket` (a socket)",
        "`pipe` (a pipe)",
    ] {
        assert!(words.contains(part), "{words}");
    }
    let to = dir.path().join("to");
    read(packed(&root).as_slice(), &to, SaveLimits::default(), Foreign::Refuse).unwrap();
    assert_eq!(fs::read_link(to.join("absolute")).unwrap(), PathBuf::from("file"));
    assert_eq!(sample::found(&to).len(), 4);
}

#[test]
fn set_uid_and_the_like_are_dropped_and_the_owner_can_read_everything() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("save");
    fs::create_dir_all(root.join("shut")).unwrap();
    fs::write(root.join("shut/program"), "x").unwrap();
    fs::write(root.join("secret"), "x").unwrap();
    for (name, mode) in [("shut/program", 0o6755), ("shut", 0o3500), ("secret", 0o022)] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    // Only root could read `secret`, so an archive with it is made by hand.
    let archive = archive(&[
        Item { mode: 0o3500, ..Item::dir("shut") },
        Item { mode: 0o6755, ..Item::file("shut/program", b"x") },
        Item { mode: 0o022, ..Item::file("secret", b"x") },
    ]);
    let to = dir.path().join("to");
    read(archive.as_slice(), &to, SaveLimits::default(), own()).unwrap();
    let mode = |name: &str| fs::metadata(to.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("shut/program"), mode("shut"), mode("secret")), (0o755, 0o700, 0o422));
    let modes: Vec<u32> =
        scan(&root, SaveLimits::default()).unwrap().nodes.iter().map(|node| node.mode).collect();
    assert_eq!(modes, [0o422, 0o700, 0o755]);
}

struct Item<'a> {
    name: &'a str,
    kind: EntryType,
    data: &'a [u8],
    link: &'a str,
    mode: u32,
}

impl<'a> Item<'a> {
    fn file(name: &'a str, data: &'a [u8]) -> Self {
        Self { name, kind: EntryType::Regular, data, link: "", mode: 0o644 }
    }

    fn dir(name: &'a str) -> Self {
        Self { kind: EntryType::Directory, mode: 0o755, ..Self::file(name, b"") }
    }

    fn special(name: &'a str, kind: EntryType, link: &'a str) -> Self {
        Self { kind, link, ..Self::file(name, b"") }
    }
}

/// Names are written as they are, also such as no archiver would write.
fn archive(items: &[Item]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for item in items {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..item.name.len()].copy_from_slice(item.name.as_bytes());
        header.as_old_mut().linkname[..item.link.len()].copy_from_slice(item.link.as_bytes());
        header.set_entry_type(item.kind);
        header.set_mode(item.mode);
        header.set_size(item.data.len() as u64);
        header.set_cksum();
        tar.append(&header, item.data).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Both ways of unpacking, each in a directory of its own.
fn unpacked(archive: &[u8], limits: SaveLimits) -> (tempfile::TempDir, [Result<LeftOut, TreeError>; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let results = [("left", own()), ("uploaded", Foreign::Refuse)].map(|(name, foreign)| {
        fs::create_dir(dir.path().join(name)).unwrap();
        read(archive, &dir.path().join(name).join("save"), limits, foreign)
    });
    (dir, results)
}

#[test]
fn nothing_leads_outside() {
    for name in ["../evil", "/evil", "a/../../evil", "./.."] {
        let (dir, results) = unpacked(&archive(&[Item::file(name, b"x")]), SaveLimits::default());
        for result in results {
            assert!(matches!(result, Err(TreeError::Refused(SaveRefused::Unsafe(_)))), "{name}: {result:?}");
        }
        assert!(!dir.path().join("left/evil").exists() && !dir.path().join("uploaded/evil").exists());
    }
}

#[test]
fn links_outside_and_devices_are_left_out_of_a_games_save_and_refused_in_an_upload() {
    let items = [
        Item::special("out", EntryType::Symlink, "/tmp"),
        Item::special("hard", EntryType::Link, "/etc/passwd"),
        Item::special("later", EntryType::Link, "file"),
        Item::special("null", EntryType::Char, ""),
        Item::special("disk", EntryType::Block, ""),
        Item::special("pipe", EntryType::Fifo, ""),
        Item::special("own", EntryType::Symlink, "/save/file"),
        Item::file("file", b"x"),
    ];
    for item in &items[..6] {
        let alone = Item { name: item.name, kind: item.kind, data: b"", link: item.link, mode: 0o644 };
        let (_dir, [left, uploaded]) = unpacked(&archive(&[alone]), SaveLimits::default());
        assert_eq!(left.unwrap().count(), 1);
        assert!(matches!(uploaded, Err(TreeError::Refused(SaveRefused::Unsafe(_)))), "{uploaded:?}");
    }
    let (dir, [left, _]) = unpacked(&archive(&items), SaveLimits::default());
    assert_eq!(left.unwrap().count(), 6);
    let save = dir.path().join("left/save");
    assert_eq!(sample::found(&save).len(), 2);
    assert_eq!(fs::read(save.join("own")).unwrap(), b"x");
}

#[test]
fn nothing_is_written_through_a_link() {
    let inside = |target| Item::special("link", EntryType::Symlink, target);
    for items in [
        vec![inside("."), Item::file("link/evil", b"x")],
        vec![inside("dir"), Item::dir("dir"), Item::dir("link/evil")],
        vec![inside("."), Item::special("link/evil", EntryType::Symlink, "link")],
        vec![inside("."), Item::file("link", b"x")],
        vec![Item::file("link", b"x"), inside(".")],
        vec![inside("."), inside("dir")],
    ] {
        let (_dir, results) = unpacked(&archive(&items), SaveLimits::default());
        for result in results {
            assert!(matches!(result, Err(TreeError::Refused(SaveRefused::Unsafe(_)))), "{result:?}");
        }
    }
    // A link that is not kept is no link: what lies below it is a directory of its own.
    let items = [Item::special("out", EntryType::Symlink, "/tmp"), Item::file("out/evil", b"x")];
    let (dir, [left, _]) = unpacked(&archive(&items), SaveLimits::default());
    assert_eq!(left.unwrap().count(), 1);
    assert!(dir.path().join("left/save/out").symlink_metadata().unwrap().is_dir());
}

#[test]
fn a_hard_link_within_the_save_is_a_file_of_its_own() {
    let items = [
        Item::file("./new", b"hello"),
        Item::special("./backup", EntryType::Link, "./new"),
        Item::special("./link", EntryType::Symlink, "new"),
        Item::special("./deep/link", EntryType::Link, "link"),
    ];
    let (dir, [left, uploaded]) = unpacked(&archive(&items), SaveLimits::default());
    assert!(left.unwrap().is_empty() && uploaded.unwrap().is_empty());
    let save = dir.path().join("left/save");
    assert_eq!(fs::read(save.join("backup")).unwrap(), b"hello");
    assert_eq!(fs::metadata(save.join("backup")).unwrap().nlink(), 1);
    assert_eq!(fs::read_link(save.join("deep/link")).unwrap(), PathBuf::from("new"));
}

#[test]
fn a_save_has_its_bounds_and_a_games_is_measured() {
    let items = [Item::file("a", b"12345"), Item::file("b", b"67890"), Item::file("c", b"123")];
    let archive = archive(&items);
    let limits = |max_entries, max_bytes| SaveLimits { max_entries, max_bytes };
    let (_dir, [left, uploaded]) = unpacked(&archive, limits(9, 9));
    for (result, measured) in [(left, 13), (uploaded, 10)] {
        let Err(TreeError::Refused(SaveRefused::TooLarge { bytes, limit: 9 })) = result else {
            panic!("{result:?}")
        };
        assert_eq!(bytes, measured);
    }
    let (_dir, [left, uploaded]) = unpacked(&archive, limits(1, 99));
    for (result, measured) in [(left, 3), (uploaded, 2)] {
        let Err(TreeError::Refused(SaveRefused::TooManyFiles { entries, limit: 1 })) = result else {
            panic!("{result:?}")
        };
        assert_eq!(entries, measured);
    }
    let (_dir, results) = unpacked(&archive, limits(3, 13));
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let copies = [
        Item::file("a", b"12345"),
        Item::special("b", EntryType::Link, "a"),
        Item::special("c", EntryType::Link, "a"),
    ];
    let (_dir, [left, _]) = unpacked(&super::tests::archive(&copies), limits(9, 9));
    assert!(matches!(left, Err(TreeError::Refused(SaveRefused::TooLarge { bytes: 10, .. }))), "{left:?}");
}

#[test]
fn directories_on_the_way_count_as_entries() {
    let deep = vec!["d"; 40].join("/");
    let limits = SaveLimits { max_entries: 30, max_bytes: 99 };
    let (_dir, results) = unpacked(&archive(&[Item::file(&deep, b"x")]), limits);
    for result in results {
        assert!(matches!(result, Err(TreeError::Refused(SaveRefused::TooManyFiles { .. }))), "{result:?}");
    }
}

#[test]
fn a_scan_measures_what_is_over_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..5 {
        fs::write(dir.path().join(number.to_string()), [0; 1000]).unwrap();
    }
    let refused =
        |max_entries, max_bytes| scan(dir.path(), SaveLimits { max_entries, max_bytes }).unwrap_err();
    let error = refused(9, 4999);
    assert!(
        matches!(error, TreeError::Refused(SaveRefused::TooLarge { bytes: 5000, limit: 4999 })),
        "{error:?}"
    );
    let error = refused(4, 1 << 20);
    assert!(
        matches!(error, TreeError::Refused(SaveRefused::TooManyFiles { entries: 5, limit: 4 })),
        "{error:?}"
    );
    scan(dir.path(), SaveLimits { max_entries: 5, max_bytes: 5000 }).unwrap();
}

#[test]
fn an_archive_that_breaks_off_or_goes_on_is_an_error() {
    let whole = archive(&[Item::file("a", &[7; 4000])]);
    for (archive, what) in
        [(whole[..2000].to_vec(), "breaks off"), ([whole.clone(), vec![0; 2 << 20]].concat(), "goes on")]
    {
        let (_dir, results) = unpacked(&archive, SaveLimits::default());
        assert!(results.iter().all(Result::is_err), "{what}: {results:?}");
    }
}

#[test]
fn a_name_of_any_length_is_refused_before_it_is_read() {
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader]
    {
        let item = Item { kind, ..Item::file("name", &[b'a'; 1 << 20]) };
        let (_dir, results) = unpacked(&archive(&[item]), SaveLimits::default());
        for result in results {
            assert!(
                matches!(result, Err(TreeError::Refused(SaveRefused::Unsafe(_)))),
                "{kind:?}: {result:?}"
            );
        }
    }
}
