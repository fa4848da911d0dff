//! Tests on real databases. A test body is written once and stamped for SQLite and for Postgres.

mod audit;
mod bed;
mod chains;
mod deliveries;
mod events;
mod facts;
mod idempotency;
mod invoices;
mod lanes;
mod looks;
mod rates;
mod scene;
mod schema;
mod statements;
mod tenants;
mod together;
mod writer;
