//! Puts the document together.

use paywatch_wire::{API_VERSION, Event, EventData, Problem};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operation::{Answered, Method, Operation, Parameter, Taken};
use super::parts::{self, API_KEY, reference};

const DESCRIPTION: &str = "\
paywatch gives every invoice its own address, watches the chains through your own nodes, and says what happened to the \
money. Amounts and prices are decimal texts; times are RFC 3339 in UTC. Unknown fields and parameters are refused by \
name. Answers may get new fields, and there may be new types of events. Lists are newest first; read on with \
`next_cursor`. Errors are RFC 9457 problems with a stable `code`. Send an `Idempotency-Key` with every request that \
changes something.";

/// The generators of both kinds of forms: what is sent may leave out what what is answered always has.
struct Schemas {
    taken: SchemaGenerator,
    answered: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            taken: settings().for_deserialize().into_generator(),
            answered: settings().for_serialize().into_generator(),
        }
    }

    /// All forms by name. One that is sent and answered stands there as it may be sent, which holds for
    /// both.
    fn into_definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.answered.take_definitions(true);
        definitions.extend(self.taken.take_definitions(true));
        definitions
    }
}

/// The document about these routes.
pub(crate) fn document(operations: &[Operation]) -> Value {
    let mut schemas = Schemas::new();
    schemas.answered.subschema_for::<Problem>();
    let webhook = webhook(&mut schemas);
    let mut paths = Map::new();
    for operation in operations {
        let said = describe(operation, operations, &mut schemas);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str()] = said;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "paywatch",
            "version": API_VERSION,
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "webhooks": { "event": { "post": webhook } },
        "components": {
            "schemas": schemas.into_definitions(),
            "headers": parts::headers(),
            "parameters": parts::parameters(),
            "responses": parts::responses(),
            "securitySchemes": parts::security_schemes(),
        },
    })
}

fn describe(operation: &Operation, all: &[Operation], schemas: &mut Schemas) -> Value {
    let mut said = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(operation.path)],
        "parameters": parameters(operation),
        "responses": responses(operation, all, schemas),
        "security": security(operation),
    });
    if !operation.text.is_empty() {
        said["description"] = operation.text.into();
    }
    if let Some(body) = &operation.body {
        said["requestBody"] = request_body(body, schemas);
    }
    said
}

fn request_body(body: &Taken, schemas: &mut Schemas) -> Value {
    let schema = (body.schema)(&mut schemas.taken);
    json!({
        "required": body.is_required,
        "content": { "application/json": { "schema": schema } },
    })
}

/// The resource that a path begins with.
fn tag(path: &str) -> &str {
    let resource = path
        .strip_prefix("/v1/")
        .and_then(|rest| rest.split('/').next());
    resource.unwrap_or("process")
}

fn security(operation: &Operation) -> Value {
    let any = operation
        .scopes
        .iter()
        .map(|scope| json!({ API_KEY: [scope.as_str()] }));
    any.collect()
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let path = names(operation.path).map(|name| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "description": if name == "chain" { "The chain's short name." } else { "The id." },
            "schema": { "type": "string" },
        })
    });
    let query = operation.parameters.iter().map(|parameter| {
        let Parameter { name, text, schema } = parameter;
        json!({ "name": name, "in": "query", "description": text, "schema": schema })
    });
    let changes = operation.method != Method::Get;
    let key = changes.then(|| reference("parameters", "IdempotencyKey"));
    path.chain(query)
        .chain(key)
        .chain([reference("parameters", "RequestId")])
        .collect()
}

/// The names of the parameters in a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'))
}

fn responses(operation: &Operation, all: &[Operation], schemas: &mut Schemas) -> Value {
    let mut said = parts::problems(operation);
    for answered in &operation.answers {
        let shown = answer(operation, answered, all, schemas);
        said.insert(answered.status.to_string(), shown);
    }
    Value::Object(said)
}

fn answer(
    operation: &Operation,
    answered: &Answered,
    all: &[Operation],
    schemas: &mut Schemas,
) -> Value {
    let content = answered.content.iter().map(|(media, schema)| {
        let schema = schema(&mut schemas.answered);
        ((*media).to_owned(), json!({ "schema": schema }))
    });
    let mut headers = json!({ "x-request-id": reference("headers", "RequestId") });
    if operation.method != Method::Get {
        headers["idempotency-replayed"] = reference("headers", "IdempotencyReplayed");
    }
    let mut said = json!({
        "description": answered.text,
        "headers": headers,
        "content": content.collect::<Map<_, _>>(),
    });
    let links = links(operation, all);
    if !links.is_empty() {
        said["links"] = Value::Object(links);
    }
    said
}

/// From an answer that makes something to what can be done with it.
fn links(operation: &Operation, all: &[Operation]) -> Map<String, Value> {
    let makes = operation.method == Method::Post && !operation.path.contains('{');
    let below = format!("{}/{{id}}", operation.path);
    let next = all
        .iter()
        .filter(|next| makes && next.path.starts_with(&below));
    let links = next.map(|next| {
        let link = json!({ "operationId": next.id, "parameters": { "id": "$response.body#/id" } });
        (next.id.to_owned(), link)
    });
    links.collect()
}

/// What a receiver of webhooks gets.
fn webhook(schemas: &mut Schemas) -> Value {
    let schema = schemas.answered.subschema_for::<Event<EventData>>();
    let header = |name: &str, text: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": text, "schema": { "type": "string" },
        })
    };
    json!({
        "operationId": "receive_event",
        "summary": "An event, sent to a webhook endpoint",
        "description": "Standard Webhooks: the signature is over `webhook-id.webhook-timestamp.body`. Answer with a \
            status from 200 to 299 once the event is stored; anything else is tried again. Receivers drop what is \
            older than the version that they have.",
        "parameters": [
            header("webhook-id", "The event's id, the same on every attempt."),
            header("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
            header("webhook-signature", "`v1,` and the signature in base64; several, divided by spaces, while a \
                secret is being replaced."),
        ],
        "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } },
        "responses": { "2XX": { "description": "The event was taken." } },
        "security": [],
    })
}
