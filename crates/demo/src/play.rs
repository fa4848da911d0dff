//! The order in which payments and blocks come, and what must follow from each.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use paywatch_testkit::{eventually, sleep};
use serde_json::{Value, json};

use crate::screen::Screen;
use crate::stage::{Stage, text};
use crate::stories::{EXACT, Invoice, OVER, PARTS, REORG, STORIES, UNPAID};

/// How long the watcher may take to see what happened.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A person needs a moment to read what changed.
const READING: Duration = Duration::from_millis(900);
/// Lines of a log are written in the order in which things happened.
const WRITING: Duration = Duration::from_millis(300);

/// What was counted in the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) invoices: usize,
    pub(crate) webhooks: usize,
}

/// Plays all stories on one node.
pub(crate) struct Play<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) screen: &'a Screen,
    pub(crate) invoices: &'a [Invoice],
}

impl Play<'_> {
    /// From the first payment to the last webhook.
    pub(crate) async fn run(&self) -> Result<Count> {
        self.first_payments().await?;
        self.decision().await?;
        self.second_part().await?;
        self.reorganisation().await?;
        self.on_evm_chains().await?;
        self.on_solana().await?;
        self.screen.say("waiting for the unpaid invoice to expire");
        self.until(UNPAID, "expired").await?;
        self.check().await
    }

    async fn first_payments(&self) -> Result<()> {
        self.beat("three customers pay: exactly, a part, too much")
            .await;
        self.pay(EXACT, 100).await?;
        self.pay(PARTS, 60).await?;
        self.pay(OVER, 125).await?;
        for story in [EXACT, PARTS, OVER] {
            self.until(story, "detected").await?;
        }
        self.beat("a block is mined").await;
        self.stage.node.mine(1).await?;
        for story in [EXACT, PARTS, OVER] {
            self.until(story, "confirming").await?;
        }
        self.beat("another block: two are final").await;
        self.stage.node.mine(1).await?;
        self.until(EXACT, "paid").await?;
        self.until(PARTS, "underpaid").await?;
        self.until(OVER, "overpaid").await
    }

    /// What was paid too much is for a person to decide.
    async fn decision(&self) -> Result<()> {
        self.beat("the shop decides about what was paid too much: the next order costs less")
            .await;
        let api = &self.stage.api;
        let path = format!("/v1/invoices/{}", self.invoice(OVER)?.id);
        let shown = api.get(&path).await?.value()?;
        let id = text(&shown["exceptions"][0], "id")?;
        let path = format!("/v1/exceptions/{id}/resolve");
        let body = json!({ "action": "refund", "note": "set off against the next order" });
        api.post(&path, &body).await?.value()?;
        Ok(())
    }

    async fn second_part(&self) -> Result<()> {
        self.beat("the second part is paid").await;
        self.pay(PARTS, 40).await?;
        self.until(PARTS, "detected").await?;
        self.beat("a block is mined").await;
        self.stage.node.mine(1).await?;
        self.until(PARTS, "confirming").await?;
        self.beat("another block").await;
        self.stage.node.mine(1).await?;
        self.until(PARTS, "paid").await
    }

    /// One block is final for this invoice. It goes away, a longer branch without the payment
    /// comes, and then a block that holds it again.
    async fn reorganisation(&self) -> Result<()> {
        let node = &self.stage.node;
        self.beat("a customer pays an invoice for which one block is final")
            .await;
        self.pay(REORG, 100).await?;
        self.until(REORG, "detected").await?;
        self.beat("a block is mined").await;
        let block = node.mine(1).await?;
        self.until(REORG, "paid").await?;
        self.beat("that block is reorganised away by two others: what was paid is so no more")
            .await;
        node.invalidate(block.first().context("one block was mined")?)
            .await?;
        node.mine_empty(2).await?;
        self.until(REORG, "detected").await?;
        self.beat("the next block holds it again").await;
        node.mine(1).await?;
        self.until(REORG, "paid").await
    }

    /// Pays a part of what is due, in percent.
    async fn pay(&self, story: usize, percent: u64) -> Result<()> {
        let invoice = self.invoice(story)?;
        let amount_sat = u64::try_from(invoice.due)? * percent / 100;
        self.stage
            .payer
            .pay(&[(&invoice.address, amount_sat)])
            .await?;
        Ok(())
    }

    pub(crate) fn invoice(&self, story: usize) -> Result<&Invoice> {
        self.invoices
            .get(story)
            .context("every story has an invoice")
    }

    /// Says what comes next, and lets people read.
    pub(crate) async fn beat(&self, text: &str) {
        sleep(if self.screen.is_watched() {
            READING
        } else {
            WRITING
        })
        .await;
        self.screen.say(text);
    }

    /// Waits until the API says that an invoice has a status.
    pub(crate) async fn until(&self, story: usize, status: &str) -> Result<()> {
        let invoice = self.invoice(story)?;
        let name = invoice.story.name;
        let path = format!("/v1/invoices/{}", invoice.id);
        let mut last = Value::Null;
        let waited = eventually(status, PATIENCE, async || {
            last = self.stage.api.get(&path).await?.value()?;
            Ok((last["status"] == json!(status)).then_some(()))
        });
        if let Err(error) = waited.await {
            let log = self.stage.watcher.log();
            let tail: Vec<&str> = log.lines().rev().take(8).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            bail!(
                "the invoice \"{name}\" should be {status} and is {}: {error:#}\n\
                 the end of paywatch's log:\n{}",
                last["status"],
                tail.join("\n")
            );
        }
        Ok(())
    }

    /// Holds what the merchant was told against the stories.
    async fn check(&self) -> Result<Count> {
        self.screen.say("waiting for the last webhooks");
        let told = |invoice: &Invoice| {
            let ledger = self.stage.merchant.ledger();
            ledger
                .invoices
                .get(&invoice.id)
                .cloned()
                .unwrap_or_default()
        };
        for invoice in self.invoices {
            let (name, tells) = (invoice.story.name, invoice.story.tells);
            let arrived = eventually("webhooks", PATIENCE, async || {
                Ok((told(invoice).types.len() >= tells.len()).then_some(()))
            });
            // When some are missing, the comparison says which.
            let _ = arrived.await;
            let types = told(invoice).types;
            let expected: Vec<(u64, String)> = (1..)
                .zip(tells.iter().map(|tell| match tell.split_once('.') {
                    Some(_) => (*tell).to_owned(),
                    None => format!("invoice.{tell}"),
                }))
                .collect();
            let came: Vec<(u64, String)> = types.into_iter().collect();
            ensure!(
                came == expected,
                "\"{name}\": these events should have come: {expected:?}; these came: {came:?}"
            );
            self.check_end(invoice).await?;
        }
        let ledger = self.stage.merchant.ledger();
        ensure!(
            ledger.refused.is_empty(),
            "webhooks were not believed: {:?}",
            ledger.refused
        );
        let expected: usize = STORIES.iter().map(|story| story.tells.len()).sum();
        let webhooks = ledger.verified.len();
        ensure!(
            webhooks == expected,
            "{expected} events should have come, and {webhooks} came"
        );
        Ok(Count {
            invoices: self.invoices.len(),
            webhooks,
        })
    }

    /// A backend reads the canonical state before it ships.
    async fn check_end(&self, invoice: &Invoice) -> Result<()> {
        let path = format!("/v1/invoices/{}", invoice.id);
        let shown = self.stage.api.get(&path).await?.value()?;
        let (name, ends) = (invoice.story.name, invoice.story.ends);
        ensure!(
            shown["status"] == json!(ends),
            "\"{name}\" should end {ends}: {shown}"
        );
        let version = u64::try_from(invoice.story.tells.len())?;
        ensure!(
            shown["version"] == json!(version),
            "\"{name}\" should end at version {version}"
        );
        Ok(())
    }
}
