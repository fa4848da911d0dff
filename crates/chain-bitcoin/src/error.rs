//! What can go wrong when a source is made.

/// Why a source cannot be made from its configuration. Names what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The node cannot be asked.
    #[error(transparent)]
    Node(#[from] paywatch_chain::rpc::SetupError),
    /// The asset is of another chain.
    #[error("the asset {asset} is not of the chain {chain}")]
    Asset {
        /// The asset.
        asset: String,
        /// The chain.
        chain: String,
    },
}
