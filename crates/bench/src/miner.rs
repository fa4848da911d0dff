//! Full blocks: thousands of segwit transactions of one input and two outputs.
//!
//! Each spends like a multisignature of two of three keys (P2WSH), so that a block has about as many
//! transactions, and as many bytes to hash, in each of its bytes as real blocks have. What stands in
//! the place of signatures and keys is checked by nobody: whoever follows a chain does not check
//! signatures either, and blocks are made quickly.

use anyhow::{Context, Result};
use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::hashes::Hash as _;
use bitcoin::opcodes::all::{OP_2DROP, OP_DROP, OP_PUSHNUM_1};
use bitcoin::script::PushBytes;
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, WPubkeyHash,
    Witness,
};
use paywatch_domain::{BlockHash, BlockRef};
use paywatch_testkit::Bitcoind;
use serde_json::json;

use crate::numbers::Numbers;

/// Transactions of a block: about 1 MB of them.
pub(crate) const TRANSACTIONS: u32 = 2_600;
/// What each transaction pays, in satoshi.
pub(crate) const PAYMENT_SATOSHI: u64 = 1_000;
/// Blocks on top of a coinbase transaction before it can be spent.
const MATURITY: u32 = 100;
/// Bytes of a usual signature and of a public key.
const SIGNATURE_BYTES: usize = 72;
const KEY_BYTES: usize = 33;

/// Mines full blocks on one node.
pub(crate) struct Miner {
    node: Bitcoind,
    numbers: Numbers,
    /// What every coin of the miner is locked with: drops three values and agrees.
    lock: ScriptBuf,
    /// One coin for each transaction of the next block.
    coins: Vec<(OutPoint, Amount)>,
}

impl Miner {
    /// Splits the first coin of an empty chain. Mines 102 blocks.
    pub(crate) async fn new(node: &Bitcoind) -> Result<Self> {
        let key: &PushBytes = (&[2; KEY_BYTES]).into();
        let mut lock = ScriptBuf::builder()
            .push_opcode(OP_2DROP)
            .push_opcode(OP_DROP);
        for _ in 0..3 {
            lock = lock.push_slice(key).push_opcode(OP_DROP);
        }
        let mut miner = Self {
            node: node.clone(),
            numbers: Numbers(1),
            lock: lock.push_opcode(OP_PUSHNUM_1).into_script(),
            coins: Vec::new(),
        };
        let address = Address::from_script(&miner.lock.to_p2wsh(), Network::Regtest)?;
        let first = node.mine_to(&address.to_string(), 1).await?;
        node.mine(MATURITY).await?;
        let first = first.first().context("one block was mined")?;
        let block = node.rpc("getblock", json!([first, 2])).await?;
        let coinbase = block["tx"][0]["hex"].as_str();
        let coinbase: Transaction =
            deserialize_hex(coinbase.context("a block begins with a coinbase")?)?;
        let coin = OutPoint::new(coinbase.compute_txid(), 0);
        let value = coinbase.output.first().context("it has an output")?.value;
        let share = value
            .checked_div(u64::from(TRANSACTIONS))
            .context("a share of the first coin")?;
        let outputs = (0..TRANSACTIONS).map(|_| miner.own(share)).collect();
        let split = miner.spend(coin, outputs);
        let id = split.compute_txid();
        node.mine_with(&[serialize_hex(&split)]).await?;
        miner.coins = (0..TRANSACTIONS)
            .map(|number| (OutPoint::new(id, number), share))
            .collect();
        Ok(miner)
    }

    /// Mines a full block that pays each of these scripts once, and somebody else with each of the
    /// other transactions.
    pub(crate) async fn mine(&mut self, payees: &[ScriptBuf]) -> Result<BlockRef> {
        let transactions = self.prepare(payees)?;
        let hash = self.node.mine_with(&transactions).await?;
        let height = self.node.height().await?;
        let hash = BlockHash::new(&hash);
        Ok(BlockRef { height, hash })
    }

    /// The transactions of the next block, in hexadecimal.
    pub(crate) fn prepare(&mut self, payees: &[ScriptBuf]) -> Result<Vec<String>> {
        let payment = Amount::from_sat(PAYMENT_SATOSHI);
        let mut payees = payees.iter().cloned();
        let mut transactions = Vec::with_capacity(self.coins.len());
        let mut next = Vec::with_capacity(self.coins.len());
        for (coin, value) in std::mem::take(&mut self.coins) {
            let payee = payees.next().unwrap_or_else(|| self.somebody());
            let rest = value
                .checked_sub(payment)
                .context("the coins are used up")?;
            let paid = TxOut {
                value: payment,
                script_pubkey: payee,
            };
            let transaction = self.spend(coin, vec![paid, self.own(rest)]);
            next.push((OutPoint::new(transaction.compute_txid(), 1), rest));
            transactions.push(serialize_hex(&transaction));
        }
        self.coins = next;
        Ok(transactions)
    }

    /// The script of somebody who was never paid before.
    fn somebody(&mut self) -> ScriptBuf {
        ScriptBuf::new_p2wpkh(&WPubkeyHash::from_byte_array(self.numbers.hash()))
    }

    fn own(&self, value: Amount) -> TxOut {
        TxOut {
            value,
            script_pubkey: self.lock.to_p2wsh(),
        }
    }

    fn spend(&self, coin: OutPoint, output: Vec<TxOut>) -> Transaction {
        let signature: &[u8] = &[0x30; SIGNATURE_BYTES];
        let witness = [&[], signature, signature, self.lock.as_bytes()];
        Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: coin,
                script_sig: ScriptBuf::new(),
                sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
                witness: Witness::from_slice(&witness),
            }],
            output,
        }
    }
}
