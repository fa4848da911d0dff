//! The API over a real SQLite store, real commands and real key derivation.

mod auth;
mod bad_input;
mod http;
mod resources;
mod world;
