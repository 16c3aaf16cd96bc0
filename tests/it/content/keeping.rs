//! What stays, what goes, and what a restart finds.

use super::archives::game_of;
use super::origin::{Origin, Serving};
use super::{MIB, Stand};
use playgate::content::packages::PackageLimits;
use playgate::content::{ContentError, Package};

/// Of one game; three and their blocks fit the budget.
const SIZE: usize = 1 << 20;

async fn stand() -> (Stand, Origin) {
    let limits = PackageLimits { budget: 3 * MIB + MIB / 2, ..PackageLimits::new(1) };
    (Stand::with(limits).await, Origin::start().await)
}

fn games(origin: &Origin, count: u64) -> Vec<Package> {
    let serve = |seed| {
        let archive = game_of(SIZE, seed);
        origin.serve(&archive, Serving::whole(&archive))
    };
    (1..=count).map(serve).collect()
}

#[tokio::test]
async fn the_least_recently_used_makes_room_also_after_a_restart() {
    let (mut stand, origin) = stand().await;
    let games = games(&origin, 5);
    for game in &games[..3] {
        stand.fetch(game).await.unwrap();
    }
    stand.fetch(&games[0]).await.unwrap();
    stand.fetch(&games[3]).await.unwrap();
    let has = |stand: &Stand| games.iter().map(|game| stand.cache.has(&game.sha256)).collect::<Vec<_>>();
    assert_eq!(has(&stand), [true, false, true, true, false]);
    assert_eq!(stand.counted("content_package_evictions_total"), 1);
    stand.restart().await;
    assert_eq!(has(&stand), [true, false, true, true, false]);
    stand.fetch(&games[4]).await.unwrap();
    assert_eq!(has(&stand), [true, false, false, true, true]);
    assert_eq!(stand.names("packages").len(), 3);
    assert_eq!(stand.names("incoming"), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_in_use_is_never_evicted_and_too_little_room_is_told() {
    let (stand, origin) = stand().await;
    let games = games(&origin, 4);
    let mut leases = Vec::new();
    for game in &games[..3] {
        leases.push(stand.fetch(game).await.unwrap());
    }
    let error = stand.fetch(&games[3]).await.unwrap_err();
    assert!(matches!(error, ContentError::TooLarge { .. }), "{error}");
    assert!(leases.iter().all(|lease| lease.dir.join("start.sh").is_file()));
    drop(leases.remove(1));
    stand.fetch(&games[3]).await.unwrap();
    assert!(!stand.cache.has(&games[1].sha256));
    assert!(leases.iter().all(|lease| lease.dir.join("start.sh").is_file()));
}

#[tokio::test]
async fn a_restart_keeps_whole_packages_and_parts_that_can_be_resumed() {
    let (mut stand, origin) = stand().await;
    let games = games(&origin, 3);
    stand.fetch(&games[0]).await.unwrap();
    let part = game_of(SIZE, 2)[..SIZE / 2].to_vec();
    std::fs::write(stand.incoming(&games[1], "part"), &part).unwrap();
    std::fs::write(stand.incoming(&games[1], "validator"), "\"1\"").unwrap();
    std::fs::write(stand.incoming(&games[2], "part"), &part).unwrap();
    std::fs::create_dir_all(stand.incoming(&games[2], "tree").join("tree/game")).unwrap();
    std::fs::create_dir_all(stand.incoming(&games[2], "removed-0").join("tree")).unwrap();
    std::fs::write(stand.incoming(&games[2], "validator.x"), "").unwrap();
    std::fs::create_dir_all(stand.root.path().join("packages").join(games[2].sha256.to_string())).unwrap();
    stand.restart().await;
    let mut kept = stand.names("incoming");
    kept.sort();
    let name = games[1].sha256;
    assert_eq!(kept, [format!("{name}.part"), format!("{name}.validator")]);
    assert_eq!(stand.names("packages"), [games[0].sha256.to_string()]);
    stand.fetch(&games[0]).await.unwrap();
    assert_eq!(origin.asked().len(), 1);
    stand.fetch(&games[1]).await.unwrap();
    assert_eq!(origin.asked()[1].range, Some(format!("bytes={}-", part.len())));
}
