//! What the node says of unconfirmed transactions that pay us: whether they may count without a block.
//!
//! Asked only of transactions whose outputs were found to be watched: one `getmempoolentry`
//! (<https://developer.bitcoin.org/reference/rpc/getmempoolentry.html>) each, again at a new tip while it
//! does not keep every rule, and one `estimatesmartfee`
//! (<https://developer.bitcoin.org/reference/rpc/estimatesmartfee.html>) with them.

use std::collections::{BTreeSet, HashMap, HashSet};

use paywatch_chain::Vetting;
use paywatch_chain::rpc::{Call, CallError, read};
use paywatch_domain::{Amount, TxId};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::hash::Hash256;
use crate::rpc::{NOT_FOUND, Rpc};
use crate::transaction::{SATOSHI_MAX, for_each_outpoint};

/// Decimals of amounts in the node's answers.
const DECIMALS: u8 = 8;

/// What the mempool as a whole says of fees: `getmempoolinfo`
/// (<https://developer.bitcoin.org/reference/rpc/getmempoolinfo.html>).
#[derive(Deserialize)]
pub(crate) struct Fees {
    /// What a transaction must pay to get in, in whole coins for 1,000 virtual bytes.
    #[serde(rename = "mempoolminfee")]
    least: Box<RawValue>,
    /// What a transaction must pay to be relayed, in the same unit.
    #[serde(rename = "minrelaytxfee")]
    relay: Box<RawValue>,
}

#[derive(Deserialize)]
struct Entry {
    vsize: u64,
    fees: EntryFees,
    /// Its parents that are not confirmed.
    depends: Vec<String>,
}

#[derive(Deserialize)]
struct EntryFees {
    base: Box<RawValue>,
}

#[derive(Deserialize)]
struct Estimate {
    /// Missing when the node has not seen enough blocks.
    feerate: Option<Box<RawValue>>,
}

/// What is remembered of the transactions that pay us while they are in the mempool.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    /// Found by the last scan.
    ids: HashSet<Hash256>,
    /// What the node said of them, and the tip at which it did.
    said: HashMap<Hash256, (Hash256, Vetting)>,
    /// Transactions that were replaced by one of them, with what both spend.
    conflicts: BTreeSet<(Hash256, Hash256, String)>,
}

impl Ours {
    /// Those in the mempool that the node has to be asked about: the new ones, and at a new tip those that
    /// do not keep every rule.
    pub(crate) fn unvetted(&mut self, present: &HashSet<Hash256>, tip: Hash256) -> Vec<Hash256> {
        self.said.retain(|id, _| present.contains(id));
        self.conflicts.retain(|(own, ..)| present.contains(own));
        let here = self.ids.iter().filter(|id| present.contains(*id));
        let asks = here.filter(|id| match self.said.get(*id) {
            None => true,
            Some((said_at, vetting)) => *said_at != tip && !keeps_rules(vetting),
        });
        asks.copied().collect()
    }

    /// Remembers what the node said.
    pub(crate) fn note(&mut self, tip: Hash256, vettings: Vec<(Hash256, Vetting)>) {
        let said = vettings.into_iter().map(|(id, said)| (id, (tip, said)));
        self.said.extend(said);
    }

    /// Remembers what a scan found: transactions with their bodies. One that is new may have taken the place
    /// of one that has just left.
    pub(crate) fn found(&mut self, found: &[(Hash256, &[u8])], left: &[(Hash256, Vec<u8>)]) {
        let new = found.iter().filter(|(id, _)| !self.ids.contains(id));
        let mut spends: HashMap<(Hash256, u32), Hash256> = HashMap::new();
        for (id, body) in new {
            for_each_outpoint(body, |outpoint| {
                spends.insert(outpoint, *id);
            });
        }
        if !spends.is_empty() {
            for (other, body) in left {
                for_each_outpoint(body, |(id, output)| {
                    if let Some(own) = spends.get(&(id, output)).filter(|own| *own != other) {
                        self.conflicts
                            .insert((*own, *other, format!("{id}:{output}")));
                    }
                });
            }
        }
        self.ids = found.iter().map(|(id, _)| *id).collect();
    }

    /// What the node said of those that the last scan found.
    pub(crate) fn vettings(&self) -> Vec<Vetting> {
        let said = self.ids.iter().filter_map(|id| self.said.get(id));
        let mut vettings: Vec<Vetting> = said.map(|(_, vetting)| vetting.clone()).collect();
        vettings.sort_by(|a, b| a.tx_id.cmp(&b.tx_id));
        vettings
    }

    /// Transactions that were replaced by one that pays us, with what both spend.
    pub(crate) fn conflicts(&self) -> Vec<(TxId, String)> {
        let conflicts = self.conflicts.iter();
        conflicts
            .map(|(_, other, outpoint)| (TxId::new(&other.to_string()), outpoint.clone()))
            .collect()
    }
}

fn keeps_rules(vetting: &Vetting) -> bool {
    let pays = vetting
        .fee_rate_next
        .is_some_and(|next| next <= vetting.fee_rate);
    !vetting.has_parents && pays
}

/// Asks the node about these transactions; one that has left is left out.
pub(crate) async fn ask(
    rpc: &Rpc,
    ids: &[Hash256],
    fees: &Fees,
    is_regtest: bool,
) -> Result<Vec<(Hash256, Vetting)>, CallError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let params = [json!(1), json!("conservative")];
    let estimate = match rpc.call::<Estimate>("estimatesmartfee", &params).await {
        Ok(estimate) => estimate.feerate.as_deref().map(satoshi).transpose()?,
        // A node that relays blocks only makes no estimates.
        Err(CallError::Node(_)) => None,
        Err(error) => return Err(error),
    };
    let floor = satoshi(&fees.least)?.max(satoshi(&fees.relay)?);
    let next = next_block(estimate, floor, is_regtest);
    let mut said = Vec::with_capacity(ids.len());
    for ids in ids.chunks(100) {
        let calls: Vec<Call<'_>> = ids
            .iter()
            .map(|id| ("getmempoolentry", vec![json!(id.to_string())]))
            .collect();
        for (id, answer) in ids.iter().zip(rpc.batch(&calls).await?) {
            let raw = match answer {
                Ok(raw) => raw,
                Err(error) if NOT_FOUND.contains(&error.code) => continue,
                Err(error) => return Err(CallError::Node(error)),
            };
            let entry: Entry = read(&raw).map_err(|detail| malformed(&detail))?;
            let fee = satoshi(&entry.fees.base)?.saturating_mul(1000);
            let vetting = Vetting {
                tx_id: TxId::new(&id.to_string()),
                has_parents: !entry.depends.is_empty(),
                fee_rate: fee.checked_div(entry.vsize).unwrap_or_default(),
                fee_rate_next: next,
            };
            said.push((*id, vetting));
        }
    }
    Ok(said)
}

/// What a transaction must pay to be in the next block, in satoshi for 1,000 virtual bytes. The node's
/// estimate is for two blocks, the nearest that it makes, so it is never below what the mempool asks for. A
/// node without an estimate does not know: its mempool may be small because it is young. On regtest nobody
/// competes for blocks, and there never is an estimate.
fn next_block(estimate: Option<u64>, floor: u64, is_regtest: bool) -> Option<u64> {
    match estimate {
        Some(estimate) => Some(estimate.max(floor)),
        None => is_regtest.then_some(floor),
    }
}

/// Whole coins in the node's words as satoshi: no more than there are.
fn satoshi(text: &RawValue) -> Result<u64, CallError> {
    let amount = Amount::parse(text.get(), DECIMALS).ok();
    let count = amount.and_then(|amount| amount.to_string().parse().ok());
    let count = count.filter(|count| *count <= SATOSHI_MAX);
    count.ok_or_else(|| malformed(&format!("{} is not an amount", text.get())))
}

fn malformed(detail: &str) -> CallError {
    CallError::Malformed(format!("mempool: {detail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_worth_more_than_all_coins() {
        for (text, expected) in [
            ("0.00001000", Some(1_000)),
            ("21000000.00000000", Some(SATOSHI_MAX)),
            ("21000000.00000001", None),
            ("100000000000.0", None),
            ("-1", None),
        ] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            match (satoshi(&raw), expected) {
                (Ok(count), Some(expected)) => assert_eq!(count, expected),
                (Err(CallError::Malformed(_)), None) => {}
                (answer, _) => panic!("{text}: {answer:?}"),
            }
        }
    }

    #[test]
    fn what_the_next_block_costs_is_an_estimate_and_without_one_known_on_regtest_alone() {
        let cases = [
            (Some(5_000), 100, false, Some(5_000)),
            (Some(50), 100, false, Some(100)),
            (Some(5_000), 100, true, Some(5_000)),
            (None, 100, true, Some(100)),
            (None, 100, false, None),
        ];
        for (estimate, floor, is_regtest, expected) in cases {
            assert_eq!(next_block(estimate, floor, is_regtest), expected);
        }
    }
}
