//! Bitcoin: blocks and mempool of bitcoind, extended public keys, addresses.
//!
//! [`BitcoinSource`] reads one bitcoind and proves what it says; [`BitcoinDerivation`] turns a
//! merchant's public keys into addresses. Neither ever sees a private key.

pub mod derivation;
pub mod error;
pub mod network;
pub mod pool;
pub mod source;

mod address;
mod checksum;
mod descriptor;
mod difficulty;
mod expression;
mod hash;
mod headers;
mod key;
mod node;
mod proof;
mod rpc;
mod transaction;
mod vetting;

pub use derivation::BitcoinDerivation;
pub use error::SetupError;
pub use network::Network;
pub use paywatch_chain::rpc::Credentials;
pub use pool::RawPool;
pub use source::{BitcoinSource, Config, RawBlock};
