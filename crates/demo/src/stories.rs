//! The five stories: what is invoiced, what the merchant must be told, and how it ends.

use anyhow::Result;
use paywatch_testkit::Api;
use serde_json::{Value, json};

use crate::stage::text;

/// What happens to one invoice.
#[derive(Debug)]
pub(crate) struct Story {
    /// For people.
    pub(crate) name: &'static str,
    /// What is due, in satoshi.
    due_sat: u64,
    /// Seconds until the invoice expires.
    expires_in_s: u64,
    /// Blocks that make a payment final, where they are not the chain's own two.
    depth: Option<u32>,
    /// The status in the end.
    pub(crate) ends: &'static str,
    /// The types of all events, in order.
    pub(crate) tells: &'static [&'static str],
}

/// Paid at once, exactly.
pub(crate) const EXACT: usize = 0;
/// Paid in two parts.
pub(crate) const PARTS: usize = 1;
/// Paid more than was asked.
pub(crate) const OVER: usize = 2;
/// Never paid.
pub(crate) const UNPAID: usize = 3;
/// Paid in a block that is reorganised away.
pub(crate) const REORG: usize = 4;

const HOUR_S: u64 = 3600;

/// All of them; the constants above are their places.
pub(crate) const STORIES: [Story; 5] = [
    Story {
        name: "paid exactly",
        due_sat: 150_000,
        expires_in_s: HOUR_S,
        depth: None,
        ends: "paid",
        tells: &["created", "detected", "confirming", "paid"],
    },
    Story {
        name: "paid in two parts",
        due_sat: 200_000,
        expires_in_s: HOUR_S,
        depth: None,
        ends: "paid",
        tells: &[
            "created",
            "detected",
            "confirming",
            "underpaid",
            "detected",
            "confirming",
            "paid",
        ],
    },
    Story {
        name: "paid too much",
        due_sat: 100_000,
        expires_in_s: HOUR_S,
        depth: None,
        ends: "overpaid",
        tells: &[
            "created",
            "detected",
            "confirming",
            "overpaid",
            "exception.opened",
            "exception.resolved",
        ],
    },
    Story {
        name: "never paid",
        due_sat: 50_000,
        expires_in_s: 8,
        depth: None,
        ends: "expired",
        tells: &["created", "expired"],
    },
    Story {
        name: "reorganised away and back",
        due_sat: 120_000,
        expires_in_s: HOUR_S,
        // Final after one block, which is less than a merchant should ask for, so that a
        // reorganisation of one block takes away what was called paid.
        depth: Some(1),
        ends: "paid",
        tells: &[
            "created",
            "detected",
            "paid",
            "reverted",
            "exception.opened",
            "detected",
            "paid",
            "exception.resolved",
        ],
    },
];

/// An invoice of one story.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) story: &'static Story,
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) due_sat: u64,
}

impl Story {
    /// Makes the story's invoice, as a shop does for an order.
    pub(crate) async fn invoice(&'static self, api: &Api) -> Result<Invoice> {
        let mut body = json!({
            "order_id": self.name,
            "options": [{ "asset": "btc@bitcoin-regtest", "amount": decimal(self.due_sat) }],
            "expires_in_s": self.expires_in_s,
        });
        if let Some(depth) = self.depth {
            body["policy"] =
                json!({ "tiers": [{ "finality": { "bitcoin-regtest": { "depth": depth } } }] });
        }
        let invoice = api.post("/v1/invoices", &body).await?.value()?;
        Ok(Invoice {
            story: self,
            id: text(&invoice, "id")?.to_owned(),
            address: text(&invoice["options"][0], "address")?.to_owned(),
            due_sat: self.due_sat,
        })
    }
}

/// Satoshi as a decimal amount of bitcoin.
pub(crate) fn decimal(sat: u64) -> String {
    format!("{}.{:08}", sat / 100_000_000, sat % 100_000_000)
}

/// How many of the needed blocks the least confirmed transfer has: `1 of 2`, or nothing.
pub(crate) fn confirmations(invoice: &Value) -> String {
    let transfers = invoice["transfers"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let progress = transfers
        .iter()
        .filter(|transfer| transfer["certainty"] != json!("gone"))
        .filter_map(|transfer| {
            let finality = &transfer["finality"];
            Some((finality["have"].as_u64()?, finality["need"].as_u64()?))
        });
    match progress.min() {
        None => "-".to_owned(),
        Some((have, need)) => format!("{} of {need}", have.min(need)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn satoshi_are_written_exactly() {
        assert_eq!(decimal(1), "0.00000001");
        assert_eq!(decimal(2_100_000_000_000_000), "21000000.00000000");
    }

    #[test]
    fn the_least_confirmed_transfer_counts() {
        let transfer = |certainty: &str, have: u64| json!({ "certainty": certainty, "finality": { "kind": "depth", "have": have, "need": 2 } });
        assert_eq!(confirmations(&json!({ "transfers": [] })), "-");
        let two = json!({ "transfers": [transfer("final", 5), transfer("confirming", 1)] });
        assert_eq!(confirmations(&two), "1 of 2");
        let gone = json!({ "transfers": [transfer("gone", 0), transfer("final", 9)] });
        assert_eq!(confirmations(&gone), "2 of 2");
    }
}
