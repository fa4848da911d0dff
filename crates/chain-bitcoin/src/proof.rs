//! Proves that bytes are the whole block that was asked for, and keeps the credits to watched keys.
//!
//! The asked hash commits to the header, the header to its parent, its difficulty and the merkle
//! root, and the root to every transaction but its witnesses. Witnesses are walked over and never
//! used. Walking and hashing make nearly all the work and need the bytes alone, so they come first
//! ([`Content::read`], on any thread); then output scripts are looked up, and nothing but them, except
//! in transactions that pay us and, while some payment is unconfirmed, for what each transaction spends.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use bitcoin::hashes::Hash as _;
use bitcoin::{CompactTarget, Target};
use bitcoin_slices::bsl::{Block as BlockSlice, Transaction, TxIn, TxOut};
use bitcoin_slices::{Visit, Visitor};
use paywatch_chain::{Block, Credit, WatchTable};
use paywatch_domain::{AssetName, BlockHash, BlockRef, TxId, UnixMillis};

use crate::difficulty::{Ancestry, HEADER_BYTES, Header};
use crate::hash::Hash256;
use crate::network::Network;
use crate::transaction::{
    Hit, SATOSHI_MAX, body, credits, for_each_outpoint, is_coinbase_input, parse_outpoint, tx_id,
};

/// Milliseconds of a second.
const SECOND_MS: i64 = 1000;
/// Bytes of a transaction of one input and one output without scripts.
const TRANSACTION_BYTES_MIN: usize = 60;

/// A block as its bytes tell it: everything about it that needs neither the chain nor the watch table.
pub(crate) struct Content {
    bytes: Vec<u8>,
    /// What was found in the bytes, or which check failed.
    parts: Result<Parts, String>,
}

/// What was found in a block's bytes.
#[derive(Default)]
struct Parts {
    transactions: Vec<Part>,
    outputs: Vec<Output>,
    merkle_root: Option<Hash256>,
}

/// A transaction: its id, and where its inputs and outputs stand.
struct Part {
    id: Hash256,
    body: Range<usize>,
}

/// An output that is worth something: of which transaction it is, its number in that, and where its
/// script stands.
struct Output {
    transaction: usize,
    number: usize,
    satoshi: u64,
    script: Range<usize>,
}

impl Content {
    /// Walks over the bytes and hashes every transaction: nearly all the work that a block makes.
    pub(crate) fn read(bytes: Vec<u8>) -> Self {
        let parts = Parts::read(&bytes);
        Self { bytes, parts }
    }
}

/// Proves that this is what `block` contains and scans it. The error says which check failed.
pub(crate) fn prove(
    network: Network,
    asset: &AssetName,
    block: &BlockRef,
    content: &Content,
    ancestry: Option<&Ancestry>,
    watched: &WatchTable,
) -> Result<Block, String> {
    let bytes = &content.bytes;
    let header = prove_header(network, block, bytes, ancestry)?;
    let parts = content.parts.as_ref().map_err(Clone::clone)?;
    if parts.merkle_root != Some(header.merkle_root) {
        return Err("its transactions are not those of its merkle root".to_owned());
    }
    Ok(Block {
        at: block.clone(),
        parent: BlockHash::new(&header.parent.to_string()),
        time: UnixMillis(i64::from(header.time_s).saturating_mul(SECOND_MS)),
        bytes: bytes.len(),
        credits: parts.credits(bytes, asset, watched),
        spent: parts.spent(bytes, watched),
        outflows: Vec::new(),
        unseen: None,
    })
}

/// The checks that need no transaction: hash, checkpoint, parent, difficulty, work.
fn prove_header(
    network: Network,
    block: &BlockRef,
    bytes: &[u8],
    ancestry: Option<&Ancestry>,
) -> Result<Header, String> {
    let header = bytes.get(..HEADER_BYTES).and_then(Header::read);
    let header = header.ok_or("it is shorter than a block header")?;
    if Hash256::parse(block.hash.as_str()) != Some(header.hash) {
        return Err(format!("its header is that of block {}", header.hash));
    }
    let (height, hash) = network.checkpoint();
    if block.height == height && block.hash.as_str() != hash {
        return Err(format!("the block at height {height} is {hash}"));
    }
    let is_first = header.parent == Hash256::ZERO;
    if is_first != (block.height == 0) {
        return Err("the first block and no other has no parent".to_owned());
    }
    let ancestry = ancestry.ok_or("the headers below it do not lead to it")?;
    if ancestry
        .parent()
        .is_some_and(|parent| parent != header.parent)
    {
        return Err("it stands on another block than its ancestors".to_owned());
    }
    let expected = ancestry.expected_bits(network, header.time_s);
    if header.bits != expected {
        return Err(format!(
            "its difficulty is {:08x} and must be {expected:08x}",
            header.bits
        ));
    }
    let target = Target::from_compact(CompactTarget::from_consensus(header.bits));
    let hash = bitcoin::BlockHash::from_byte_array(*header.hash.as_bytes());
    if network.parameters().max_attainable_target < target || !target.is_met_by(hash) {
        return Err("it lacks proof of work".to_owned());
    }
    Ok(header)
}

impl Parts {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut walk = Walk::new(bytes);
        let parsed = BlockSlice::visit(bytes, &mut walk)
            .map_err(|error| format!("it cannot be read to its end ({error:?})"))?;
        if !parsed.remaining().is_empty() {
            return Err(format!("{} bytes too many", parsed.remaining().len()));
        }
        if let Some(fault) = walk.fault {
            return Err(fault.to_owned());
        }
        // A node of the merkle tree has 64 bytes and could be shown as a transaction to hide those
        // below it. It cannot also be a coinbase transaction, and would have to be one at the first
        // place.
        if !walk.coinbase_first {
            return Err("its first transaction is not a coinbase transaction".to_owned());
        }
        let mut parts = walk.parts;
        let ids = parts.transactions.iter().map(|part| part.id).collect();
        parts.merkle_root = Some(merkle_root(ids)?);
        Ok(parts)
    }

    /// The credits to keys that may be watched.
    fn credits(&self, bytes: &[u8], asset: &AssetName, watched: &WatchTable) -> Vec<Credit> {
        let slice = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        let candidates = watched.candidates(self.outputs.iter().map(|one| slice(&one.script)));
        let paid: Vec<&Output> = candidates
            .into_iter()
            .filter_map(|number| self.outputs.get(number))
            .collect();
        let by_transaction = paid.chunk_by(|one, next| one.transaction == next.transaction);
        let credits_of = |outputs: &[&Output]| {
            let part = self.transactions.get(outputs.first()?.transaction)?;
            let hits = outputs.iter().map(|output| Hit {
                output: output.number,
                satoshi: output.satoshi,
                script: slice(&output.script).into(),
            });
            let body = slice(&part.body);
            Some(credits(asset, part.id, body, hits.collect()))
        };
        by_transaction.filter_map(credits_of).flatten().collect()
    }

    /// The outpoints that are watched and that a transaction of the block spends, with its id.
    fn spent(&self, bytes: &[u8], watched: &WatchTable) -> Vec<(String, TxId)> {
        let texts = watched.outpoints().iter();
        let wanted: HashMap<(Hash256, u32), &str> = texts
            .filter_map(|text| Some((parse_outpoint(text)?, text.as_str())))
            .collect();
        let mut found = Vec::new();
        if wanted.is_empty() {
            return found;
        }
        for part in &self.transactions {
            let body = bytes.get(part.body.clone()).unwrap_or_default();
            for_each_outpoint(body, |outpoint| {
                let text = wanted.get(&outpoint);
                found.extend(text.map(|&text| (text.to_owned(), TxId::new(&part.id.to_string()))));
            });
        }
        found
    }
}

/// Walks a block and keeps where things stand.
struct Walk<'a> {
    bytes: &'a [u8],
    parts: Parts,
    coinbase_first: bool,
    fault: Option<&'static str>,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            parts: Parts::default(),
            coinbase_first: false,
            fault: None,
        }
    }

    /// Where a part of the bytes stands in them.
    fn place(&self, part: &[u8]) -> Range<usize> {
        let start = self.bytes.as_ptr().addr();
        let from = part.as_ptr().addr().saturating_sub(start);
        from..from.saturating_add(part.len())
    }
}

impl Visitor for Walk<'_> {
    fn visit_block_begin(&mut self, total_transactions: usize) {
        // The number is only claimed.
        let most = self.bytes.len() / TRANSACTION_BYTES_MIN;
        let expected = total_transactions.min(most);
        self.parts.transactions.reserve(expected);
        self.parts.outputs.reserve(expected.saturating_mul(2));
    }

    fn visit_tx_in(&mut self, input: usize, tx_in: &TxIn<'_>) -> ControlFlow<()> {
        if self.parts.transactions.is_empty() {
            self.coinbase_first = input == 0 && is_coinbase_input(tx_in);
        }
        ControlFlow::Continue(())
    }

    fn visit_tx_out(&mut self, output: usize, tx_out: &TxOut<'_>) -> ControlFlow<()> {
        if SATOSHI_MAX < tx_out.value() {
            self.fault = Some("an output is worth more than all coins");
        }
        if 0 < tx_out.value() {
            let script = self.place(tx_out.script_pubkey());
            self.parts.outputs.push(Output {
                transaction: self.parts.transactions.len(),
                number: output,
                satoshi: tx_out.value(),
                script,
            });
        }
        ControlFlow::Continue(())
    }

    fn visit_transaction(&mut self, transaction: &Transaction<'_>) -> ControlFlow<()> {
        let body = self.place(body(transaction));
        self.parts.transactions.push(Part {
            id: tx_id(transaction),
            body,
        });
        ControlFlow::Continue(())
    }
}

/// The root of the merkle tree over `ids`.
///
/// An odd level is completed with its last member again, so a list that ends with such a repetition
/// has the root of the list without it (CVE-2012-2459): equal neighbours are refused, as Bitcoin Core
/// does.
fn merkle_root(ids: Vec<Hash256>) -> Result<Hash256, String> {
    let mut level = ids;
    while 1 < level.len() {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] if left == right => {
                    Err("its merkle tree repeats transactions".to_owned())
                }
                [left, right] => Ok(Hash256::of_pair(left, right)),
                [last] => Ok(Hash256::of_pair(last, last)),
                _ => Err("its merkle tree is empty".to_owned()),
            })
            .collect::<Result<_, _>>()?;
    }
    level
        .first()
        .copied()
        .ok_or_else(|| "it has no transactions".to_owned())
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "proof_main_chain_tests.rs"]
mod main_chain_tests;
