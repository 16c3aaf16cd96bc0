//! Archives that want out, or to be too much.

use super::Stand;
use super::archives::{Maker, game_of, noise};
use super::origin::{Origin, Serving};
use flate2::Compression;
use flate2::write::GzEncoder;
use playgate::content::ContentError;
use std::io::Write;
use tar::EntryType;

/// The refusal's detail; nothing may be left of it.
async fn refusal(stand: &Stand, origin: &Origin, archive: &[u8]) -> ContentError {
    let package = origin.serve(archive, Serving::whole(archive));
    let error = stand.fetch(&package).await.unwrap_err();
    stand.assert_nothing_kept();
    error
}

#[tokio::test]
async fn archives_that_lead_outside_or_hold_more_than_files_are_refused() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    let absolute = target.to_str().unwrap();
    let device = |kind| Maker::game().entry(kind, "game/x", "", 0o644, b"");
    for (what, archive, words) in [
        ("absolute path", Maker::game().file(absolute, 0o644, b"x"), "leads outside"),
        ("dots", Maker::game().file("game/../../x", 0o644, b"x"), "leads outside"),
        ("dots inside", Maker::game().file("game/../game/x", 0o644, b"x"), "leads outside"),
        ("absolute link", Maker::game().symbolic_link("game/x", absolute), "leads outside"),
        ("link out", Maker::game().symbolic_link("game/x", "../.."), "leads outside"),
        ("link to the rest of the cache", Maker::game().symbolic_link("game/x", ".."), "leads outside"),
        ("link to nothing", Maker::game().symbolic_link("game/x", "y"), "leads nowhere"),
        ("link to itself", Maker::game().symbolic_link("game/x", "x"), "leads nowhere"),
        (
            "link over links",
            Maker::game().dir("game/a").symbolic_link("game/b", "a").symbolic_link("game/c", "b/../.."),
            "leads outside",
        ),
        (
            "file through a link",
            Maker::game()
                .symbolic_link("game/x", outside.path().to_str().unwrap())
                .file("game/x/y", 0o644, b"x"),
            "leads outside",
        ),
        (
            "link below a link",
            Maker::game().dir("game/a").symbolic_link("game/b", "a").symbolic_link("game/b/c", "../.."),
            "twice",
        ),
        ("hard link out", Maker::game().hard_link("game/x", "/etc/passwd"), "leads outside"),
        ("hard link up", Maker::game().hard_link("game/x", "../x"), "leads outside"),
        (
            "hard link through a link",
            Maker::game().symbolic_link("game/x", "/etc").hard_link("game/y", "game/x/passwd"),
            "no file before it",
        ),
        ("character device", device(EntryType::Char), "is a device"),
        ("block device", device(EntryType::Block), "is a device"),
        ("fifo", device(EntryType::Fifo), "is a fifo"),
        ("two directories", Maker::game().file("other/x", 0o644, b"x"), "more than one top-level directory"),
        ("a file beside", Maker::game().file("x", 0o644, b"x"), "beside its top-level directory"),
        ("a file twice", Maker::game().file("game/start.sh", 0o644, b"x"), "twice"),
        ("a file as directory", Maker::game().file("game/start.sh/x", 0o644, b"x"), "same name"),
        ("empty", Maker::new(), "it is empty"),
        ("no launcher", Maker::new().file("game/x", 0o755, b"x"), "no file `start.sh`"),
        ("launcher is a directory", Maker::new().dir("game/start.sh"), "no file `start.sh`"),
        (
            "launcher elsewhere",
            Maker::new().dir("game").symbolic_link("game/start.sh", "/bin/sh"),
            "leads outside",
        ),
    ] {
        let error = refusal(&stand, &origin, &archive.finish()).await;
        let ContentError::Unsafe { detail, .. } = &error else { panic!("{what}: {error}") };
        assert!(detail.contains(words), "{what}: {detail}");
    }
    assert!(!target.exists() && outside.path().read_dir().unwrap().next().is_none());
}

#[tokio::test]
async fn bytes_that_are_no_archive_are_refused() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let game = game_of(50_000, 1);
    let mut no_tar = GzEncoder::new(Vec::new(), Compression::fast());
    no_tar.write_all(&noise(50_000, 2)).unwrap();
    for (what, archive) in [
        ("noise", noise(1000, 1)),
        ("nothing", Vec::new()),
        ("half an archive", game[..game.len() / 2].to_vec()),
        ("no tar", no_tar.finish().unwrap()),
    ] {
        let error = refusal(&stand, &origin, &archive).await;
        assert!(matches!(error, ContentError::Unsafe { .. }), "{what}: {error}");
    }
}

#[tokio::test]
async fn bombs_are_refused() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let zeros = vec![0; 70 << 20];
    let big = Maker::game().file("game/zeros", 0o644, &zeros).finish();
    assert!(big.len() < 1 << 20, "small to download");
    let error = refusal(&stand, &origin, &big).await;
    assert!(matches!(error, ContentError::TooLarge { .. }), "{error}");

    let mut many = Maker::game();
    for number in 0..stand.limits.max_entries {
        many = many.dir(&format!("game/{number}"));
    }
    let error = refusal(&stand, &origin, &many.finish()).await;
    assert!(matches!(&error, ContentError::TooLarge { detail, .. } if detail.contains("entries")), "{error}");

    // Names and attributes are read into memory as long as they say they are.
    for kind in [EntryType::GNULongName, EntryType::XHeader, EntryType::GNULongLink] {
        let headers = Maker::game().entry(kind, "game/x", "", 0o644, &zeros[..10 << 20]);
        let error = refusal(&stand, &origin, &headers.finish()).await;
        let ContentError::Unsafe { detail, .. } = &error else { panic!("{error}") };
        assert!(detail.contains("headers are too large"), "{detail}");
    }
}

#[tokio::test]
async fn links_inside_and_bits_that_make_sense_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = Maker::game()
        .file("game/lib/real.so.1", 0o6755, b"lib")
        .symbolic_link("game/lib/real.so", "real.so.1")
        .symbolic_link("game/up", "lib/../start.sh")
        .hard_link("game/same", "./game/start.sh")
        .file("./game/./dotted", 0o400, b"x")
        .finish();
    let package = origin.serve(&archive, Serving::whole(&archive));
    let lease = stand.fetch(&package).await.unwrap();
    assert_eq!(std::fs::read(lease.dir.join("lib/real.so")).unwrap(), b"lib");
    assert_eq!(std::fs::read(lease.dir.join("same")).unwrap(), b"#!/bin/sh\n");
    assert_eq!(std::fs::read(lease.dir.join("up")).unwrap(), b"#!/bin/sh\n");
    let mode = |name: &str| lease.dir.join(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("lib/real.so.1"), mode("dotted"), mode("lib")), (0o755, 0o644, 0o755));
}

#[tokio::test]
async fn the_same_archive_may_have_two_launchers_but_not_one_that_is_missing() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = Maker::game().file("game/other.sh", 0o644, b"#!/bin/sh\n").finish();
    let mut package = origin.serve(&archive, Serving::whole(&archive));
    let lease = stand.fetch(&package).await.unwrap();
    for (launcher, there) in
        [("other.sh", true), ("no.sh", false), ("../manifest.json", false), ("/x.sh", false)]
    {
        package.launcher = launcher.to_owned();
        assert_eq!(stand.fetch(&package).await.is_ok(), there, "{launcher}");
    }
    assert!(lease.dir.join("start.sh").is_file(), "what is in use is not taken away");
    assert_eq!(origin.asked().len(), 1);
}
