//! The HTTP API of merchants and operators, and nothing but HTTP.
//!
//! [`router`] serves `/v1` and the health pages. What changes something is a command of
//! `paywatch-engine`; what is read comes from there or from the store. [`Fault`] is the table of
//! everything that can be wrong with a request.

mod auth;
mod body;
mod client;
mod describe;
mod entropy;
mod fault;
mod idempotency;
mod layer;
mod meter;
mod page;
mod post;
mod query;
mod request_id;
mod routes;
mod state;

pub use fault::{Fault, Thing};
pub use meter::{Meter, Rate};
pub use paywatch_domain::scope::{self, Scope};
pub use paywatch_engine::api_key::{self as key, ApiKeyText, Grant, KeyTextError};
pub use request_id::{CurrentRequest, X_REQUEST_ID};
pub use routes::{DOCUMENT, document, router};
pub use state::{ApiState, RenderMetrics};
