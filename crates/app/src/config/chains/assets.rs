//! The assets of a chain in `chains.toml`.

use std::collections::BTreeSet;

use paywatch_domain::{Amount, Asset, AssetKind, AssetName, ChainName, Family};
use serde::Deserialize;

use super::{ChainForm, Reader, evm};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssetForm {
    pub(super) symbol: String,
    decimals: u8,
    dust: String,
    slip44: Option<u32>,
    contract: Option<String>,
    /// Solana: what its mint may be able to do.
    #[serde(default)]
    pub(super) allow: BTreeSet<String>,
}

impl Reader<'_> {
    /// What can be paid; what is wrong goes to the problems.
    pub(super) fn assets(
        &mut self,
        chain: &ChainName,
        family: Family,
        form: &ChainForm,
    ) -> Vec<Asset> {
        let mut assets: Vec<Asset> = Vec::new();
        for (number, asset) in form.assets.iter().enumerate() {
            let Some(asset) = self.asset(chain, family, number, asset, form) else {
                continue;
            };
            if let Some(other) = assets.iter().find(|other| is_same(other, &asset)) {
                let name = other.name.clone();
                self.problem(
                    &format!("assets[{number}]"),
                    format!("{} is {name} again; keep one of them", asset.name),
                );
                continue;
            }
            assets.push(asset);
        }
        let has_native = assets.iter().any(|asset| asset.kind == AssetKind::Native);
        let is_whole = has_native && (family != Family::Bitcoin || assets.len() == 1);
        if !is_whole && assets.len() == form.assets.len() {
            let detail = match family {
                Family::Bitcoin => "a Bitcoin chain has exactly one asset, its coin",
                Family::Evm | Family::Solana => {
                    "one asset must be the chain's coin: without a contract, with a slip44"
                }
            };
            self.problem("assets", detail);
        }
        assets
    }

    fn asset(
        &mut self,
        chain: &ChainName,
        family: Family,
        number: usize,
        form: &AssetForm,
        chain_form: &ChainForm,
    ) -> Option<Asset> {
        let place = |key: &str| format!("assets[{number}].{key}");
        let name = AssetName::new(&form.symbol, chain.clone())
            .map_err(|error| self.problem(&place("symbol"), error.to_string()));
        let dust = Amount::parse_atomic(&form.dust)
            .map_err(|error| self.problem(&place("dust"), error.to_string()));
        if family != Family::Solana && !form.allow.is_empty() {
            self.problem(
                &place("allow"),
                "belongs to chains of the family \"solana\"",
            );
        }
        let caip2 = &chain_form.caip2;
        let (kind, caip19) = match (&form.contract, form.slip44) {
            (None, Some(slip44)) => (AssetKind::Native, format!("{caip2}/slip44:{slip44}")),
            (Some(contract), None) => {
                let (standard, text) = match family {
                    Family::Bitcoin | Family::Evm => {
                        let text = evm::contract(contract);
                        let text = text.map_err(|error| self.problem(&place("contract"), error));
                        ("erc20", text.ok()?)
                    }
                    Family::Solana => ("token", contract.clone()),
                };
                let caip19 = format!("{caip2}/{standard}:{text}");
                (AssetKind::Token(text.into()), caip19)
            }
            (Some(_), Some(_)) | (None, None) => {
                let detail = "a coin has a slip44 number, a token has a contract: give one of them";
                self.problem(&format!("assets[{number}]"), detail);
                return None;
            }
        };
        Some(Asset {
            name: name.ok()?,
            kind,
            decimals: form.decimals,
            dust: dust.ok()?,
            caip19: caip19.into(),
        })
    }
}

/// Whether two assets have one name, or are the same on the chain.
fn is_same(one: &Asset, other: &Asset) -> bool {
    one.name == other.name || one.kind == other.kind
}
