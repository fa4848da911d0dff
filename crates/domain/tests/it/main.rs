//! The rules as tables and properties.
#![allow(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod balance;
mod finality;
mod findings;
mod fold;
mod news;
mod options;
mod rates;
mod replay;
mod status;
mod strays;
