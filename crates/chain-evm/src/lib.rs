//! Ethereum and every chain that speaks its language: proofs of blocks, transfers, addresses.
//!
//! [`EvmSource`] reads one endpoint and proves what it says. Everything else here is pure: a node's
//! answers go in as bytes, facts come out. [`prove()`] checks that a block and its receipts are what the
//! block's hash commits to; [`Inflows`] says what each transaction paid to whom; [`scan()`] keeps what
//! went to watched addresses. [`EvmDerivation`] turns a merchant's public keys into addresses and never
//! sees a private one.

pub mod address;
pub mod assets;
pub mod derivation;
pub mod fault;
pub mod inflows;
pub mod proof;
pub mod rules;
pub mod scan;
pub mod source;

mod header;
mod json;
mod key;
mod receipt;
mod transaction;
mod uri;

pub use assets::{Assets, AssetsError};
pub use derivation::EvmDerivation;
pub use fault::Fault;
pub use inflows::Inflows;
pub use proof::{ProvenBlock, prove, prove_by_logs};
pub use rules::{ReceiptCheck, Rules, TransactionCheck, WithdrawalCheck};
pub use scan::scan;
pub use source::{Capabilities, Config, EvmSource, RawBlock, TraceKind};
