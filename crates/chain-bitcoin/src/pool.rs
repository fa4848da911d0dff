//! The mempool: read as a whole, remembered without its witnesses.
//!
//! The set of ids is read every time, atomically by the node, and only once the node has loaded what
//! it saved before its last start; bodies are asked for once. Every
//! scan looks at all outputs again (some milliseconds for a full mempool), so it is exact whatever was
//! added to the watch table since a transaction came.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bitcoin_slices::Parse;
use bitcoin_slices::bsl::Transaction;
use paywatch_chain::rpc::{Call, CallError, read};
use paywatch_chain::{Pool, Spenders, WatchTable};
use paywatch_domain::{AssetName, BlockHash, BlockRef, TxId};
use serde::Deserialize;
use serde_json::json;

use crate::hash::Hash256;
use crate::network::Network;
use crate::node::ChainInfo;
use crate::rpc::{NOT_FOUND, Rpc};
use crate::transaction::{body, credits, for_each_outpoint, hits, parse_outpoint, tx_id};
use crate::vetting::{self, Fees, Ours};

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
    /// Looks at every input of the mempool once: this is asked only when something of ours has gone.
    fn spenders(&self, outpoints: &BTreeSet<&str>) -> BTreeMap<String, TxId> {
        let mut wanted: HashMap<(Hash256, u32), &str> = outpoints
            .iter()
            .filter_map(|text| Some((parse_outpoint(text)?, *text)))
            .collect();
        let mut found = BTreeMap::new();
        for one in &self.0 {
            if wanted.is_empty() {
                break;
            }
            for_each_outpoint(&one.body, |spent| {
                if let Some(text) = wanted.remove(&spent) {
                    found.insert(text.to_owned(), TxId::new(&one.id.to_string()));
                }
            });
        }
        found
    }
}

/// The whole mempool at one tip.
pub struct RawPool {
    tip: BlockRef,
    age: Duration,
    transactions: Arc<Transactions>,
    /// What was there when the mempool was last read and is not any more, with its body.
    left: Vec<(Hash256, Vec<u8>)>,
    ours: Arc<Mutex<Ours>>,
}

/// Bodies by transaction id.
type Bodies = HashMap<Hash256, Arc<[u8]>>;

/// The bodies of what is or was a moment ago in the mempool.
#[derive(Debug, Default)]
pub(crate) struct PoolMemory {
    /// Held while the mempool is read: of two reads at a time, the one would forget what the other
    /// has just asked for.
    bodies: tokio::sync::Mutex<Bodies>,
    /// What is known of the transactions that pay us.
    ours: Arc<Mutex<Ours>>,
}

fn lock(ours: &Mutex<Ours>) -> MutexGuard<'_, Ours> {
    ours.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PoolMemory {
    /// Reads the mempool as it is at one tip. One read at a time: another waits for it.
    ///
    /// A transaction may leave between the list and its body. When the tip is then still the same it
    /// was evicted or replaced, and is left out; else it may have been mined, and all is read again.
    pub(crate) async fn fetch(&self, rpc: &Rpc, network: Network) -> Result<RawPool, CallError> {
        let mut bodies = self.bodies.lock().await;
        let mut gone = Vec::new();
        let is_regtest = network == Network::Regtest;
        for _ in 0..ATTEMPTS {
            let Some(List {
                tip,
                age,
                ids,
                fees,
            }) = list(rpc).await?
            else {
                continue;
            };
            let present: HashSet<Hash256> = ids.iter().copied().collect();
            let unvetted = lock(&self.ours).unvetted(&present, tip.tip);
            let vettings = match vetting::ask(rpc, &unvetted, &fees, is_regtest).await {
                // A restricted login need not have these methods: then nothing counts without a block.
                Err(CallError::Refused(_)) => Vec::new(),
                said => said?,
            };
            lock(&self.ours).note(tip.tip, vettings);
            let absent = bodies.extract_if(|id, _| !present.contains(id));
            gone.extend(absent.map(|(id, body)| (id, body.to_vec())));
            let left = fetch_bodies(rpc, &ids, &mut bodies).await?;
            if !left.is_empty() && rpc.chain_info().await?.tip != tip.tip {
                continue;
            }
            let Some(transactions) = with_bodies(ids, &left, &bodies) else {
                continue;
            };
            return Ok(RawPool {
                tip: BlockRef {
                    height: tip.blocks,
                    hash: BlockHash::new(&tip.tip.to_string()),
                },
                age,
                left: gone,
                ours: Arc::clone(&self.ours),
                transactions: Arc::new(Transactions(transactions)),
            });
        }
        Err(CallError::Unreachable(
            "its mempool and its tip kept changing while they were read".to_owned(),
        ))
    }
}

/// Asks for the bodies that are not known; the ids that the node says have left since.
async fn fetch_bodies(
    rpc: &Rpc,
    ids: &[Hash256],
    bodies: &mut Bodies,
) -> Result<HashSet<Hash256>, CallError> {
    let new = ids.iter().filter(|id| !bodies.contains_key(*id));
    let new: Vec<Hash256> = new.copied().collect();
    let mut left = HashSet::new();
    let mut kept: usize = bodies.values().map(|body| body.len()).sum();
    for ids in new.chunks(BATCH_CALLS_MAX) {
        let calls: Vec<Call<'_>> = ids
            .iter()
            .map(|id| ("getrawtransaction", vec![json!(id.to_string()), json!(0)]))
            .collect();
        for (id, answer) in ids.iter().zip(rpc.batch(&calls).await?) {
            let raw = match answer {
                Ok(raw) => raw,
                Err(error) if NOT_FOUND.contains(&error.code) => {
                    left.insert(*id);
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
            bodies.insert(*id, body);
        }
    }
    Ok(left)
}

/// The transactions with these ids, without those that have left; `None` when another's body is not
/// there, since what is left out here counts as gone.
fn with_bodies(
    ids: Vec<Hash256>,
    left: &HashSet<Hash256>,
    bodies: &Bodies,
) -> Option<Vec<PoolTransaction>> {
    ids.into_iter()
        .filter(|id| !left.contains(id))
        .map(|id| {
            let body = Arc::clone(bodies.get(&id)?);
            Some(PoolTransaction { id, body })
        })
        .collect()
}

/// `getmempoolinfo` (<https://developer.bitcoin.org/reference/rpc/getmempoolinfo.html>).
#[derive(Deserialize)]
struct MempoolInfo {
    /// Whether the node is done with loading the mempool that it saved at its last stop.
    loaded: bool,
}

/// What is in the mempool.
struct List {
    /// The tip that it belongs to.
    tip: ChainInfo,
    /// How long the node has been running, by its own steady clock.
    age: Duration,
    ids: Vec<Hash256>,
    fees: Fees,
}

/// The ids in the mempool and the tip that they belong to; `None` when the tip changed meanwhile.
///
/// A node answers while it still loads its saved mempool: what is not in the list then has not gone, so
/// there is no list until it is loaded.
async fn list(rpc: &Rpc) -> Result<Option<List>, CallError> {
    let calls: [Call<'_>; 5] = [
        ("getblockchaininfo", Vec::new()),
        // Before the list: once the mempool is loaded it stays so.
        ("getmempoolinfo", Vec::new()),
        ("getrawmempool", vec![json!(false)]),
        ("getbestblockhash", Vec::new()),
        ("uptime", Vec::new()),
    ];
    let mut results = Vec::new();
    for answer in rpc.batch(&calls).await? {
        results.push(answer.map_err(CallError::Node)?);
    }
    let [info, mempool, ids, after, uptime] = results.as_slice() else {
        return Err(CallError::Malformed(
            "a batch without its answers".to_owned(),
        ));
    };
    let malformed = |detail: String| CallError::Malformed(format!("mempool: {detail}"));
    let info: ChainInfo = read(info).map_err(malformed)?;
    let fees: Fees = read(mempool).map_err(malformed)?;
    let mempool: MempoolInfo = read(mempool).map_err(malformed)?;
    if !mempool.loaded {
        return Err(CallError::Unreachable(
            "it has just started and is still loading its mempool".to_owned(),
        ));
    }
    let ids: Vec<Hash256> = read(ids).map_err(malformed)?;
    let after: Hash256 = read(after).map_err(malformed)?;
    let uptime_s: u64 = read(uptime).map_err(malformed)?;
    Ok((info.tip == after).then_some(List {
        tip: info,
        // The second that has begun is not counted by the node.
        age: Duration::from_secs(uptime_s.saturating_add(1)),
        ids,
        fees,
    }))
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
        let (mut found, mut credits_found) = (Vec::new(), Vec::new());
        for transaction in &self.transactions.0 {
            let hits = hits(&transaction.body, watched);
            if !hits.is_empty() {
                found.push((transaction.id, &*transaction.body));
                credits_found.extend(credits(asset, transaction.id, &transaction.body, hits));
            }
        }
        let mut ours = lock(&self.ours);
        ours.found(&found, &self.left);
        Pool {
            tip: self.tip.clone(),
            age: self.age,
            credits: credits_found,
            vettings: ours.vettings(),
            conflicts: ours.conflicts(),
            spenders: Arc::clone(&self.transactions) as Arc<dyn Spenders>,
        }
    }
}
