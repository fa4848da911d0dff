//! One bitcoind as a source of proven blocks.

mod fetch;
mod locate;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paywatch_chain::rpc::{Budget, CallError, Credentials};
use paywatch_chain::{
    Block, BoxFuture, Compute, Health, Located, Pool, Source, SourceError, WatchTable,
};
use paywatch_domain::{AssetName, BlockHash, BlockHint, BlockRef, ChainName, TxId};

use crate::difficulty::Ancestry;
use crate::error::SetupError;
use crate::hash::Hash256;
use crate::headers::HeaderCache;
use crate::network::Network;
use crate::node::ChainInfo;
use crate::pool::{PoolMemory, RawPool};
use crate::proof::{Content, prove};
use crate::rpc::Rpc;

/// Headers that a node in step may have without their blocks: one is just being fetched.
const HEADERS_AHEAD_MAX: u64 = 1;

/// The node is asked to wait this much shorter than the caller does, so that its answer comes before
/// the request is given up and the connection with it.
const WAIT_SHORTER: Duration = Duration::from_millis(200);

/// How to reach a node and what it must be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The chain as it is configured.
    pub chain: ChainName,
    /// The network it must be.
    pub network: Network,
    /// The name of its coin.
    pub asset: AssetName,
    /// The node's address, for example `http://127.0.0.1:8332`; without user and password.
    pub url: String,
    /// How the node knows us.
    pub credentials: Credentials,
    /// Whether to read blocks by REST where the node offers it.
    pub rest: bool,
    /// How often the node may be asked.
    pub budget: Budget,
}

/// What a node gave for a block, read and hashed, and the headers that its proof needs.
pub struct RawBlock {
    content: Content,
    /// `None` when they were not to be had.
    ancestry: Option<Ancestry>,
}

/// What was found out about a node, until the connection breaks.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Its version, once its network was found right.
    version: Option<String>,
    /// Whether it answers REST requests.
    rest: Option<bool>,
}

/// One bitcoind.
#[derive(Debug)]
pub struct BitcoinSource {
    chain: ChainName,
    network: Network,
    asset: AssetName,
    rest: bool,
    rpc: Rpc,
    compute: Compute,
    known: Mutex<Known>,
    headers: Mutex<HeaderCache>,
    /// Held while headers are fetched, so that blocks fetched at once do not all ask for them.
    filling: tokio::sync::Mutex<()>,
    pool: PoolMemory,
}

impl BitcoinSource {
    /// A source for the node that `config` names. Nothing is asked of it yet.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        if config.asset.chain() != &config.chain {
            return Err(SetupError::Asset {
                asset: config.asset.to_string(),
                chain: config.chain.to_string(),
            });
        }
        Ok(Self {
            rpc: Rpc::new(&config.url, config.credentials, config.budget)?,
            chain: config.chain,
            network: config.network,
            asset: config.asset,
            rest: config.rest,
            compute: Compute::in_place(),
            known: Mutex::default(),
            headers: Mutex::new(HeaderCache::new(config.network)),
            filling: tokio::sync::Mutex::default(),
            pool: PoolMemory::default(),
        })
    }

    /// The same source, with blocks hashed by `compute` instead of in place.
    #[must_use]
    pub fn with_compute(self, compute: Compute) -> Self {
        Self { compute, ..self }
    }

    async fn ask_health(&self) -> Result<Health, SourceError> {
        let info = self.chain_info().await?;
        let known = self.known().version.clone();
        let version = match known {
            Some(version) => version,
            None => self.identify(&info).await?,
        };
        // The first sync of a private network has no end: it is idle for as long as nobody mines.
        let downloading = match self.network {
            Network::Regtest => false,
            Network::Mainnet | Network::Testnet3 | Network::Testnet4 | Network::Signet => {
                info.downloading
            }
        };
        let (checkpoint, _) = self.network.checkpoint();
        let behind = info.blocks.saturating_add(HEADERS_AHEAD_MAX) < info.headers;
        if downloading || behind || info.blocks < checkpoint {
            return Err(SourceError::Synchronising {
                chain: self.chain.clone(),
                done: info.blocks,
                total: info.headers.max(checkpoint),
            });
        }
        Ok(Health {
            version,
            tip: BlockRef {
                height: info.blocks,
                hash: BlockHash::new(&info.tip.to_string()),
            },
            lowest: info.lowest.unwrap_or_default(),
        })
    }

    /// Asks for the chain's state and compares the network's name, which every answer holds.
    async fn chain_info(&self) -> Result<ChainInfo, SourceError> {
        let info = self.rpc.chain_info().await;
        let info = info.map_err(|error| self.failed(error))?;
        if info.chain == self.network.node_name() {
            return Ok(info);
        }
        *self.known() = Known::default();
        let found = format!("a node of the network {:?}", info.chain);
        Err(self.wrong_network(self.network.genesis(), found))
    }

    /// Compares the first block and the checkpoint, once per connection; the node's version.
    async fn identify(&self, info: &ChainInfo) -> Result<String, SourceError> {
        let mut places = vec![(0, self.network.genesis())];
        let checkpoint = self.network.checkpoint();
        if checkpoint.0 <= info.blocks {
            places.push(checkpoint);
        }
        for (height, expected) in places {
            let hash = self.rpc.block_hash(height).await;
            let hash = hash.map_err(|error| self.failed(error))?;
            let found = hash.map_or_else(|| "nothing".to_owned(), |hash| hash.to_string());
            if found != expected {
                return Err(self.wrong_network(expected, format!("{found} at height {height}")));
            }
        }
        let version = match self.rpc.version().await {
            Ok(version) => version,
            // A restricted login need not have this method; nothing depends on it.
            Err(CallError::Refused(_)) => "unknown version".to_owned(),
            Err(error) => return Err(self.failed(error)),
        };
        if checkpoint.0 <= info.blocks {
            self.known().version = Some(version.clone());
        }
        Ok(version)
    }

    fn hash_of(&self, block: &BlockRef) -> Result<Hash256, SourceError> {
        Hash256::parse(block.hash.as_str()).ok_or_else(|| SourceError::Malformed {
            chain: self.chain.clone(),
            detail: "a block was asked for by something that is not a hash".to_owned(),
        })
    }

    /// A failed call as the engine knows it. After a broken connection another node may answer: what
    /// was known is forgotten.
    fn failed(&self, error: CallError) -> SourceError {
        match error {
            // bitcoind is busy when its queue is full; what that means for us is that it does not answer.
            CallError::Unreachable(detail) | CallError::Busy { detail, .. } => {
                *self.known() = Known::default();
                CallError::Unreachable(detail).into_source(self.chain.clone())
            }
            other => other.into_source(self.chain.clone()),
        }
    }

    fn wrong_network(&self, expected: &str, found: String) -> SourceError {
        SourceError::WrongNetwork {
            chain: self.chain.clone(),
            expected: expected.to_owned(),
            found,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn headers(&self) -> MutexGuard<'_, HeaderCache> {
        self.headers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for BitcoinSource {
    type Raw = RawBlock;
    type RawPool = RawPool;

    fn chain(&self) -> &ChainName {
        &self.chain
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, SourceError>> {
        Box::pin(self.ask_health())
    }

    fn hash_at(&self, height: u64) -> BoxFuture<'_, Result<Option<BlockHash>, SourceError>> {
        Box::pin(async move {
            let hash = self.rpc.block_hash(height).await;
            let hash = hash.map_err(|error| self.failed(error))?;
            Ok(hash.map(|hash| BlockHash::new(&hash.to_string())))
        })
    }

    fn hashes(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<BlockHash>, SourceError>> {
        Box::pin(async move {
            let hashes = self.rpc.block_hashes(from, to).await;
            let hashes = hashes.map_err(|error| self.failed(error))?;
            Ok(hashes
                .iter()
                .map(|hash| BlockHash::new(&hash.to_string()))
                .collect())
        })
    }

    fn locate(
        &self,
        transaction: TxId,
        hint: Option<BlockHint>,
    ) -> BoxFuture<'_, Result<Located, SourceError>> {
        Box::pin(async move { self.locate_transaction(&transaction, hint).await })
    }

    fn fetch(&self, block: BlockRef) -> BoxFuture<'_, Result<RawBlock, SourceError>> {
        Box::pin(self.fetch_block(block))
    }

    fn scan(
        &self,
        block: &BlockRef,
        raw: RawBlock,
        watched: &WatchTable,
    ) -> Result<Block, SourceError> {
        let RawBlock { content, ancestry } = raw;
        prove(
            self.network,
            &self.asset,
            block,
            &content,
            ancestry.as_ref(),
            watched,
        )
        .map_err(|detail| SourceError::Unproven {
            chain: self.chain.clone(),
            block: block.clone(),
            detail,
        })
    }

    fn fetch_pool(&self) -> BoxFuture<'_, Result<Option<RawPool>, SourceError>> {
        Box::pin(async move {
            let pool = self.pool.fetch(&self.rpc, self.network).await;
            pool.map(Some).map_err(|error| self.failed(error))
        })
    }

    fn scan_pool(&self, raw: RawPool, watched: &WatchTable) -> Result<Pool, SourceError> {
        Ok(raw.scan(&self.asset, watched))
    }

    fn wait_for_change<'a>(&'a self, tip: &'a BlockRef, timeout: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let changed = async {
                let Some(known) = Hash256::parse(tip.hash.as_str()) else {
                    return;
                };
                let asked = timeout.saturating_sub(WAIT_SHORTER);
                let has_waited = WAIT_SHORTER <= asked;
                // A node that is down or does not wait must not be asked in a tight loop: the rest of
                // the time is waited out. After a wait that was in vain the next one begins at once,
                // or a block that comes in between would be heard of late.
                match self.rpc.wait_for_new_block(known, asked).await {
                    Ok(tip) if tip != known || has_waited => {}
                    Ok(_) | Err(_) => std::future::pending::<()>().await,
                }
            };
            let _elapsed = tokio::time::timeout(timeout, changed).await;
        })
    }
}
