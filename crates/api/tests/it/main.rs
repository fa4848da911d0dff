//! The API over a real SQLite store, real commands and real key derivation.

mod administration;
mod audit;
mod auth;
mod bad_input;
mod bank;
mod document;
mod endpoints;
mod exceptions;
mod explain;
mod http;
mod merchants;
mod quarantine;
mod records;
mod requests;
mod resources;
mod transfers;
mod world;
