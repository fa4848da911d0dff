//! The document as one page of HTML: no scripts, nothing from other hosts.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value};

/// The page's style sheet.
pub(crate) const STYLE: &str = include_str!("reference.css");

/// Text in HTML.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_str(letter.encode_utf8(&mut [0; 4]))?,
            }
        }
        Ok(())
    }
}

fn text<'a>(value: &'a Value, name: &str) -> Text<'a> {
    Text(value[name].as_str().unwrap_or_default())
}

fn fields<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let fields = value[name].as_object().into_iter().flat_map(Map::iter);
    fields.map(|(name, value)| (name.as_str(), value))
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The page about a document.
pub(crate) fn reference(document: &Value) -> String {
    let info = &document["info"];
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{0}: API</title>\
         <link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body>\n<h1>{0}: API {1}</h1>\n<p>{2}</p>\n\
         <p>For programs: <a href=\"/v1/openapi.json\">OpenAPI 3.1</a>.</p>\n<nav><ul>",
        text(info, "title"),
        text(info, "version"),
        text(info, "description"),
    );
    let mut operations = String::new();
    for (path, methods) in fields(document, "paths") {
        for (method, operation) in methods.as_object().into_iter().flat_map(Map::iter) {
            let id = text(operation, "operationId");
            let method = Text(&method.to_uppercase()).to_string();
            page.extend([format!(
                "<li><a href=\"#{id}\"><code>{method} {}</code></a></li>",
                Text(path)
            )]);
            operations += &shown(document, &method, path, operation);
        }
    }
    page += "</ul></nav>\n<h2>Operations</h2>\n";
    page += &operations;
    page += "<h2>Forms</h2>\n";
    for (name, schema) in fields(&document["components"], "schemas") {
        page.extend([format!(
            "<section id=\"form-{0}\"><h3>{0}</h3><p>{1}</p>{2}</section>\n",
            Text(name),
            text(schema, "description"),
            properties(schema),
        )]);
    }
    page + "</body></html>\n"
}

fn shown(document: &Value, method: &str, path: &str, operation: &Value) -> String {
    let mut section = format!(
        "<section id=\"{}\"><h3><code>{method} {}</code> {}</h3><p>{}</p>",
        text(operation, "operationId"),
        Text(path),
        text(operation, "summary"),
        text(operation, "description"),
    );
    let scopes = items(operation, "security")
        .iter()
        .flat_map(|one| items(one, "api_key"));
    let scopes: Vec<&str> = scopes.filter_map(Value::as_str).collect();
    if !scopes.is_empty() {
        section.extend([format!(
            "<p>Scope: <code>{}</code></p>",
            Text(&scopes.join(" or "))
        )]);
    }
    section += &parameters(document, operation);
    let body = &operation["requestBody"]["content"]["application/json"];
    if !body.is_null() {
        section.extend([format!(
            "<p>Takes {}.</p>{}",
            kind(&body["schema"]),
            example(&body["example"])
        )]);
    }
    section += "<table>";
    for (status, answer) in fields(operation, "responses") {
        section += &answered(resolved(document, answer), status);
    }
    section + "</table></section>\n"
}

/// What a reference points to; itself when it is none.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"]
        .as_str()
        .and_then(|text| text.strip_prefix('#'));
    let found = pointer.and_then(|pointer| document.pointer(pointer));
    found.unwrap_or(value)
}

fn parameters(document: &Value, operation: &Value) -> String {
    let rows = items(operation, "parameters").iter().map(|parameter| {
        let parameter = resolved(document, parameter);
        format!(
            "<tr><td><code>{}</code><td>{}<td>{}<td>{}",
            text(parameter, "name"),
            text(parameter, "in"),
            kind(&parameter["schema"]),
            text(parameter, "description"),
        )
    });
    format!("<table>{}</table>", rows.collect::<String>())
}

fn answered(answer: &Value, status: &str) -> String {
    let content = fields(answer, "content").map(|(media, form)| {
        let (media, schema) = (Text(media), kind(&form["schema"]));
        format!(
            "<div><code>{media}</code> {schema}</div>{}",
            example(&form["example"])
        )
    });
    format!(
        "<tr><td><code>{status}</code><td>{}{}",
        text(answer, "description"),
        content.collect::<String>(),
    )
}

fn example(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let shown = match value {
        Value::String(shown) => shown.clone(),
        value => format!("{value:#}"),
    };
    let shown = Text(&shown);
    format!("<details><summary>Example</summary><pre>{shown}</pre></details>")
}

fn properties(schema: &Value) -> String {
    let required = items(schema, "required");
    let rows = fields(schema, "properties").map(|(name, property)| {
        let needed = required.iter().any(|one| one == name);
        format!(
            "<tr><td><code>{}</code>{}<td>{}<td>{}",
            Text(name),
            if needed { "" } else { " (may be missing)" },
            kind(property),
            text(property, "description"),
        )
    });
    let rows: String = rows.collect();
    if rows.is_empty() {
        format!("<p>{}</p>", kind(schema))
    } else {
        format!("<table>{rows}</table>")
    }
}

/// What a value is, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(form) = schema["$ref"]
        .as_str()
        .and_then(|text| text.rsplit('/').next())
    {
        return format!("<a href=\"#form-{0}\">{0}</a>", Text(form));
    }
    for choice in ["anyOf", "oneOf"] {
        if schema[choice].is_array() {
            let kinds = items(schema, choice).iter().map(kind);
            return kinds.collect::<Vec<_>>().join(" or ");
        }
    }
    let words = items(schema, "enum").iter().chain(schema.get("const"));
    let words = words.map(|word| format!("<code>{}</code>", Text(&word.to_string())));
    let words = words.collect::<Vec<_>>().join(", ");
    if !words.is_empty() {
        return words;
    }
    let named = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str);
            names.collect::<Vec<_>>().join(" or ")
        }
        _ => "any JSON".to_owned(),
    };
    let inner = [&schema["items"], &schema["additionalProperties"]];
    let inner = inner.into_iter().find(|inner| inner.is_object());
    let of = inner.map(|inner| format!(" of {}", kind(inner)));
    format!("{}{}", Text(&named), of.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_shows_the_document_and_runs_nothing_of_it() {
        let document = json!({
            "info": { "title": "<script>" },
            "paths": { "/v1/things": { "get": {
                "operationId": "list_things",
                "security": [{ "api_key": ["things.read"] }],
                "responses": { "200": { "$ref": "#/components/responses/Good" } },
            } } },
            "components": {
                "schemas": { "Thing": { "required": ["id"], "properties": {
                    "id": { "type": "string" }, "of": { "type": ["array", "null"], "items": { "$ref": "#/components/schemas/Thing" } },
                } } },
                "responses": { "Good": { "description": "Good & well.", "content": {
                    "application/json": { "schema": { "$ref": "#/components/schemas/Thing" }, "example": { "id": "<b>" } },
                } } },
            },
        });
        let page = reference(&document);
        for part in [
            "<title>&lt;script&gt;: API</title>",
            "<code>GET /v1/things</code>",
            "Scope: <code>things.read</code>",
            "Good &amp; well.",
            "<a href=\"#form-Thing\">Thing</a>",
            "&quot;id&quot;: &quot;&lt;b&gt;&quot;",
            "<code>of</code> (may be missing)<td>array or null of <a",
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        assert!(!page.contains("<script"));
    }
}
