//! What can go wrong when a source is made.

/// Why a source cannot be made from its configuration. Names what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The node's address cannot be used.
    #[error("the node's url cannot be used: {detail}")]
    Url {
        /// What is wrong with it.
        detail: String,
    },
    /// The program has not chosen who encrypts.
    #[error("no TLS provider is installed; install rustls' ring provider when the program starts")]
    TlsProvider,
    /// The HTTP client cannot be made.
    #[error("no HTTP client can be made: {detail}")]
    Client {
        /// What went wrong.
        detail: String,
    },
    /// The asset is of another chain.
    #[error("the asset {asset} is not of the chain {chain}")]
    Asset {
        /// The asset.
        asset: String,
        /// The chain.
        chain: String,
    },
}
