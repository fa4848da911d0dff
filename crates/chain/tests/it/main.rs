//! The port from outside: pools of endpoints that lie, lag, hang, contradict each other and recover.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod endpoint;
mod model;
mod pool;
mod telling;
