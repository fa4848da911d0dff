//! Somebody who pays: a key with regtest coins that signs and sends real transactions.

use crate::Bitcoind;
use crate::purse::{Purse, spent_by};
use anyhow::{Context, Result, bail, ensure};
use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::secp256k1::{All, Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, CompressedPublicKey, Network, OutPoint, ScriptBuf, Sequence, Transaction,
    TxIn, TxOut, Txid, Witness, ecdsa,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Satoshi per virtual byte of an ordinary payment.
pub const DEFAULT_FEE_RATE: u64 = 10;
/// How many coinbases the payer mines for itself; each holds 50 BTC.
const COINBASES: u32 = 20;
/// Blocks on top of them. A coinbase can be spent after 100; ten more keep all of them spendable
/// through the reorganisations of the tests.
const MATURITY: u32 = 110;
/// Virtual bytes of a transaction without inputs and outputs, of a P2WPKH input, of an output (the
/// longest common one, P2WSH or P2TR).
const BASE_SIZE: u64 = 11;
const INPUT_SIZE: u64 = 68;
const OUTPUT_SIZE: u64 = 43;
/// Change below this is left to the miner: nodes refuse to relay such an output.
const DUST: u64 = 546;

/// A payer with coins on one node.
#[derive(Debug)]
pub struct Payer {
    node: Bitcoind,
    secp: Secp256k1<All>,
    key: SecretKey,
    public_key: CompressedPublicKey,
    script: ScriptBuf,
    purse: Mutex<Purse>,
}

impl Payer {
    /// Makes a payer with twenty coins of 50 BTC. Mines 130 blocks.
    pub async fn new(node: &Bitcoind) -> Result<Self> {
        Self::with_key(node, 1).await
    }

    /// A payer of another key. Two payers on one node need two numbers.
    pub async fn with_key(node: &Bitcoind, number: u8) -> Result<Self> {
        let payer = Self::without_coins(node, number)?;
        let hashes = node.mine_to(&payer.address(), COINBASES).await?;
        node.mine(MATURITY).await?;
        for hash in hashes {
            let block = node.rpc("getblock", json!([hash, 2])).await?;
            let raw = block["tx"][0]["hex"]
                .as_str()
                .context("a block begins with a coinbase")?;
            let coinbase: Transaction = deserialize_hex(raw)?;
            payer.purse().receive(&coinbase, &payer.script);
        }
        Ok(payer)
    }

    /// A payer that owns nothing yet. Send it money and call [`Payer::refresh`].
    pub fn without_coins(node: &Bitcoind, number: u8) -> Result<Self> {
        let secp = Secp256k1::new();
        let mut bytes = [0x50; 32];
        bytes[31] = number;
        let key = SecretKey::from_slice(&bytes)?;
        let public_key = CompressedPublicKey(key.public_key(&secp));
        let script = ScriptBuf::new_p2wpkh(&public_key.wpubkey_hash());
        let purse = Mutex::new(Purse::default());
        Ok(Self {
            node: node.clone(),
            secp,
            key,
            public_key,
            script,
            purse,
        })
    }

    /// The address that the payer pays from and takes change at.
    pub fn address(&self) -> String {
        Address::p2wpkh(&self.public_key, Network::Regtest).to_string()
    }

    /// What can be spent now, in satoshi.
    pub fn balance(&self) -> u64 {
        self.purse().coins.iter().map(|(_, value)| value).sum()
    }

    /// How many separate outputs can be spent now.
    pub fn coins(&self) -> usize {
        self.purse().coins.len()
    }

    /// Pays addresses amounts in satoshi, in one transaction, and sends it to the node's mempool.
    /// The outputs stand in the given order, then the change.
    pub async fn pay(&self, outputs: &[(&str, u64)]) -> Result<Txid> {
        self.pay_with_fee(outputs, DEFAULT_FEE_RATE).await
    }

    /// Like [`Payer::pay`] with a fee rate in satoshi per virtual byte.
    pub async fn pay_with_fee(&self, outputs: &[(&str, u64)], fee_rate: u64) -> Result<Txid> {
        let transaction = self.build(outputs, fee_rate)?;
        self.broadcast(&transaction).await
    }

    /// Makes and signs a transaction without sending it. Its inputs are taken out of the purse
    /// until [`Payer::broadcast`], [`Payer::record`] or [`Payer::release`] says what became of it.
    pub fn build(&self, outputs: &[(&str, u64)], fee_rate: u64) -> Result<Transaction> {
        let wanted = Self::outputs(outputs)?;
        let total: u64 = outputs.iter().map(|(_, amount)| amount).sum();
        let inputs = self.purse().take(|count| {
            let fee = fee_rate * size(count, wanted.len() + 1);
            total + fee
        })?;
        let fee = fee_rate * size(inputs.len(), wanted.len() + 1);
        self.sign(&inputs, wanted, fee)
    }

    /// Sends a transaction to the node; its change can be spent from now on.
    pub async fn broadcast(&self, transaction: &Transaction) -> Result<Txid> {
        let sent = self
            .node
            .rpc("sendrawtransaction", json!([serialize_hex(transaction)]))
            .await;
        if let Err(error) = sent {
            self.release(transaction);
            return Err(error);
        }
        Ok(self.record(transaction))
    }

    /// Notes that a built transaction reached the chain by another way, such as
    /// [`Bitcoind::mine_with`].
    pub fn record(&self, transaction: &Transaction) -> Txid {
        let mut purse = self.purse();
        purse.forget_conflicts(transaction);
        purse.receive(transaction, &self.script);
        let txid = transaction.compute_txid();
        purse.sent.insert(txid, transaction.clone());
        txid
    }

    /// Puts the inputs of a built transaction that was never sent back into the purse.
    pub fn release(&self, transaction: &Transaction) {
        self.purse().give_back(transaction);
    }

    /// Replaces an unconfirmed payment: the same inputs, a higher fee, and the money goes to `to`
    /// (an address and satoshi) or all of it back to the payer. Nodes accept that of any
    /// transaction (full replace-by-fee).
    pub async fn double_spend(&self, txid: Txid, to: Option<(&str, u64)>) -> Result<Txid> {
        let replacement = self.build_double_spend(txid, to)?;
        self.node
            .rpc("sendrawtransaction", json!([serialize_hex(&replacement)]))
            .await?;
        Ok(self.record(&replacement))
    }

    /// Makes the replacement of [`Payer::double_spend`] without sending it, to mine it in another
    /// branch.
    pub fn build_double_spend(&self, txid: Txid, to: Option<(&str, u64)>) -> Result<Transaction> {
        let outputs: Vec<(&str, u64)> = to.into_iter().collect();
        let wanted = Self::outputs(&outputs)?;
        let (inputs, old_fee) = {
            let purse = self.purse();
            let old = purse
                .sent
                .get(&txid)
                .context("the payer did not send this transaction")?;
            let inputs = purse.inputs_of(old)?;
            let spent: u64 = inputs.iter().map(|(_, value)| value).sum();
            let kept: u64 = old.output.iter().map(|output| output.value.to_sat()).sum();
            (
                inputs,
                spent
                    .checked_sub(kept)
                    .context("a transaction creates no money")?,
            )
        };
        // BIP 125 rule 4 wants the old fee plus the relay fee of the new bytes.
        let fee = old_fee * 2 + DEFAULT_FEE_RATE * size(inputs.len(), wanted.len() + 1);
        self.sign(&inputs, wanted, fee)
    }

    /// Splits the money into `count` further coins of one amount (satoshi), so that as many
    /// payments fit into one block without depending on each other.
    pub async fn fan_out(&self, count: usize, amount: u64) -> Result<Txid> {
        let own = self.address();
        let outputs = vec![(own.as_str(), amount); count];
        self.pay(&outputs).await
    }

    /// Reads from the node what the payer owns: after a reorganisation, a restart, or money from
    /// somebody else. Outputs of unconfirmed transactions count when the payer sent them.
    pub async fn refresh(&self) -> Result<()> {
        let query = json!(["start", [format!("raw({})", self.script.to_hex_string())]]);
        let scan = self.node.rpc("scantxoutset", query).await?;
        let tip = scan["height"].as_u64().context("a scan has a height")?;
        let mut found = BTreeMap::new();
        for coin in scan["unspents"]
            .as_array()
            .context("a scan lists outputs")?
        {
            let height = coin["height"].as_u64().context("an output has a height")?;
            if coin["coinbase"].as_bool() == Some(true) && height + 100 > tip {
                continue;
            }
            let txid = Txid::from_str(coin["txid"].as_str().context("an output has an id")?)?;
            let vout = u32::try_from(coin["vout"].as_u64().context("an output has a place")?)?;
            let raw = coin["amount"].to_string();
            let value = Amount::from_str_in(&raw, bitcoin::Denomination::Bitcoin)?.to_sat();
            found.insert((height, OutPoint { txid, vout }), value);
        }
        let pool = self.node.mempool().await?;
        let mut purse = self.purse();
        purse.coins = found
            .into_iter()
            .map(|((_, place), value)| (place, value))
            .collect();
        let coins = purse.coins.clone();
        purse.values.extend(coins);
        let mut spent = Vec::new();
        for txid in pool {
            if let Some(transaction) = purse.sent.get(&Txid::from_str(&txid)?).cloned() {
                purse.receive(&transaction, &self.script);
                spent.extend(spent_by(&transaction));
            }
        }
        purse.coins.retain(|(place, _)| !spent.contains(place));
        Ok(())
    }

    fn outputs(outputs: &[(&str, u64)]) -> Result<Vec<TxOut>> {
        outputs
            .iter()
            .map(|&(address, amount)| {
                let address = Address::from_str(address)
                    .with_context(|| format!("{address} is no address"))?
                    .require_network(Network::Regtest)?;
                Ok(TxOut {
                    value: Amount::from_sat(amount),
                    script_pubkey: address.script_pubkey(),
                })
            })
            .collect()
    }

    /// Signs a spend of all `inputs`; what remains after outputs and fee goes back to the payer.
    fn sign(
        &self,
        inputs: &[(OutPoint, u64)],
        outputs: Vec<TxOut>,
        fee: u64,
    ) -> Result<Transaction> {
        let available: u64 = inputs.iter().map(|(_, value)| value).sum();
        let paid: u64 = outputs.iter().map(|output| output.value.to_sat()).sum();
        let Some(change) = available.checked_sub(paid + fee) else {
            bail!("{available} sat cannot pay {paid} sat and a fee of {fee} sat");
        };
        let mut output = outputs;
        if change >= DUST {
            let value = Amount::from_sat(change);
            output.push(TxOut {
                value,
                script_pubkey: self.script.clone(),
            });
        }
        ensure!(!output.is_empty(), "nothing would remain to be paid");
        let input = inputs
            .iter()
            .map(|&(previous_output, _)| TxIn {
                previous_output,
                script_sig: ScriptBuf::new(),
                // Final: what replaces it does so although it never asked to be replaceable.
                sequence: Sequence::MAX,
                witness: Witness::new(),
            })
            .collect();
        let mut transaction = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input,
            output,
        };
        let mut cache = SighashCache::new(&mut transaction);
        let sighash_type = EcdsaSighashType::All;
        for (index, &(_, value)) in inputs.iter().enumerate() {
            let value = Amount::from_sat(value);
            let hash = cache.p2wpkh_signature_hash(index, &self.script, value, sighash_type)?;
            let signature = self.secp.sign_ecdsa(&Message::from(hash), &self.key);
            let signature = ecdsa::Signature {
                signature,
                sighash_type,
            };
            let witness = cache.witness_mut(index).context("an input has a witness")?;
            *witness = Witness::p2wpkh(&signature, &self.public_key.0);
        }
        Ok(transaction)
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Virtual bytes of a transaction, never too few.
fn size(inputs: usize, outputs: usize) -> u64 {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    BASE_SIZE + INPUT_SIZE * count(inputs) + OUTPUT_SIZE * count(outputs)
}
