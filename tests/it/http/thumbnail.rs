//! A session's picture: who gets it, how it is kept, and what is said where there is none.

use super::fake::{Site, plain, session};
use crate::thumbnail::{Stream, key_frame};
use axum::body::Body;
use playgate::model::ids::SessionId;
use playgate::model::session::Status;
use playgate::relay::Codec;
use playgate::session::ServiceError;

/// A site with a session of this status, and the path of its picture.
async fn site(status: Status, stream: Stream) -> (Site, String) {
    let site = Site::new().await;
    let view = session("ada", status);
    site.frames.set(view.id, stream);
    let path = format!("/session/{}/thumbnail.jpg", view.id);
    *site.core.session.lock().unwrap() = Some(view);
    (site, path)
}

#[tokio::test]
async fn the_picture_is_a_jpeg_for_ten_seconds_and_for_this_person_only() {
    let (site, path) = site(Status::Running, Stream::Frame(key_frame(1280, 720))).await;
    let answer = site.get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.header("cache-control"), "private, max-age=10");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.bytes.starts_with(&[0xff, 0xd8]));
    let again = site.request("GET", &path).header("if-none-match", answer.header("etag"));
    let again = site.send(again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status.as_u16(), again.bytes.len()), (304, 0));
    assert_eq!(again.header("etag"), answer.header("etag"));
    let by_cookie = site.send(site.by_cookie("GET", &path).body(Body::empty()).unwrap()).await;
    assert_eq!(by_cookie.status, 200);
}

#[tokio::test]
async fn who_may_not_see_the_session_is_told_what_everybody_is_told() {
    let (site, path) = site(Status::Running, Stream::Frame(key_frame(320, 180))).await;
    site.send(plain("GET", &path).body(Body::empty()).unwrap()).await.is_error(401, "unauthorized");
    let status = format!("/api/game/session-status?sessionId={}", SessionId::new());
    let said = site.get(&status).await.json();
    for path in
        [format!("/session/{}/thumbnail.jpg", SessionId::new()), "/session/mine/thumbnail.jpg".to_owned()]
    {
        let answer = site.get(&path).await;
        answer.is_error(404, "not_found");
        assert_eq!(answer.json(), said);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    // Whether it may be seen is the core's to say, before anything is made.
    site.refuse(|| ServiceError::NotFound("Session not found.".to_owned()));
    site.get(&path).await.is_error(404, "not_found");
}

#[tokio::test]
async fn where_there_is_no_picture_it_is_said_why_and_when_to_come_back() {
    for (status, stream, code, words) in [
        (Status::Starting, Stream::None, 409, "starting"),
        (Status::Running, Stream::None, 409, "no picture yet"),
        (Status::Running, Stream::Codec(Codec::Vp8), 409, "VP8"),
        (Status::Running, Stream::Frame(vec![0, 0, 0, 1, 0x65, 1, 2, 3]), 409, "cannot be read"),
        (Status::Stopped, Stream::Frame(key_frame(320, 180)), 404, "not found"),
    ] {
        let (site, path) = site(status, stream).await;
        let answer = site.get(&path).await;
        answer.is_error(code, if code == 409 { "not_ready" } else { "not_found" });
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
        assert_eq!(answer.header("retry-after").is_empty(), code != 409, "{words}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}
