//! The source against a real anvil, and against one behind a server that lies.

mod endpoints;
mod fetch;
mod holdings;
mod liar;
mod lies;
mod node;
mod support;
mod tokens;
mod wait;
