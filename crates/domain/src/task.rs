//! What people ask of the worker that follows a chain.

use crate::chain::{BlockHash, TxId};
use crate::id::{InvoiceId, MerchantId, WalletId};

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
    /// Find the block of a transaction and read it again: it pays an invoice, and nobody saw it.
    Attach {
        /// Which invoice.
        invoice: InvoiceId,
        /// Which transaction.
        tx_id: TxId,
        /// The block that holds it, where the one who asks knows it.
        block: Option<BlockHint>,
    },
    /// Read the mempool at once, and again the blocks in which an invoice can have been paid.
    Check {
        /// Which invoice.
        invoice: InvoiceId,
        /// The lowest block to read: where the invoice was made.
        from_height: u64,
        /// The highest, included.
        to_height: u64,
    },
}

/// What somebody knows of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockHint {
    /// Its height.
    Height(u64),
    /// Its hash.
    Hash(BlockHash),
}

impl Task {
    /// The name of the kind in API and database.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Resume => "resume",
            Self::Rescan { .. } => "rescan",
            Self::WalletScan { .. } => "wallet_scan",
            Self::Attach { .. } => "attach",
            Self::Check { .. } => "check",
        }
    }

    /// The blocks to read, from the lowest to the highest; `None` before that is known.
    pub fn heights(&self) -> Option<(u64, u64)> {
        match self {
            Self::Resume | Self::Attach { .. } => None,
            Self::Rescan {
                from_height,
                to_height,
            }
            | Self::WalletScan {
                from_height,
                to_height,
                ..
            }
            | Self::Check {
                from_height,
                to_height,
                ..
            } => Some((*from_height, *to_height)),
        }
    }

    /// The invoice that it is about.
    pub fn invoice(&self) -> Option<InvoiceId> {
        match self {
            Self::Attach { invoice, .. } | Self::Check { invoice, .. } => Some(*invoice),
            Self::Resume | Self::Rescan { .. } | Self::WalletScan { .. } => None,
        }
    }

    /// The wallet that it is about.
    pub fn wallet(&self) -> Option<WalletId> {
        match self {
            Self::WalletScan { wallet, .. } => Some(*wallet),
            Self::Resume | Self::Rescan { .. } | Self::Attach { .. } | Self::Check { .. } => None,
        }
    }
}

/// What reading blocks for a task has brought to light.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Transfers that were missing from where they stand: all of them, or those of the task's invoice.
    pub placed: u64,
    /// Transfers that do not stand where they were said to: all of them, or those of the task's invoice.
    pub removed: u64,
    /// The highest index of a scanned wallet that was ever paid.
    pub highest_index: Option<u32>,
    /// Why a transaction is not put on record.
    pub rejection: Option<Rejection>,
}

/// Why a transaction is not put on an invoice's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The node cannot tell where it is.
    NotFound,
    /// It is not in the block that was named, or in no block of the chain at all.
    NotInChain,
    /// No block holds it yet.
    InMempool,
    /// It pays none of the invoice's addresses.
    PaysNothing,
}

impl Rejection {
    const ALL: [Self; 4] = [
        Self::NotFound,
        Self::NotInChain,
        Self::InMempool,
        Self::PaysNothing,
    ];

    /// The name in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "transaction_not_found",
            Self::NotInChain => "transaction_not_in_chain",
            Self::InMempool => "transaction_in_mempool",
            Self::PaysNothing => "transaction_pays_nothing",
        }
    }

    /// The rejection with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|rejection| rejection.as_str() == text)
    }

    /// The reason and what to do, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotFound => {
                "the node cannot find this transaction by its id: it does not exist, or all that it paid \
                 was spent and the node keeps no index of transactions; name the block that holds it"
            }
            Self::NotInChain => {
                "this transaction is not in the block that was named, or in no block of the chain at all"
            }
            Self::InMempool => {
                "no block holds this transaction yet; what waits in the mempool is read anyway and needs \
                 not be attached"
            }
            Self::PaysNothing => "this transaction pays no address of the invoice",
        }
    }
}
