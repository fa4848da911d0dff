//! One endpoint of one Solana cluster as a source of blocks, one for each slot.

mod answers;
mod fetch;
mod identity;
mod locate;
mod mentions;
mod mints;
mod slots;
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paywatch_chain::rpc::{self, Announcements, Budget, Client, Credentials, SetupError};
use paywatch_chain::{
    Block, BoxFuture, Compute, Health, Located, Pool, Source, SourceError, WatchTable,
};
use paywatch_domain::{BlockHash, BlockHint, BlockRef, ChainName, Mark, TxId, UnixMillis};

use crate::assets::Assets;
use crate::links::Header;
use crate::reader::ReadBlock;
use crate::scan::scan;
use identity::Known;

/// How to reach an endpoint and what it must be.
#[derive(Clone)]
pub struct Config {
    /// The chain as it is configured.
    pub chain: ChainName,
    /// The cluster's genesis hash, or how that begins, as in its CAIP-2 id; `None` leaves it unchecked.
    pub genesis: Option<String>,
    /// What is looked for. The decimals of tokens are compared with those of their mints.
    pub assets: Assets,
    /// The endpoint's address, `http://` or `https://`; without user and password.
    pub url: String,
    /// Where new slots are announced, `ws://` or `wss://`; without it the endpoint is polled.
    pub websocket: Option<String>,
    /// How the endpoint knows us.
    pub credentials: Credentials,
    /// How often it may be asked.
    pub budget: Budget,
}

impl fmt::Debug for Config {
    /// Without addresses and logins: keys stand in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("chain", &self.chain)
            .field("genesis", &self.genesis)
            .finish_non_exhaustive()
    }
}

/// What a slot holds.
#[derive(Debug)]
pub struct RawBlock {
    at: BlockRef,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Block(Box<ReadBlock>),
    /// Nothing: it was skipped. The hash of the slot below.
    Skipped(BlockHash),
}

/// One endpoint of one cluster.
#[derive(Debug)]
pub struct SolanaSource {
    chain: ChainName,
    genesis: Option<String>,
    assets: Assets,
    client: Client,
    slots: Option<Announcements>,
    compute: Compute,
    /// The highest version of transactions that is asked for.
    version: AtomicU8,
    known: Mutex<Option<Arc<Known>>>,
    /// The last block when the endpoint was last asked how it is.
    tip: Mutex<Option<Arc<Header>>>,
    /// Held while the endpoint is asked who it is, so that it is asked once.
    identifying: tokio::sync::Mutex<()>,
}

impl SolanaSource {
    /// A source for the endpoint that `config` names. Nothing is asked of it yet.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        let slots = config
            .websocket
            .map(|url| Announcements::new(&url, &config.credentials, wait::SLOTS))
            .transpose()?;
        let client = Client::new(rpc::Config {
            url: config.url,
            version: rpc::Version::V2,
            credentials: config.credentials,
            budget: config.budget,
        })?;
        Ok(Self {
            chain: config.chain,
            genesis: config.genesis,
            assets: config.assets,
            client,
            slots,
            compute: Compute::in_place(),
            version: AtomicU8::new(answers::VERSION_FIRST),
            known: Mutex::default(),
            tip: Mutex::default(),
            identifying: tokio::sync::Mutex::default(),
        })
    }

    /// The same source, with blocks read by `compute` instead of in place.
    #[must_use]
    pub fn with_compute(self, compute: Compute) -> Self {
        Self { compute, ..self }
    }

    fn malformed(&self, detail: String) -> SourceError {
        let chain = self.chain.clone();
        SourceError::Malformed { chain, detail }
    }

    /// After a broken connection another node may answer.
    fn forget(&self) {
        *self.known() = None;
        self.forget_tip();
    }

    fn forget_tip(&self) {
        *self.last_tip() = None;
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_tip(&self) -> MutexGuard<'_, Option<Arc<Header>>> {
        self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for SolanaSource {
    type Raw = RawBlock;
    /// There is none.
    type RawPool = Infallible;

    fn chain(&self) -> &ChainName {
        &self.chain
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, SourceError>> {
        Box::pin(self.ask_health())
    }

    fn hash_at(&self, height: u64) -> BoxFuture<'_, Result<Option<BlockHash>, SourceError>> {
        Box::pin(async move {
            let hashes = self.linked_hashes(height, height).await?;
            Ok(hashes.into_iter().next())
        })
    }

    fn hashes(&self, from: u64, to: u64) -> BoxFuture<'_, Result<Vec<BlockHash>, SourceError>> {
        Box::pin(self.linked_hashes(from, to))
    }

    fn locate(
        &self,
        transaction: TxId,
        hint: Option<BlockHint>,
    ) -> BoxFuture<'_, Result<Located, SourceError>> {
        Box::pin(async move { self.locate_transaction(&transaction, hint).await })
    }

    fn mentions(
        &self,
        keys: Vec<Box<[u8]>>,
        heights: (u64, u64),
    ) -> BoxFuture<'_, Result<Option<BTreeSet<u64>>, SourceError>> {
        Box::pin(self.slots_that_name(keys, heights))
    }

    fn fetch(&self, block: BlockRef) -> BoxFuture<'_, Result<RawBlock, SourceError>> {
        Box::pin(self.fetch_slot(block))
    }

    fn scan(
        &self,
        block: &BlockRef,
        raw: RawBlock,
        watched: &WatchTable,
    ) -> Result<Block, SourceError> {
        if raw.at != *block {
            return Err(SourceError::Unproven {
                chain: self.chain.clone(),
                block: block.clone(),
                detail: "another block was fetched".to_owned(),
            });
        }
        Ok(match raw.content {
            Content::Block(read) => scan(block, &read, &self.assets, watched),
            Content::Skipped(below) => Block {
                at: raw.at,
                parent: below,
                time: UnixMillis(0),
                bytes: 0,
                credits: Vec::new(),
                spent: Vec::new(),
                outflows: Vec::new(),
                unseen: None,
            },
        })
    }

    fn fetch_pool(&self) -> BoxFuture<'_, Result<Option<Infallible>, SourceError>> {
        Box::pin(async { Ok(None) })
    }

    fn scan_pool(&self, raw: Infallible, _watched: &WatchTable) -> Result<Pool, SourceError> {
        match raw {}
    }

    fn marks(&self) -> BoxFuture<'_, Result<BTreeMap<Mark, BlockRef>, SourceError>> {
        Box::pin(self.committed())
    }

    fn wait_for_change<'a>(&'a self, tip: &'a BlockRef, timeout: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _elapsed = tokio::time::timeout(timeout, self.changed(tip)).await;
        })
    }
}
