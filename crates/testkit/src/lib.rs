//! Real parts for tests and for the demo: a Bitcoin node with somebody who pays, an EVM node with
//! contracts, a Solana node, a private Postgres, a merchant's webhook receiver, the verifiers that merchants really
//! use, and a second implementation of addresses.
//!
//! It depends on no other crate of this workspace, so that nothing here can agree with the watcher
//! by sharing its mistakes. Every part is a private one on a free port and is gone when it is
//! dropped. What the parts need is installed by `cargo xtask setup`; when something is missing the
//! error says so, nothing is skipped.

mod addresses;
mod anvil;
mod api;
mod api_client;
mod api_trial;
mod backend;
mod bitcoind;
mod contracts;
mod crowd;
mod deployed;
mod disk;
mod evm_addresses;
mod evm_wallet;
mod followed;
mod javascript;
mod leaks;
mod liar;
mod locate;
mod node;
mod payer;
mod paywatch;
mod postgres;
mod process;
mod purse;
mod receiver;
mod solana_addresses;
mod solana_cluster;
mod solana_pay;
mod solana_transactions;
mod surfnet;
mod verify;
mod wait;
mod wallet;
mod watcher;

pub use addresses::{AddressQuestion, other_addresses};
pub use anvil::{Anvil, AnvilOptions};
pub use api::{Answer, Api};
pub use api_client::generated_client;
pub use api_trial::{ApiTrial, Operations};
pub use backend::{Backend, Language};
pub use bitcoind::{Bitcoind, BlockHash, NODE_PASSWORD, NODE_USER};
pub use contracts::{Argument, Contract};
pub use crowd::Crowd;
pub use deployed::Deployed;
pub use disk::SmallDisk;
pub use evm_addresses::other_evm_addresses;
pub use evm_wallet::EvmWallet;
pub use followed::FollowedChain;
pub use leaks::{expect_no_secret, note_secret};
pub use liar::{Exchange, Liar, Told};
pub use locate::{cache, http_client};
pub use payer::{DEFAULT_FEE_RATE, Payer};
pub use paywatch::Paywatch;
pub use postgres::Postgres;
pub use process::{Process, free_port};
pub use receiver::{Behaviour, Received, Receiver};
pub use solana_addresses::{other_solana_addresses, solana_pool};
pub use solana_cluster::{ClusterState, SolanaCluster, SolanaTold};
pub use solana_pay::read_solana_pay;
pub use solana_transactions::read_solana_transactions;
pub use surfnet::{Landed, Surfnet};
pub use verify::{Delivery, Verifier};
pub use wait::{eventually, sleep};
pub use wallet::WalletKey;
pub use watcher::{Watcher, WatcherOptions};

/// The library of which the payer is made, for callers that look into a transaction.
pub use bitcoin;
