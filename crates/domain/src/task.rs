//! What people ask of the worker that follows a chain.

use crate::id::{MerchantId, WalletId};

/// One thing to be done beside following a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Go on after a halt: somebody has looked at the node.
    Resume,
    /// Read these blocks again; what they say becomes what is stored.
    Rescan {
        /// The lowest.
        from_height: u64,
        /// The highest, included.
        to_height: u64,
    },
    /// Find the highest index of a wallet's key that was ever paid, so that no used address is given out.
    WalletScan {
        /// Whose wallet.
        merchant: MerchantId,
        /// Which one.
        wallet: WalletId,
        /// The lowest block to read.
        from_height: u64,
        /// The highest, included.
        to_height: u64,
    },
}

impl Task {
    /// The name of the kind in API and database.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Rescan { .. } => "rescan",
            Self::WalletScan { .. } => "wallet_scan",
        }
    }

    /// The blocks to read, from the lowest to the highest.
    pub fn heights(&self) -> Option<(u64, u64)> {
        match self {
            Self::Resume => None,
            Self::Rescan {
                from_height,
                to_height,
            }
            | Self::WalletScan {
                from_height,
                to_height,
                ..
            } => Some((*from_height, *to_height)),
        }
    }
}

/// What reading blocks for a task has brought to light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Transfers of a rescan that were missing from where they stand.
    pub placed: u64,
    /// Transfers of a rescan that do not stand where they were said to.
    pub removed: u64,
    /// The highest index of a scanned wallet that was ever paid.
    pub highest_index: Option<u32>,
}
