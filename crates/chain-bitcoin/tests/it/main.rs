//! The adapter from outside: published vectors of keys, a real bitcoind, and nodes that lie.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start servers, measure time and may panic"
)]

mod derivation;
mod endpoints;
mod liar;
mod lies;
mod locate;
mod node;
mod opinions;
mod pool;
mod refusals;
mod support;
