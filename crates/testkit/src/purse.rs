//! The coins of a payer: what can be spent, and what was sent so that it can be spent again.

use anyhow::{Context, Result, bail};
use bitcoin::{OutPoint, ScriptBuf, Transaction, Txid};
use std::collections::{HashMap, VecDeque};

/// What the payer owns, and what it sent so that it can be spent again.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    /// Spendable outputs, oldest first, so that payments of one block do not form a long chain.
    pub(crate) coins: VecDeque<(OutPoint, u64)>,
    /// The value of everything ever owned, to sign a second spend of it.
    pub(crate) values: HashMap<OutPoint, u64>,
    pub(crate) sent: HashMap<Txid, Transaction>,
}

impl Purse {
    /// Takes coins, oldest first, until they hold what `needed` says for their number.
    pub(crate) fn take(&mut self, needed: impl Fn(usize) -> u64) -> Result<Vec<(OutPoint, u64)>> {
        let mut sum = 0;
        for count in 1..=self.coins.len() {
            sum += self.coins[count - 1].1;
            if sum >= needed(count) {
                return Ok(self.coins.drain(..count).collect());
            }
        }
        bail!(
            "the payer owns {sum} sat and needs {}",
            needed(self.coins.len())
        )
    }

    /// Adds the outputs of a transaction that pay the payer.
    pub(crate) fn receive(&mut self, transaction: &Transaction, script: &ScriptBuf) {
        let txid = transaction.compute_txid();
        for (vout, output) in (0..).zip(&transaction.output) {
            let place = OutPoint { txid, vout };
            if output.script_pubkey == *script && !self.coins.iter().any(|coin| coin.0 == place) {
                self.coins.push_back((place, output.value.to_sat()));
                self.values.insert(place, output.value.to_sat());
            }
        }
    }

    pub(crate) fn inputs_of(&self, transaction: &Transaction) -> Result<Vec<(OutPoint, u64)>> {
        spent_by(transaction)
            .into_iter()
            .map(|place| {
                Ok((
                    place,
                    *self.values.get(&place).context("not a coin of the payer")?,
                ))
            })
            .collect()
    }

    pub(crate) fn give_back(&mut self, transaction: &Transaction) {
        for (place, value) in self.inputs_of(transaction).unwrap_or_default() {
            if !self.coins.iter().any(|coin| coin.0 == place) {
                self.coins.push_front((place, value));
            }
        }
    }

    /// Forgets the transactions that this one replaces, and the change they would have left.
    pub(crate) fn forget_conflicts(&mut self, transaction: &Transaction) {
        let txid = transaction.compute_txid();
        let spent = spent_by(transaction);
        let replaced: Vec<Txid> = self
            .sent
            .iter()
            .filter(|(other, sent)| {
                **other != txid && spent_by(sent).iter().any(|place| spent.contains(place))
            })
            .map(|(other, _)| *other)
            .collect();
        self.sent.retain(|other, _| !replaced.contains(other));
        self.coins
            .retain(|(place, _)| !replaced.contains(&place.txid));
    }
}

pub(crate) fn spent_by(transaction: &Transaction) -> Vec<OutPoint> {
    transaction
        .input
        .iter()
        .map(|input| input.previous_output)
        .collect()
}
