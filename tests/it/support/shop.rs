//! A merchant at a watcher, whatever chains it follows: invoices with one option, and what is said of them.

use super::PATIENCE;
use anyhow::{Context, Result};
use paywatch_testkit::{Api, Watcher, eventually};
use serde_json::{Value, json};
use std::time::Duration;

/// Lines of the watcher's log that a failed test shows.
const LOG_LINES: usize = 60;

/// A watcher, and a key that may do everything.
pub(crate) struct Shop {
    pub(crate) watcher: Watcher,
    pub(crate) api: Api,
}

/// An invoice with one option.
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) address: String,
    /// Its place in the merchant's wallet.
    pub(crate) index: u32,
    /// What payers' wallets read.
    pub(crate) payment_uri: String,
}

impl Shop {
    /// The merchant of a watcher.
    pub(crate) async fn new(watcher: Watcher) -> Result<Self> {
        let api = watcher.api(&watcher.create_key("test").await?)?;
        Ok(Self { watcher, api })
    }

    /// Confirms a wallet that was just registered; gives its id.
    pub(crate) async fn confirm(&self, wallet: &Value) -> Result<String> {
        let id = wallet["id"].as_str();
        let id = id.with_context(|| format!("a wallet has an id: {wallet}"))?;
        let path = format!("/v1/wallets/{id}/confirm");
        self.api.post(&path, &json!({})).await?.value()?;
        Ok(id.to_owned())
    }

    /// What `/v1/chains` says about a chain.
    pub(crate) async fn chain(&self, name: &str) -> Result<Value> {
        let mut chains = self.api.get("/v1/chains").await?.rows()?.into_iter();
        let found = chains.find(|chain| chain["chain"] == json!(name));
        found.with_context(|| format!("{name} is not configured"))
    }

    /// Waits until invoices can be made on a chain.
    pub(crate) async fn until_accepting(&self, name: &str) -> Result<()> {
        eventually("the chain to be read", PATIENCE, async || {
            Ok((self.chain(name).await?["accepting"] == true).then_some(()))
        })
        .await
    }

    /// Waits until a chain has this problem, and gives what is said of it.
    pub(crate) async fn until_problem(&self, name: &str, code: &str) -> Result<String> {
        let mut last = Value::Null;
        let waited = eventually(code, PATIENCE, async || {
            last = self.chain(name).await?;
            Ok((last["problem"]["code"] == json!(code)).then_some(()))
        });
        waited.await.with_context(|| format!("it is {last}"))?;
        Ok(last["problem"]["detail"].to_string())
    }

    /// Waits until a chain is halted, and gives the reason.
    pub(crate) async fn until_halted(&self, name: &str) -> Result<String> {
        eventually("a halt", PATIENCE, async || {
            let chain = self.chain(name).await?;
            Ok(chain["halted"].as_str().map(str::to_owned))
        })
        .await
    }

    /// Makes an invoice with one way to pay it that expires in an hour.
    pub(crate) async fn invoice_with(&self, option: &Value) -> Result<Invoice> {
        let body = json!({ "options": [option], "expires_in_s": 3600 });
        let shown = self.api.post("/v1/invoices", &body).await?.value()?;
        Invoice::read(&shown)
    }

    /// The invoice as the API shows it now.
    pub(crate) async fn shown(&self, invoice: &Invoice) -> Result<Value> {
        let path = format!("/v1/invoices/{}", invoice.id);
        self.api.get(&path).await?.value()
    }

    /// Waits until an invoice has a status, and gives the invoice.
    pub(crate) async fn until(&self, invoice: &Invoice, status: &str) -> Result<Value> {
        self.until_within(PATIENCE, invoice, status).await
    }

    /// The same with another patience.
    pub(crate) async fn until_within(
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

    /// Waits until all money is taken back from an invoice that was paid: its amount is a person's to decide.
    pub(crate) async fn until_reverted(&self, invoice: &Invoice, amount: u128) -> Result<()> {
        let shown = self.until(invoice, "created").await?;
        assert_eq!(shown["transfers"][0]["certainty"], "gone", "{shown}");
        let open = self.open_exceptions(invoice).await?;
        assert_eq!(open, [("reverted".to_owned(), amount.to_string())]);
        Ok(())
    }

    /// Waits until it is paid once more: nothing is left to decide, and the merchant was told each step once.
    pub(crate) async fn until_paid_again(&self, invoice: &Invoice) -> Result<()> {
        self.until(invoice, "paid").await?;
        assert_eq!(self.open_exceptions(invoice).await?, []);
        let told = [
            "created",
            "confirming",
            "paid",
            "reverted",
            "exception.opened",
            "confirming",
            "paid",
            "exception.resolved",
        ];
        assert_eq!(self.told(invoice).await?, told);
        Ok(())
    }

    /// The types of everything that was told of an invoice, oldest first.
    pub(crate) async fn told(&self, invoice: &Invoice) -> Result<Vec<String>> {
        let path = format!("/v1/invoices/{}/events?limit=100", invoice.id);
        let events = self.api.get(&path).await?.rows()?;
        let kinds = events.iter().rev().filter_map(|event| {
            let kind = event["type"].as_str()?;
            Some(kind.trim_start_matches("invoice.").to_owned())
        });
        Ok(kinds.collect())
    }

    /// The kinds of an invoice's exceptions that are open, with their amounts.
    pub(crate) async fn open_exceptions(&self, invoice: &Invoice) -> Result<Vec<(String, String)>> {
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

impl Invoice {
    /// What a shop keeps of the answer.
    pub(crate) fn read(shown: &Value) -> Result<Self> {
        let field = |pointer: &str| {
            let text = shown.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned)
                .with_context(|| format!("an invoice has {pointer}: {shown}"))
        };
        let path = field("/options/0/derivation_path")?;
        let (_, index) = path.rsplit_once('/').context("a path has parts")?;
        Ok(Self {
            id: field("/id")?,
            address: field("/options/0/address")?,
            index: index.parse()?,
            payment_uri: field("/options/0/payment_uri")?,
        })
    }
}

/// A failed test shows what the watcher said; the output of the others is not shown at all.
impl Drop for Shop {
    fn drop(&mut self) {
        let log = self.watcher.log();
        // What was asked without a fault says little.
        let is_news = |line: &&str| !line.contains("answered status=200");
        let lines: Vec<&str> = log.lines().filter(is_news).collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        println!("the end of the watcher's log:\n{}", last.join("\n"));
    }
}
