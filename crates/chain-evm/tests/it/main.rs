//! The adapter from outside: published vectors of addresses, blocks that another implementation built,
//! answers that lie, answers that a real node gave, and a real node.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start servers and may panic"
)]

mod evm;
