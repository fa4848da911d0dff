//! EVM chains: what proofs cost, and what catching up takes beside programs that prove nothing.

mod block;
mod catch_up;
mod node;
mod plain;
mod relay;
mod stage;

pub(crate) use block::{block, watch};
pub(crate) use catch_up::{Against, measure};

use std::sync::Arc;

use anyhow::Result;
use paywatch_chain_evm::EvmDerivation;
use paywatch_domain::{
    Amount, Asset, AssetKind, AssetName, ChainSpec, Entropy as _, Family, Finality, Mode,
};
use paywatch_testkit::{AnvilOptions, EvmWallet};

use crate::numbers::Numbers;
use crate::shop::{DEPTH, Trade};

/// On a chain with its coin and one token at this address.
fn trade(token: &str) -> Result<Trade> {
    let chain_id = AnvilOptions::default().chain_id;
    let caip2 = format!("eip155:{chain_id}");
    let asset = |name: &str, kind, decimals, caip19| -> Result<Asset> {
        Ok(Asset {
            name: name.parse::<AssetName>()?,
            kind,
            decimals,
            dust: Amount::ZERO,
            caip19: format!("{caip2}/{caip19}").into(),
        })
    };
    let contract = AssetKind::Token(token.into());
    let spec = ChainSpec {
        name: "anvil".parse()?,
        caip2: caip2.as_str().into(),
        family: Family::Evm,
        mode: Mode::Test,
        enabled: true,
        finality: Finality::Depth(DEPTH),
        reorg_depth_max: 100,
        lag_ms_max: 600_000,
        assets: vec![
            asset("eth@anvil", AssetKind::Native, 18, "slip44:60".to_owned())?,
            asset("usdc@anvil", contract, 6, format!("erc20:{token}"))?,
        ],
    };
    let derivation = EvmDerivation::new([(spec.name.clone(), chain_id)]);
    Ok(Trade {
        spec,
        derivation: Arc::new(derivation),
        key: EvmWallet::new(2)?.xpub(),
    })
}

/// Somebody's address, in its twenty bytes.
type Account = [u8; 20];

/// Somebody who was never paid before.
fn somebody(numbers: &mut Numbers) -> Account {
    let mut account = [0; 20];
    numbers.fill(&mut account);
    account
}

/// An address as nodes take it.
fn text(account: &Account) -> String {
    let digits = account.iter().map(|byte| format!("{byte:02x}"));
    format!("0x{}", digits.collect::<String>())
}
