//! What happens on the EVM chains: a plain payment, one that a contract makes to ten invoices, a token, the
//! wrong chain, and blocks that others replace.

use anyhow::{Context, Result};
use paywatch_testkit::{Anvil, AnvilOptions, Argument, Contract, FollowedChain, eventually};
use serde_json::json;

use crate::play::{PATIENCE, Play};
use crate::stories::{AGAIN, ASTRAY, COIN, TEN, TOKEN};

/// The number of the second chain; the first has the usual one.
const SECOND_CHAIN_ID: u64 = 31_338;
/// What the payer has of the token, in atomic units.
const TOKENS: u128 = 1_000_000_000;

/// Two nodes with chains of their own, and what is on the first.
pub(crate) struct Ethereum {
    pub(crate) first: Anvil,
    second: Anvil,
    token: Deployed,
    payer: Deployed,
}

struct Deployed {
    contract: Contract,
    address: String,
}

impl Deployed {
    async fn new(node: &Anvil, name: &str) -> Result<Self> {
        let contract = Contract::named(name).await?;
        let address = node.deploy(&contract, &[], 0).await?;
        Ok(Self { contract, address })
    }

    async fn call(
        &self,
        node: &Anvil,
        method: &str,
        arguments: &[Argument],
        wei: u128,
    ) -> Result<()> {
        let called = (&self.contract, self.address.as_str());
        node.call(called, method, arguments, wei).await.map(drop)
    }
}

impl Ethereum {
    /// Starts both nodes, with a block every second, and puts the contracts onto the first.
    pub(crate) async fn start() -> Result<Self> {
        let options = AnvilOptions {
            block_seconds: Some(1),
            ..AnvilOptions::default()
        };
        let first = Anvil::start_with(options.clone()).await?;
        let second = Anvil::start_with(AnvilOptions {
            chain_id: SECOND_CHAIN_ID,
            ..options
        });
        let second = second.await?;
        let token = Deployed::new(&first, "Token").await?;
        let payer = Deployed::new(&first, "BatchPayer").await?;
        let owner = first.accounts().await?;
        let owner = owner.first().context("anvil has accounts")?.clone();
        let mint = [Argument::Account(owner), Argument::Number(TOKENS)];
        token.call(&first, "mint", &mint, 0).await?;
        Ok(Self {
            first,
            second,
            token,
            payer,
        })
    }

    /// Both as the watcher follows them.
    pub(crate) fn chains(&self) -> [FollowedChain; 2] {
        [
            FollowedChain::evm("anvil", &self.first).with_token("usdc", 6, &self.token.address),
            FollowedChain::evm("anvil-second", &self.second),
        ]
    }
}

impl Play<'_> {
    /// All that happens there.
    pub(crate) async fn on_evm_chains(&self) -> Result<()> {
        let Ethereum {
            first,
            second,
            token,
            payer,
        } = &self.stage.ethereum;
        self.beat("on an EVM chain a customer pays in coin, and another one in a token")
            .await;
        let coin = self.invoice(COIN)?;
        first.pay(&coin.address, coin.due).await?;
        let bought = self.invoice(TOKEN)?;
        let transfer = [
            Argument::Account(bought.address.clone()),
            Argument::Number(bought.due),
        ];
        token.call(first, "transfer", &transfer, 0).await?;
        self.until(COIN, "paid").await?;
        self.until(TOKEN, "paid").await?;

        self.beat("a contract pays ten invoices in one transaction")
            .await;
        let ten = TEN.map(|story| self.invoice(story));
        let ten = ten.collect::<Result<Vec<_>>>()?;
        let to = ten.iter().map(|invoice| invoice.address.clone());
        let due = ten.iter().map(|invoice| invoice.due);
        let arguments = [
            Argument::Accounts(to.collect()),
            Argument::Numbers(due.clone().collect()),
        ];
        payer.call(first, "pay", &arguments, due.sum()).await?;
        for story in TEN {
            self.until(story, "paid").await?;
        }

        self.beat("a customer pays on another chain than asked for: an exception, not silence")
            .await;
        let astray = self.invoice(ASTRAY)?;
        second.pay(&astray.address, astray.due).await?;
        let path = format!("/v1/invoices/{}", astray.id);
        eventually("the payment astray", PATIENCE, async || {
            let shown = self.stage.api.get(&path).await?.value()?;
            Ok((shown["exceptions"][0]["kind"] == json!("wrong_chain")).then_some(()))
        })
        .await?;
        self.replaced(first).await
    }

    async fn replaced(&self, node: &Anvil) -> Result<()> {
        self.beat("a customer pays, and the node replaces the last blocks by empty ones")
            .await;
        let again = self.invoice(AGAIN)?;
        let before = node.height().await?;
        node.pay(&again.address, again.due).await?;
        self.until(AGAIN, "paid").await?;
        let depth = node.height().await?.saturating_sub(before);
        node.reorg(depth).await?;
        self.until(AGAIN, "created").await?;
        self.beat("the money is gone with them; the customer pays again")
            .await;
        node.pay(&again.address, again.due).await?;
        self.until(AGAIN, "paid").await
    }
}
