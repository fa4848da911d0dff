//! What is peculiar to a chain, as data: which of a block's commitments can be recomputed.

/// How far the answers of a chain can be checked against the hash of its blocks. The default is that
/// of Ethereum: everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How transactions are checked.
    pub transactions: TransactionCheck,
    /// How receipts are checked.
    pub receipts: ReceiptCheck,
    /// How withdrawals are checked.
    pub withdrawals: WithdrawalCheck,
    /// Whether moves of the native coin are logged by the system address (EIP-7708).
    pub native_logs: bool,
}

/// How the transactions of a block are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionCheck {
    /// Against the root in the header.
    #[default]
    Root,
    /// Each against its own hash alone, for chains with transactions of types that are not known here;
    /// those are taken at the node's word. What nobody signed is listed, and nothing that it logs counts.
    Hash,
}

/// How the receipts of a block are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiptCheck {
    /// Against the root and the bloom in the header.
    #[default]
    Root,
    /// Against the bloom alone, for chains whose receipts are encoded in a way of their own. A status or
    /// an amount that was changed is not found.
    Bloom,
}

/// How the withdrawals of a block are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithdrawalCheck {
    /// Against the root in the header (EIP-4895).
    #[default]
    Root,
    /// Chains that use that root for something else have none (OP stack: the root of a contract's
    /// storage, <https://specs.optimism.io/protocol/isthmus/exec-engine.html>).
    None,
}
