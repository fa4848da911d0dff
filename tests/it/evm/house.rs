//! A house with an EVM node.

use crate::support::PATIENCE;
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{
    Anvil, AnvilOptions, Api, Argument, Contract, EvmWallet, FollowedChain, Watcher,
    WatcherOptions, eventually,
};
use serde_json::{Value, json};

/// The name of the node's chain.
pub(super) const CHAIN: &str = "anvil";
/// Wei of a thousandth of the coin.
pub(super) const MILLI: u128 = 1_000_000_000_000_000;
/// Lines of the watcher's log that a failed test shows.
const LOG_LINES: usize = 60;

/// A node that makes blocks on demand, the watcher, and a merchant with a confirmed wallet.
pub(super) struct EvmHouse {
    pub(super) node: Anvil,
    pub(super) watcher: Watcher,
    pub(super) api: Api,
    wallet: EvmWallet,
}

/// A token of a test on the node.
pub(super) struct Deployed {
    pub(super) contract: Contract,
    pub(super) address: String,
}

/// An invoice with one option.
pub(super) struct Invoice {
    pub(super) id: String,
    pub(super) address: String,
}

impl Deployed {
    /// Puts a contract onto a node, with some coin.
    pub(super) async fn new(node: &Anvil, name: &str, wei: u128) -> Result<Self> {
        let contract = Contract::named(name).await?;
        let address = node.deploy(&contract, &[], wei).await?;
        Ok(Self { contract, address })
    }

    /// Calls a method.
    pub(super) async fn call(
        &self,
        node: &Anvil,
        method: &str,
        arguments: &[Argument],
        wei: u128,
    ) -> Result<String> {
        let called = (&self.contract, self.address.as_str());
        node.call(called, method, arguments, wei).await
    }

    /// Lets a token pay: `transfer(address,uint256)`.
    pub(super) async fn transfer(&self, node: &Anvil, to: &str, value: u128) -> Result<String> {
        let arguments = [Argument::Account(to.into()), Argument::Number(value)];
        self.call(node, "transfer", &arguments, 0).await
    }
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
        Ok(Invoice {
            id: field("/id")?,
            address: field("/options/0/address")?,
        })
    }

    /// The invoice as the API shows it now.
    pub(super) async fn shown(&self, invoice: &Invoice) -> Result<Value> {
        let path = format!("/v1/invoices/{}", invoice.id);
        self.api.get(&path).await?.value()
    }

    /// Waits until an invoice has a status, and gives the invoice.
    pub(super) async fn until(&self, invoice: &Invoice, status: &str) -> Result<Value> {
        let mut last = Value::Null;
        let waited = eventually(status, PATIENCE, async || {
            last = self.shown(invoice).await?;
            Ok((last["status"] == json!(status)).then_some(()))
        });
        waited.await.with_context(|| format!("it is {last}"))?;
        Ok(last)
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
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        println!("the end of the watcher's log:\n{}", last.join("\n"));
    }
}
