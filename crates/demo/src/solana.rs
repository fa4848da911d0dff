//! What happens on Solana: a payment in SOL, and one in a token that is like USDC.

use anyhow::{Result, ensure};
use paywatch_testkit::{FollowedChain, Landed, Surfnet};

use crate::play::Play;
use crate::stories::{SOL, SOLANA_TOKEN};

/// The account of a phrase that everybody knows, at `m/44'/501'/0'`: a public key, as `paywatch-offline xpub` prints it.
pub(crate) const ACCOUNT: &str = "acct_xvk1qw4wfnu24pgkffqmrqad7e0rg3uzjhytk5uln00upw2xgs3quw4z45gdgaczvgaema9vd0jp6kw60s7q9jx7dcmthds4ckxw8asthegh0kvkq";
/// Slots after a payment, so that it is read.
const SLOTS: u64 = 2;

/// A node, and a token with six decimals on it.
pub(crate) struct Solana {
    node: Surfnet,
    token: String,
}

impl Solana {
    /// Starts the node and makes the token.
    pub(crate) async fn start() -> Result<Self> {
        let node = Surfnet::start().await?;
        let token = node.mint(6).await?;
        Ok(Self { node, token })
    }

    /// Its chain as the watcher follows it: what two thirds of the stake have voted for is final.
    pub(crate) fn chain(&self) -> FollowedChain {
        FollowedChain::solana("surfpool", &self.node)
            .with_token("usdc", 6, &self.token)
            .final_by("{ commitment = \"confirmed\" }")
    }

    /// Lets a slot or two pass, and finds that a payment is in a block.
    async fn landed(&self, landed: &Landed) -> Result<()> {
        ensure!(landed.error.is_null(), "{} failed", landed.signature);
        self.node.pass(SLOTS).await.map(drop)
    }
}

impl Play<'_> {
    /// All that happens there.
    pub(crate) async fn on_solana(&self) -> Result<()> {
        let solana = &self.stage.solana;
        self.beat("on Solana a customer pays in SOL, and another one in a token")
            .await;
        let coin = self.invoice(SOL)?;
        let due = u64::try_from(coin.due)?;
        let landed = solana.node.pay(&coin.address, due).await?;
        solana.landed(&landed).await?;
        self.until(SOL, "paid").await?;
        let token = self.invoice(SOLANA_TOKEN)?;
        let due = u64::try_from(token.due)?;
        let sent = solana.node.send_tokens(&solana.token, &token.address, due);
        solana.landed(&sent.await?).await?;
        self.until(SOLANA_TOKEN, "paid").await
    }
}
