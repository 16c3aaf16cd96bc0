//! Downloads: broken off, gone on with, shared, wrong.

use super::archives::game_of;
use super::origin::{Asked, Origin, Serving};
use super::{Stand, progress};
use playgate::content::ContentError;
use playgate::content::packages::PackageLimits;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tokio::sync::Semaphore;

const SIZE: usize = 300_000;
const BREAK: usize = 100_000;

#[tokio::test]
async fn a_package_comes_whole_and_its_launcher_can_be_run() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(SIZE, 1);
    let package = origin.serve(&archive, Serving::whole(&archive));
    assert!(!stand.cache.has(&package.sha256));
    let (sender, receiver) = progress();
    let lease = stand.cache.fetch(&package, &sender).await.unwrap();
    assert!(stand.cache.has(&package.sha256));
    assert_eq!(receiver.borrow().percent, Some(100.0));
    assert_eq!(lease.dir.file_name().unwrap(), "game");
    let mode = |name: &str| lease.dir.join(name).metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("."), mode("start.sh"), mode("data")), (0o755, 0o755, 0o644));
    assert_eq!(std::fs::read(lease.dir.join("data")).unwrap().len(), SIZE);
    assert_eq!(stand.names("incoming"), Vec::<String>::new());
    assert_eq!(stand.counted("content_downloads_finished_total{kind=\"package\"}"), 1);
    assert_eq!(stand.counted("content_download_bytes_total{kind=\"package\"}"), archive.len() as u64);
    stand.fetch(&package).await.unwrap();
    assert_eq!(origin.asked().len(), 1, "it is asked for once");
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_was() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(SIZE, 2);
    let package = origin.serve(&archive, Serving { breaks: (2, BREAK), ..Serving::whole(&archive) });
    stand.fetch(&package).await.unwrap();
    let asked = origin.asked();
    assert_eq!(asked[0], Asked::default());
    for later in &asked[1..] {
        let range = later.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        assert!(range.is_some_and(|start| start.parse::<usize>().unwrap() > 0), "{later:?}");
        assert_eq!(later.if_range.as_deref(), Some("\"1\""));
    }
    let bytes = stand.counted("content_download_bytes_total{kind=\"package\"}");
    assert_eq!(bytes, archive.len() as u64, "no byte comes twice");
}

#[tokio::test]
async fn a_server_that_ignores_ranges_starts_afresh() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(SIZE, 3);
    let serving = Serving { breaks: (1, BREAK), ignores_range: true, etag: None, ..Serving::whole(&archive) };
    let package = origin.serve(&archive, serving);
    let (sender, mut receiver) = progress();
    let watching = tokio::spawn(async move {
        let mut seen = Vec::new();
        while receiver.changed().await.is_ok() {
            seen.extend(receiver.borrow_and_update().percent);
        }
        seen
    });
    stand.cache.fetch(&package, &sender).await.unwrap();
    drop(sender);
    let seen = watching.await.unwrap();
    assert!(seen.is_sorted(), "progress never goes back: {seen:?}");
    assert!(origin.asked()[1].range.is_some());
}

#[tokio::test]
async fn a_download_that_is_put_together_from_two_versions_is_begun_again() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(SIZE, 4);
    // Without a validator nobody notices that the part is of another version.
    let package = origin.serve(&archive, Serving { etag: None, ..Serving::whole(&archive) });
    std::fs::write(stand.incoming(&package, "part"), vec![7; BREAK]).unwrap();
    stand.fetch(&package).await.unwrap();
    let ranges: Vec<_> = origin.asked().into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [Some(format!("bytes={BREAK}-")), None]);
}

#[tokio::test]
async fn a_whole_archive_that_was_left_is_not_downloaded_again() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(SIZE, 5);
    let package = origin.serve(&archive, Serving::whole(&archive));
    std::fs::write(stand.incoming(&package, "part"), &archive).unwrap();
    stand.fetch(&package).await.unwrap();
    assert_eq!(stand.counted("content_download_bytes_total{kind=\"package\"}"), 0);
}

#[tokio::test]
async fn a_wrong_file_is_refused_and_nothing_kept() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let package = origin.serve(&game_of(SIZE, 6), Serving::whole(&game_of(SIZE, 7)));
    let error = stand.fetch(&package).await.unwrap_err();
    assert_eq!(error, ContentError::WrongHash { url: package.url.clone() });
    stand.assert_nothing_kept();
    assert_eq!(origin.asked().len(), 1, "asking again would not help");
    assert_eq!(stand.counted("content_downloads_failed_total{kind=\"package\"}"), 1);
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_a_few_times_and_one_that_says_no_is_not() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(10, 8);
    for (code, times) in [(503, 3), (404, 1)] {
        let before = origin.asked().len();
        let package = origin.serve(&archive, Serving { status: Some(code), ..Serving::whole(&archive) });
        let error = stand.fetch(&package).await.unwrap_err();
        let ContentError::Download { detail, .. } = &error else { panic!("{error}") };
        assert!(detail.contains(&code.to_string()), "{detail}");
        assert_eq!(origin.asked().len() - before, times, "{code}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_told_and_the_addresss_secrets_are_not() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let mut package = super::package(&origin, b"");
    drop(origin);
    package.url = package.url.replace("http://", "http://me:word@") + "?key=1";
    let text = stand.fetch(&package).await.unwrap_err().to_string();
    assert!(text.contains("cannot be downloaded"), "{text}");
    assert!(!text.contains("word") && !text.contains("key"), "{text}");
}

#[tokio::test]
async fn two_callers_share_one_download_and_each_sees_progress() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(SIZE, 9);
    let gate = Arc::new(Semaphore::new(0));
    let package = origin.serve(&archive, Serving { gate: Some(gate.clone()), ..Serving::whole(&archive) });
    let ((first, mut first_seen), (second, mut second_seen)) = (progress(), progress());
    let under_way = async {
        for seen in [&mut first_seen, &mut second_seen] {
            let percent = seen.wait_for(|progress| progress.percent.is_some()).await.unwrap().percent;
            assert!(percent < Some(100.0));
        }
        gate.add_permits(1);
    };
    let (first, second, ()) =
        tokio::join!(stand.cache.fetch(&package, &first), stand.cache.fetch(&package, &second), under_way);
    assert_eq!(first.unwrap().dir, second.unwrap().dir);
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn a_download_goes_on_when_its_caller_gives_up() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(SIZE, 10);
    let gate = Arc::new(Semaphore::new(0));
    let package = origin.serve(&archive, Serving { gate: Some(gate.clone()), ..Serving::whole(&archive) });
    tokio::select! {
        _ = stand.fetch(&package) => panic!("it cannot be here yet"),
        () = origin.until_asked(1) => {}
    }
    gate.add_permits(1);
    stand.fetch(&package).await.unwrap();
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn a_failure_is_told_to_all_and_the_next_caller_starts_afresh() {
    let (stand, origin) = (Stand::new().await, Origin::start().await);
    let archive = game_of(SIZE, 11);
    let package = origin.serve(&archive, Serving { status: Some(404), ..Serving::whole(&archive) });
    let (first, second) = tokio::join!(stand.fetch(&package), stand.fetch(&package));
    assert_eq!(first.unwrap_err(), second.unwrap_err());
    assert_eq!(origin.asked().len(), 1);
    origin.serve(&archive, Serving::whole(&archive));
    stand.fetch(&package).await.unwrap();
}

#[tokio::test]
async fn an_archive_larger_than_the_budget_is_not_even_downloaded() {
    let limits = PackageLimits { budget: 65_536, ..PackageLimits::new(1) };
    let (stand, origin) = (Stand::with(limits).await, Origin::start().await);
    let archive = game_of(SIZE, 12);
    let package = origin.serve(&archive, Serving::whole(&archive));
    let error = stand.fetch(&package).await.unwrap_err();
    assert!(matches!(error, ContentError::TooLarge { .. }), "{error}");
    assert_eq!(stand.counted("content_download_bytes_total{kind=\"package\"}"), 0);
}
