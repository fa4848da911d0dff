//! Proves that bytes are the whole block that was asked for, and keeps the credits to watched keys.
//!
//! The asked hash commits to the header, the header to its parent, its difficulty and the merkle
//! root, and the root to every transaction but its witnesses. Witnesses are walked over and never
//! used. One pass; nothing but output scripts is looked at, except for transactions that pay us.
//!
//! Not modelled here: coinbase outputs cannot be spent for 100 blocks, and are credited like others.

use std::ops::ControlFlow;

use bitcoin::hashes::Hash as _;
use bitcoin::{CompactTarget, Target};
use bitcoin_slices::bsl::{Block as BlockSlice, Transaction, TxIn, TxOut};
use bitcoin_slices::{Visit, Visitor};
use paywatch_chain::{Block, Credit, WatchTable};
use paywatch_domain::{AssetName, BlockHash, BlockRef, UnixMillis};

use crate::difficulty::{Ancestry, HEADER_BYTES, Header};
use crate::hash::Hash256;
use crate::network::Network;
use crate::transaction::{Hit, SATOSHI_MAX, body, credits, is_coinbase_input, tx_id};

/// Milliseconds of a second.
const SECOND_MS: i64 = 1000;

/// Proves `bytes` to be `block` and scans it. The error says which check failed.
pub(crate) fn prove(
    network: Network,
    asset: &AssetName,
    block: &BlockRef,
    bytes: &[u8],
    ancestry: Option<&Ancestry>,
    watched: &WatchTable,
) -> Result<Block, String> {
    let header = prove_header(network, block, bytes, ancestry)?;
    let mut scan = Scan::new(asset, watched);
    let parsed = BlockSlice::visit(bytes, &mut scan)
        .map_err(|error| format!("it cannot be read to its end ({error:?})"))?;
    if !parsed.remaining().is_empty() {
        return Err(format!("{} bytes too many", parsed.remaining().len()));
    }
    if let Some(fault) = scan.fault {
        return Err(fault.to_owned());
    }
    // A node of the merkle tree has 64 bytes and could be shown as a transaction to hide those below
    // it. It cannot also be a coinbase transaction, and would have to be one at the first place.
    if !scan.coinbase_first {
        return Err("its first transaction is not a coinbase transaction".to_owned());
    }
    if merkle_root(scan.ids)? != header.merkle_root {
        return Err("its transactions are not those of its merkle root".to_owned());
    }
    Ok(Block {
        at: block.clone(),
        parent: BlockHash::new(&header.parent.to_string()),
        time: UnixMillis(i64::from(header.time_s).saturating_mul(SECOND_MS)),
        bytes: bytes.len(),
        credits: scan.credits,
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

/// Walks a block: ids of all transactions, credits of those that may pay us.
struct Scan<'a> {
    asset: &'a AssetName,
    watched: &'a WatchTable,
    ids: Vec<Hash256>,
    /// Hits of the transaction that is being walked.
    hits: Vec<Hit>,
    credits: Vec<Credit>,
    coinbase_first: bool,
    fault: Option<&'static str>,
}

impl<'a> Scan<'a> {
    fn new(asset: &'a AssetName, watched: &'a WatchTable) -> Self {
        Self {
            asset,
            watched,
            ids: Vec::new(),
            hits: Vec::new(),
            credits: Vec::new(),
            coinbase_first: false,
            fault: None,
        }
    }
}

impl Visitor for Scan<'_> {
    fn visit_tx_in(&mut self, input: usize, tx_in: &TxIn<'_>) -> ControlFlow<()> {
        if self.ids.is_empty() {
            self.coinbase_first = input == 0 && is_coinbase_input(tx_in);
        }
        ControlFlow::Continue(())
    }

    fn visit_tx_out(&mut self, output: usize, tx_out: &TxOut<'_>) -> ControlFlow<()> {
        if SATOSHI_MAX < tx_out.value() {
            self.fault = Some("an output is worth more than all coins");
        }
        self.hits.extend(Hit::of(output, tx_out, self.watched));
        ControlFlow::Continue(())
    }

    fn visit_transaction(&mut self, transaction: &Transaction<'_>) -> ControlFlow<()> {
        let id = tx_id(transaction);
        self.ids.push(id);
        let hits = std::mem::take(&mut self.hits);
        self.credits
            .extend(credits(self.asset, id, body(transaction), hits));
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
                [left, right] => Ok(Hash256::of(&[left.as_bytes(), right.as_bytes()])),
                [last] => Ok(Hash256::of(&[last.as_bytes(), last.as_bytes()])),
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
