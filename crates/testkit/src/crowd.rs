//! Other people's transactions: a mempool full of them, at little cost.

use crate::{Bitcoind, Payer};
use anyhow::{Context, Result, ensure};
use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize;
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    opcodes,
};
use serde_json::json;

/// Transactions that hang on one another; nodes take up to 25, newer ones up to 64.
const CHAIN_LENGTH: usize = 24;
/// What one transaction of the crowd leaves to the miner, in satoshi: two for each of its bytes.
const FEE: u64 = 200;
/// What is left at the end of a chain, in satoshi.
const REST: u64 = 1_000;
/// The version of a saved mempool whose bytes stand as they are
/// (<https://github.com/bitcoin/bitcoin/blob/master/src/node/mempool_persist.cpp>).
const FILE_VERSION: u64 = 1;

/// Coins that anybody can spend without a signature, so that thousands of transactions are made in a
/// moment.
#[derive(Debug)]
pub struct Crowd {
    node: Bitcoind,
    /// What the next transaction of each chain spends, with its value and place in the chain.
    coins: Vec<(OutPoint, u64, usize)>,
    witness_script: ScriptBuf,
}

impl Crowd {
    /// Gathers coins for `count` transactions from a payer. Mines one block.
    pub async fn gather(node: &Bitcoind, payer: &Payer, count: usize) -> Result<Self> {
        let op = opcodes::OP_TRUE.to_u8();
        let witness_script = ScriptBuf::from_bytes(vec![op]);
        let script = ScriptBuf::new_p2wsh(&witness_script.wscript_hash());
        let address = Address::from_script(&script, Network::Regtest)?.to_string();
        let value = REST + FEE * u64::try_from(CHAIN_LENGTH)?;
        let chains = count.div_ceil(CHAIN_LENGTH);
        let txid = payer.pay(&vec![(address.as_str(), value); chains]).await?;
        node.mine(1).await?;
        let coins = (0..u32::try_from(chains)?)
            .map(|vout| (OutPoint { txid, vout }, value, 0))
            .collect();
        Ok(Self {
            node: node.clone(),
            coins,
            witness_script,
        })
    }

    /// Puts `count` further transactions into the mempool, by a file such as nodes write at their end:
    /// a request for each would take a hundred times as long.
    pub async fn send(&mut self, count: usize) -> Result<()> {
        let before = self.node.mempool().await?.len();
        let mut file = Vec::new();
        file.extend(FILE_VERSION.to_le_bytes());
        file.extend(u64::try_from(count)?.to_le_bytes());
        for _ in 0..count {
            let next = self.next().context("the crowd has no coins left")?;
            file.extend(serialize(&next));
            // The time of its arrival, which the node replaces by the present, and a fee delta.
            file.extend([0; 16]);
        }
        // No further fee deltas, and none that would have to be sent to other nodes.
        file.extend([0; 2]);
        let path = self.node.folder().join("crowd.dat");
        std::fs::write(&path, file).context("write the crowd")?;
        let params = json!([path, {"use_current_time": true}]);
        self.node.rpc("importmempool", params).await?;
        let after = self.node.mempool().await?.len();
        ensure!(
            after == before + count,
            "{after} are {count} more than {before}"
        );
        Ok(())
    }

    /// Spends the coin of a chain to the next.
    fn next(&mut self) -> Option<Transaction> {
        let (previous_output, value, place) = self.coins.pop()?;
        let script = ScriptBuf::new_p2wsh(&self.witness_script.wscript_hash());
        let left = value - FEE;
        let mut witness = Witness::new();
        witness.push(&self.witness_script);
        let transaction = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output,
                script_sig: ScriptBuf::new(),
                sequence: Sequence::MAX,
                witness,
            }],
            output: vec![TxOut {
                value: Amount::from_sat(left),
                script_pubkey: script,
            }],
        };
        if place + 1 < CHAIN_LENGTH {
            let txid = transaction.compute_txid();
            self.coins
                .push((OutPoint { txid, vout: 0 }, left, place + 1));
        }
        Some(transaction)
    }
}
