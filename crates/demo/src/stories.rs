//! The stories: what is invoiced, what the merchant must be told, and how it ends.

use anyhow::Result;
use paywatch_testkit::Api;
use serde_json::{Value, json};

use crate::stage::text;

/// What happens to one invoice.
#[derive(Debug)]
pub(crate) struct Story {
    /// For people.
    pub(crate) name: &'static str,
    /// What is due, and how much.
    asset: &'static str,
    amount: &'static str,
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
/// Paid by a plain transaction of an EVM chain.
pub(crate) const COIN: usize = 5;
/// Paid by a contract, all in one transaction.
pub(crate) const TEN: std::ops::Range<usize> = 6..16;
/// Paid in a token.
pub(crate) const TOKEN: usize = 16;
/// Paid on another chain than the invoice asks for.
pub(crate) const ASTRAY: usize = 17;
/// Paid in a block that other blocks replace, and paid again.
pub(crate) const AGAIN: usize = 18;
/// Paid in SOL.
pub(crate) const SOL: usize = 19;
/// Paid in a token of Solana.
pub(crate) const SOLANA_TOKEN: usize = 20;

const HOUR_S: u64 = 3600;

/// All of them; the constants above are their places.
pub(crate) const STORIES: [Story; 21] = [
    Story {
        name: "paid exactly",
        asset: BITCOIN,
        amount: "0.0015",
        expires_in_s: HOUR_S,
        depth: None,
        ends: "paid",
        tells: &["created", "detected", "confirming", "paid"],
    },
    Story {
        name: "paid in two parts",
        asset: BITCOIN,
        amount: "0.002",
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
        asset: BITCOIN,
        amount: "0.001",
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
        asset: BITCOIN,
        amount: "0.0005",
        expires_in_s: 8,
        depth: None,
        ends: "expired",
        tells: &["created", "expired"],
    },
    Story {
        name: "reorganised away and back",
        asset: BITCOIN,
        amount: "0.0012",
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
    Story {
        name: "paid in coin",
        ..ON_EVM
    },
    OF_TEN,
    OF_TEN,
    OF_TEN,
    OF_TEN,
    OF_TEN,
    OF_TEN,
    OF_TEN,
    OF_TEN,
    OF_TEN,
    OF_TEN,
    Story {
        name: "paid in a token",
        asset: "usdc@anvil",
        amount: "25.00",
        ..ON_EVM
    },
    Story {
        name: "paid on another chain",
        ends: "created",
        tells: &["created", "exception.opened"],
        ..ON_EVM
    },
    Story {
        name: "reorganised, paid again",
        tells: &[
            "created",
            "paid",
            "reverted",
            "exception.opened",
            "paid",
            "exception.resolved",
        ],
        ..ON_EVM
    },
    Story {
        name: "paid in SOL",
        ..ON_SOLANA
    },
    Story {
        name: "paid in a token of Solana",
        asset: "usdc@surfpool",
        amount: "25.00",
        ..ON_SOLANA
    },
];

const BITCOIN: &str = "btc@bitcoin-regtest";

/// Final after one block: its node makes one every second, and two that are read at once are told as one.
const ON_EVM: Story = Story {
    name: "",
    asset: "eth@anvil",
    amount: "0.02",
    expires_in_s: HOUR_S,
    depth: Some(1),
    ends: "paid",
    tells: &["created", "paid"],
};

/// Final when confirmed, as the chain is configured.
const ON_SOLANA: Story = Story {
    name: "",
    asset: "sol@surfpool",
    amount: "0.25",
    expires_in_s: HOUR_S,
    depth: None,
    ends: "paid",
    tells: &["created", "confirming", "paid"],
};

const OF_TEN: Story = Story {
    name: "one of ten by a contract",
    ..ON_EVM
};

/// An invoice of one story.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) story: &'static Story,
    pub(crate) id: String,
    pub(crate) address: String,
    /// In atomic units.
    pub(crate) due: u128,
}

impl Story {
    /// Makes the story's invoice, as a shop does for an order.
    pub(crate) async fn invoice(&'static self, api: &Api) -> Result<Invoice> {
        let mut body = json!({
            "order_id": self.name,
            "options": [{ "asset": self.asset, "amount": self.amount }],
            "expires_in_s": self.expires_in_s,
        });
        if let Some(depth) = self.depth {
            let chain = self.asset.split('@').next_back().unwrap_or_default();
            body["policy"] = json!({ "tiers": [{ "finality": { chain: { "depth": depth } } }] });
        }
        let invoice = api.post("/v1/invoices", &body).await?.value()?;
        Ok(Invoice {
            story: self,
            id: text(&invoice, "id")?.to_owned(),
            address: text(&invoice["options"][0], "address")?.to_owned(),
            due: text(&invoice["options"][0], "amount_atomic")?.parse()?,
        })
    }
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
    fn the_least_confirmed_transfer_counts() {
        let transfer = |certainty: &str, have: u64| json!({ "certainty": certainty, "finality": { "kind": "depth", "have": have, "need": 2 } });
        assert_eq!(confirmations(&json!({ "transfers": [] })), "-");
        let two = json!({ "transfers": [transfer("final", 5), transfer("confirming", 1)] });
        assert_eq!(confirmations(&two), "1 of 2");
        let gone = json!({ "transfers": [transfer("gone", 0), transfer("final", 9)] });
        assert_eq!(confirmations(&gone), "2 of 2");
    }
}
