//! Tests on real databases. A test body is written once and stamped for SQLite and for Postgres.

mod bed;
mod schema;
mod statements;
mod writer;
