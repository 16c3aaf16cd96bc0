//! Somebody else's web site: files at an origin that is another site than the gateway's, whose cookies are third-party there.

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

pub(in crate::browser) struct Site {
    /// `http://site.localhost:PORT`; browsers find every name below `localhost` by themselves.
    pub(super) origin: String,
}

impl Site {
    /// Serves what the first of the folders that has it has. Its policy allows of the gateway what sites are told to allow.
    pub(super) async fn start(gateway: &str, folders: Vec<PathBuf>) -> Self {
        let policy = format!(
            "default-src 'self'; script-src 'self' {gateway}; frame-src {gateway}; connect-src 'self' {gateway}"
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let folders = Arc::new(folders);
        let answer = async move |uri: Uri| {
            ([(header::CONTENT_SECURITY_POLICY, policy.clone())], file(&folders, uri.path()))
        };
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin: format!("http://site.localhost:{port}") }
    }

    /// A page of it, told by its fragment what to show.
    pub(in crate::browser) fn page(&self, name: &str, told: &[(&str, &str)]) -> String {
        let escaped = |text: &str| text.replace('%', "%25").replace('#', "%23").replace('&', "%26");
        let told: Vec<_> = told.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect();
        format!("{}/{name}#{}", self.origin, told.join("&"))
    }
}

fn file(folders: &[PathBuf], path: &str) -> Response {
    let name = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    let found = folders.iter().find_map(|folder| std::fs::read(folder.join(name)).ok());
    let Some(bytes) = found.filter(|_| !name.contains("..")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some(_) | None => "text/javascript",
    };
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}
