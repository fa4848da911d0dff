//! Solana: every slot accounted for, transfers by balance, addresses.
//!
//! [`SolanaSource`] reads one endpoint. A slot has a block, or the parent links of a later block prove that it
//! was skipped ([`links`]); nothing else does. What a block paid is told by balances before and after each
//! transaction ([`reader`]), whatever programs moved them, and [`mod@scan`] keeps what came to watched keys.

pub mod address;
pub mod assets;
pub mod derivation;
pub mod fault;
pub mod links;
pub mod mint;
pub mod reader;
pub mod scan;
pub mod source;

mod key;
mod pay;
mod pool;
mod uri;

pub use assets::{Assets, AssetsError};
pub use derivation::SolanaDerivation;
pub use fault::Fault;
pub use links::Header;
pub use mint::Power;
pub use reader::{ReadBlock, read_block};
pub use scan::scan;
pub use source::{Config, RawBlock, SolanaSource};
