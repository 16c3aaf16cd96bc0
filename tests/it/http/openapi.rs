//! The description of both APIs against what is served, and against the contract.

use super::session_api::Office;
use axum::body::Body;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

async fn document(office: &Office) -> Value {
    let answer =
        office.site.send(super::fake::plain("GET", "/openapi.json").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    assert!(answer.header("etag").starts_with("W/"));
    answer.json()
}

fn operations(document: &Value) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS.iter().filter(|method| item.get(**method).is_some()) {
            found.insert(((*method).to_owned(), path.clone()));
        }
    }
    found
}

/// Paths and methods of the contract, by its indentation: it is our own file and has no surprises.
fn contract() -> BTreeSet<(String, String)> {
    let text = include_str!("../../session_api/contract.yaml");
    let (_, paths) = text.split_once("\npaths:\n").unwrap();
    let (paths, _) = paths.split_once("\ncomponents:\n").unwrap();
    let mut found = BTreeSet::new();
    let mut path = "";
    for line in paths.lines() {
        if let Some(name) = line.strip_prefix("  /") {
            path = name.trim_end_matches(':');
        } else if let Some(method) = line.strip_prefix("    ").and_then(|line| line.strip_suffix(':'))
            && METHODS.contains(&method)
        {
            found.insert((method.to_owned(), format!("/{path}")));
        }
    }
    found
}

#[tokio::test]
async fn every_operation_of_the_contract_is_described_and_beside_them_only_grants_and_pictures() {
    let office = Office::new().await;
    let described: BTreeSet<_> = operations(&document(&office).await)
        .into_iter()
        .filter(|(_, path)| !path.starts_with("/api/") && path != "/metrics")
        .collect();
    let contract = contract();
    assert_eq!(contract.len(), 10, "{contract:?}");
    let more: Vec<_> = described.difference(&contract).collect();
    let beside = [("get", "/session/{id}/thumbnail.jpg"), ("post", "/session/{id}/token")];
    assert_eq!(
        more,
        beside.map(|(method, path)| (method.to_owned(), path.to_owned())).iter().collect::<Vec<_>>()
    );
    assert!(contract.is_subset(&described));
}

#[tokio::test]
async fn every_described_operation_answers() {
    let office = Office::new().await;
    let operator = office.site.auth.mint_operator(Duration::from_secs(60), None).await.unwrap().token;
    let described = operations(&document(&office).await);
    assert!(described.len() > 30, "{}", described.len());
    for (method, path) in described {
        let id = playgate::model::ids::SessionId::new().to_string();
        let fill = |part: &str| match part {
            "{slug}" => "garden".to_owned(),
            part if part.starts_with('{') => id.clone(),
            part => part.to_owned(),
        };
        let concrete = path.split('/').map(fill).collect::<Vec<_>>().join("/");
        for token in [&office.token, &office.site.user.token, &operator] {
            let request = super::fake::plain(&method.to_uppercase(), &concrete)
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json");
            let answer = office.site.send(request.body(Body::from("{}")).unwrap()).await;
            assert_ne!(answer.status, 405, "{method} {path}");
            assert_ne!(answer.status, 500, "{method} {path}");
            assert!(
                !answer.text().contains("There is no such endpoint"),
                "{method} {path}: {}",
                answer.text()
            );
            assert!(!answer.text().contains("There is no such page"), "{method} {path}");
        }
    }
}

/// A7 of the faults: what axum refuses by itself is refused in our form, too.
#[tokio::test]
async fn every_refusal_of_the_players_api_is_an_error_and_a_message() {
    let office = Office::new().await;
    let described = operations(&document(&office).await);
    let mut refused = 0;
    for (method, path) in described.iter().filter(|(_, path)| path.starts_with("/api/")) {
        let fill = |part: &str| if part.starts_with('{') { "%FF".to_owned() } else { part.to_owned() };
        let concrete = path.split('/').map(fill).collect::<Vec<_>>().join("/");
        for (kind, body) in [
            ("application/json", Body::from(vec![b' '; 3 << 20])),
            ("text/plain", Body::from("{}")),
            ("application/json", Body::from("\u{FF}")),
        ] {
            let request = super::fake::plain(&method.to_uppercase(), &concrete)
                .header("authorization", format!("Bearer {}", office.site.user.token))
                .header("content-type", kind);
            let answer = office.site.send(request.body(body).unwrap()).await;
            if !answer.status.is_client_error() && !answer.status.is_server_error() {
                continue;
            }
            refused += 1;
            assert_eq!(
                answer.headers["content-type"],
                "application/json",
                "{method} {concrete}: {}",
                answer.text()
            );
            let said = answer.json();
            assert!(said["error"].is_string() && said["message"].is_string(), "{method} {concrete}: {said}");
        }
    }
    assert!(refused > 60, "{refused} were refused");
}

#[tokio::test]
async fn operations_have_distinct_names_words_and_answers_and_refer_to_what_is_there() {
    let office = Office::new().await;
    let document = document(&office).await;
    let mut names = BTreeSet::new();
    for (method, path) in operations(&document) {
        let operation = &document["paths"][&path][&method];
        assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        for field in ["summary", "tags", "responses"] {
            assert!(operation.get(field).is_some(), "{method} {path} has no {field}");
        }
        let public = operation["security"] == serde_json::json!([{}]);
        assert!(public || operation["responses"].get("401").is_some(), "{method} {path}: {operation}");
    }
    let mut refs = Vec::new();
    collect(&document, &mut refs);
    assert!(!refs.is_empty());
    for reference in refs {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let required = &document["components"]["schemas"]["ErrorResponse"]["required"];
    assert_eq!(required.as_array().unwrap().len(), 7, "{required}");
}

fn collect(value: &Value, refs: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                refs.push(reference.clone());
            }
            fields.values().for_each(|value| collect(value, refs));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, refs)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn the_page_that_shows_it_is_public() {
    let office = Office::new().await;
    let page = office.site.send(super::fake::plain("GET", "/docs").body(Body::empty()).unwrap()).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
}
