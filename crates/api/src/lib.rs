//! The HTTP API of merchants and operators, and nothing but HTTP.
//!
//! [`router`] serves `/v1` and the health pages. What changes something is a command of
//! `paywatch-engine`; what is read comes from there or from the store. [`Fault`] is the table of
//! everything that can be wrong with a request.

mod auth;
mod body;
mod client;
mod entropy;
mod fault;
mod idempotency;
pub mod key;
mod layer;
mod meter;
mod page;
mod post;
mod query;
mod request_id;
mod routes;
pub mod scope;
mod state;

pub use fault::{Fault, Thing};
pub use key::{ApiKeyText, Grant, KeyTextError};
pub use meter::{Meter, Rate};
pub use request_id::{CurrentRequest, X_REQUEST_ID};
pub use routes::router;
pub use scope::Scope;
pub use state::{ApiState, RenderMetrics};
