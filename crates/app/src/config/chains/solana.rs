//! What only Solana has in `chains.toml`.

use std::collections::{BTreeMap, BTreeSet};

use paywatch_chain_solana::{Assets, Config, Power};
use paywatch_domain::{Asset, AssetName, ChainName};

use super::endpoint::Reached;
use super::{ChainForm, Reader};

/// What its CAIP-2 ids begin with (<https://namespaces.chainagnostic.org/solana/caip2>).
const NAMESPACE: &str = "solana:";
/// How much of a genesis hash stands behind that.
const GENESIS_CHARS: usize = 32;

impl Reader<'_> {
    /// What the adapter needs for each endpoint.
    pub(super) fn solana_configs(
        &mut self,
        chain: &ChainName,
        form: &ChainForm,
        assets: &[Asset],
        endpoints: &[Reached],
    ) -> Option<Vec<Config>> {
        for (key, family, is_given) in [
            ("network", "bitcoin", form.network.is_some()),
            ("rest", "bitcoin", form.rest.is_some()),
            ("evm", "evm", form.evm.is_some()),
        ] {
            if is_given {
                self.problem(key, format!("belongs to chains of the family {family:?}"));
            }
        }
        let Some(cluster) = form.caip2.strip_prefix(NAMESPACE) else {
            let detail = "must be \"solana:\" and the first 32 letters of the genesis hash, or the name of \
                          a private cluster";
            self.problem("caip2", detail);
            return None;
        };
        // Private clusters have a new genesis block at each start; they have names.
        let genesis = Some(cluster).filter(|cluster| cluster.len() == GENESIS_CHARS);
        let allowed = self.allowed(chain, form);
        let assets = Assets::new(assets, allowed)
            .map_err(|error| self.problem("assets", error.to_string()))
            .ok()?;
        let configs = endpoints.iter().map(|endpoint| Config {
            chain: chain.clone(),
            genesis: genesis.map(str::to_owned),
            assets: assets.clone(),
            url: endpoint.url.clone(),
            websocket: endpoint.websocket.clone(),
            credentials: endpoint.credentials.clone(),
            budget: endpoint.budget.clone(),
        });
        Some(configs.collect())
    }

    /// What the mints of assets may be able to do.
    fn allowed(
        &mut self,
        chain: &ChainName,
        form: &ChainForm,
    ) -> BTreeMap<AssetName, BTreeSet<Power>> {
        let mut allowed = BTreeMap::new();
        for (number, asset) in form.assets.iter().enumerate() {
            let mut powers = BTreeSet::new();
            for word in &asset.allow {
                let power = Power::ALL.into_iter().find(|power| power.as_str() == word);
                if power.is_none() {
                    let known = Power::ALL.map(Power::as_str).join(", ");
                    let detail = format!("{word:?} is not one of {known}");
                    self.problem(&format!("assets[{number}].allow"), detail);
                }
                powers.extend(power);
            }
            if let Ok(name) = AssetName::new(&asset.symbol, chain.clone())
                && !powers.is_empty()
            {
                allowed.insert(name, powers);
            }
        }
        allowed
    }
}
