//! Everything the demo runs: a Bitcoin node, two EVM nodes, a Solana node, somebody who pays, the watcher, a merchant's backend.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use paywatch_testkit::{
    Api, Bitcoind, EvmWallet, FollowedChain, Payer, WalletKey, Watcher, WatcherOptions, eventually,
    other_solana_addresses,
};
use serde_json::{Value, json};

use crate::evm::Ethereum;
use crate::merchant::Merchant;
use crate::screen::Screen;
use crate::solana::{ACCOUNT, Solana};

/// How long the watcher may take to read the node for the first time.
const FIRST_READ_LIMIT: Duration = Duration::from_secs(30);
/// The number of the merchant's wallets; any.
const WALLET: u8 = 42;
/// Indexes whose addresses are compared.
const FIRST: [u32; 3] = [0, 1, 2];

/// The running parts. They end with it.
pub(crate) struct Stage {
    pub(crate) node: Bitcoind,
    pub(crate) payer: Payer,
    pub(crate) ethereum: Ethereum,
    pub(crate) solana: Solana,
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
        screen.say("starting two EVM nodes (anvil), with contracts on the first");
        let ethereum = Ethereum::start().await?;
        screen.say("starting a Solana node (surfpool), with a token on it");
        let solana = Solana::start().await?;
        screen.say("starting paywatch (SQLite) and a merchant's backend");
        let mut further_chains: Vec<FollowedChain> = ethereum.chains().into();
        further_chains.push(solana.chain());
        let options = WatcherOptions {
            further_chains,
            ..WatcherOptions::default()
        };
        let watcher = Watcher::start(&node, &options).await?;
        let api = watcher.api(&watcher.create_key("test").await?)?;
        let merchant = Merchant::start().await?;
        let stage = Self {
            node,
            payer,
            ethereum,
            solana,
            watcher,
            merchant,
            api,
        };
        stage.register_wallets(screen).await?;
        let endpoint = json!({ "url": stage.merchant.url() });
        let endpoint = stage
            .api
            .post("/v1/webhook-endpoints", &endpoint)
            .await?
            .value()?;
        stage.merchant.trust(text(&endpoint, "secret")?);
        eventually(
            "paywatch to have read the nodes",
            FIRST_READ_LIMIT,
            async || {
                let chains = stage.api.get("/v1/chains").await?.rows()?;
                Ok(chains
                    .iter()
                    .all(|chain| chain["accepting"] == json!(true))
                    .then_some(()))
            },
        )
        .await?;
        Ok(stage)
    }

    /// The watcher gets public keys only; their first addresses are compared with the wallets' own before
    /// anything is paid to them.
    async fn register_wallets(&self, screen: &Screen) -> Result<()> {
        let (bitcoin, evm) = (WalletKey::new(WALLET)?, EvmWallet::new(WALLET)?);
        let own: Result<Vec<String>> = FIRST.iter().map(|index| bitcoin.address(*index)).collect();
        self.register("bitcoin", &bitcoin.vpub(), &own?).await?;
        let own = evm.addresses(&FIRST).await?;
        self.register("evm", &evm.xpub(), &own).await?;
        let own = other_solana_addresses(ACCOUNT, &FIRST).await?;
        self.register("solana", ACCOUNT, &own).await?;
        screen
            .say("the merchant's public keys are registered; their addresses are the wallets' own");
        Ok(())
    }

    async fn register(&self, family: &str, key: &str, own: &[String]) -> Result<()> {
        let body = json!({ "chain_family": family, "key": key, "label": "demo" });
        let shown = self.api.post("/v1/wallets", &body).await?.value()?;
        for (place, own) in own.iter().enumerate() {
            let address = &shown["first_addresses"][place]["address"];
            ensure!(
                *address == json!(own),
                "{address} is not the wallet's {own}"
            );
        }
        let id = text(&shown, "id")?;
        self.api
            .post(&format!("/v1/wallets/{id}/confirm"), &json!({}))
            .await?
            .value()?;
        Ok(())
    }
}

/// A field of an answer that is a text.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field]
        .as_str()
        .with_context(|| format!("an answer without {field}: {value}"))
}
