//! A container's output, as the Session API streams it.

use super::stand::{Game, Stand};
use crate::support::wait::PATIENT;
use futures_util::{StreamExt, TryStreamExt};
use playgate::driver::{ByteStream, Driver, DriverEvent};
use playgate::model::instance::InstanceRef;
use std::time::Duration;

async fn logs(stand: &Stand, game: &Game, follow: bool) -> ByteStream {
    stand.driver.logs(&game.instance.reference().unwrap(), follow).await.unwrap().expect("it is there")
}

async fn whole(stream: ByteStream) -> Vec<u8> {
    let all = stream.map_ok(|chunk| chunk.to_vec()).try_concat();
    tokio::time::timeout(PATIENT, all).await.expect("the logs end").unwrap()
}

#[tokio::test]
async fn logs_are_what_was_written_byte_for_byte_and_end_at_what_is_there() {
    let stand = Stand::new().await;
    // The engine keeps a line that is not ended until more comes, or the end.
    let spec = stand.server_spec("printf 'out\\n'; printf 'err\\n' >&2; printf '\\001\\002 no line'; exit 0");
    let (_, mut game) = stand.start_server(spec, &[]).await;
    game.event().await;
    game.said("no line").await;
    let mut text = whole(logs(&stand, &game, false).await).await;
    let expected = b"out\nerr\n\x01\x02 no line";
    // Two pipes have no order between them.
    text.sort_unstable();
    let mut sorted = expected.to_vec();
    sorted.sort_unstable();
    assert_eq!(text, sorted);
    game.instance.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn who_follows_hears_what_comes_and_the_end_with_the_container() {
    let stand = Stand::new().await;
    let spec = stand.server_spec("echo first; while [ ! -e /go ]; do sleep 0.05; done; echo second; exit 0");
    let (_, mut game) = stand.start_server(spec, &[]).await;
    let mut stream = logs(&stand, &game, true).await;
    let first = tokio::time::timeout(PATIENT, stream.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first, "first\n".as_bytes());
    touch(&stand, &game).await;
    assert_eq!(whole(stream).await, b"second\n");
    assert!(matches!(game.event().await, DriverEvent::Exited { code: Some(0), .. }));
    // After its end, both ways are the same.
    for follow in [true, false] {
        assert_eq!(whole(logs(&stand, &game, follow).await).await, b"first\nsecond\n");
    }
    let reference = game.instance.reference().unwrap();
    game.instance.remove().await.unwrap();
    assert!(stand.driver.logs(&reference, true).await.unwrap().is_none());
}

#[tokio::test]
async fn only_containers_of_this_node_are_read() {
    let stand = Stand::new().await;
    let other = bollard::models::ContainerCreateBody {
        image: Some(stand.image.clone()),
        cmd: Some(vec!["/bin/true".to_owned()]),
        ..bollard::models::ContainerCreateBody::default()
    };
    let made = stand.engine().create_container(None, other).await.unwrap();
    let reference = InstanceRef::Container { container: made.id.clone() };
    let found = stand.driver.logs(&reference, false).await.unwrap().is_some();
    let artifact = stand.driver.artifact(&reference, "/etc", 1 << 20).await.map(|_| ());
    stand.engine().remove_container(&made.id, None).await.unwrap();
    assert!(!found);
    assert!(artifact.is_err());
    let process = InstanceRef::Process { pid: 1, start_ticks: 1 };
    assert!(stand.driver.logs(&process, false).await.unwrap().is_none());
}

#[tokio::test]
async fn a_reader_who_takes_nothing_costs_no_memory_and_may_go_on_later() {
    let stand = Stand::new().await;
    let spec = stand.server_spec("yes 0123456789012345678901234567890123456789 | head -c 100000000; exit 0");
    let (_, mut game) = stand.start_server(spec, &[]).await;
    let mut stream = logs(&stand, &game, true).await;
    let first = tokio::time::timeout(PATIENT, stream.next()).await.unwrap().unwrap().unwrap();
    assert!(first.starts_with(b"0123"));
    let before = resident_bytes();
    // All of it is written while nobody reads.
    let event = tokio::time::timeout(Duration::from_secs(180), game.events.recv()).await.unwrap();
    assert!(matches!(event, Some(DriverEvent::Exited { code: Some(0), .. })), "{event:?}");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more");
    // What the engine still has comes, and then the end. Its log is bounded, so that is not all.
    let next = tokio::time::timeout(PATIENT, stream.next()).await.unwrap();
    assert!(next.is_some_and(|chunk| chunk.is_ok()));
    drop(stream);
    let left = whole(logs(&stand, &game, false).await).await;
    assert!(left.len() > 1 << 20 && left.len() < 20 << 20, "{}", left.len());
    game.instance.remove().await.unwrap();
}

/// Of this process.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Puts `/go` into a container.
async fn touch(stand: &Stand, game: &Game) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o644);
    tar.append_data(&mut header, "go", std::io::empty()).unwrap();
    let options = bollard::query_parameters::UploadToContainerOptionsBuilder::default().path("/").build();
    let body = bollard::body_full(tar.into_inner().unwrap().into());
    stand.engine().upload_to_container(&game.container(), Some(options), body).await.unwrap();
}
