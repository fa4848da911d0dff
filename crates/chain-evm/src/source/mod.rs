//! One endpoint of one EVM chain as a source of proven blocks.

mod capabilities;
mod endpoint;
mod fetch;
mod headers;
mod holdings;
mod identity;
mod locate;
mod receipts;
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::B256;
use paywatch_chain::rpc::{
    self, Announcements, Budget, Call, CallError, Client, Credentials, NodeError, SetupError,
};
use paywatch_chain::{
    Block, BoxFuture, Compute, Health, Holder, Holding, Located, Pool, Source, SourceError,
    WatchTable,
};
use paywatch_domain::{BlockHash, BlockHint, BlockRef, ChainName, Mark, TxId};

pub use capabilities::{Capabilities, TraceKind};

use crate::assets::Assets;
use crate::inflows::Inflows;
use crate::proof::ProvenBlock;
use crate::rules::Rules;
use crate::scan::scan;
use endpoint::{CallAnswer, Endpoint};
use identity::Known;

/// How to reach an endpoint and what it must be.
#[derive(Clone)]
pub struct Config {
    /// The chain as it is configured.
    pub chain: ChainName,
    /// The number of the chain, which every node of it tells (EIP-155).
    pub chain_id: u64,
    /// The hash of its first block; `None` leaves that unchecked.
    pub genesis: Option<BlockHash>,
    /// What is looked for. The decimals of tokens are compared with those of their contracts.
    pub assets: Assets,
    /// What is peculiar to the chain.
    pub rules: Rules,
    /// The tags that the chain has, of `safe` and `finalized`.
    pub marks: BTreeSet<Mark>,
    /// Which kinds of traces may be used: [`TraceKind::ALL`], unless some of them are dear.
    pub traces: BTreeSet<TraceKind>,
    /// The endpoint's address, `http://` or `https://`; without user and password.
    pub url: String,
    /// Where new blocks are announced, `ws://` or `wss://`; without it the endpoint is polled.
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
            .field("chain_id", &self.chain_id)
            .finish_non_exhaustive()
    }
}

/// A block that was read and proven, and what its transactions paid in the native coin.
#[derive(Debug)]
pub struct RawBlock {
    block: ProvenBlock,
    inflows: Inflows,
}

/// One endpoint of one chain.
#[derive(Debug)]
pub struct EvmSource {
    chain: ChainName,
    chain_id: u64,
    genesis: Option<BlockHash>,
    assets: Assets,
    rules: Rules,
    marks: BTreeSet<Mark>,
    traces: BTreeSet<TraceKind>,
    endpoint: Endpoint,
    heads: Option<Announcements>,
    compute: Compute,
    known: Mutex<Option<Arc<Known>>>,
    /// Held while the endpoint is asked who it is, so that it is asked once.
    identifying: tokio::sync::Mutex<()>,
}

impl EvmSource {
    /// A source for the endpoint that `config` names. Nothing is asked of it yet.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        let heads = config
            .websocket
            .map(|url| Announcements::new(&url, &config.credentials, wait::NEW_HEADS))
            .transpose()?;
        let client = Client::new(rpc::Config {
            url: config.url,
            version: rpc::Version::V2,
            credentials: config.credentials,
            budget: config.budget,
        })?;
        Ok(Self {
            chain: config.chain,
            chain_id: config.chain_id,
            genesis: config.genesis,
            assets: config.assets,
            rules: config.rules,
            marks: config.marks,
            traces: config.traces,
            endpoint: Endpoint::new(client),
            heads,
            compute: Compute::in_place(),
            known: Mutex::default(),
            identifying: tokio::sync::Mutex::default(),
        })
    }

    /// The same source, with blocks proven by `compute` instead of in place.
    #[must_use]
    pub fn with_compute(self, compute: Compute) -> Self {
        Self { compute, ..self }
    }

    /// What the endpoint offers, as far as that was found out.
    pub fn capabilities(&self) -> Option<Capabilities> {
        let known = self.known().clone();
        known.map(|known| Capabilities {
            // One may be refused at any time.
            batches: self.endpoint.takes_batches(),
            ..known.capabilities.clone()
        })
    }

    async fn ask(&self, calls: &[Call<'_>]) -> Result<Vec<CallAnswer>, SourceError> {
        let answers = self.endpoint.ask(calls).await;
        answers.map_err(|error| self.failed(error))
    }

    /// A failed call as the engine knows it. After a broken connection another node may answer: what
    /// was known is forgotten.
    fn failed(&self, error: CallError) -> SourceError {
        if matches!(error, CallError::Unreachable(_)) {
            self.forget();
        }
        error.into_source(self.chain.clone())
    }

    /// An error of the node's own that means nothing more to us.
    fn told(&self, error: NodeError) -> SourceError {
        self.failed(CallError::Node(error))
    }

    fn malformed(&self, detail: String) -> SourceError {
        let chain = self.chain.clone();
        SourceError::Malformed { chain, detail }
    }

    fn hash_of(&self, block: &BlockRef) -> Result<B256, SourceError> {
        block.hash.as_str().parse().map_err(|_| {
            let detail = "a block was asked for by something that is not a hash";
            self.malformed(detail.to_owned())
        })
    }

    fn forget(&self) {
        *self.known() = None;
        self.endpoint.reconnected();
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<Known>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for EvmSource {
    type Raw = RawBlock;
    /// The mempool of an EVM node is not its chain's: most payments never stand in it.
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

    fn fetch(&self, block: BlockRef) -> BoxFuture<'_, Result<RawBlock, SourceError>> {
        Box::pin(self.fetch_block(block))
    }

    fn scan(
        &self,
        block: &BlockRef,
        raw: RawBlock,
        watched: &WatchTable,
    ) -> Result<Block, SourceError> {
        if raw.block.at == *block {
            return Ok(scan(&raw.block, &self.assets, &raw.inflows, watched));
        }
        Err(SourceError::Unproven {
            chain: self.chain.clone(),
            block: block.clone(),
            detail: "another block was fetched".to_owned(),
        })
    }

    fn fetch_pool(&self) -> BoxFuture<'_, Result<Option<Infallible>, SourceError>> {
        Box::pin(async { Ok(None) })
    }

    fn scan_pool(&self, raw: Infallible, _watched: &WatchTable) -> Result<Pool, SourceError> {
        match raw {}
    }

    fn marks(&self) -> BoxFuture<'_, Result<BTreeMap<Mark, BlockRef>, SourceError>> {
        Box::pin(self.tagged())
    }

    fn holdings<'a>(
        &'a self,
        at: &'a BlockRef,
        holders: &'a [Holder],
    ) -> BoxFuture<'a, Result<Option<Vec<Holding>>, SourceError>> {
        Box::pin(self.read_holdings(at, holders))
    }

    fn offers(&self) -> Option<String> {
        let offered = self.capabilities();
        offered.map(|offered| offered.to_string())
    }

    fn wait_for_change<'a>(&'a self, tip: &'a BlockRef, timeout: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _elapsed = tokio::time::timeout(timeout, self.changed(tip)).await;
        })
    }
}
