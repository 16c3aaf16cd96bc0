//! The wrappers themselves, without Playgate: when these fail, nothing else in `browser` means anything.

use crate::support::chrome::{Chrome, Options};
use crate::support::firefox::Firefox;
use crate::support::namespace;
use crate::support::page::Page;
use crate::support::wait::{SOON, eventually};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// Serves a page with a button that counts its clicks; gives its address.
async fn served() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let page = "<title>t</title><button id=b onclick='window.n=(window.n||0)+1'>b</button>";
    let router = axum::Router::new().fallback(async move || axum::response::Html(page));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

async fn drives(page: &impl Page) {
    page.open(&served().await).await;
    page.click("#b").await;
    page.click("#b").await;
    eventually("both clicks arrive", SOON, async || {
        let clicks = page.run("return Promise.resolve(window.n)").await?;
        if clicks == 2 { Ok(()) } else { Err(clicks.to_string()) }
    })
    .await;
    assert_eq!(page.run("return null").await, Ok(Value::Null));
    assert!(page.shows("#b").await.unwrap() && !page.shows("#none").await.unwrap());
    assert!(page.run("throw new Error('on purpose')").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chromium_clicks_and_answers() {
    let page = Chrome::with(Options { dark: true, ..Default::default() }).await;
    drives(&page).await;
    let dark = page.run("return matchMedia('(prefers-color-scheme: dark)').matches").await;
    assert_eq!(dark, Ok(json!(true)));
    let phone = Chrome::with(Options { phone: true, width: 390, height: 844, ..Default::default() }).await;
    phone.open(&served().await).await;
    assert_eq!(phone.run("return navigator.maxTouchPoints").await, Ok(json!(5)));
    phone.quit().await;
    page.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firefox_clicks_and_answers() {
    let page = Firefox::start().await;
    drives(&page).await;
    page.quit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_has_its_own_address() {
    if namespace::entered("browser::harness::a_namespace_has_its_own_address") {
        let socket = TcpListener::bind((namespace::ADDRESS, 0)).await.unwrap();
        let (connected, accepted) =
            tokio::join!(TcpStream::connect(socket.local_addr().unwrap()), socket.accept());
        assert!(connected.is_ok() && accepted.is_ok());
    }
}
