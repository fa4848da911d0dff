//! The port between a chain and the engine: blocks in, transfers out.
//!
//! An adapter knows one chain family: how to ask a node, how to prove that an answer is complete, how
//! to derive addresses. It knows nothing of invoices, databases or merchants. What adapters share is here
//! too: how to ask a node ([`rpc`]), and how to use several as one ([`pool`]).

pub mod block;
pub mod compute;
pub mod derivation;
pub mod error;
pub mod pool;
pub mod private;
pub mod rpc;
pub mod source;
pub mod status;
pub mod watch;

pub use block::{Block, Credit, Outflow, Pool, Spenders, Vetting};
pub use compute::Compute;
pub use derivation::{
    ADDRESS_POOL, AddressPool, Derivation, DerivedAddress, KeyError, Sibling, WalletKey,
};
pub use error::{Retry, SourceError};
pub use pool::EndpointPool;
pub use private::private_material;
pub use source::{BoxFuture, Health, Holder, Holding, Located, Source};
pub use status::{Condition, MemberStatus};
pub use watch::WatchTable;
