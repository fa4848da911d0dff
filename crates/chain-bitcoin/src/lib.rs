//! Bitcoin: blocks and mempool of bitcoind, extended public keys, addresses
