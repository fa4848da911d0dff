//! Simulated chains behind the real port: the truth, what endpoints know and say of it, and the adapter.

pub mod ledger;
pub mod marks;
pub mod nature;
pub mod node;
pub mod source;

pub use ledger::{BlockData, BlockId, Ledger, Pay, Tx};
pub use node::{Mood, Node};
pub use source::SimSource;
