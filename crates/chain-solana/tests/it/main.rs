//! The adapter from outside: a real node, and answers that no real node could be brought to give.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests start servers and may panic"
)]

mod solana;
