//! The Bitcoin networks: how each is told apart, and its rules of difficulty.

use bitcoin::consensus::Params;

/// A Bitcoin network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// Real money.
    Mainnet,
    /// The old public test network.
    Testnet3,
    /// The public test network since 2024 (BIP94).
    Testnet4,
    /// The signed test network (BIP325).
    Signet,
    /// A private network on which blocks are made on demand.
    Regtest,
}

/// How a network decides the difficulty of its next block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DifficultyRule {
    /// Never changes: always the lowest difficulty.
    Fixed,
    /// Every 2016 blocks, by the time that they took.
    Retarget,
    /// As `Retarget`, with the exception that a block 20 minutes after its parent has the lowest
    /// difficulty.
    Exceptions {
        /// Whether a period's difficulty counts from its first block (BIP94), not from its last.
        from_first: bool,
    },
}

impl Network {
    /// Every network.
    pub const ALL: [Self; 5] = [
        Self::Mainnet,
        Self::Testnet3,
        Self::Testnet4,
        Self::Signet,
        Self::Regtest,
    ];

    /// The name in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet3 => "testnet3",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The network with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|network| network.as_str() == text)
    }

    /// The hash of the first block, in hexadecimal.
    pub fn genesis(self) -> &'static str {
        match self {
            Self::Mainnet => "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            Self::Testnet3 => "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
            Self::Testnet4 => "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
            Self::Signet => "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
            Self::Regtest => "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
        }
    }

    /// The CAIP-2 id: `bip122:` and the first 32 digits of the genesis hash
    /// (<https://namespaces.chainagnostic.org/bip122/caip2>).
    pub fn caip2(self) -> String {
        let (reference, _) = self.genesis().split_at(32);
        format!("bip122:{reference}")
    }

    /// The network with this CAIP-2 id.
    pub fn from_caip2(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|network| network.caip2() == text)
    }

    /// Whether its coins have no value.
    pub fn is_test(self) -> bool {
        match self {
            Self::Mainnet => false,
            Self::Testnet3 | Self::Testnet4 | Self::Signet | Self::Regtest => true,
        }
    }

    /// The SLIP-44 coin type in derivation paths and CAIP-19 ids: 0, and 1 for every test network.
    pub fn coin_type(self) -> u32 {
        u32::from(self.is_test())
    }

    /// The first part of its segwit addresses (BIP173).
    pub fn address_prefix(self) -> &'static str {
        match self {
            Self::Mainnet => "bc",
            Self::Testnet3 | Self::Testnet4 | Self::Signet => "tb",
            Self::Regtest => "bcrt",
        }
    }

    /// A block that the chain must contain: height and hash. On mainnet the block up to which
    /// Bitcoin Core 31 assumes signatures to be valid, elsewhere the first block.
    pub fn checkpoint(self) -> (u64, &'static str) {
        match self {
            Self::Mainnet => (
                938_343,
                "00000000000000000000ccebd6d74d9194d8dcdc1d177c478e094bfad51ba5ac",
            ),
            Self::Testnet3 | Self::Testnet4 | Self::Signet | Self::Regtest => (0, self.genesis()),
        }
    }

    /// What bitcoind calls it in `getblockchaininfo`.
    pub(crate) fn node_name(self) -> &'static str {
        match self {
            Self::Mainnet => "main",
            Self::Testnet3 => "test",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// What separates a key's network: every test network shares one kind of key.
    pub(crate) fn mode_words(test: bool) -> &'static str {
        if test {
            "a test network"
        } else {
            "the main network"
        }
    }

    pub(crate) fn library(self) -> bitcoin::Network {
        match self {
            Self::Mainnet => bitcoin::Network::Bitcoin,
            Self::Testnet3 => bitcoin::Network::Testnet,
            Self::Testnet4 => bitcoin::Network::Testnet4,
            Self::Signet => bitcoin::Network::Signet,
            Self::Regtest => bitcoin::Network::Regtest,
        }
    }

    /// The constants of proof of work.
    pub(crate) fn parameters(self) -> &'static Params {
        self.library().params()
    }

    pub(crate) fn difficulty_rule(self) -> DifficultyRule {
        match self {
            Self::Mainnet | Self::Signet => DifficultyRule::Retarget,
            Self::Testnet3 => DifficultyRule::Exceptions { from_first: false },
            Self::Testnet4 => DifficultyRule::Exceptions { from_first: true },
            Self::Regtest => DifficultyRule::Fixed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_lead_back() {
        for network in Network::ALL {
            assert_eq!(Network::parse(network.as_str()), Some(network));
            assert_eq!(Network::from_caip2(&network.caip2()), Some(network));
            let genesis = bitcoin::constants::genesis_block(network.library());
            assert_eq!(genesis.block_hash().to_string(), network.genesis());
        }
        assert_eq!(
            Network::Mainnet.caip2(),
            "bip122:000000000019d6689c085ae165831e93"
        );
        assert_eq!(
            Network::Regtest.caip2(),
            "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
        );
        assert_eq!(Network::parse("bitcoin"), None);
    }
}
