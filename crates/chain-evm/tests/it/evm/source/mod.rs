//! The source against a real anvil, and against one behind a server that lies.

mod endpoints;
mod fetch;
mod holdings;
mod hostile;
mod lies;
mod node;
mod support;
mod tokens;
mod wait;

pub(crate) use support::{assets, config, credits, read};
