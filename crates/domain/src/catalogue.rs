//! The chains and assets that this installation knows.

use std::collections::BTreeMap;

use crate::asset::{Asset, AssetName};
use crate::chain::{ChainName, Family, Mode};
use crate::currency;
use crate::finality::Finality;

/// One chain as configured: what does not depend on its adapter.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    /// Short name.
    pub name: ChainName,
    /// CAIP-2 id, for example `bip122:000000000019d6689c085ae165831e93`
    /// (<https://chainagnostic.org/CAIPs/caip-2>).
    pub caip2: Box<str>,
    /// Which adapter and which wallets serve it.
    pub family: Family,
    /// Live or test money.
    pub mode: Mode,
    /// Whether a node is configured for it. Without one it is a description only, and nothing can be
    /// asked for on it.
    pub enabled: bool,
    /// What a policy that does not name this chain or its assets asks for.
    pub finality: Finality,
    /// A reorganisation deeper than this halts the chain, in blocks.
    pub reorg_depth_max: u64,
    /// Creation of invoices is refused when the last complete reading is older, in milliseconds.
    pub lag_ms_max: i64,
    /// What can be paid on it.
    pub assets: Vec<Asset>,
}

/// All configured chains by name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    chains: BTreeMap<ChainName, ChainSpec>,
}

impl Catalogue {
    /// A catalogue of these chains; a later one replaces an earlier one of the same name.
    pub fn new(chains: impl IntoIterator<Item = ChainSpec>) -> Self {
        Self {
            chains: chains
                .into_iter()
                .map(|chain| (chain.name.clone(), chain))
                .collect(),
        }
    }

    /// The chain with this name.
    pub fn chain(&self, name: &ChainName) -> Option<&ChainSpec> {
        self.chains.get(name)
    }

    /// The asset with this name.
    pub fn asset(&self, name: &AssetName) -> Option<&Asset> {
        self.chain(name.chain())?
            .assets
            .iter()
            .find(|asset| asset.name == *name)
    }

    /// Digits after the point of a price in this currency: those of ISO 4217, or of the asset whose symbol it is
    /// in capitals; the most where chains differ. `None` for a currency that no price can be in.
    pub fn price_decimals(&self, currency: &str) -> Option<u8> {
        if let Some(decimals) = currency::iso_decimals(currency) {
            return Some(decimals);
        }
        let assets = self.chains().flat_map(|chain| &chain.assets);
        let named = assets.filter(|asset| asset.name.is_currency(currency));
        named.map(|asset| asset.decimals).max()
    }

    /// Every chain, by name.
    pub fn chains(&self) -> impl Iterator<Item = &ChainSpec> {
        self.chains.values()
    }

    /// Every asset that can be asked for in one mode.
    pub fn assets(&self, mode: Mode) -> impl Iterator<Item = &Asset> {
        self.chains()
            .filter(move |chain| chain.mode == mode && chain.enabled)
            .flat_map(|chain| &chain.assets)
    }
}
