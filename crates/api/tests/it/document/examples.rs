//! Examples: what was sent and answered, held against the document, and put into it.

use http::HeaderMap;
use jsonschema::draft202012;
use serde_json::{Map, Value, json};

/// An operation of the document.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) scopes: Vec<String>,
}

/// Every operation of a document.
pub(crate) fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("paths");
    let named = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").iter();
        methods.map(move |(method, said)| {
            let security = said["security"].as_array().expect("security").iter();
            let scopes = security.map(|one| one["api_key"][0].as_str().expect("a scope").into());
            Operation {
                id: said["operationId"].as_str().expect("a name").into(),
                method: method.clone(),
                path: path.clone(),
                scopes: scopes.collect(),
            }
        })
    });
    named.collect()
}

/// The same with the fields of each object by name, however it was built.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name, sorted(value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Asserts that a value is what a schema of the document says.
#[track_caller]
pub(crate) fn fits(document: &Value, schema: &Value, value: &Value, what: &str) {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let validator = draft202012::options()
        .should_validate_formats(true)
        .build(&whole)
        .expect("a schema");
    let faults = validator.iter_errors(value);
    let faults: Vec<String> = faults
        .map(|fault| format!("{} at {}", fault, fault.instance_path))
        .collect();
    assert!(faults.is_empty(), "{what}: {faults:#?} in {value:#}");
}

/// What was sent to an operation and what it answered.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) operation: &'static str,
    /// With its query.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// JSON, or text as a JSON text.
    pub(crate) answer: Value,
}

impl Example {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).expect("the header");
        value.to_str().expect("visible")
    }

    fn media(&self) -> &str {
        let said = self.header("content-type");
        said.split(';').next().expect("a media type")
    }

    fn place(&self, document: &Value) -> Operation {
        let mut all = operations(document).into_iter();
        let found = all.find(|operation| operation.id == self.operation);
        found.unwrap_or_else(|| panic!("no operation is called {}", self.operation))
    }

    /// Asserts that request and answer are what the document says.
    pub(crate) fn check(&self, document: &Value) {
        let place = self.place(document);
        let said = &document["paths"][&place.path][&place.method];
        if let Some(body) = &self.body {
            let schema = &said["requestBody"]["content"]["application/json"]["schema"];
            fits(document, schema, body, self.operation);
        }
        let answer = &said["responses"][self.status.to_string()];
        assert!(
            answer.is_object(),
            "{} may not answer {}",
            self.operation,
            self.status
        );
        assert!(!self.header("x-request-id").is_empty());
        let form = &answer["content"][self.media()];
        assert!(
            form.is_object(),
            "{} may not answer {}",
            self.operation,
            self.media()
        );
        fits(document, &form["schema"], &self.answer, self.operation);
    }

    /// Puts it into the document.
    pub(crate) fn add_to(&self, document: &mut Value) {
        let place = self.place(document);
        let values = self.values(&place.path);
        let said = &mut document["paths"][&place.path][&place.method];
        if let Some(body) = &self.body {
            said["requestBody"]["content"]["application/json"]["example"] = body.clone();
        }
        let media = self.media();
        let form = &mut said["responses"][self.status.to_string()]["content"][media];
        form["example"] = self.answer.clone();
        for parameter in said["parameters"].as_array_mut().expect("parameters") {
            let value = parameter["name"].as_str().and_then(|name| values.get(name));
            if let Some(value) = value.cloned() {
                parameter["example"] = value;
            }
        }
    }

    /// The values of the parameters in the path and in the query.
    fn values(&self, template: &str) -> Map<String, Value> {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let pieces = template.split('/').zip(path.split('/'));
        let in_path = pieces.filter_map(|(name, value)| {
            let name = name.strip_prefix('{')?.strip_suffix('}')?;
            Some((name.to_owned(), json!(value)))
        });
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let in_query = pairs.map(|(name, value)| {
            let number = value.parse::<u64>().ok().filter(|_| name == "limit");
            (
                name.into_owned(),
                number.map_or_else(|| json!(value), |number| json!(number)),
            )
        });
        in_path.chain(in_query).collect()
    }
}
