//! Fields and parameters: what the document names is what is read, and nothing else.

use std::collections::BTreeSet;

use http::Method;
use paywatch_api::document;
use serde_json::{Value, json};

use super::examples::{Operation, operations};
use crate::world::{World, run};

/// A name that nothing has.
const UNKNOWN: &str = "zz_unknown";

/// The names in a sentence that ends with `known here: a, b`; none where it says that there are none.
fn known(detail: &str) -> BTreeSet<String> {
    let names = detail
        .split_once("known here: ")
        .map_or("", |(_, names)| names);
    names
        .split(", ")
        .filter(|name| !name.is_empty())
        .map(Into::into)
        .collect()
}

/// What a fault with this code at this place says is known there.
fn told(problem: &Value, code: &str, pointer: &str) -> Option<BTreeSet<String>> {
    let errors = problem["errors"].as_array()?.iter();
    let mut found = errors.filter(|error| error["code"] == code && error["pointer"] == pointer);
    found
        .next()
        .map(|error| known(error["detail"].as_str().expect("a sentence")))
}

fn path_of(operation: &Operation) -> String {
    // Ids of the right form, so that fields are read before anything is looked for.
    let thing = match operation.path.split('/').nth(2).unwrap_or_default() {
        "wallets" => "wal",
        "invoices" => "inv",
        "exceptions" => "exc",
        "webhook-endpoints" => "whe",
        "deliveries" => "dlv",
        "api-keys" => "key",
        _ => "req",
    };
    let id = paywatch_domain::InvoiceId::from_bits(9).to_string();
    let id = id.replacen("inv", thing, 1);
    operation
        .path
        .replace("{id}", &id)
        .replace("{chain}", "bitcoin-regtest")
}

/// Follows references, and takes the object where there are alternatives.
fn object<'a>(document: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return object(document, document.pointer(reference.strip_prefix('#')?)?);
    }
    if schema["properties"].is_object() || schema["additionalProperties"] == json!(false) {
        return Some(schema);
    }
    let choices = schema["anyOf"]
        .as_array()
        .or_else(|| schema["oneOf"].as_array())?;
    choices.iter().find_map(|choice| object(document, choice))
}

/// Every object that a body may hold, as the JSON pointer of its place and a body with an unknown field there.
fn places(document: &Value, schema: &Value) -> Vec<(String, Value, BTreeSet<String>)> {
    let Some(object) = object(document, schema) else {
        return Vec::new();
    };
    let names = object["properties"].as_object().into_iter().flatten();
    let names: BTreeSet<String> = names.map(|(name, _)| name.clone()).collect();
    let mut all = vec![(String::new(), json!({ UNKNOWN: 1 }), names)];
    for (name, property) in object["properties"].as_object().into_iter().flatten() {
        // Finality is read as one of several forms, and the merchant's own JSON holds any field.
        if ["finality", "metadata"].contains(&name.as_str()) {
            continue;
        }
        for (pointer, inner, names) in places(document, property) {
            all.push((format!("/{name}{pointer}"), json!({ name: inner }), names));
        }
        for (pointer, inner, names) in places(document, &property["items"]) {
            all.push((
                format!("/{name}/0{pointer}"),
                json!({ name: [inner] }),
                names,
            ));
        }
    }
    all
}

#[tokio::test]
async fn the_api_document_names_every_field_that_a_request_may_have() {
    run(async |world: &mut World| {
        let document = document();
        let mut seen = 0;
        for operation in operations(&document) {
            let said = &document["paths"][&operation.path][&operation.method];
            let schema = &said["requestBody"]["content"]["application/json"]["schema"];
            for (at, body, named) in places(&document, schema) {
                let method: Method = operation.method.to_uppercase().parse().expect("a method");
                let request = world.request(method, &path_of(&operation), &body.to_string());
                let answer = world.send(request).await;
                assert_eq!(answer.status, 422, "{operation:?} {at}: {}", answer.text);
                let pointer = format!("{at}/{UNKNOWN}");
                let read = told(&answer.json(), "unknown_field", &pointer);
                assert_eq!(read, Some(named), "{operation:?} {at}: {}", answer.text);
                seen += 1;
            }
        }
        assert!(30 < seen, "only {seen} objects");
    })
    .await;
}

#[tokio::test]
async fn the_api_document_names_every_parameter_that_a_list_may_have() {
    run(async |world: &mut World| {
        let document = document();
        for operation in operations(&document) {
            let said = &document["paths"][&operation.path][&operation.method];
            let parameters = said["parameters"].as_array().expect("parameters").iter();
            let named = parameters.filter(|parameter| parameter["in"] == "query");
            let named =
                named.map(|parameter| parameter["name"].as_str().expect("a name").to_owned());
            let named: BTreeSet<String> = named.collect();
            if named.is_empty() {
                continue;
            }
            let path = format!("{}?{UNKNOWN}=1", path_of(&operation));
            let problem = world.get(&path).await.is_problem(400, "unknown_parameter");
            let read = told(&problem, "unknown_parameter", &format!("?{UNKNOWN}"));
            assert_eq!(read, Some(named), "{operation:?}");
        }
    })
    .await;
}
