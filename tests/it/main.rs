//! The binary `paywatch` against real nodes, databases and receivers, as merchants meet it.
//!
//! Every test has a house of its own: a Bitcoin node, a payer, the watcher in a temporary folder, a
//! merchant with a confirmed wallet and a webhook receiver. Waits end when something is true and
//! fail with a reason when it does not become true.
#![expect(
    clippy::print_stdout,
    reason = "what a test prints is shown when it fails"
)]

mod administration;
mod api_document;
mod bad_input;
mod command_line;
mod evm;
mod exceptions;
mod faults;
mod finality;
mod kills;
mod mempool;
mod merchants;
mod options;
mod outages;
mod prices;
mod receivers;
mod reorganisations;
mod secrets;
mod siblings;
mod solana;
mod stories;
mod support;
mod trouble;
mod unreachable;
mod wallets;
mod webhooks;
