//! What only Bitcoin chains have in `chains.toml`.

use paywatch_chain_bitcoin::{Config, Network};
use paywatch_domain::{Asset, ChainName};

use super::endpoint::Reached;
use super::{ChainForm, Reader};

impl Reader<'_> {
    /// Which network it is; it must be that of the chain's CAIP-2 id.
    pub(super) fn network(&mut self, form: &ChainForm) -> Option<Network> {
        if form.evm.is_some() {
            self.problem("evm", "belongs to chains of the family \"evm\"");
        }
        let text = form.network.as_deref().unwrap_or_default();
        let Some(network) = Network::parse(text) else {
            let known = "mainnet, testnet3, testnet4, signet, regtest";
            self.problem("network", format!("{text:?} is not one of {known}"));
            return None;
        };
        if network.caip2() != form.caip2 {
            let detail = format!("must be {:?} for this network", network.caip2());
            self.problem("caip2", detail);
        }
        Some(network)
    }
}

/// What the adapter needs for each endpoint.
pub(super) fn configs(
    chain: &ChainName,
    form: &ChainForm,
    network: Option<Network>,
    assets: &[Asset],
    endpoints: &[Reached],
) -> Option<Vec<Config>> {
    let (network, coin) = (network?, assets.first()?);
    let configs = endpoints.iter().map(|endpoint| Config {
        chain: chain.clone(),
        network,
        asset: coin.name.clone(),
        url: endpoint.url.clone(),
        credentials: endpoint.credentials.clone(),
        rest: form.rest.unwrap_or(true),
        budget: endpoint.budget.clone(),
    });
    Some(configs.collect())
}
