//! `--lan`: HTTPS with a certificate of our own at an address that is not loopback, in a namespace of the test's own.

use crate::GARDEN;
use crate::support::chrome::{Chrome, Options};
use crate::support::gateway::{self, Gateway};
use crate::support::namespace;
use crate::support::page::Page;
use crate::support::wait::{SOON, eventually};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_on_the_network_plays_over_https_with_the_printed_link() {
    if !namespace::entered("browser::lan::a_phone_on_the_network_plays_over_https_with_the_printed_link") {
        return;
    }
    let options = gateway::Options {
        args: vec!["--lan".to_owned()],
        listen: "0.0.0.0:0".to_owned(),
        ..Default::default()
    };
    let gateway = Gateway::with(options).await;
    let base = format!("https://{}:{}", namespace::ADDRESS, gateway.port());
    let link = eventually("a link with a one-time code is printed", SOON, async || {
        let log = gateway.log();
        let mut words = log.iter().flat_map(|line| line.split_whitespace());
        let link = words.find(|word| word.starts_with(&base) && word.contains("#code="));
        link.map(str::to_owned).ok_or_else(|| format!("{log:#?}"))
    })
    .await;

    let phone = Options { any_certificate: true, phone: true, width: 390, height: 844, ..Default::default() };
    let page = Chrome::with(phone).await;
    page.sign_in(&link).await;
    page.play_until_picture(&base, GARDEN).await;
    assert_eq!(page.run("return window.isSecureContext").await.unwrap(), json!(true));
    assert_eq!(page.stats().await.unwrap()["srtpCipher"], "SRTP_AEAD_AES_128_GCM");
    let decoded = page.number("framesDecoded").await.unwrap();
    page.click("#stage").await;
    page.until_above("framesDecoded", decoded).await;
    page.until_above("totalAudioEnergy", 0.0).await;
    page.screenshot("playing-phone").await;

    // The code was for one person.
    let other = Chrome::with(Options { any_certificate: true, ..Default::default() }).await;
    other.open(&link).await;
    let session = "return fetch('/api/auth/session').then(answer => answer.json())";
    assert!(other.run(session).await.unwrap()["user"].is_null());
    other.quit().await;

    page.stop().await;
    page.quit().await;
    gateway.finish().await;
}
