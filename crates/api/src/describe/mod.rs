//! What the API is, as OpenAPI 3.1 says it (<https://spec.openapis.org/oas/v3.1.0>).
//!
//! Each route is added to the router together with its [`Operation`], so that neither stands without the
//! other. [`document`] turns them, and the forms of `wire`, into the document that stands in
//! `docs/openapi.json` and is served; [`reference`] shows that as a page.

mod document;
mod operation;
mod parts;
mod reference;

use axum::Router;
use axum::handler::Handler;
use axum::routing::on;

use crate::state::ApiState;

pub(crate) use document::document;
pub(crate) use operation::{Operation, delete, get, patch, post};
pub(crate) use reference::{STYLE, reference};

/// Routes, each with what is said about it.
#[derive(Default)]
pub(crate) struct Described {
    router: Router<ApiState>,
    operations: Vec<Operation>,
}

impl Described {
    /// Adds a route with its description.
    pub(crate) fn with<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, ApiState>,
        T: 'static,
    {
        let methods = on(operation.method.filter(), handler);
        self.router = self.router.route(operation.path, methods);
        self.operations.push(operation);
        self
    }

    /// The routes, and the descriptions in the order in which they were added.
    pub(crate) fn into_parts(self) -> (Router<ApiState>, Vec<Operation>) {
        (self.router, self.operations)
    }
}
