//! Everything the demo runs: a Bitcoin node, somebody who pays, the watcher, a merchant's backend.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Api, Bitcoind, Payer, WalletKey, Watcher, WatcherOptions, eventually};
use serde_json::{Value, json};

use crate::merchant::Merchant;
use crate::screen::Screen;

/// How long the watcher may take to read the node for the first time.
const FIRST_READ_LIMIT: Duration = Duration::from_secs(30);
/// The number of the merchant's wallet; any.
const WALLET: u8 = 42;

/// The running parts. They end with it.
pub(crate) struct Stage {
    pub(crate) node: Bitcoind,
    pub(crate) payer: Payer,
    pub(crate) watcher: Watcher,
    pub(crate) merchant: Merchant,
    pub(crate) api: Api,
}

impl Stage {
    /// Starts everything, registers the merchant's public key and its webhook endpoint.
    pub(crate) async fn set(screen: &Screen) -> Result<Self> {
        screen.say("starting a Bitcoin node (regtest) and giving a payer some coins");
        let node = Bitcoind::start().await?;
        let payer = Payer::new(&node).await?;
        screen.say("starting paywatch (SQLite) and a merchant's backend");
        let watcher = Watcher::start(&node, &WatcherOptions::default()).await?;
        let api = watcher.api(&watcher.create_key("test").await?)?;
        let merchant = Merchant::start().await?;
        let stage = Self {
            node,
            payer,
            watcher,
            merchant,
            api,
        };
        stage.register_wallet(screen).await?;
        let endpoint = json!({ "url": stage.merchant.url() });
        let endpoint = stage
            .api
            .post("/v1/webhook-endpoints", &endpoint)
            .await?
            .value()?;
        stage.merchant.trust(text(&endpoint, "secret")?);
        eventually(
            "paywatch to have read the node",
            FIRST_READ_LIMIT,
            async || {
                let chains = stage.api.get("/v1/chains").await?.rows()?;
                Ok(chains
                    .iter()
                    .any(|chain| chain["accepting"] == json!(true))
                    .then_some(()))
            },
        )
        .await?;
        Ok(stage)
    }

    /// The watcher gets a public key only; its first addresses are compared with the wallet's own
    /// before anything is paid to them.
    async fn register_wallet(&self, screen: &Screen) -> Result<()> {
        let wallet = WalletKey::new(WALLET)?;
        let body = json!({ "chain_family": "bitcoin", "key": wallet.vpub(), "label": "demo" });
        let shown = self.api.post("/v1/wallets", &body).await?.value()?;
        let addresses = shown["first_addresses"]
            .as_array()
            .context("a wallet shows addresses")?;
        for (index, address) in (0..).zip(addresses) {
            let own = wallet.address(index)?;
            ensure!(
                address["address"] == json!(own),
                "address {index} is not the wallet's {own}"
            );
        }
        let id = text(&shown, "id")?;
        self.api
            .post(&format!("/v1/wallets/{id}/confirm"), &json!({}))
            .await?
            .value()?;
        screen.say("the merchant's public key is registered; its addresses are the wallet's own");
        Ok(())
    }
}

/// A field of an answer that is a text.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field]
        .as_str()
        .with_context(|| format!("an answer without {field}: {value}"))
}
