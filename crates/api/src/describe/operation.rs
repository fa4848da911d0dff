//! What is said about one route.

use axum::routing::MethodFilter;
use paywatch_wire::{NoFields, Page};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::scope::Scope;

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    /// The name in the document.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    pub(super) fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// Makes the schema of a form, and notes the forms that it holds.
pub(super) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// A parameter of the query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) schema: Value,
}

/// What is asked of the body of a request.
pub(super) struct Taken {
    pub(super) schema: MakeSchema,
    /// Whether there must be one.
    pub(super) is_required: bool,
}

/// What comes back when all is well.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) text: &'static str,
    /// Media types with their schemas.
    pub(super) content: Vec<(&'static str, MakeSchema)>,
}

/// What is said about one route.
pub(crate) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) text: &'static str,
    pub(super) scopes: Vec<Scope>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Taken>,
    pub(super) answers: Vec<Answered>,
    /// What else can be wrong with the state of things, as 409, 404 or 503.
    pub(super) refusals: Vec<(u16, &'static str)>,
}

/// A GET under a name that clients are generated with.
pub(crate) fn get(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::Get, path, id, summary)
}

/// A POST under a name that clients are generated with.
pub(crate) fn post(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::Post, path, id, summary).takes_nothing()
}

/// A PATCH under a name that clients are generated with.
pub(crate) fn patch(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::Patch, path, id, summary).takes_nothing()
}

/// A DELETE under a name that clients are generated with.
pub(crate) fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::Delete, path, id, summary).takes_nothing()
}

impl Operation {
    fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            text: "",
            scopes: Vec::new(),
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// More than the summary says.
    pub(crate) fn text(mut self, text: &'static str) -> Self {
        self.text = text;
        self
    }

    /// A scope that the key needs; of several any one.
    pub(crate) fn scope(mut self, scope: Scope) -> Self {
        self.scopes.push(scope);
        self
    }

    /// The form of the body.
    pub(crate) fn takes<R: JsonSchema>(mut self) -> Self {
        self.body = Some(Taken {
            schema: SchemaGenerator::subschema_for::<R>,
            is_required: true,
        });
        self
    }

    /// The form of a body whose fields may all be left out, and itself with them.
    pub(crate) fn may_take<R: JsonSchema>(mut self) -> Self {
        self.body = Some(Taken {
            schema: SchemaGenerator::subschema_for::<R>,
            is_required: false,
        });
        self
    }

    fn takes_nothing(self) -> Self {
        self.may_take::<NoFields>()
    }

    /// The form of a JSON answer.
    pub(crate) fn answers<A: JsonSchema>(self, status: u16, text: &'static str) -> Self {
        let content = (
            "application/json",
            SchemaGenerator::subschema_for::<A> as MakeSchema,
        );
        self.answers_in(status, text, vec![content])
    }

    /// An answer as text of these media types.
    pub(crate) fn answers_text(
        self,
        status: u16,
        text: &'static str,
        media: &[&'static str],
    ) -> Self {
        let content = media.iter().map(|media| {
            let schema: MakeSchema = SchemaGenerator::subschema_for::<String>;
            (*media, schema)
        });
        let content = content.collect();
        self.answers_in(status, text, content)
    }

    fn answers_in(
        mut self,
        status: u16,
        text: &'static str,
        content: Vec<(&'static str, MakeSchema)>,
    ) -> Self {
        self.answers.push(Answered {
            status,
            text,
            content,
        });
        self
    }

    /// A list that is read page by page, newest first; `id` names what `starting_after` takes.
    pub(crate) fn lists<T: JsonSchema>(self, text: &'static str) -> Self {
        self.limited()
            .query(
                "starting_after",
                "Rows older than this one: an id of the list.",
                json!({ "type": "string" }),
            )
            .query(
                "ending_before",
                "Rows newer than this one: an id of the list. Not together with `starting_after`.",
                json!({ "type": "string" }),
            )
            .answers::<Page<T>>(200, text)
    }

    /// How many rows a page has at most.
    pub(crate) fn limited(self) -> Self {
        let (most, usual) = (
            paywatch_domain::limits::PAGE_ROWS_MAX,
            paywatch_domain::limits::PAGE_ROWS_DEFAULT,
        );
        let schema = json!({ "type": "integer", "minimum": 1, "maximum": most, "default": usual });
        self.query("limit", "How many rows a page has at most.", schema)
    }

    /// A parameter of the query.
    pub(crate) fn query(mut self, name: &'static str, text: &'static str, schema: Value) -> Self {
        self.parameters.push(Parameter { name, text, schema });
        self
    }

    /// A parameter that is one of some words.
    pub(crate) fn word(
        self,
        name: &'static str,
        text: &'static str,
        words: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let words: Vec<&str> = words.into_iter().collect();
        self.query(name, text, json!({ "type": "string", "enum": words }))
    }

    /// A parameter that is a time.
    pub(crate) fn time(self, name: &'static str, text: &'static str) -> Self {
        self.query(
            name,
            text,
            json!({ "type": "string", "format": "date-time" }),
        )
    }

    /// A parameter that is any text.
    pub(crate) fn text_query(self, name: &'static str, text: &'static str) -> Self {
        let most = paywatch_domain::limits::TEXT_CHARS_MAX;
        self.query(name, text, json!({ "type": "string", "maxLength": most }))
    }

    /// When the state of things does not allow it, with the codes that say so.
    pub(crate) fn refuses(mut self, status: u16, text: &'static str) -> Self {
        self.refusals.push((status, text));
        self
    }
}
