//! Which `bits` a block must have, as Bitcoin Core's `GetNextWorkRequired` computes it
//! (<https://github.com/bitcoin/bitcoin/blob/master/src/pow.cpp>).

use bitcoin::CompactTarget;

use crate::hash::Hash256;
use crate::network::{DifficultyRule, Network};

/// Blocks of one difficulty period.
pub(crate) const PERIOD: u64 = 2016;

/// Bytes of a block header.
pub(crate) const HEADER_BYTES: usize = 80;

/// After this time since its parent, in seconds, a block may have the lowest difficulty where a
/// network has that exception.
const EXCEPTION_AFTER_S: u32 = 20 * 60;

/// A block header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) hash: Hash256,
    pub(crate) parent: Hash256,
    pub(crate) merkle_root: Hash256,
    /// Seconds since 1970, as its miner claims.
    pub(crate) time_s: u32,
    pub(crate) bits: u32,
}

impl Header {
    /// Reads the header at the beginning of `bytes`.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let (_version, rest) = header.split_first_chunk::<4>()?;
        let (parent, rest) = rest.split_first_chunk::<32>()?;
        let (merkle_root, rest) = rest.split_first_chunk::<32>()?;
        let (time, rest) = rest.split_first_chunk::<4>()?;
        let bits = rest.first_chunk::<4>()?;
        Some(Self {
            hash: Hash256::of(&[header]),
            parent: Hash256::read(parent)?,
            merkle_root: Hash256::read(merkle_root)?,
            time_s: u32::from_le_bytes(*time),
            bits: u32::from_le_bytes(*bits),
        })
    }
}

/// What the difficulty of a block depends on, read from headers that link down from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ancestry {
    /// On nothing: the first block, or a network whose difficulty never changes.
    Fixed,
    /// The block is inside of a period.
    Inside {
        parent: Header,
        /// The `bits` of the last block down from the parent, within the period, that did not use
        /// the exception of test networks.
        ordinary_bits: u32,
    },
    /// The block is the first of a period.
    First {
        parent: Header,
        /// The first block of the period that ends with the parent.
        first: Header,
    },
}

impl Ancestry {
    /// The block that it was read for must name this as its parent.
    pub(crate) fn parent(&self) -> Option<Hash256> {
        match self {
            Self::Fixed => None,
            Self::Inside { parent, .. } | Self::First { parent, .. } => Some(parent.hash),
        }
    }

    /// The `bits` that a block made at `time_s` must have.
    pub(crate) fn expected_bits(&self, network: Network, time_s: u32) -> u32 {
        let parameters = network.parameters();
        let lowest = parameters.max_attainable_target.to_compact_lossy();
        let rule = network.difficulty_rule();
        match *self {
            Self::Fixed => lowest.to_consensus(),
            Self::Inside {
                parent,
                ordinary_bits,
            } => match rule {
                DifficultyRule::Fixed | DifficultyRule::Retarget => parent.bits,
                DifficultyRule::Exceptions { .. } => {
                    // Core compares 64-bit numbers: the sum may exceed 32 bits.
                    let late = u64::from(parent.time_s).saturating_add(EXCEPTION_AFTER_S.into())
                        < u64::from(time_s);
                    if late {
                        lowest.to_consensus()
                    } else {
                        ordinary_bits
                    }
                }
            },
            Self::First { parent, first } => {
                let base = match rule {
                    DifficultyRule::Exceptions { from_first: true } => first.bits,
                    DifficultyRule::Exceptions { from_first: false }
                    | DifficultyRule::Fixed
                    | DifficultyRule::Retarget => parent.bits,
                };
                // A negative time counts as the shortest one, as zero does.
                let timespan = parent.time_s.saturating_sub(first.time_s);
                CompactTarget::from_next_work_required(
                    CompactTarget::from_consensus(base),
                    timespan.into(),
                    parameters,
                )
                .to_consensus()
            }
        }
    }
}

/// The `bits` of the lowest difficulty of a network.
pub(crate) fn lowest_bits(network: Network) -> u32 {
    let target = network.parameters().max_attainable_target;
    target.to_compact_lossy().to_consensus()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(time_s: u32, bits: u32) -> Header {
        Header {
            hash: Hash256::ZERO,
            parent: Hash256::ZERO,
            merkle_root: Hash256::ZERO,
            time_s,
            bits,
        }
    }

    /// The cases of Bitcoin Core's `pow_tests.cpp`, which are blocks of the main chain: times of the
    /// first and the last block of a period, the bits before and after.
    #[test]
    fn retargets_of_the_main_chain() {
        let cases = [
            // Block 32256: an ordinary change.
            (1_261_130_161, 1_262_152_739, 0x1d00_ffff, 0x1d00_d86a),
            // Block 2016: the limit of the lowest difficulty.
            (1_231_006_505, 1_233_061_996, 0x1d00_ffff, 0x1d00_ffff),
            // Block 68544: at most four times harder.
            (1_279_008_237, 1_279_297_671, 0x1c05_a3f4, 0x1c01_68fd),
            // Not a real block: at most four times easier.
            (1_263_163_443, 1_269_211_443, 0x1c38_7f6f, 0x1d00_e1fd),
        ];
        for (first, last, before, after) in cases {
            let ancestry = Ancestry::First {
                parent: header(last, before),
                first: header(first, before),
            };
            assert_eq!(ancestry.expected_bits(Network::Mainnet, last + 600), after);
        }
        let inside = Ancestry::Inside {
            parent: header(1_000, 0x1c38_7f6f),
            ordinary_bits: 0x1d00_ffff,
        };
        assert_eq!(inside.expected_bits(Network::Mainnet, 9_000), 0x1c38_7f6f);
    }

    #[test]
    fn test_networks_allow_an_easy_block_after_20_minutes() {
        let inside = Ancestry::Inside {
            parent: header(1_000, 0x1d00_ffff),
            ordinary_bits: 0x1c38_7f6f,
        };
        for network in [Network::Testnet3, Network::Testnet4] {
            assert_eq!(inside.expected_bits(network, 2_200), 0x1c38_7f6f);
            assert_eq!(inside.expected_bits(network, 2_201), 0x1d00_ffff);
        }
    }

    /// BIP94: the period's first block counts, which cannot use the exception.
    #[test]
    fn testnet4_retargets_from_the_first_block() {
        let two_weeks_s = 14 * 24 * 3600;
        let first = Ancestry::First {
            parent: header(two_weeks_s + 5, 0x1d00_ffff),
            first: header(5, 0x1c38_7f6f),
        };
        let next_s = two_weeks_s + 600;
        assert_eq!(first.expected_bits(Network::Testnet4, next_s), 0x1c38_7f6f);
        assert_eq!(first.expected_bits(Network::Testnet3, next_s), 0x1d00_ffff);
    }

    #[test]
    fn the_lowest_difficulty_of_each_network_is_that_of_its_first_block() {
        for network in Network::ALL {
            let genesis = bitcoin::constants::genesis_block(network.library());
            assert_eq!(lowest_bits(network), genesis.header.bits.to_consensus());
            let bits = Ancestry::Fixed.expected_bits(network, 0);
            assert_eq!(bits, lowest_bits(network));
        }
    }
}
