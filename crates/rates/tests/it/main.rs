//! The real client against hostile servers, and the collector against a real database.
#![allow(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod collector;
mod fetch;
