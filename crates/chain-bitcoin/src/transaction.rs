//! The part of a transaction that matters: which watched scripts it pays, and what it spends.

use std::ops::ControlFlow;
use std::sync::Arc;

use bitcoin_slices::bsl::{Transaction, TxIn, TxIns, TxOut, TxOuts};
use bitcoin_slices::{Parse, Visit, Visitor};
use paywatch_chain::{Credit, WatchTable};
use paywatch_domain::{Amount, AssetName, Position, TxId};

use crate::hash::Hash256;

/// All the satoshi that can ever be: no output is worth more.
pub(crate) const SATOSHI_MAX: u64 = 21_000_000 * 100_000_000;

/// Blocks, its own included, before a coinbase transaction's outputs can be spent (Bitcoin Core,
/// `COINBASE_MATURITY` in `consensus.h`).
const COINBASE_MATURITY: u32 = 100;

/// An output to a script that may be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) output: usize,
    pub(crate) satoshi: u64,
    pub(crate) script: Box<[u8]>,
}

impl Hit {
    /// The output as a hit, when it pays something to a script that may be watched.
    pub(crate) fn of(output: usize, tx_out: &TxOut<'_>, watched: &WatchTable) -> Option<Self> {
        let script = tx_out.script_pubkey();
        (0 < tx_out.value() && watched.may_contain(script)).then(|| Self {
            output,
            satoshi: tx_out.value(),
            script: script.into(),
        })
    }
}

/// The hash by which a transaction is known: over everything but the witnesses (BIP141).
pub(crate) fn tx_id(transaction: &Transaction<'_>) -> Hash256 {
    let (version, body, lock_time) = transaction.txid_preimage();
    Hash256::of(&[version, body, lock_time])
}

/// The inputs and outputs of a transaction without its witnesses.
pub(crate) fn body<'a>(transaction: &Transaction<'a>) -> &'a [u8] {
    let (first, body, lock_time) = transaction.txid_preimage();
    if lock_time.is_empty() {
        // Without witnesses it is one piece: four bytes of version before, four of lock time behind.
        let end = first.len().saturating_sub(4);
        first.get(4..end).unwrap_or_default()
    } else {
        body
    }
}

/// Whether an input spends nothing, which only a coinbase transaction's does.
pub(crate) fn is_coinbase_input(input: &TxIn<'_>) -> bool {
    let outpoint = input.prevout();
    outpoint.txid() == Hash256::ZERO.as_bytes() && outpoint.vout() == u32::MAX
}

/// The hits among the outputs of a transaction's body.
pub(crate) fn hits(body: &[u8], watched: &WatchTable) -> Vec<Hit> {
    struct Outputs<'t>(&'t WatchTable, Vec<Hit>);
    impl Visitor for Outputs<'_> {
        fn visit_tx_out(&mut self, output: usize, tx_out: &TxOut<'_>) -> ControlFlow<()> {
            self.1.extend(Hit::of(output, tx_out, self.0));
            ControlFlow::Continue(())
        }
    }
    let mut outputs = Outputs(watched, Vec::new());
    // A body was cut from a transaction that was read: neither part can fail to be read again.
    if let Ok(inputs) = TxIns::parse(body) {
        let _read = TxOuts::visit(inputs.remaining(), &mut outputs);
    }
    outputs.1
}

/// The credits of a transaction's hits.
pub(crate) fn credits(asset: &AssetName, id: Hash256, body: &[u8], hits: Vec<Hit>) -> Vec<Credit> {
    if hits.is_empty() {
        return Vec::new();
    }
    let spends = spends(body);
    let maturity = if spends.is_empty() {
        COINBASE_MATURITY
    } else {
        0
    };
    let tx_id = TxId::new(&id.to_string());
    hits.into_iter()
        .map(|hit| Credit {
            key: hit.script,
            asset: asset.clone(),
            amount: Amount::from_atomic(hit.satoshi),
            tx_id: tx_id.clone(),
            position: Position::new(&format!("vout:{}", hit.output)),
            maturity,
            spends: Arc::clone(&spends),
        })
        .collect()
}

/// What a transaction spends, as `txid:vout`. A coinbase transaction spends nothing.
fn spends(body: &[u8]) -> Arc<[Box<str>]> {
    let mut outpoints = Vec::new();
    for_each_outpoint(body, |(id, output)| {
        outpoints.push(format!("{id}:{output}").into());
    });
    outpoints.into()
}

/// Reads an outpoint as [`spends`] writes it.
pub(crate) fn parse_outpoint(text: &str) -> Option<(Hash256, u32)> {
    let (id, output) = text.split_once(':')?;
    Some((Hash256::parse(id)?, output.parse().ok()?))
}

/// Calls `look` with everything that a transaction's body spends. A coinbase transaction spends nothing.
pub(crate) fn for_each_outpoint(body: &[u8], look: impl FnMut((Hash256, u32))) {
    struct Inputs<F>(F);
    impl<F: FnMut((Hash256, u32))> Visitor for Inputs<F> {
        fn visit_tx_in(&mut self, _: usize, input: &TxIn<'_>) -> ControlFlow<()> {
            let outpoint = input.prevout();
            if let Some(id) = Hash256::read(outpoint.txid())
                && !is_coinbase_input(input)
            {
                (self.0)((id, outpoint.vout()));
            }
            ControlFlow::Continue(())
        }
    }
    let _read = TxIns::visit(body, &mut Inputs(look));
}
