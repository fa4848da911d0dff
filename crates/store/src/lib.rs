//! Facts in SQLite or Postgres behind one SQL text.
//!
//! One statement text, one row struct and one function serve both databases. What differs is in
//! [`sql`] (row locks as fragments), in `dialect` (how connections and units begin) and in the
//! migrations (two views). Writing goes through units that a single [`Writer`] runs; reading goes
//! through a pool that cannot write.

mod bind;
mod conn;
mod dialect;
mod error;
mod migrate;
pub mod secrets;
pub mod sql;
mod store;
#[cfg(test)]
mod tests;
mod unit;
mod writer;

pub use bind::Bind;
pub use conn::{Conn, Row};
pub use error::{SchemaError, StoreError};
pub use migrate::{Applied, migrate};
pub use secrets::{MasterKey, SecretError};
pub use sql::Sql;
pub use store::{Options, Store};
pub use unit::{Tx, Unit};
pub use writer::Writer;

/// Every statement of this crate, so that one test can show all of them to both databases.
pub fn statements() -> impl Iterator<Item = Sql> {
    [migrate::STATEMENTS].into_iter().flatten().copied()
}
