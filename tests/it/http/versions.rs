//! Save versions over HTTP.

use super::fake::{Site, archive, plain};
use axum::body::Body;
use playgate::model::ids::{SlotId, VersionId};
use playgate::session::ServiceError;
use serde_json::json;

fn path(slot: SlotId) -> String {
    format!("/api/game/save-slots/{slot}/versions")
}

#[tokio::test]
async fn versions_are_listed_newest_first_with_what_tells_them_apart() {
    let site = Site::new().await;
    let answer = site.get(&path(SlotId::new())).await;
    assert_eq!(answer.status.as_u16(), 200);
    let versions = &answer.json()["versions"];
    let newest = json!({
        "id": versions[0]["id"], "number": 2, "createdAt": "2026-03-01T10:00:00Z", "bytes": 77,
        "sha256": "ab".repeat(32), "current": true,
    });
    assert_eq!((&versions[0], &versions[1]["current"]), (&newest, &json!(false)));
}

#[tokio::test]
async fn a_download_is_the_archive_with_a_name_for_its_file() {
    let site = Site::new().await;
    let answer = site.get(&format!("{}/{}", path(SlotId::new()), VersionId::new())).await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (200, archive().len()));
    assert_eq!(answer.bytes, archive());
    assert_eq!(answer.header("content-type"), "application/gzip");
    assert_eq!(answer.header("content-length"), archive().len().to_string());
    let disposition = "attachment; filename=\"garden-slot1-v2.tar.gz\"";
    assert_eq!(answer.header("content-disposition"), disposition);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn an_upload_larger_than_a_json_body_arrives_whole_and_makes_a_version() {
    let site = Site::new().await;
    let slot = SlotId::new();
    let request = site.request("PUT", &path(slot)).header("content-type", "application/gzip");
    let answer = site.send(request.body(Body::from(archive())).unwrap()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["number"]), (201, &json!(4)));
    let call = format!("upload ada {slot} {}", archive().len());
    assert_eq!(site.core.calls.lock().unwrap().last(), Some(&call));
}

#[tokio::test]
async fn a_restore_gives_the_new_version() {
    let site = Site::new().await;
    let (slot, version) = (SlotId::new(), VersionId::new());
    let answer = site.post(&format!("{}/{version}/restore", path(slot)), &json!({})).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["current"]), (200, &json!(true)));
    let call = format!("restore ada {slot} {version}");
    assert_eq!(site.core.calls.lock().unwrap().last(), Some(&call));
}

#[tokio::test]
async fn refusals_are_the_contracts() {
    let site = Site::new().await;
    let (slot, version) = (SlotId::new(), VersionId::new());
    let uses = [
        ("GET", path(slot)),
        ("PUT", path(slot)),
        ("GET", format!("{}/{version}", path(slot))),
        ("POST", format!("{}/{version}/restore", path(slot))),
    ];
    for (method, path) in &uses {
        site.send(plain(method, path).body(Body::empty()).unwrap()).await.is_error(401, "unauthorized");
    }
    site.refuse(|| ServiceError::SlotInUse);
    for (method, path) in &uses {
        let answer = site.send(site.request(method, path).body(Body::empty()).unwrap()).await;
        answer.is_error(409, "slot_in_use");
    }
    site.refuse(|| ServiceError::InvalidRequest("The archive cannot be used: it holds no file.".to_owned()));
    let answer = site.send(site.request("PUT", &path(slot)).body(Body::empty()).unwrap()).await;
    answer.is_error(400, "invalid_request");
    site.get("/api/game/save-slots/none/versions").await.is_error(404, "not_found");
    site.get(&format!("{}/none", path(slot))).await.is_error(404, "not_found");
}
