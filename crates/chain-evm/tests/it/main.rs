//! The adapter from outside: published vectors of addresses, blocks that another implementation built,
//! answers that lie, and answers that a real node gave.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod evm;
