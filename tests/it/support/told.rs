//! What the merchant was told about an invoice: by webhooks, and by its numbered history.

use super::{HOOKS, House, Invoice, PATIENCE};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::bitcoin::{Amount, Denomination};
use paywatch_testkit::{Received, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An amount of the API in satoshi.
fn sat(value: &Value) -> Result<u64> {
    let text = value
        .as_str()
        .with_context(|| format!("{value} is no amount"))?;
    Ok(Amount::from_str_in(text, Denomination::Bitcoin)?.to_sat())
}

/// A sum of the first option, in satoshi: `seen`, `confirming`, `final`, `late`, ...
pub(crate) fn tally(invoice: &Value, sum: &str) -> Result<u64> {
    tally_of(invoice, 0, sum)
}

/// A sum of an option by its place, in satoshi.
pub(crate) fn tally_of(invoice: &Value, place: usize, sum: &str) -> Result<u64> {
    sat(&invoice["options"][place]["tally"][sum])
}

/// The status of the invoice in each event, in order.
pub(crate) fn statuses(events: &[Value]) -> Vec<&str> {
    let invoices = events.iter().map(|event| &event["data"]["invoice"]);
    invoices
        .filter_map(|invoice| invoice["status"].as_str())
        .collect()
}

impl House {
    /// The numbered history of an invoice, oldest first. Its versions have no gaps, its events no
    /// second one with the same id.
    pub(crate) async fn history(&self, invoice: &Invoice) -> Result<Vec<Value>> {
        let path = format!("/v1/invoices/{}/events?limit=100", invoice.id);
        let mut events = self.api.get(&path).await?.rows()?;
        events.reverse();
        for (version, event) in (1_u64..).zip(&events) {
            let found = &event["data"]["invoice"]["version"];
            ensure!(
                *found == json!(version),
                "version {version} is {found} in {events:?}"
            );
        }
        let ids: BTreeSet<String> = events.iter().map(|event| event["id"].to_string()).collect();
        ensure!(
            ids.len() == events.len(),
            "an event stands twice: {events:?}"
        );
        Ok(events)
    }

    /// The webhooks about an invoice at a path of the receiver, in the order of their arrival;
    /// further attempts of an event are left out.
    pub(crate) fn webhooks(&self, invoice: &Invoice, path: &str) -> Result<Vec<Received>> {
        let mut known = BTreeSet::new();
        let mut first = Vec::new();
        for request in self.receiver.requests_to(path) {
            let event = request.json()?;
            ensure!(
                event["id"] == json!(request.header("webhook-id")),
                "{event}"
            );
            let about = &event["data"]["invoice"]["id"];
            if *about == json!(invoice.id) && known.insert(event["id"].to_string()) {
                first.push(request);
            }
        }
        Ok(first)
    }

    /// Waits until every event of an invoice arrived at the merchant, in order, with the bytes
    /// that the history shows; gives the history.
    pub(crate) async fn until_told(&self, invoice: &Invoice) -> Result<Vec<Value>> {
        let version = self.shown(invoice).await?["version"]
            .as_u64()
            .context("a version")?;
        let events = self.history(invoice).await?;
        ensure!(
            u64::try_from(events.len())? == version,
            "version {version} is not the last"
        );
        let count = events.len();
        eventually("all webhooks of an invoice", PATIENCE, async || {
            Ok((self.webhooks(invoice, HOOKS)?.len() >= count).then_some(()))
        })
        .await?;
        let bodies: Vec<Value> = self
            .webhooks(invoice, HOOKS)?
            .iter()
            .map(Received::json)
            .collect::<Result<_>>()?;
        ensure!(
            bodies == events,
            "webhooks: {bodies:#?}\nhistory: {events:#?}"
        );
        Ok(events)
    }

    /// The merchant must have been told exactly this, in this order.
    pub(crate) async fn expect_told(&self, invoice: &Invoice, types: &[&str]) -> Result<()> {
        let events = self.until_told(invoice).await?;
        let kinds: Vec<&str> = events
            .iter()
            .filter_map(|event| event["type"].as_str())
            .collect();
        let expected = types.iter().map(|kind| match kind.split_once('.') {
            Some(_) => (*kind).to_owned(),
            None => format!("invoice.{kind}"),
        });
        let expected: Vec<String> = expected.collect();
        ensure!(
            kinds == expected,
            "expected {expected:?}, and this was told: {kinds:?}"
        );
        Ok(())
    }
}
