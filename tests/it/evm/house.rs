//! A house with an EVM node.

use crate::support::PATIENCE;
use crate::support::shop::{Invoice, Shop};
use anyhow::{Result, ensure};
use paywatch_testkit::{
    Anvil, AnvilOptions, EvmWallet, FollowedChain, Watcher, WatcherOptions, eventually,
};
use serde_json::json;
use std::ops::Deref;

/// The name of the node's chain.
pub(super) const CHAIN: &str = "anvil";
/// Wei of a thousandth of the coin.
pub(super) const MILLI: u128 = 1_000_000_000_000_000;
/// More than what gas costs on a new chain, in wei.
pub(super) const MAX_FEE_WEI: u64 = 5_000_000_000;

/// A node that makes blocks on demand, the watcher, and a merchant with a confirmed wallet.
pub(super) struct EvmHouse {
    pub(super) node: Anvil,
    pub(super) wallet: EvmWallet,
    shop: Shop,
}

impl EvmHouse {
    /// A house whose chain has no token.
    pub(super) async fn new() -> Result<Self> {
        let node = Anvil::start().await?;
        let chain = FollowedChain::evm(CHAIN, &node);
        Self::on(node, &[chain]).await
    }

    /// A house on a node of its own kind, with the rule by which money is final there.
    pub(super) async fn final_by(options: AnvilOptions, rule: &str) -> Result<Self> {
        let node = Anvil::start_with(options).await?;
        let chain = FollowedChain::evm(CHAIN, &node).final_by(rule);
        Self::on(node, &[chain]).await
    }

    /// A house around a node and chains, which are waited for.
    pub(super) async fn on(node: Anvil, chains: &[FollowedChain]) -> Result<Self> {
        let house = Self::unready(node, chains).await?;
        for chain in chains {
            house.until_accepting(&chain.name).await?;
        }
        Ok(house)
    }

    /// The same without waiting for any chain.
    pub(super) async fn unready(node: Anvil, chains: &[FollowedChain]) -> Result<Self> {
        let watcher = Watcher::start_on(chains, &WatcherOptions::default()).await?;
        let house = Self {
            node,
            wallet: EvmWallet::new(7)?,
            shop: Shop::new(watcher).await?,
        };
        house.register_wallet().await?;
        Ok(house)
    }

    async fn register_wallet(&self) -> Result<()> {
        let body = json!({ "chain_family": "evm", "key": self.wallet.xpub() });
        let shown = self.api.post("/v1/wallets", &body).await?.value()?;
        let own = self.wallet.addresses(&[0, 1, 2]).await?;
        for (place, own) in own.iter().enumerate() {
            let first = &shown["first_addresses"][place]["address"];
            ensure!(first == &json!(own), "{own} is not in {shown}");
        }
        self.shop.confirm(&shown).await.map(drop)
    }

    /// Waits until a chain is read up to a node's tip.
    pub(super) async fn until_read(&self, name: &str, node: &Anvil) -> Result<()> {
        eventually("the node's tip to be read", PATIENCE, async || {
            let tip = node.hash_at(node.height().await?).await?;
            Ok((self.chain(name).await?["cursor"]["hash"] == json!(tip)).then_some(()))
        })
        .await
    }

    /// Makes blocks one by one, each read before the next.
    pub(super) async fn mine(&self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.node.mine(1).await?;
            self.until_read(CHAIN, &self.node).await?;
        }
        Ok(())
    }

    /// Makes an invoice of an asset of the node's chain that expires in an hour.
    pub(super) async fn invoice(&self, symbol: &str, amount: &str) -> Result<Invoice> {
        let option = json!({ "asset": format!("{symbol}@{CHAIN}"), "amount": amount });
        self.shop.invoice_with(&option).await
    }

    /// Waits until the node's chain is halted, and gives the reason.
    pub(super) async fn until_halted(&self) -> Result<String> {
        self.shop.until_halted(CHAIN).await
    }

    /// Lets the owner send coin from the address of an invoice; `nonce` counts what it sent before.
    pub(super) async fn send_from(
        &self,
        invoice: &Invoice,
        to: &str,
        wei: u128,
        nonce: u64,
    ) -> Result<()> {
        let transaction = json!({
            "type": 2,
            "chainId": self.node.chain_id(),
            "nonce": nonce,
            "to": to,
            "value": format!("{wei:#x}"),
            "gasLimit": 21_000,
            "maxFeePerGas": MAX_FEE_WEI,
            "maxPriorityFeePerGas": 1,
        });
        let raw = self.wallet.sign(invoice.index, &transaction).await?;
        let sent = self.node.rpc("eth_sendRawTransaction", json!([raw]));
        sent.await.map(drop)
    }
}

impl Deref for EvmHouse {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}
