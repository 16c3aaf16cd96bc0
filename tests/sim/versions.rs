//! Save versions in their owner's hands.

use crate::world::World;
use bytes::Bytes;
use futures_util::StreamExt;
use playgate::model::ids::{SlotId, UserId, VersionId};
use playgate::session::ServiceError;
use playgate::session::view::VersionView;
use std::io::Read;

fn ada() -> UserId {
    UserId("ada".to_owned())
}

fn bob() -> UserId {
    UserId("bob".to_owned())
}

/// A slot with the versions `one` and `two`.
async fn two_versions(world: &World) -> SlotId {
    for text in ["one", "two"] {
        let id = world.play("ada").await;
        world.game_saves(id, text).await;
        world.stop("ada", id).await;
    }
    world.sessions.save_slots(&ada(), "story").await.unwrap()[0].id
}

async fn upload(world: &World, slot: SlotId, archive: Vec<u8>) -> Result<VersionView, ServiceError> {
    let chunks: Vec<_> = archive.chunks(100).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    world.sessions.upload_version(&ada(), slot, futures_util::stream::iter(chunks).boxed()).await
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *data).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

async fn continues_with(world: &World, text: &str) {
    let id = world.play("ada").await;
    let restored = world.started(id).await.spec.save_dir.join("save.bin");
    assert_eq!(std::fs::read_to_string(restored).unwrap(), text);
    world.stop("ada", id).await;
}

#[tokio::test]
async fn an_older_version_becomes_the_newest_as_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let slot = two_versions(&world).await;
    let versions = world.sessions.save_versions(&ada(), slot).await.unwrap();
    let told: Vec<_> = versions.iter().map(|version| (version.number, version.current)).collect();
    assert_eq!(told, [(2, true), (1, false)]);
    let made = world.sessions.restore_version(&ada(), slot, versions[1].id).await.unwrap();
    assert_eq!((made.number, made.current, made.sha256), (3, true, versions[1].sha256));
    continues_with(&world, "one").await;
    let again = world.sessions.restore_version(&ada(), slot, made.id).await.unwrap();
    assert_eq!(again, made, "what is the newest already stays as it is");
    assert_eq!(world.sessions.save_versions(&ada(), slot).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_downloaded_can_be_uploaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let slot = two_versions(&world).await;
    let versions = world.sessions.save_versions(&ada(), slot).await.unwrap();
    let mut download = world.sessions.download_version(&ada(), slot, versions[1].id).await.unwrap();
    assert_eq!(download.name, "story-slot1-v1.tar.gz");
    let mut bytes = Vec::new();
    download.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, download.bytes);
    let made = upload(&world, slot, bytes).await.unwrap();
    assert_eq!((made.number, made.sha256), (3, versions[1].sha256));
    continues_with(&world, "one").await;
}

#[tokio::test]
async fn an_upload_that_is_no_save_is_refused_in_words_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let slot = two_versions(&world).await;
    let whole = archive(&[("save.bin", b"x")]);
    for (bad, part) in [
        (b"no archive".to_vec(), "tar.gz"),
        (Vec::new(), "tar.gz"),
        (whole[..whole.len() - 9].to_vec(), "tar.gz"),
        (archive(&[("../out", b"x")]), "leads outside"),
        (archive(&[("/etc/passwd", b"x")]), "leads outside"),
        (archive(&[("a", b"x"), ("a", b"y")]), "is there twice"),
        (archive(&[("a", b"x"), ("a/b", b"y")]), "is there twice"),
        (archive(&[]), "there is nothing in it"),
    ] {
        match upload(&world, slot, bad).await {
            Err(ServiceError::InvalidRequest(text)) => {
                assert!(text.contains(part) && text.ends_with('.'), "{text} without {part}");
            }
            other => panic!("{part}: {other:?}"),
        }
    }
    let broken = futures_util::stream::iter([Err(std::io::Error::other("cut off"))]).boxed();
    let refused = world.sessions.upload_version(&ada(), slot, broken).await;
    assert!(matches!(refused, Err(ServiceError::InvalidRequest(_))));
    assert_eq!(world.sessions.save_versions(&ada(), slot).await.unwrap().len(), 2);
    let files = std::fs::read_dir(world.data.saves().join(slot.to_string())).unwrap().count();
    assert_eq!(files, 2, "nothing of them is left");
}

#[tokio::test]
async fn a_slot_in_use_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let slot = two_versions(&world).await;
    let versions = world.sessions.save_versions(&ada(), slot).await.unwrap();
    world.play("ada").await;
    for version in &versions {
        let refused = world.sessions.restore_version(&ada(), slot, version.id).await;
        assert!(matches!(refused, Err(ServiceError::SlotInUse)));
    }
    let refused = upload(&world, slot, archive(&[("save.bin", b"x")])).await;
    assert!(matches!(refused, Err(ServiceError::SlotInUse)));
    world.sessions.download_version(&ada(), slot, versions[0].id).await.unwrap();
}

#[tokio::test]
async fn slots_of_others_and_versions_of_other_slots_are_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path()).await;
    let slot = two_versions(&world).await;
    let version = world.sessions.save_versions(&ada(), slot).await.unwrap()[0].id;
    let other = world.sessions.save_slots(&ada(), "story").await.unwrap()[1].id;
    for (user, slot, version) in
        [(bob(), slot, version), (ada(), other, version), (ada(), slot, VersionId::new())]
    {
        let restored = world.sessions.restore_version(&user, slot, version).await;
        assert!(matches!(restored, Err(ServiceError::NotFound(_))));
        let download = world.sessions.download_version(&user, slot, version).await;
        assert!(matches!(download, Err(ServiceError::NotFound(_))));
    }
    assert!(matches!(world.sessions.save_versions(&bob(), slot).await, Err(ServiceError::NotFound(_))));
    let body = futures_util::stream::iter([Ok(Bytes::from(archive(&[("a", b"x")])))]).boxed();
    let uploaded = world.sessions.upload_version(&bob(), slot, body).await;
    assert!(matches!(uploaded, Err(ServiceError::NotFound(_))));
}
