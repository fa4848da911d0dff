//! Facts in SQLite or Postgres behind one SQL text.
//!
//! One statement text, one row struct and one function serve both databases. What differs is in
//! [`sql`] (row locks as fragments), in `dialect` (how connections and units begin) and in the
//! migrations (two views). Writing goes through units that a single [`Writer`] runs; reading goes
//! through a pool that cannot write.

pub mod api_keys;
pub mod audit;
pub mod awaited;
mod bind;
pub mod blocks;
pub mod chain_endpoints;
pub mod chains;
mod column;
mod conn;
pub mod counters;
pub mod decisions;
pub mod deliveries;
mod dialect;
mod endpoint_secret;
pub mod endpoints;
mod error;
pub mod events;
pub mod exceptions;
pub mod gaps;
pub mod handed_out;
pub mod idempotency;
pub mod invoices;
pub mod keys;
mod lanes;
pub mod looks;
pub mod marks;
pub mod merchants;
mod migrate;
pub mod page;
pub mod placements;
pub mod pool_addresses;
mod probe;
pub mod quarantines;
pub mod rates;
pub mod requests;
mod restored;
pub mod sealed;
pub mod secrets;
pub mod settings;
pub mod sql;
mod store;
#[cfg(test)]
mod tests;
pub mod transfer_pages;
pub mod transfers;
mod unit;
pub mod unseen;
pub mod vettings;
pub mod wallets;
pub mod watched;
mod writer;

pub use bind::Bind;
pub use conn::{Conn, Row};
pub use endpoint_secret::EndpointSecret;
pub use error::{SchemaError, StoreError};
pub use keys::{
    DeliveryKey, EndpointKey, InvoiceKey, MerchantKey, OptionKey, RequestKey, TransferKey,
    WalletKey,
};
pub use migrate::{Applied, migrate};
pub use page::{Cursor, Listed};
pub use probe::{Moment, Probe};
pub use secrets::{MasterKey, SecretError};
pub use sql::Sql;
pub use store::{Options, Store};
pub use unit::{Tx, Unit};
pub use writer::Writer;

/// Every statement of this crate, so that one test can show all of them to both databases.
pub fn statements() -> impl Iterator<Item = Sql> {
    let own = [
        api_keys::STATEMENTS,
        audit::STATEMENTS,
        awaited::STATEMENTS,
        blocks::STATEMENTS,
        chain_endpoints::STATEMENTS,
        chains::STATEMENTS,
        counters::STATEMENTS,
        decisions::STATEMENTS,
        deliveries::STATEMENTS,
        endpoints::STATEMENTS,
        events::STATEMENTS,
        exceptions::STATEMENTS,
        gaps::STATEMENTS,
        handed_out::STATEMENTS,
        idempotency::STATEMENTS,
        invoices::STATEMENTS,
        looks::STATEMENTS,
        marks::STATEMENTS,
        merchants::STATEMENTS,
        migrate::STATEMENTS,
        placements::STATEMENTS,
        pool_addresses::STATEMENTS,
        quarantines::STATEMENTS,
        rates::STATEMENTS,
        requests::STATEMENTS,
        restored::STATEMENTS,
        sealed::STATEMENTS,
        settings::STATEMENTS,
        transfer_pages::STATEMENTS,
        transfers::STATEMENTS,
        unseen::STATEMENTS,
        vettings::STATEMENTS,
        wallets::STATEMENTS,
        watched::STATEMENTS,
    ];
    let below: [&[&[Sql]]; 2] = [&deliveries::MORE, &invoices::MORE];
    own.into_iter()
        .chain(below.into_iter().flatten().copied())
        .flatten()
        .copied()
}
