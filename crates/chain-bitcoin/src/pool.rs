//! The mempool: read as a whole, remembered without its witnesses.
//!
//! The set of ids is read every time, atomically by the node; bodies are asked for once. Every
//! scan looks at all outputs again (some milliseconds for a full mempool), so it is exact whatever was
//! added to the watch table since a transaction came.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bitcoin_slices::Parse;
use bitcoin_slices::bsl::Transaction;
use paywatch_chain::{Pool, Spenders, WatchTable};
use paywatch_domain::{AssetName, BlockHash, BlockRef, TxId};
use serde_json::json;

use crate::hash::Hash256;
use crate::node::ChainInfo;
use crate::rpc::{Call, CallError, NodeError, Rpc, read};
use crate::transaction::{body, credits, hits, spends_output, tx_id};

/// Bodies asked for in one request.
const BATCH_CALLS_MAX: usize = 100;
/// Bytes of all bodies that are kept; a node with the default of 300 MB of its own memory stays far
/// below.
const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How often a mempool is read again because it changed while it was read.
const ATTEMPTS: usize = 5;

/// A transaction of the mempool: its id, its inputs and outputs.
struct PoolTransaction {
    id: Hash256,
    body: Arc<[u8]>,
}

/// Every transaction of the mempool.
struct Transactions(Vec<PoolTransaction>);

impl fmt::Debug for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} transactions", self.0.len())
    }
}

impl Spenders for Transactions {
    /// Looks at every input of the mempool: this is asked only when something of ours has gone.
    fn spender(&self, outpoint: &str) -> Option<TxId> {
        let (id, output) = outpoint.split_once(':')?;
        let (id, output) = (Hash256::parse(id)?, output.parse().ok()?);
        let spender = self
            .0
            .iter()
            .find(|one| spends_output(&one.body, id, output))?;
        Some(TxId::new(&spender.id.to_string()))
    }
}

/// The whole mempool at one tip.
pub struct RawPool {
    tip: BlockRef,
    transactions: Arc<Transactions>,
}

/// Bodies by transaction id, of what is or was a moment ago in the mempool.
#[derive(Debug, Default)]
pub(crate) struct PoolMemory {
    bodies: Mutex<HashMap<Hash256, Arc<[u8]>>>,
}

impl PoolMemory {
    /// Reads the mempool as it is at one tip.
    ///
    /// A transaction may leave between the list and its body. When the tip is then still the same it
    /// was evicted or replaced, and is left out; else it may have been mined, and all is read again.
    pub(crate) async fn fetch(&self, rpc: &Rpc) -> Result<RawPool, CallError> {
        for _ in 0..ATTEMPTS {
            let Some((tip, ids)) = list(rpc).await? else {
                continue;
            };
            let missing = self.fetch_bodies(rpc, &ids).await?;
            if missing && rpc.chain_info().await?.tip != tip.tip {
                continue;
            }
            return Ok(RawPool {
                tip: BlockRef {
                    height: tip.blocks,
                    hash: BlockHash::new(&tip.tip.to_string()),
                },
                transactions: Arc::new(Transactions(self.take_over(ids))),
            });
        }
        Err(CallError::Unreachable(
            "its mempool and its tip kept changing while they were read".to_owned(),
        ))
    }

    /// Asks for the bodies that are not known; whether some have left meanwhile.
    async fn fetch_bodies(&self, rpc: &Rpc, ids: &[Hash256]) -> Result<bool, CallError> {
        let new: Vec<Hash256> = {
            let bodies = self.bodies();
            let new = ids.iter().filter(|id| !bodies.contains_key(*id));
            new.copied().collect()
        };
        let mut missing = false;
        let mut kept: usize = self.bodies().values().map(|body| body.len()).sum();
        for ids in new.chunks(BATCH_CALLS_MAX) {
            let calls: Vec<Call<'_>> = ids
                .iter()
                .map(|id| ("getrawtransaction", vec![json!(id.to_string()), json!(0)]))
                .collect();
            for (id, answer) in ids.iter().zip(rpc.batch(&calls).await?) {
                let raw = match answer {
                    Ok(raw) => raw,
                    Err(error) if NodeError::NOT_FOUND.contains(&error.code) => {
                        missing = true;
                        continue;
                    }
                    Err(error) => return Err(CallError::Node(error)),
                };
                let body = read_body(*id, &raw).ok_or_else(|| {
                    CallError::Malformed(format!("getrawtransaction {id}: not that transaction"))
                })?;
                kept = kept.saturating_add(body.len());
                if BODIES_BYTES_MAX < kept {
                    return Err(CallError::Malformed(format!(
                        "its mempool holds more than {BODIES_BYTES_MAX} bytes without witnesses"
                    )));
                }
                self.bodies().insert(*id, body);
            }
        }
        Ok(missing)
    }

    /// The transactions with these ids; everything else is forgotten.
    fn take_over(&self, ids: Vec<Hash256>) -> Vec<PoolTransaction> {
        let mut bodies = self.bodies();
        let present: HashSet<Hash256> = ids.iter().copied().collect();
        bodies.retain(|id, _| present.contains(id));
        ids.into_iter()
            .filter_map(|id| {
                let body = Arc::clone(bodies.get(&id)?);
                Some(PoolTransaction { id, body })
            })
            .collect()
    }

    fn bodies(&self) -> std::sync::MutexGuard<'_, HashMap<Hash256, Arc<[u8]>>> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ids in the mempool and the tip that they belong to; `None` when the tip changed meanwhile.
async fn list(rpc: &Rpc) -> Result<Option<(ChainInfo, Vec<Hash256>)>, CallError> {
    let calls: [Call<'_>; 3] = [
        ("getblockchaininfo", Vec::new()),
        ("getrawmempool", vec![json!(false)]),
        ("getbestblockhash", Vec::new()),
    ];
    let mut results = Vec::new();
    for answer in rpc.batch(&calls).await? {
        results.push(answer.map_err(CallError::Node)?);
    }
    let [info, ids, after] = results.as_slice() else {
        return Err(CallError::Malformed(
            "a batch without its answers".to_owned(),
        ));
    };
    let malformed = |detail: String| CallError::Malformed(format!("mempool: {detail}"));
    let info: ChainInfo = read(info).map_err(malformed)?;
    let ids: Vec<Hash256> = read(ids).map_err(malformed)?;
    let after: Hash256 = read(after).map_err(malformed)?;
    Ok((info.tip == after).then_some((info, ids)))
}

/// The body of a transaction in hexadecimal, when it is the one with that id.
fn read_body(id: Hash256, raw: &serde_json::value::RawValue) -> Option<Arc<[u8]>> {
    let text: String = read(raw).ok()?;
    let bytes = hex::decode(text).ok()?;
    let result = Transaction::parse(&bytes).ok()?;
    let whole = result.remaining().is_empty() && tx_id(result.parsed()) == id;
    whole.then(|| body(result.parsed()).into())
}

impl RawPool {
    /// The credits to watched keys of everything in the mempool.
    pub(crate) fn scan(&self, asset: &AssetName, watched: &WatchTable) -> Pool {
        let credits = self.transactions.0.iter().flat_map(|transaction| {
            let hits = hits(&transaction.body, watched);
            credits(asset, transaction.id, &transaction.body, hits)
        });
        Pool {
            tip: self.tip.clone(),
            credits: credits.collect(),
            spenders: Arc::clone(&self.transactions) as Arc<dyn Spenders>,
        }
    }
}
