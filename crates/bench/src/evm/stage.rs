//! What catching up is measured on: a node with many small blocks, and the database of a watcher that
//! has not read them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use paywatch_chain::rpc::{Budget, Credentials};
use paywatch_chain_evm::address::parse_address;
use paywatch_chain_evm::{Assets, Config, EvmSource, Rules, TraceKind};
use paywatch_domain::{BlockRef, Mark};
use paywatch_engine::worker::Parts;
use paywatch_store::Store;
use paywatch_testkit::AnvilOptions;
use tempfile::TempDir;

use super::node::{Node, WEI};
use super::{Account, somebody, trade};
use crate::crowd;
use crate::follow;
use crate::numbers::Numbers;
use crate::progress::{Progress, say};
use crate::shop::{NOWHERE, Opened, Shop};

/// Open invoices.
const OPEN: u32 = 10_000;
/// Every so manieth block pays one of them.
pub(super) const PAID_EVERY: u32 = 10;

/// Accounts that are paid besides the shop.
const STRANGERS: usize = 64;
/// Logs of the token in each block.
pub(super) const LOGS_PER_BLOCK: usize = 2;

/// A node with small blocks, and a database that ends below them.
pub(super) struct Stage {
    pub(super) node: Node,
    folder: TempDir,
    /// The blocks, lowest first.
    pub(super) blocks: Vec<BlockRef>,
    /// How many they are.
    pub(super) count: u32,
    /// Who is paid besides the shop. They are few: the node copies its accounts for each trace.
    pub(super) strangers: Vec<Account>,
}

impl Stage {
    /// Starts the node, opens the shop, makes the blocks.
    pub(super) async fn set(count: u32) -> Result<Self> {
        say("starting an EVM node");
        let node = Node::start().await?;
        let folder = tempfile::Builder::new()
            .prefix("paywatch-bench-")
            .tempdir()?;
        let mut numbers = Numbers(13);
        let mut stage = Self {
            node,
            folder,
            blocks: Vec::new(),
            count,
            strangers: (0..STRANGERS).map(|_| somebody(&mut numbers)).collect(),
        };
        let invoiced = stage.open_shop().await?;
        stage.make_blocks(&invoiced).await?;
        Ok(stage)
    }

    /// How many invoices the blocks pay.
    pub(super) fn paid(&self) -> u32 {
        self.count / PAID_EVERY
    }

    /// Makes the invoices while the watcher is up to date; gives the addresses of those that are paid.
    async fn open_shop(&self) -> Result<Vec<Account>> {
        let opened = Opened::open(&self.template()).await?;
        let url = self.node.anvil.url();
        let tip = self.node.tip().await?;
        follow::drive(self.source(&url)?, self.parts(&opened.store)?, tip, true).await?;
        let marks = self.folder.path().join("marks");
        let trade = trade(self.node.token())?;
        let mut shop = Shop::open_for(trade, &opened.store, &marks, NOWHERE).await?;
        let progress = Progress::new("creating invoices", self.paid());
        let mut invoiced = Vec::new();
        for number in 1..=self.paid() {
            let address = shop.address_to_pay(WEI).await?;
            invoiced.push(parse_address(&address)?.into_array());
            progress.done(number);
        }
        drop(shop);
        opened.close().await?;
        let url = format!("sqlite:{}", self.template().display());
        crowd::add(&url, OPEN.saturating_sub(self.paid())).await?;
        Ok(invoiced)
    }

    /// Five transactions in each block, as many kinds as there are: plain payments, of which one is ours
    /// now and then, one by a contract to three accounts, and two of the token.
    async fn make_blocks(&mut self, invoiced: &[Account]) -> Result<()> {
        let mut strangers = self.strangers.iter().copied().cycle();
        let mut invoiced = invoiced.iter();
        let progress = Progress::new("making blocks of 5 transactions", self.count);
        for number in 1..=self.count {
            let mut payees: Vec<Account> = strangers.by_ref().take(7).collect();
            if let Some(first) = payees
                .first_mut()
                .filter(|_| number.is_multiple_of(PAID_EVERY))
            {
                *first = *invoiced.next().context("an invoice to pay")?;
            }
            let (payments, rest) = payees.split_at(2);
            let (batch, transfers) = rest.split_at(3);
            for to in payments {
                self.node.pay(to).await?;
            }
            self.node.pay_all(batch).await?;
            for to in transfers {
                self.node.mint(to).await?;
            }
            self.blocks.push(self.node.mine().await?);
            progress.done(number);
        }
        Ok(())
    }

    /// The node as the watcher reads it, at its own address or at that of a relay.
    pub(super) fn source(&self, url: &str) -> Result<EvmSource> {
        let spec = trade(self.node.token())?.spec;
        let source = EvmSource::new(Config {
            chain: spec.name,
            chain_id: AnvilOptions::default().chain_id,
            genesis: None,
            assets: Assets::new(&spec.assets)?,
            rules: Rules::default(),
            marks: [Mark::Safe, Mark::Finalized].into(),
            traces: TraceKind::all(),
            url: url.to_owned(),
            websocket: None,
            credentials: Credentials::None,
            budget: Budget::unlimited(),
        })?;
        Ok(source.with_compute(follow::compute()))
    }

    /// What a worker needs besides the node.
    pub(super) fn parts(&self, store: &Store) -> Result<Parts> {
        follow::parts(store, trade(self.node.token())?)
    }

    fn template(&self) -> PathBuf {
        self.folder.path().join("template.sqlite")
    }

    /// A new copy of the database.
    pub(super) fn database(&self) -> Result<PathBuf> {
        let file = self.folder.path().join("caught-up.sqlite");
        std::fs::copy(self.template(), &file).context("copy the database")?;
        Ok(file)
    }

    /// The last of the blocks.
    pub(super) fn top(&self) -> Result<BlockRef> {
        self.blocks.last().cloned().context("there are blocks")
    }
}
