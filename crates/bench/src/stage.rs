//! What is measured on: a node with full blocks, and the database of a watcher that has not read them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bitcoin::ScriptBuf;
use paywatch_domain::BlockRef;
use paywatch_testkit::Bitcoind;
use tempfile::TempDir;

use crate::follow::{follow, tip};
use crate::miner::{Miner, PAYMENT_SATOSHI, TRANSACTIONS};
use crate::progress::{Progress, say};
use crate::shop::{NOWHERE, Opened, Shop};
use crate::{bdk, crowd};

/// Scripts that are watched: as many as the wallet reveals that is compared.
const WATCHED: u32 = bdk::REVEALED;
/// Invoices that each block pays: the shop has a payment in every block.
pub(crate) const PAID_PER_BLOCK: u32 = 1;

/// A node with full blocks, and a database that ends below them.
pub(crate) struct Stage {
    pub(crate) node: Bitcoind,
    folder: TempDir,
    /// The full blocks, lowest first.
    pub(crate) blocks: Vec<BlockRef>,
    /// How many they are.
    pub(crate) count: u32,
    /// The scripts of the invoices, which these blocks pay.
    pub(crate) scripts: Vec<ScriptBuf>,
}

impl Stage {
    /// Starts the node, opens the shop, mines the blocks.
    pub(crate) async fn set(count: u32) -> Result<Self> {
        say("starting a node");
        let node = Bitcoind::start().await?;
        let mut miner = Miner::new(&node).await?;
        let folder = tempfile::Builder::new()
            .prefix("paywatch-bench-")
            .tempdir()?;
        let mut stage = Self {
            node,
            folder,
            blocks: Vec::new(),
            count,
            scripts: Vec::new(),
        };
        stage.open_shop().await?;
        let progress = Progress::new(
            format!("mining blocks of {TRANSACTIONS} transactions"),
            count,
        );
        let paid_per_block = usize::try_from(PAID_PER_BLOCK)?;
        for (number, payees) in (1..).zip(stage.scripts.chunks(paid_per_block)) {
            stage.blocks.push(miner.mine(payees).await?);
            progress.done(number);
        }
        Ok(stage)
    }

    /// Makes the invoices while the watcher is up to date.
    async fn open_shop(&mut self) -> Result<()> {
        let opened = Opened::open(&self.template()).await?;
        follow(&self.node, &opened.store, tip(&self.node).await?, true).await?;
        let marks = self.folder.path().join("marks");
        let mut shop = Shop::open(&opened.store, &marks, NOWHERE).await?;
        let invoices = self.count.saturating_mul(PAID_PER_BLOCK);
        let progress = Progress::new("creating invoices", invoices);
        for number in 1..=invoices {
            self.scripts.push(shop.invoice(PAYMENT_SATOSHI).await?);
            progress.done(number);
        }
        drop(shop);
        opened.close().await?;
        let url = format!("sqlite:{}", self.template().display());
        crowd::add(&url, WATCHED.saturating_sub(invoices)).await
    }

    fn template(&self) -> PathBuf {
        self.folder.path().join("template.sqlite")
    }

    /// A new copy of the database.
    pub(crate) fn database(&self, name: &str) -> Result<PathBuf> {
        let file = self.folder.path().join(name);
        std::fs::copy(self.template(), &file).context("copy the database")?;
        Ok(file)
    }

    /// The highest of the full blocks.
    pub(crate) fn top(&self) -> Result<&BlockRef> {
        self.blocks.last().context("there are blocks")
    }
}
