//! Applying a block that pays three invoices: what a thousand times more open invoices cost.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use paywatch_chain::{Block, Credit};
use paywatch_domain::{Amount, BlockHash, BlockRef, Entropy as _, Position, TxId, UnixMillis};
use paywatch_engine::apply::ApplyBlocks;
use paywatch_engine::follower::ChainEvent;
use paywatch_testkit::Postgres;
use tempfile::TempDir;

use crate::crowd;
use crate::numbers::{Numbers, now};
use crate::progress::Progress;
use crate::shop::{self, COVERED_HEIGHT, Opened, Shop};
use crate::table::{Goal, Row, in_ms, median};

/// Open invoices in the large database and in the small one.
const LARGE: u32 = 1_000_000;
const SMALL: u32 = 1_000;
/// Invoices that each block pays.
const PAID: u32 = 3;
/// Blocks for each round, so that the median is one of many.
const BLOCKS_PER_ROUND: u32 = 10;
/// Blocks that are not counted: they fill caches and prepare statements.
const WARM_UP: u32 = 20;
/// What each invoice is paid, in satoshi.
const SATOSHI: u64 = 1_000;

/// A database with open invoices, and the chain as it was told of it.
struct Side {
    opened: Opened,
    scripts: Vec<Vec<u8>>,
    cursor: BlockRef,
    fence: i64,
    numbers: Numbers,
}

/// Measures on SQLite.
pub(crate) async fn lite(rounds: u32) -> Result<Row> {
    let folder = folder()?;
    let template = folder.path().join("template.sqlite");
    let blocks = blocks(rounds);
    let scripts = furnish(&lite_url(&template), folder.path(), blocks).await?;
    let mut urls = Vec::new();
    for (name, size) in [("large.sqlite", LARGE), ("small.sqlite", SMALL)] {
        let file = folder.path().join(name);
        std::fs::copy(&template, &file).context("copy the database")?;
        crowd::add(&lite_url(&file), size).await?;
        urls.push(lite_url(&file));
    }
    let sides = [
        Side::open(&urls[0], scripts.clone()).await?,
        Side::open(&urls[1], scripts).await?,
    ];
    measure("apply_sqlite", sides, blocks).await
}

/// Measures on Postgres.
pub(crate) async fn pg(rounds: u32) -> Result<Row> {
    let folder = folder()?;
    let server = Postgres::start().await?;
    let blocks = blocks(rounds);
    let mut sides = Vec::new();
    for (name, size) in [("large", LARGE), ("small", SMALL)] {
        let url = server.create_database().await?;
        let scripts = furnish(&url, &folder.path().join(name), blocks).await?;
        crowd::add(&url, size).await?;
        sides.push(Side::open(&url, scripts).await?);
    }
    let sides = <[Side; 2]>::try_from(sides).map_err(|_| anyhow::anyhow!("two sides"))?;
    measure("apply_postgres", sides, blocks).await
}

fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new()
        .prefix("paywatch-bench-")
        .tempdir()?)
}

fn lite_url(file: &Path) -> String {
    format!("sqlite:{}", file.display())
}

fn blocks(rounds: u32) -> u32 {
    WARM_UP.saturating_add(rounds.saturating_mul(BLOCKS_PER_ROUND))
}

/// Makes the invoices that will be paid; gives their scripts.
async fn furnish(url: &str, marks: &Path, blocks: u32) -> Result<Vec<Vec<u8>>> {
    let opened = Opened::open_url(url).await?;
    opened.store.write(shop::Cover(shop::chain()?.name)).await?;
    let mut shop = Shop::open(&opened.store, marks, shop::NOWHERE).await?;
    let invoices = blocks.saturating_mul(PAID).saturating_add(1);
    let progress = Progress::new("creating invoices", invoices);
    let mut scripts = Vec::new();
    for number in 1..=invoices {
        let script = shop.invoice(SATOSHI).await?;
        // The first is the original of the copies.
        if 1 < number {
            scripts.push(script.into_bytes());
        }
        progress.done(number);
    }
    drop(shop);
    opened.close().await?;
    Ok(scripts)
}

/// Applies one block after the other to both, in turns.
async fn measure(name: &'static str, sides: [Side; 2], blocks: u32) -> Result<Row> {
    let task = tokio::spawn(async move {
        let [mut large, mut small] = sides;
        let (mut slow, mut fast) = (Vec::new(), Vec::new());
        let progress = Progress::new(format!("{name}: applying blocks"), blocks);
        for block in 1..=blocks {
            let took = (large.apply().await?, small.apply().await?);
            if WARM_UP < block {
                slow.push(took.0);
                fast.push(took.1);
            }
            progress.done(block);
        }
        large.opened.close().await?;
        small.opened.close().await?;
        anyhow::Ok((slow, fast))
    });
    let (slow, fast) = task.await.context("applying broke off")??;
    let (value, baseline) = (in_ms(median(slow)), in_ms(median(fast)));
    let goal = Goal::AtMost(1.3);
    Ok(Row::new(name, "ms/block", value, baseline, goal))
}

impl Side {
    async fn open(url: &str, mut scripts: Vec<Vec<u8>>) -> Result<Self> {
        let opened = Opened::open_url(url).await?;
        let lease = opened.store.write(shop::Claim(shop::chain()?.name)).await?;
        scripts.reverse();
        Ok(Self {
            scripts,
            cursor: lease.cursor.context("the chain was read")?,
            fence: lease.fence,
            opened,
            numbers: Numbers(8),
        })
    }

    /// Applies the next block, as the chain worker does; says how long that took.
    async fn apply(&mut self) -> Result<Duration> {
        let unit = self.unit()?;
        let started = Instant::now();
        let applied = self.opened.store.write(unit).await?;
        let elapsed = started.elapsed();
        let credits = usize::try_from(PAID)?;
        ensure!(
            applied.credits == credits && credits <= applied.events,
            "{applied:?}"
        );
        Ok(elapsed)
    }

    fn unit(&mut self) -> Result<ApplyBlocks> {
        let asset = shop::asset()?;
        let chain = shop::chain()?;
        let height = self.cursor.height.saturating_add(1);
        let at = BlockRef {
            height,
            hash: BlockHash::new(&self.hash()),
        };
        let mut credits = Vec::new();
        for _ in 0..PAID {
            let spent = format!("{}:0", self.hash());
            let script = self.scripts.pop().context("an invoice is open")?;
            credits.push(Credit {
                key: script.into(),
                asset: asset.clone(),
                amount: Amount::from_atomic(SATOSHI),
                tx_id: TxId::new(&self.hash()),
                position: Position::new("vout:0"),
                maturity: 0,
                spends: [spent.into()].into(),
            });
        }
        let block = Block {
            at: at.clone(),
            parent: self.cursor.hash.clone(),
            time: now(),
            bytes: 1_000_000,
            credits,
            spent: Vec::new(),
            outflows: Vec::new(),
            unseen: None,
        };
        let from = std::mem::replace(&mut self.cursor, at);
        Ok(ApplyBlocks {
            chain: chain.name.clone(),
            spec: Arc::new(chain),
            fence: self.fence,
            event: ChainEvent {
                fork: Some(from.clone()),
                from: Some(from),
                blocks: vec![block],
            },
            all_seen_at: UnixMillis(0),
            thinned: 0..COVERED_HEIGHT,
            now: now(),
            seed: self.seed(),
            master: shop::master(),
        })
    }

    fn hash(&mut self) -> String {
        format!("{:032x}{:032x}", self.numbers.bits(), self.numbers.bits())
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.numbers.fill(&mut seed);
        seed
    }
}
