//! Tokens: which are taken for whom, and which are refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use playgate::auth::{Auth, GrantClaims, MemoryLedger, MintedScope, Principal, TokenError};
use playgate::config::{AuthKey, Config};
use playgate::model::ids::{GrantId, SessionId};
use playgate_signaling::message::Role;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECRET: &str = "thirty-two bytes are long enough!";

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

fn good() -> Value {
    json!({ "sub": "ada", "name": "Ada L.", "exp": now() + 600 })
}

fn sign(algorithm: Algorithm, kid: Option<&str>, claims: &Value, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(ToOwned::to_owned);
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn hs(kid: Option<&str>, claims: &Value) -> String {
    sign(Algorithm::HS256, kid, claims, &EncodingKey::from_secret(SECRET.as_bytes()))
}

/// A token of any header and claims, with an HMAC of the given secret.
fn forged(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    format!("{message}.{}", B64.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
}

fn shared(kid: Option<&str>) -> AuthKey {
    AuthKey {
        kid: kid.map(ToOwned::to_owned),
        alg: "HS256".into(),
        secret: Some(SECRET.into()),
        public_key_file: None,
    }
}

fn public(alg: &str, file: &Path) -> AuthKey {
    AuthKey { kid: Some(alg.into()), alg: alg.into(), secret: None, public_key_file: Some(file.to_owned()) }
}

struct Desk {
    auth: Auth,
    dir: tempfile::TempDir,
}

impl Desk {
    fn with(change: impl FnOnce(&mut Config, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        change(&mut config, dir.path());
        Self { auth: Auth::open(&config, Arc::new(MemoryLedger::default())).unwrap(), dir }
    }

    fn one_secret() -> Self {
        Self::with(|config, _| config.auth.keys = vec![shared(Some("main"))])
    }

    async fn user(&self, token: &str) -> Option<String> {
        match self.auth.verify(token).await.ok()?.principal {
            Principal::User(user) => Some(user.id.0),
            Principal::Grant(_) | Principal::Operator | Principal::Organisation(_) => {
                panic!("an outside token is only ever a user")
            }
        }
    }
}

/// Private keys with their public halves in PEM.
fn key_pairs() -> [(Algorithm, &'static str, EncodingKey, String); 3] {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
    let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let ed = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let (rsa, rsa_public) = rsa();
    [
        (
            Algorithm::ES256,
            "ES256",
            EncodingKey::from_ec_pem(ec.serialize_pem().as_bytes()).unwrap(),
            ec.public_key_pem(),
        ),
        (
            Algorithm::EdDSA,
            "EdDSA",
            EncodingKey::from_ed_pem(ed.serialize_pem().as_bytes()).unwrap(),
            ed.public_key_pem(),
        ),
        (Algorithm::RS256, "RS256", rsa, rsa_public),
    ]
}

fn rsa() -> (EncodingKey, String) {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pem = |kind: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
    };
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = aws_lc_rs::signature::KeyPair::public_key(&pair).as_der().unwrap();
    let key = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", private.as_ref()).as_bytes()).unwrap();
    (key, pem("PUBLIC KEY", public.as_ref()))
}

#[tokio::test]
async fn each_algorithm_signs_a_user_in_by_sub_and_name() {
    let pairs = key_pairs();
    let desk = Desk::with(|config, dir| {
        config.auth.keys = vec![shared(Some("HS256"))];
        for (_, name, _, pem) in &pairs {
            let file = dir.join(format!("{name}.pem"));
            std::fs::write(&file, pem).unwrap();
            config.auth.keys.push(public(name, &file));
        }
    });
    let verified = desk.auth.verify(&hs(Some("HS256"), &good())).await.unwrap();
    let Principal::User(user) = verified.principal else { panic!("no user") };
    assert_eq!((user.id.0.as_str(), user.name.as_deref()), ("ada", Some("Ada L.")));
    for (algorithm, name, key, _) in &pairs {
        assert_eq!(
            desk.user(&sign(*algorithm, Some(name), &good(), key)).await.as_deref(),
            Some("ada"),
            "{name}"
        );
        assert_eq!(
            desk.user(&sign(*algorithm, None, &good(), key)).await.as_deref(),
            Some("ada"),
            "{name} without kid"
        );
        assert_eq!(
            desk.user(&sign(*algorithm, Some("HS256"), &good(), key)).await,
            None,
            "{name} under another kid"
        );
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret_to_sign_with() {
    let pairs = key_pairs();
    for (_, name, _, pem) in &pairs {
        let desk = Desk::with(|config, dir| {
            let file = dir.join("key.pem");
            std::fs::write(&file, pem).unwrap();
            config.auth.keys = vec![public(name, &file)];
        });
        for kid in [json!(name), Value::Null] {
            for alg in ["HS256", "none", "None", "HS512"] {
                let token = forged(&json!({ "alg": alg, "kid": kid }), &good(), pem.as_bytes());
                assert!(desk.auth.verify(&token).await.is_err(), "{name} {alg}");
            }
        }
    }
}

#[tokio::test]
async fn tokens_that_are_not_right_are_refused() {
    let desk = Desk::one_secret();
    assert_eq!(desk.user(&hs(Some("main"), &good())).await.as_deref(), Some("ada"), "the good one is good");
    let with = |field: &str, value: Value| {
        let mut claims = good();
        claims[field] = value;
        hs(Some("main"), &claims)
    };
    let without = |field: &str| {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(field);
        hs(Some("main"), &claims)
    };
    let unsigned = |alg: &str| {
        let header = json!({ "alg": alg, "kid": "main" });
        format!("{}.{}.", B64.encode(header.to_string()), B64.encode(good().to_string()))
    };
    let cut = hs(Some("main"), &good());
    let cases = [
        ("no expiry", without("exp")),
        ("expiry as text", with("exp", json!("soon"))),
        ("expired", with("exp", json!(now() - 12))),
        ("expired before time began", with("exp", json!(-5))),
        ("not yet", with("nbf", json!(now() + 600))),
        ("no subject", without("sub")),
        ("empty subject", with("sub", json!(""))),
        ("long subject", with("sub", json!("a".repeat(129)))),
        ("subject of control characters", with("sub", json!("a\nb"))),
        ("subject of another type", with("sub", json!(7))),
        ("for somebody else", with("aud", json!("another service"))),
        ("unknown kid", hs(Some("other"), &good())),
        ("our own kid", hs(Some("playgate-local"), &good())),
        ("none", unsigned("none")),
        ("no signature", unsigned("HS256")),
        (
            "another secret",
            forged(&json!({ "alg": "HS256", "kid": "main" }), &good(), b"another secret of many many bytes"),
        ),
        ("another hash", forged(&json!({ "alg": "HS384", "kid": "main" }), &good(), SECRET.as_bytes())),
        ("cut", cut[..cut.len() - 2].to_owned()),
        ("four parts", format!("{cut}.x")),
        ("empty", String::new()),
        ("dots", "..".into()),
        ("too long", with("name", json!("a".repeat(9000)))),
    ];
    for (what, token) in cases {
        assert!(desk.auth.verify(&token).await.is_err(), "{what}");
    }
    assert!(matches!(
        desk.auth.verify(&with("name", json!("a".repeat(9000)))).await,
        Err(TokenError::TooLong)
    ));
}

#[tokio::test]
async fn tokens_that_are_only_unusual_are_taken() {
    let desk = Desk::one_secret();
    for (field, value) in [
        ("sub", json!("ü".repeat(128))),
        ("name", Value::Null),
        ("name", json!(12)),
        ("aud", json!(["another", "playgate"])),
        ("exp", json!(now() - 5)),
        ("exp", json!(1e18)),
        ("scope", json!("operator")),
        ("iat", json!("whenever")),
    ] {
        let mut claims = good();
        claims[field] = value;
        assert!(desk.user(&hs(Some("main"), &claims)).await.is_some(), "{claims}");
    }
}

#[tokio::test]
async fn a_grant_is_for_one_session_and_ends_by_the_second() {
    let desk = Desk::one_secret();
    let mut claims = GrantClaims {
        grant: GrantId::new(),
        session: SessionId::new(),
        role: Role::Spectator,
        origins: vec!["https://example.org".to_owned()],
        expires_at: now() + 60,
    };
    let verified = desk.auth.verify(&desk.auth.mint_grant(&claims).unwrap()).await.unwrap();
    assert_eq!(verified.principal, Principal::Grant(claims.clone()));
    claims.expires_at = now() - 1;
    let expired = desk.auth.verify(&desk.auth.mint_grant(&claims).unwrap()).await;
    assert!(matches!(expired, Err(TokenError::Refused { expired: true })));
}

#[tokio::test]
async fn minted_tokens_are_listed_and_can_be_taken_back() {
    let desk = Desk::one_secret();
    let day = Duration::from_secs(86_400);
    let user = desk.auth.mint_user("bob", None, day, Some("his phone".into())).await.unwrap();
    let operator = desk.auth.mint_operator(day, None).await.unwrap();
    assert_eq!(desk.user(&user.token).await.as_deref(), Some("bob"));
    assert_eq!(desk.auth.verify(&operator.token).await.unwrap().principal, Principal::Operator);
    let listed = desk.auth.ledger().list().await.unwrap();
    assert_eq!(listed.len(), 2);
    for minted in [user, operator] {
        assert!(desk.auth.ledger().revoke(minted.id).await.unwrap());
        assert!(matches!(desk.auth.verify(&minted.token).await, Err(TokenError::Revoked)));
    }
    assert!(!desk.auth.ledger().revoke(uuid::Uuid::new_v4()).await.unwrap());
    assert!(desk.auth.mint_user("", None, day, None).await.is_err());
    let guest = desk.auth.mint_guest().unwrap();
    assert!(desk.user(&guest.token).await.unwrap().starts_with("guest-"));
}

#[tokio::test]
async fn an_organisations_token_is_known_by_its_hash_alone_until_it_ends_or_is_taken_back() {
    let desk = Desk::one_secret();
    let day = Duration::from_secs(86_400);
    let endless = desk.auth.mint_organisation("acme", None, Some("backend".into())).await.unwrap();
    let daily = desk.auth.mint_organisation("acme", Some(day), None).await.unwrap();
    for minted in [&endless, &daily] {
        let verified = desk.auth.verify(&minted.token).await.unwrap();
        assert_eq!(verified.principal, Principal::Organisation("acme".into()));
    }
    assert!(endless.expires_at.is_none() && daily.expires_at.is_some());
    for row in desk.auth.ledger().list().await.unwrap() {
        assert_eq!((row.scope, row.subject.as_deref()), (MintedScope::Organisation, Some("acme")));
        assert!(row.sha256.is_some());
        let shown = format!("{row:?}");
        assert!(!shown.contains(&endless.token) && !shown.contains(&daily.token));
    }
    assert!(desk.auth.ledger().revoke(endless.id).await.unwrap());
    assert!(matches!(desk.auth.verify(&endless.token).await, Err(TokenError::Revoked)));
    assert!(desk.auth.verify(&daily.token).await.is_ok());
    let ended = desk.auth.mint_organisation("acme", Some(Duration::ZERO), None).await.unwrap();
    assert!(matches!(desk.auth.verify(&ended.token).await, Err(TokenError::Refused { expired: true })));
    for unknown in ["pgo_", "pgo_nonsense", &format!("{}x", daily.token)] {
        assert!(matches!(desk.auth.verify(unknown).await, Err(TokenError::UnknownKey)), "{unknown}");
    }
    for name in ["", "a\nb", &"a".repeat(129)] {
        assert!(desk.auth.mint_organisation(name, None, None).await.is_err());
    }
    assert!(desk.auth.mint_organisation("acme", Some(Duration::MAX), None).await.is_err());
}

#[tokio::test]
async fn another_gateways_tokens_are_nobodys_here() {
    let here = Desk::one_secret();
    let elsewhere = Desk::one_secret();
    let guest = elsewhere.auth.mint_guest().unwrap();
    assert!(here.auth.verify(&guest.token).await.is_err());
}

#[tokio::test]
async fn a_jwks_file_is_read_again_when_it_changes() {
    let key = |x: &str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": x, "alg": "EdDSA", "use": "sig" });
    let other = json!({ "kty": "EC", "crv": "P-521", "kid": "theirs", "x": "AA", "y": "AA" });
    let pair = || {
        use aws_lc_rs::signature::KeyPair as _;
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let raw =
            aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair.serialize_der()).unwrap();
        let signing = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        (signing, B64.encode(raw.public_key().as_ref()))
    };
    let ((first, first_x), (second, second_x)) = (pair(), pair());
    let desk = Desk::with(|config, dir| {
        let file = dir.join("jwks.json");
        std::fs::write(&file, json!({ "keys": [other, key(&first_x)] }).to_string()).unwrap();
        config.auth.jwks_file = Some(file);
    });
    let token = |key: &EncodingKey| sign(Algorithm::EdDSA, Some("one"), &good(), key);
    assert!(desk.user(&token(&first)).await.is_some());
    assert!(desk.user(&token(&second)).await.is_none());

    let file = desk.dir.path().join("jwks.json");
    std::fs::write(&file, json!({ "keys": [key(&second_x)] }).to_string()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while desk.user(&token(&second)).await.is_none() {
        assert!(Instant::now() < deadline, "the changed file was not read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(desk.user(&token(&first)).await.is_none(), "a key taken out is out");
}

#[test]
fn keys_that_cannot_work_are_refused_at_the_start_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.pem");
    std::fs::write(&bad, "no key").unwrap();
    let private = dir.path().join("private.pem");
    std::fs::write(&private, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let short = AuthKey { secret: Some("short".into()), ..shared(None) };
    let cases = [
        (shared(Some("playgate-local")), "playgate-local"),
        (short, "32 bytes"),
        (AuthKey { secret: None, ..shared(None) }, "`secret`"),
        (AuthKey { alg: "HS512".into(), ..shared(None) }, "`secret` is for HS256"),
        (public("PS256", &bad), "not `PS256`"),
        (public("none", &bad), "not `none`"),
        (public("ES256", &bad), "no public key"),
        (public("ES256", &private), "private key"),
        (public("RS256", &dir.path().join("missing.pem")), "missing.pem"),
        (AuthKey { public_key_file: None, ..public("EdDSA", &bad) }, "public_key_file"),
    ];
    for (key, part) in cases {
        let mut config = Config { data_dir: dir.path().to_owned(), ..Config::default() };
        config.auth.keys = vec![shared(Some("good")), key];
        let error = Auth::open(&config, Arc::new(MemoryLedger::default())).err().unwrap().to_string();
        assert!(error.contains(part) && error.contains("auth.keys[1]"), "{error}");
        assert!(!error.contains(SECRET));
    }
}
