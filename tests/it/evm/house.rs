//! A house with an EVM node.

use crate::support::PATIENCE;
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{
    Anvil, AnvilOptions, Api, EvmWallet, FollowedChain, Watcher, WatcherOptions, eventually,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The name of the node's chain.
pub(super) const CHAIN: &str = "anvil";
/// Wei of a thousandth of the coin.
pub(super) const MILLI: u128 = 1_000_000_000_000_000;
/// More than what gas costs on a new chain, in wei.
pub(super) const MAX_FEE_WEI: u64 = 5_000_000_000;
/// Lines of the watcher's log that a failed test shows.
const LOG_LINES: usize = 60;

/// A node that makes blocks on demand, the watcher, and a merchant with a confirmed wallet.
pub(super) struct EvmHouse {
    pub(super) node: Anvil,
    pub(super) watcher: Watcher,
    pub(super) api: Api,
    pub(super) wallet: EvmWallet,
}

/// An invoice with one option.
pub(super) struct Invoice {
    pub(super) id: String,
    pub(super) address: String,
    /// Its place in the merchant's wallet.
    pub(super) index: u32,
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
        let api = watcher.api(&watcher.create_key("test").await?)?;
        let wallet = EvmWallet::new(7)?;
        let house = Self {
            node,
            watcher,
            api,
            wallet,
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
        let id = shown["id"].as_str().context("a wallet has an id")?;
        let confirm = format!("/v1/wallets/{id}/confirm");
        self.api.post(&confirm, &json!({})).await?.value()?;
        Ok(())
    }

    /// What `/v1/chains` says about a chain.
    pub(super) async fn chain(&self, name: &str) -> Result<Value> {
        let mut chains = self.api.get("/v1/chains").await?.rows()?.into_iter();
        let found = chains.find(|chain| chain["chain"] == json!(name));
        found.with_context(|| format!("{name} is not configured"))
    }

    /// Waits until invoices can be made on a chain.
    pub(super) async fn until_accepting(&self, name: &str) -> Result<()> {
        eventually("the chain to be read", PATIENCE, async || {
            Ok((self.chain(name).await?["accepting"] == true).then_some(()))
        })
        .await
    }

    /// Waits until a chain has this problem, and gives what is said of it.
    pub(super) async fn until_problem(&self, name: &str, code: &str) -> Result<String> {
        let mut last = Value::Null;
        let waited = eventually(code, PATIENCE, async || {
            last = self.chain(name).await?;
            Ok((last["problem"]["code"] == json!(code)).then_some(()))
        });
        waited.await.with_context(|| format!("it is {last}"))?;
        Ok(last["problem"]["detail"].to_string())
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
        let asset = format!("{symbol}@{CHAIN}");
        let body = json!({
            "options": [{ "asset": asset, "amount": amount }],
            "expires_in_s": 3600,
        });
        let shown = self.api.post("/v1/invoices", &body).await?.value()?;
        let field = |pointer: &str| {
            let text = shown.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned)
                .with_context(|| format!("an invoice has {pointer}: {shown}"))
        };
        let path = field("/options/0/derivation_path")?;
        let (_, index) = path.rsplit_once('/').context("a path has parts")?;
        Ok(Invoice {
            id: field("/id")?,
            address: field("/options/0/address")?,
            index: index.parse()?,
        })
    }

    /// The invoice as the API shows it now.
    pub(super) async fn shown(&self, invoice: &Invoice) -> Result<Value> {
        let path = format!("/v1/invoices/{}", invoice.id);
        self.api.get(&path).await?.value()
    }

    /// Waits until an invoice has a status, and gives the invoice.
    pub(super) async fn until(&self, invoice: &Invoice, status: &str) -> Result<Value> {
        self.until_within(PATIENCE, invoice, status).await
    }

    /// The same with another patience.
    pub(super) async fn until_within(
        &self,
        patience: Duration,
        invoice: &Invoice,
        status: &str,
    ) -> Result<Value> {
        let mut last = Value::Null;
        let waited = eventually(status, patience, async || {
            last = self.shown(invoice).await?;
            Ok((last["status"] == json!(status)).then_some(()))
        });
        waited.await.with_context(|| format!("it is {last}"))?;
        Ok(last)
    }

    /// Waits until the node's chain is halted, and gives the reason.
    pub(super) async fn until_halted(&self) -> Result<String> {
        eventually("a halt", PATIENCE, async || {
            let chain = self.chain(CHAIN).await?;
            Ok(chain["halted"].as_str().map(str::to_owned))
        })
        .await
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

    /// The types of everything that was told of an invoice, oldest first.
    pub(super) async fn told(&self, invoice: &Invoice) -> Result<Vec<String>> {
        let path = format!("/v1/invoices/{}/events?limit=100", invoice.id);
        let events = self.api.get(&path).await?.rows()?;
        let kinds = events.iter().rev().filter_map(|event| {
            let kind = event["type"].as_str()?;
            Some(kind.trim_start_matches("invoice.").to_owned())
        });
        Ok(kinds.collect())
    }

    /// The kinds of an invoice's exceptions that are open, with their amounts.
    pub(super) async fn open_exceptions(&self, invoice: &Invoice) -> Result<Vec<(String, String)>> {
        let shown = self.shown(invoice).await?;
        let exceptions = shown["exceptions"].as_array().context("a list")?;
        let open = exceptions.iter().filter(|one| one["state"] == "open");
        let mut open: Vec<(String, String)> = open
            .filter_map(|one| {
                let text = |field: &str| one[field].as_str().map(str::to_owned);
                Some((text("kind")?, text("amount_atomic")?))
            })
            .collect();
        open.sort();
        Ok(open)
    }
}

/// A failed test shows what the watcher said; the output of the others is not shown at all.
impl Drop for EvmHouse {
    fn drop(&mut self) {
        let log = self.watcher.log();
        // What was asked without a fault says little.
        let is_news = |line: &&str| !line.contains("answered status=200");
        let lines: Vec<&str> = log.lines().filter(is_news).collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        println!("the end of the watcher's log:\n{}", last.join("\n"));
    }
}
