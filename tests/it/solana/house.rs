//! A house with a Solana node.

use crate::support::shop::{Invoice, Shop};
use crate::support::{HOOKS, PATIENCE, words_at};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{
    Delivery, FollowedChain, Landed, Receiver, Surfnet, Verifier, Watcher, WatcherOptions,
    eventually, solana_pool,
};
use serde_json::{Value, json};
use std::ops::Deref;

/// The name of the node's chain.
pub(super) const CHAIN: &str = "surfpool";
/// The account `m/44'/501'/0'` of the phrase `abandon … about`.
pub(super) const ACCOUNT: &str = "acct_xvk1qw4wfnu24pgkffqmrqad7e0rg3uzjhytk5uln00upw2xgs3quw4z45gdgaczvgaema9vd0jp6kw60s7q9jx7dcmthds4ckxw8asthegh0kvkq";
/// Lamports of a whole coin.
pub(super) const SOL: u64 = 1_000_000_000;
/// What two thirds of the stake have voted for is final.
pub(super) const CONFIRMED: &str = r#"{ commitment = "confirmed" }"#;
/// Nothing is final that could be dropped.
pub(super) const FINALIZED: &str = r#"{ commitment = "finalized" }"#;
/// Addresses in the merchant's pool.
const POOL: usize = 24;

/// A node whose slots pass when something is sent, the watcher, and a merchant with a receiver and a pool of
/// addresses, whose keys the node has.
pub(super) struct SolanaHouse {
    pub(super) node: Surfnet,
    /// A mint that is listed, with six decimals.
    pub(super) usdc: String,
    receiver: Receiver,
    secret: String,
    shop: Shop,
}

/// How invoices get their addresses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// From an extended public key.
    Account,
    /// From a file.
    Pool,
    /// One address, with a reference for each invoice.
    Pay,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Account, Self::Pool, Self::Pay];
}

impl SolanaHouse {
    /// A house in which confirmed blocks are final.
    pub(super) async fn new() -> Result<Self> {
        Self::final_by(CONFIRMED).await
    }

    /// A house with a rule by which money is final.
    pub(super) async fn final_by(rule: &str) -> Result<Self> {
        let node = Surfnet::start().await?;
        Self::on(node, |chain| chain.final_by(rule)).await
    }

    /// A house on a node, whose chain may be described otherwise before it is followed.
    pub(super) async fn on(
        node: Surfnet,
        change: impl FnOnce(FollowedChain) -> FollowedChain,
    ) -> Result<Self> {
        let usdc = node.mint(6).await?;
        let chain = FollowedChain::solana(CHAIN, &node)
            .with_token("usdc", 6, &usdc)
            .final_by(CONFIRMED);
        let chain = change(chain);
        let watcher = Watcher::start_on(&[chain], &WatcherOptions::default()).await?;
        let shop = Shop::new(watcher).await?;
        let receiver = Receiver::start().await?;
        let body = json!({ "url": receiver.url(HOOKS) });
        let endpoint = shop.api.post("/v1/webhook-endpoints", &body).await?;
        let secret = endpoint.value()?["secret"].as_str().map(str::to_owned);
        let house = Self {
            node,
            usdc,
            receiver,
            secret: secret.context("an endpoint has a secret")?,
            shop,
        };
        house.wallet(Way::Pool).await?;
        house.until_accepting(CHAIN).await?;
        Ok(house)
    }

    /// Registers and confirms a wallet; the first one is the merchant's default.
    pub(super) async fn wallet(&self, way: Way) -> Result<String> {
        let mut body = json!({ "chain_family": "solana" });
        match way {
            Way::Account => body["key"] = json!(ACCOUNT),
            Way::Pool => body["pool"] = json!(solana_pool(&self.people(POOL).await?)),
            Way::Pay => {
                let recipient = self.node.person().await?;
                self.node.pay(&recipient, SOL).await?;
                body["key"] = json!(recipient);
            }
        }
        let wallet = self.api.post("/v1/wallets", &body).await?.value()?;
        self.confirm(&wallet).await
    }

    /// Addresses of new people.
    pub(super) async fn people(&self, count: usize) -> Result<Vec<String>> {
        let mut people = Vec::with_capacity(count);
        for _ in 0..count {
            people.push(self.node.person().await?);
        }
        Ok(people)
    }

    /// An invoice with an address of the pool.
    pub(super) async fn invoice(&self, symbol: &str, amount: &str) -> Result<Invoice> {
        let option = json!({ "asset": format!("{symbol}@{CHAIN}"), "amount": amount });
        self.invoice_with(&option).await
    }

    /// An invoice of a wallet.
    pub(super) async fn invoice_of(
        &self,
        wallet: &str,
        symbol: &str,
        amount: &str,
    ) -> Result<Invoice> {
        let asset = format!("{symbol}@{CHAIN}");
        let option = json!({ "asset": asset, "amount": amount, "wallet_id": wallet });
        self.invoice_with(&option).await
    }

    /// Lets the payer do something for an invoice, whatever comes of it.
    pub(super) async fn act(
        &self,
        action: &str,
        invoice: &Invoice,
        mut work: Value,
    ) -> Result<Landed> {
        work["to"] = json!(invoice.address);
        self.node.act(action, work).await
    }

    /// Runs a line of the binary: whether it ended well, and all that it said.
    pub(super) async fn line(&self, line: &str) -> Result<(bool, String)> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.words(&words).await
    }

    /// The same with words that may hold spaces.
    pub(super) async fn words(&self, words: &[&str]) -> Result<(bool, String)> {
        let (status, said, complaint) = words_at(&self.watcher, &self.api, words).await?;
        Ok((status == Some(0), format!("{said}\n{complaint}")))
    }

    /// A file beside the watcher.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.watcher.folder().join(name), text).context("write a file")
    }

    /// Lets slots pass, and waits until they are read up to one.
    pub(super) async fn pass(&self, slots: u64, read: u64) -> Result<()> {
        self.node.pass(slots).await?;
        eventually("the slot to be read", PATIENCE, async || {
            let height = self.chain(CHAIN).await?["cursor"]["height"].as_u64();
            Ok(height.is_some_and(|height| read <= height).then_some(()))
        })
        .await
    }

    /// Waits until this was told of an invoice, and nothing else; the libraries of others verify all of it.
    pub(super) async fn expect_told(&self, invoice: &Invoice, types: &[&str]) -> Result<()> {
        let told = self.told(invoice).await?;
        ensure!(told == types, "told: {told:?}, expected: {types:?}");
        let arrived = eventually("the webhooks of an invoice", PATIENCE, async || {
            let mut about = Vec::new();
            for request in self.receiver.requests_to(HOOKS) {
                if request.json()?["data"]["invoice"]["id"] == json!(invoice.id) {
                    about.push(Delivery::from(&request));
                }
            }
            Ok((types.len() <= about.len()).then_some(about))
        });
        let arrived = arrived.await?;
        ensure!(arrived.len() == types.len(), "each once");
        for verifier in Verifier::ALL {
            ensure!(verifier.verify(&arrived, &self.secret).await? == types.len());
        }
        Ok(())
    }
}

impl Deref for SolanaHouse {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}
