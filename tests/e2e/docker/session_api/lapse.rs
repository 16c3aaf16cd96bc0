//! What a token has opened ends with it: event streams, followed logs, WHEP viewers and signaling, by a token that is
//! revoked, one that expires, and a grant that is revoked.

use super::stand::{ORGANISATION, Stand};
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::wait::PATIENT;
use futures_util::future::{BoxFuture, join_all};
use playgate::app::{ledger_over, open_store};
use playgate::auth::Auth;
use playgate::bots::join::{JoinOptions, Joined, join};
use playgate::bots::media::local_addresses;
use playgate::bots::viewer::{Srtp, Viewer, ViewerOptions};
use playgate::bots::whep::WhepEndpoint;
use playgate::config::Config;
use playgate::store::database_in;
use playgate_signaling::client::ClientError;
use playgate_signaling::message::{ErrorCode, Role};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// From a lapse to the end of everything it ends.
const WITHIN: Duration = Duration::from_secs(16);
/// How long it may take to see that nothing comes any more.
const SILENT: Duration = Duration::from_secs(10);
/// The short-lived tokens, from when they are made: everything must be open by then.
const LIFE: Duration = Duration::from_secs(20);

/// Something open, by name, and when it ends.
type Open = (String, BoxFuture<'static, Instant>);

/// The gateway's own mint, for tokens that live shorter than a day.
async fn mint(gateway: &Gateway) -> Auth {
    let config = Config { data_dir: gateway.data_dir(), ..Config::default() };
    let store = open_store(&database_in(&config.data_dir)).await.unwrap();
    Auth::open(&config, ledger_over(store)).unwrap()
}

/// A response that goes on: the end of its body.
async fn body(http: &reqwest::Client, url: String, token: &str) -> BoxFuture<'static, Instant> {
    let mut answer = http.get(url).bearer_auth(token).send().await.unwrap().error_for_status().unwrap();
    Box::pin(async move {
        while answer.chunk().await.expect("it ends in order").is_some() {}
        Instant::now()
    })
}

/// The moment after which a viewer gets nothing, while another one of the same session still does. Packets are counted, not
/// pictures: how fast this machine decodes does not matter.
fn silence(viewer: Viewer, witness: Arc<Joined>) -> BoxFuture<'static, Instant> {
    Box::pin(async move {
        let (mut packets, mut last) = (viewer.stats().packets, Instant::now());
        loop {
            let seen = witness.viewer.stats().packets;
            witness.viewer.wait_for("more packets", PATIENT, |now| now.packets > seen + 60).await.unwrap();
            let now = viewer.stats().packets;
            if now == packets {
                return last;
            }
            (packets, last) = (now, Instant::now());
        }
    })
}

async fn joined(client: &Client, session: &str, role: Role) -> Joined {
    let options = JoinOptions { role, srtp: Srtp::Gcm, keep_picture: false, insecure: false };
    let joined = join(&client.api(), session, &options).await.unwrap();
    joined.viewer.wait_for("a frame", PATIENT, |seen| seen.frames > 0).await.unwrap();
    joined
}

/// Signaling with its media, and a WHEP viewer.
async fn viewers(
    name: &str,
    client: &Client,
    session: &str,
    code: ErrorCode,
    witness: &Arc<Joined>,
) -> Vec<Open> {
    let Joined { mut signaling, viewer } = joined(client, session, Role::Spectator).await;
    let url = format!("{}/session/{session}/whep", client.base).parse().unwrap();
    let endpoint = WhepEndpoint { http: client.http(), url, token: client.token.clone() };
    let port = client.base.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
    let remote = SocketAddr::from(([127, 0, 0, 1], port));
    let viewing = ViewerOptions {
        local: local_addresses(&[remote]),
        srtp: Srtp::Gcm,
        input: false,
        keep_picture: false,
    };
    let (watching, _) = endpoint.watch(&viewing, 5).await.unwrap();
    watching.wait_for("a frame", PATIENT, |seen| seen.frames > 0).await.unwrap();
    let put_out = async move {
        loop {
            match signaling.recv().await {
                Ok(_) => {}
                Err(ClientError::Refused { code: given, .. }) => {
                    assert_eq!(given, code);
                    return Instant::now();
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    vec![
        (format!("{name}: signaling"), Box::pin(put_out)),
        (format!("{name}: media of signaling"), silence(viewer, Arc::clone(witness))),
        (format!("{name}: WHEP"), silence(watching, Arc::clone(witness))),
    ]
}

/// Waits for all of them; each ends within [`WITHIN`] of the lapse, and not before it. Gives how long after it.
async fn end(open: Vec<Open>, lapse: Instant) -> Vec<(String, Duration)> {
    let ends = open.into_iter().map(|(name, end)| async move {
        // That nothing comes any more is known a while after the last packet.
        let until = tokio::time::Instant::from_std(lapse + WITHIN) + SILENT;
        let at = tokio::time::timeout_at(until, end).await.unwrap_or_else(|_| panic!("{name} goes on"));
        // What was under way when the clock was read may be a moment too early.
        assert!(at + Duration::from_secs(1) >= lapse, "{name} ended {:?} too early", lapse - at);
        let after = at.saturating_duration_since(lapse);
        assert!(after <= WITHIN, "{name}: {after:?}");
        (name, after)
    });
    join_all(ends).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_revoked_token_an_expired_token_and_a_revoked_grant_end_in_time() {
    let stand = Stand::new("").await;
    stand.start(Stand::request("server")).await;
    let auth = mint(&stand.gateway).await;
    let hour = Duration::from_secs(3600);
    let client = |token: &str| stand.gateway.client().with_token(token);
    let keep = auth.mint_user("ada", None, hour, None).await.unwrap();
    let ada = client(&keep.token);
    let session = ada.launch_running("ember").await;
    let witness = Arc::new(joined(&ada, &session, Role::Player).await);
    let http = reqwest::Client::new();
    let events = format!("{}/api/events", ada.base);
    let logs = format!("{}/logs?id=server&follow=true", ada.base);
    let mut kept = vec![
        body(&http, events.clone(), &keep.token).await,
        body(&http, logs.clone(), stand.api.token()).await,
    ];

    let revoked = auth.mint_user("ada", None, hour, None).await.unwrap();
    let organisation = auth.mint_organisation(ORGANISATION, None, None).await.unwrap();
    let grant = ada.share(&session, "spectator", 3600).await;
    let mut by_revoked =
        viewers("revoked", &client(&revoked.token), &session, ErrorCode::Unauthorized, &witness).await;
    let guest = client(grant["token"].as_str().unwrap());
    by_revoked.extend(viewers("grant", &guest, &session, ErrorCode::GrantEnded, &witness).await);
    for (name, url, token) in [
        ("revoked: events", &events, &revoked.token),
        ("revoked organisation: events", &events, &organisation.token),
        ("revoked organisation: logs", &logs, &organisation.token),
    ] {
        by_revoked.push((name.to_owned(), body(&http, url.clone(), token).await));
    }

    let made = Instant::now();
    let expiring = auth.mint_user("ada", None, LIFE, None).await.unwrap();
    let organisation_expiring = auth.mint_organisation(ORGANISATION, Some(LIFE), None).await.unwrap();
    let mut by_expired =
        viewers("expired", &client(&expiring.token), &session, ErrorCode::Unauthorized, &witness).await;
    for (name, url, token) in [
        ("expired: events", &events, &expiring.token),
        ("expired organisation: events", &events, &organisation_expiring.token),
        ("expired organisation: logs", &logs, &organisation_expiring.token),
    ] {
        by_expired.push((name.to_owned(), body(&http, url.clone(), token).await));
    }
    assert!(made.elapsed() < LIFE, "everything was opened while the tokens were good");

    let lapse = Instant::now();
    assert!(auth.ledger().revoke(revoked.id).await.unwrap());
    assert!(auth.ledger().revoke(organisation.id).await.unwrap());
    let id = grant["grantId"].as_str().unwrap();
    ada.delete(&format!("/api/game/share/{id}")).await.expect(204);
    let (first, second) = tokio::join!(end(by_revoked, lapse), end(by_expired, made + LIFE));
    for (name, after) in first.into_iter().chain(second) {
        println!("{name}: {after:.1?}");
    }

    // What other tokens opened goes on.
    for open in &mut kept {
        assert!(futures_util::poll!(open).is_pending());
    }
    drop(kept);
    ada.stop(&session).await;
    assert_eq!(stand.api.delete("/session/server").await.status, 204);
    stand.becomes("server", "exited").await;
    stand.finish().await;
}
