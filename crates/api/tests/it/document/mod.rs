//! The API is what its description says: `docs/openapi.json`.
//!
//! Goal: whoever reads the document, or generates a client from it, meets no surprise. Method: the document is
//! made of the code; a story calls every operation once, which gives the examples and holds the answers against
//! the document; scopes, fields and parameters are tried one by one. The file must say the same.

mod examples;
mod fields;
mod story;

use axum::body::Body;
use http::{Method, Request};
use paywatch_api::{DOCUMENT, Scope, document};
use paywatch_domain::Mode;
use serde_json::Value;

use crate::world::{World, run, run_with_solana};
use examples::{Operation, operations, sorted};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
/// Set by `cargo xtask openapi`, which writes the file.
const WRITES: &str = "PAYWATCH_WRITES_OPENAPI";
/// Operations that show the document itself: it is no example of itself.
const OF_DOCUMENT: [&str; 3] = ["get_openapi", "docs", "docs_style"];

#[tokio::test]
async fn every_api_operation_has_an_example_that_works_and_the_document_is_up_to_date() {
    run_with_solana(async |world: &mut World| {
        let mut document = document();
        let told = story::tell(world).await;
        for example in &told {
            example.check(&document);
        }
        let named = operations(&document);
        let lacking = named.iter().filter(|operation| {
            let is_told = told.iter().any(|example| example.operation == operation.id);
            !is_told && !OF_DOCUMENT.contains(&&*operation.id)
        });
        let lacking: Vec<&str> = lacking.map(|operation| &*operation.id).collect();
        assert!(lacking.is_empty(), "operations without an example: {lacking:?}");
        for example in &told {
            example.add_to(&mut document);
        }
        let text = format!("{:#}\n", sorted(document));
        if std::env::var_os(WRITES).is_some() {
            std::fs::write(FILE, text).expect("written");
            return;
        }
        let stored = std::fs::read_to_string(FILE).expect("the file");
        let differs = stored.lines().zip(text.lines()).find(|(stored, made)| stored != made);
        assert!(
            stored == text,
            "docs/openapi.json is not what the code says, first in {differs:?}; write it again with: cargo xtask \
             openapi"
        );
    })
    .await;
}

/// Goal: what belongs to one merchant does not exist for another, whatever scopes that has, nor for the same merchant
/// in the other mode. Method: before the owner calls an operation of a thing, each stranger does.
#[tokio::test]
async fn no_api_operation_finds_a_thing_of_another_merchant() {
    run_with_solana(async |world: &mut World| {
        let strangers = vec![world.foreign_key().await, world.live_key.clone()];
        let told = story::tell_before(world, strangers).await;
        let document = document();
        for operation in operations(&document) {
            let tried = told.iter().any(|example| example.operation == operation.id);
            let is_of_thing = operation.path.contains("{id}");
            assert!(!is_of_thing || tried, "{operation:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_api_serves_its_document_and_a_page_without_foreign_hosts() {
    run(async |world: &mut World| {
        let bare = |path: &str| Request::get(path).body(Body::empty()).expect("a request");
        let served = world.send(bare("/v1/openapi.json")).await;
        assert_eq!(served.header("content-type"), Some("application/json"));
        assert_eq!(served.text, DOCUMENT);
        let page = world.send(bare("/docs")).await;
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        for operation in operations(&document()) {
            let anchor = format!("id=\"{}\"", operation.id);
            assert!(page.text.contains(&anchor), "{anchor}");
        }
        for foreign in [
            "<script",
            "src=",
            "http-equiv",
            "href=\"http",
            "@import",
            "url(",
        ] {
            assert!(!page.text.contains(foreign), "{foreign}");
        }
        let style = world.send(bare("/docs/style.css")).await;
        assert_eq!(style.status, 200);
        assert!(!style.text.contains("url(") && !style.text.contains("@import"));
    })
    .await;
}

/// A request of an operation with ids that nobody has.
fn of_nobody(world: &World, operation: &Operation) -> Request<Body> {
    let path = operation
        .path
        .replace("{id}", "nobody")
        .replace("{chain}", "nothing");
    let method: Method = operation.method.to_uppercase().parse().expect("a method");
    world.request(method, &path, "")
}

#[tokio::test]
async fn every_documented_api_operation_is_served_and_no_other_method() {
    run(async |world: &mut World| {
        let named = operations(&document());
        for operation in &named {
            let answer = world.send(of_nobody(world, operation)).await;
            let code = answer.header("content-type") == Some("application/problem+json");
            let code = code.then(|| answer.json()["code"].clone());
            for missing in ["route_unknown", "method_not_allowed"] {
                assert_ne!(code, Some(missing.into()), "{operation:?}");
            }
            for method in ["get", "post", "put", "patch", "delete"] {
                let same =
                    |other: &&Operation| other.path == operation.path && other.method == method;
                if named.iter().any(|other| same(&other)) {
                    continue;
                }
                let other = Operation {
                    method: method.into(),
                    ..operation.clone()
                };
                let answer = world.send(of_nobody(world, &other)).await;
                assert_eq!(answer.status, 405, "{other:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn each_api_operation_needs_the_scope_that_is_documented() {
    run(async |world: &mut World| {
        for operation in operations(&document()) {
            let scopes: Vec<Scope> = operation
                .scopes
                .iter()
                .map(|scope| Scope::parse(scope).expect("a scope"))
                .collect();
            if scopes.is_empty() {
                let mut bare = of_nobody(world, &operation);
                bare.headers_mut().remove("authorization");
                let answer = world.send(bare).await;
                assert_eq!(answer.status, 200, "{operation:?}");
                continue;
            }
            let others = Scope::ALL
                .into_iter()
                .filter(|scope| !scopes.contains(scope));
            let others: Vec<Scope> = others.collect();
            world.key = world.new_key(Mode::Test, &others).await;
            let answer = world.send(of_nobody(world, &operation)).await;
            let problem = answer.is_problem(403, "scope_missing");
            let detail = problem["detail"].as_str().expect("a sentence");
            let is_named = operation
                .scopes
                .iter()
                .any(|scope| detail.contains(&**scope));
            assert!(is_named, "{detail} of {operation:?}");
            for scope in scopes {
                world.key = world.new_key(Mode::Test, &[scope]).await;
                let answer = world.send(of_nobody(world, &operation)).await;
                let status = answer.status.as_u16();
                assert!(
                    !matches!(status, 401 | 403),
                    "{operation:?}: {}",
                    answer.text
                );
            }
        }
    })
    .await;
}

/// Every value below a document.
fn walk<'a>(value: &'a Value, see: &mut impl FnMut(&'a Value)) {
    see(value);
    match value {
        Value::Object(fields) => fields.values().for_each(|value| walk(value, see)),
        Value::Array(items) => items.iter().for_each(|value| walk(value, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_reference_in_the_api_document_leads_somewhere_and_every_field_is_described() {
    let document = document();
    walk(&document, &mut |value| {
        let Some(reference) = value["$ref"].as_str() else {
            return;
        };
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    });
    let schemas = document["components"]["schemas"]
        .as_object()
        .expect("schemas");
    for (name, schema) in schemas {
        let fields = schema["properties"].as_object().into_iter().flatten();
        for (field, property) in fields {
            assert!(property["description"].is_string(), "{name}.{field}");
        }
    }
}

#[test]
fn api_operations_have_names_of_their_own() {
    let named = operations(&document());
    for (place, operation) in named.iter().enumerate() {
        let is_same = |other: &Operation| other.id == operation.id;
        assert!(!named[place + 1..].iter().any(is_same), "{operation:?}");
    }
}
