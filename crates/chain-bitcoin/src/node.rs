//! What is asked of bitcoind, with the types of its answers.

use std::time::Duration;

use paywatch_chain::rpc::{Call, CallError, read, words};
use paywatch_domain::limits;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::difficulty::{HEADER_BYTES, Header};
use crate::hash::Hash256;
use crate::rpc::{NOT_FOUND, Rpc};

/// Headers that one REST request brings; bitcoind allows 2000.
const REST_HEADERS_MAX: u64 = 2000;
/// Calls of one batch of headers.
const BATCH_CALLS_MAX: usize = 500;
/// Time beyond the wait itself after which a waiting call is given up.
const WAIT_SPARE: Duration = Duration::from_secs(5);

/// `getblockchaininfo` (<https://developer.bitcoin.org/reference/rpc/getblockchaininfo.html>).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ChainInfo {
    /// The network's name.
    pub(crate) chain: String,
    /// Height of the tip.
    pub(crate) blocks: u64,
    /// Height of the best header.
    pub(crate) headers: u64,
    /// Hash of the tip.
    #[serde(rename = "bestblockhash")]
    pub(crate) tip: Hash256,
    /// Whether the node takes itself to be reading history.
    #[serde(rename = "initialblockdownload")]
    pub(crate) downloading: bool,
    /// The lowest block it still has, when it prunes.
    #[serde(rename = "pruneheight")]
    pub(crate) lowest: Option<u64>,
}

/// What a node has to say of a block.
pub(crate) enum BlockAnswer {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// It was not given; the words say why.
    None(String),
}

#[derive(Deserialize)]
struct NetworkInfo {
    subversion: String,
}

/// `getblockheader` (<https://developer.bitcoin.org/reference/rpc/getblockheader.html>).
#[derive(Deserialize)]
pub(crate) struct HeaderInfo {
    /// Blocks on top of it, itself included; negative outside of the active chain.
    pub(crate) confirmations: i64,
    /// Blocks below it.
    pub(crate) height: u64,
}

/// Where the node's mempool or its index of transactions has one: `getrawtransaction`
/// (<https://developer.bitcoin.org/reference/rpc/getrawtransaction.html>).
#[derive(Deserialize)]
pub(crate) struct Whereabouts {
    /// Its block; `None` in the mempool.
    #[serde(rename = "blockhash")]
    pub(crate) block: Option<Hash256>,
}

/// `getindexinfo` (<https://developer.bitcoin.org/reference/rpc/getindexinfo.html>).
#[derive(Deserialize)]
struct Indexes {
    txindex: Option<Index>,
}

#[derive(Deserialize)]
struct Index {
    synced: bool,
}

#[derive(Deserialize)]
struct Tip {
    hash: Hash256,
}

impl Rpc {
    pub(crate) async fn chain_info(&self) -> Result<ChainInfo, CallError> {
        self.call("getblockchaininfo", &[]).await
    }

    /// The hash at a height of the active chain; `None` above the tip.
    pub(crate) async fn block_hash(&self, height: u64) -> Result<Option<Hash256>, CallError> {
        // The node counts in 31 bits and calls more an error of the caller.
        if i32::try_from(height).is_err() {
            return Ok(None);
        }
        match self.call("getblockhash", &[json!(height)]).await {
            Ok(hash) => Ok(Some(hash)),
            Err(CallError::Node(error)) if NOT_FOUND.contains(&error.code) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The hashes of the active chain from one height up to another or the tip, as many as fit into one
    /// batch.
    pub(crate) async fn block_hashes(&self, from: u64, to: u64) -> Result<Vec<Hash256>, CallError> {
        // The node counts in 31 bits and calls more an error of the caller.
        let heights = (from..=to).take(BATCH_CALLS_MAX);
        let calls: Vec<Call<'_>> = heights
            .take_while(|height| i32::try_from(*height).is_ok())
            .map(|height| ("getblockhash", vec![json!(height)]))
            .collect();
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        self.batch_of(&calls).await
    }

    /// Software and version, for example `Satoshi:31.0.0`.
    pub(crate) async fn version(&self) -> Result<String, CallError> {
        let info: NetworkInfo = self.call("getnetworkinfo", &[]).await?;
        Ok(words(info.subversion.trim_matches('/')))
    }

    /// Blocks on top of a block, itself included; negative outside of the active chain, `None` when
    /// the node does not know it.
    pub(crate) async fn confirmations(&self, hash: Hash256) -> Result<Option<i64>, CallError> {
        let info = self.header_info(hash).await?;
        Ok(info.map(|info| info.confirmations))
    }

    /// What the node knows of a header; `None` when it does not know it.
    pub(crate) async fn header_info(&self, hash: Hash256) -> Result<Option<HeaderInfo>, CallError> {
        let params = [json!(hash.to_string()), json!(true)];
        found(self.call("getblockheader", &params).await)
    }

    /// Where the mempool or the index of transactions has a transaction; `None` when neither has it.
    pub(crate) async fn whereabouts(
        &self,
        transaction: Hash256,
    ) -> Result<Option<Whereabouts>, CallError> {
        let params = [json!(transaction.to_string()), json!(1)];
        found(self.call("getrawtransaction", &params).await)
    }

    /// The block that holds a transaction: the one that is named, or else the one that the node knows by
    /// an unspent output of it; `None` when that is not to be had. By `gettxoutproof`
    /// (<https://developer.bitcoin.org/reference/rpc/gettxoutproof.html>).
    pub(crate) async fn block_of(
        &self,
        transaction: Hash256,
        block: Option<Hash256>,
    ) -> Result<Option<Hash256>, CallError> {
        /// The node has thrown the block away, named or not: whether it held the transaction is not
        /// known any more. Asking again does not help.
        const PRUNED: i64 = -1;
        let mut params = vec![json!([transaction.to_string()])];
        params.extend(block.map(|block| json!(block.to_string())));
        match self.call::<String>("gettxoutproof", &params).await {
            Err(CallError::Node(error)) if error.code == PRUNED => Ok(block),
            answer => {
                let proof = found(answer)?;
                let header = proof.and_then(|proof| {
                    let header = hex::decode(proof.get(..2 * HEADER_BYTES)?).ok()?;
                    Header::read(&header)
                });
                Ok(header.map(|header| header.hash))
            }
        }
    }

    /// Whether the node has an index of all transactions.
    pub(crate) async fn has_transaction_index(&self) -> Result<bool, CallError> {
        match self
            .call::<Indexes>("getindexinfo", &[json!("txindex")])
            .await
        {
            Ok(indexes) => Ok(indexes.txindex.is_some_and(|index| index.synced)),
            // A restricted login need not have this method.
            Err(CallError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the node answers REST requests (`rest=1` in its configuration).
    pub(crate) async fn has_rest(&self) -> Result<bool, CallError> {
        let answer = self.rest("/rest/chaininfo.json", 1024 * 1024).await?;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            return Err(CallError::Unreachable("it is starting or busy".to_owned()));
        }
        Ok(answer.status == StatusCode::OK)
    }

    /// A block by REST.
    pub(crate) async fn block_by_rest(&self, hash: Hash256) -> Result<BlockAnswer, CallError> {
        let path = format!("/rest/block/{hash}.bin");
        let answer = self.rest(&path, limits::BLOCK_BYTES_MAX).await?;
        match answer.status {
            StatusCode::OK if answer.body.is_empty() => {
                Ok(BlockAnswer::None("an empty answer".to_owned()))
            }
            StatusCode::OK => Ok(BlockAnswer::Bytes(answer.body)),
            StatusCode::NOT_FOUND => Ok(BlockAnswer::None(words(&String::from_utf8_lossy(
                &answer.body,
            )))),
            status => Err(of_status(status, &path)),
        }
    }

    /// A block by RPC.
    pub(crate) async fn block_by_rpc(&self, hash: Hash256) -> Result<BlockAnswer, CallError> {
        /// "Block not available (pruned data)" and its like.
        const NOT_AVAILABLE: i64 = -1;
        let params = [json!(hash.to_string()), json!(0)];
        match self.call::<String>("getblock", &params).await {
            Ok(text) => hex::decode(&text)
                .map(BlockAnswer::Bytes)
                .map_err(|error| CallError::Malformed(format!("getblock: {error}"))),
            Err(CallError::Node(error))
                if error.code == NOT_AVAILABLE || NOT_FOUND.contains(&error.code) =>
            {
                Ok(BlockAnswer::None(error.message))
            }
            Err(error) => Err(error),
        }
    }

    /// Headers of the active chain from `from` up to `to` or the tip, both included, by REST.
    pub(crate) async fn headers_by_rest(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<Header>, CallError> {
        let mut headers = Vec::new();
        let mut height = from;
        while height <= to {
            let Some(hash) = self.block_hash(height).await? else {
                break;
            };
            let count = REST_HEADERS_MAX.min(to.saturating_sub(height).saturating_add(1));
            let path = format!("/rest/headers/{hash}.bin?count={count}");
            let bytes_max = HEADER_BYTES.saturating_mul(usize::try_from(count).unwrap_or_default());
            let answer = self.rest(&path, bytes_max).await?;
            if answer.status != StatusCode::OK {
                return Err(of_status(answer.status, &path));
            }
            let read = answer.body.chunks(HEADER_BYTES).map_while(Header::read);
            let before = headers.len();
            headers.extend(read);
            // Nothing comes for a block that has left the active chain meanwhile.
            let came = u64::try_from(headers.len().saturating_sub(before)).unwrap_or_default();
            if came == 0 {
                break;
            }
            height = height.saturating_add(came);
        }
        Ok(headers)
    }

    /// Headers of the active chain from `from` up to `to` or the tip, both included, by RPC.
    pub(crate) async fn headers_by_rpc(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<Header>, CallError> {
        let heights: Vec<u64> = (from..=to).collect();
        let mut headers = Vec::with_capacity(heights.len());
        for heights in heights.chunks(BATCH_CALLS_MAX) {
            let calls: Vec<Call<'_>> = heights
                .iter()
                .map(|height| ("getblockhash", vec![json!(height)]))
                .collect();
            let hashes: Vec<Hash256> = self.batch_of(&calls).await?;
            let calls: Vec<Call<'_>> = hashes
                .iter()
                .map(|hash| {
                    let params = vec![json!(hash.to_string()), Value::Bool(false)];
                    ("getblockheader", params)
                })
                .collect();
            let is_last = hashes.len() < heights.len();
            let texts: Vec<String> = self.batch_of(&calls).await?;
            headers.extend(texts.iter().filter_map(|text| {
                let bytes = hex::decode(text).ok()?;
                Header::read(&bytes)
            }));
            if is_last {
                break;
            }
        }
        Ok(headers)
    }

    /// The results of a batch, up to the first that the node does not have.
    async fn batch_of<T: serde::de::DeserializeOwned>(
        &self,
        calls: &[Call<'_>],
    ) -> Result<Vec<T>, CallError> {
        let answers = self.batch(calls).await?;
        answers
            .iter()
            .map_while(|answer| answer.as_ref().ok())
            .map(|raw| read(raw).map_err(CallError::Malformed))
            .collect()
    }

    /// Waits until the tip is not `tip`, `wait` at the longest; the tip after that.
    pub(crate) async fn wait_for_new_block(
        &self,
        tip: Hash256,
        wait: Duration,
    ) -> Result<Hash256, CallError> {
        // The node takes 0 for "without end".
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let params = [json!(wait_ms), json!(tip.to_string())];
        let answer = wait.saturating_add(WAIT_SPARE);
        let tip: Tip = self.call_within("waitfornewblock", &params, answer).await?;
        Ok(tip.hash)
    }
}

/// What was asked for, or that there is no such thing.
fn found<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(CallError::Node(error)) if NOT_FOUND.contains(&error.code) => Ok(None),
        Err(error) => Err(error),
    }
}

fn of_status(status: StatusCode, path: &str) -> CallError {
    let detail = format!("HTTP {} to {path}", status.as_u16());
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        CallError::Unreachable(detail)
    } else if status.is_client_error() {
        CallError::Refused(detail)
    } else {
        CallError::Malformed(detail)
    }
}
