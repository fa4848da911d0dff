//! From a node's block to the request at the merchant, through the worker and the deliverer as the
//! program drives them.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bitcoin::ScriptBuf;
use paywatch_chain_bitcoin::BitcoinSource;
use paywatch_domain::UnixMillis;
use paywatch_engine::worker::{self, ChainWorker};
use paywatch_store::Store;
use paywatch_testkit::{Bitcoind, Receiver};
use paywatch_webhook::{Deliverer, EgressRules, Schedule, Sender, Settings};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::crowd;
use crate::follow::{self, follow, sleep_until, tip};
use crate::miner::{Miner, PAYMENT_SATOSHI};
use crate::numbers::{Numbers, now};
use crate::progress::{Progress, say};
use crate::shop::{self, Opened, Shop, Trade};
use crate::table::{Goal, Row, in_ms, percentile};

/// Open invoices besides those that are paid.
const OPEN: u32 = 100_000;
/// Blocks, each of which pays one invoice.
const BLOCKS: u32 = 200;
/// How long a webhook may take before the benchmark gives up.
const LIMIT: Duration = Duration::from_secs(20);

/// How long one block took: at the node, from the call that mines it until someone who waits for a new
/// block is answered; from then on ours, until the request has arrived.
struct Took {
    node: Duration,
    ours: Duration,
}

/// Measures both percentiles.
pub(crate) async fn measure() -> Result<Vec<Row>> {
    say("starting a node");
    let node = Bitcoind::start().await?;
    let mut miner = Miner::new(&node).await?;
    let folder = tempfile::Builder::new()
        .prefix("paywatch-bench-")
        .tempdir()?;
    let receiver = Receiver::start().await?;
    let file = folder.path().join("latency.sqlite");
    let marks = folder.path().join("marks");
    let scripts = furnish(&node, &file, &marks, &receiver.url("/webhooks")).await?;

    let opened = Opened::open(&file).await?;
    let source = follow::source(&node)?.into();
    let worker = ChainWorker::new(source, follow::parts(&opened.store, Trade::bitcoin()?)?);
    let before = follow::covered_until(&opened.store).await?;
    let workers = [
        tokio::spawn(read(worker)),
        tokio::spawn(send(deliverer(&opened.store)?)),
    ];
    started(&opened.store, before).await?;
    let took = run(&node, &mut miner, &receiver, &scripts).await;
    stop(workers).await;
    opened.close().await?;
    let took = took?;
    let node: Vec<Duration> = took.iter().map(|took| took.node).collect();
    let ours: Vec<Duration> = took.iter().map(|took| took.ours).collect();
    let row = |name, percent, limit_ms| {
        let [value, baseline] = [&ours, &node].map(|all| in_ms(percentile(all, percent)));
        Row::new(name, "ms", value, baseline, Goal::ValueAtMost(limit_ms))
    };
    Ok(vec![
        row("latency_p50", 50, 20.0),
        row("latency_p99", 99, 50.0),
    ])
}

/// Waits until the worker has been at the node: its start is not what is measured.
async fn started(store: &Store, before: Option<UnixMillis>) -> Result<()> {
    let begun = Instant::now();
    while follow::covered_until(store).await? <= before {
        ensure!(begun.elapsed() < LIMIT, "the worker does not begin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Makes the invoices while the watcher is up to date.
async fn furnish(node: &Bitcoind, file: &Path, marks: &Path, url: &str) -> Result<Vec<ScriptBuf>> {
    let opened = Opened::open(file).await?;
    follow(node, &opened.store, tip(node).await?, true).await?;
    let mut shop = Shop::open(&opened.store, marks, url).await?;
    let progress = Progress::new("creating invoices", BLOCKS);
    let mut scripts = Vec::new();
    for number in 0..=BLOCKS {
        let script = shop.invoice(PAYMENT_SATOSHI).await?;
        // The first is the original of the copies.
        if 0 < number {
            scripts.push(script);
            progress.done(number);
        }
    }
    drop(shop);
    opened.close().await?;
    crowd::add(&format!("sqlite:{}", file.display()), OPEN).await?;
    Ok(scripts)
}

/// The sender as the program makes it, for a merchant on this machine.
pub(crate) fn deliverer(store: &Store) -> Result<Deliverer<Sender>> {
    let rules = EgressRules {
        networks_allowed: vec!["127.0.0.0/8".parse()?],
        http_allowed: true,
    };
    let started = Instant::now();
    let clock = move || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let sender = Sender::new(rules, std::sync::Arc::new(clock))?;
    let settings = Settings {
        schedule: Schedule::default(),
        ..Settings::default()
    };
    let numbers = Box::new(Numbers(9));
    Ok(Deliverer::new(
        store.clone(),
        shop::master(),
        sender,
        settings,
        numbers,
    ))
}

async fn run(
    node: &Bitcoind,
    miner: &mut Miner,
    receiver: &Receiver,
    scripts: &[ScriptBuf],
) -> Result<Vec<Took>> {
    let progress = Progress::new("telling of blocks", BLOCKS);
    let mut took = Vec::new();
    for (number, script) in (1..).zip(scripts) {
        let transactions = miner.prepare(std::slice::from_ref(script))?;
        let heard = listen(node).await?;
        let mined_at = Instant::now();
        node.mine_with(&transactions).await?;
        let heard_at = heard.await.context("the listener broke off")??;
        let told_at = told(receiver, mined_at).await?;
        took.push(Took {
            node: heard_at.saturating_duration_since(mined_at),
            ours: told_at.saturating_duration_since(heard_at),
        });
        progress.done(number);
    }
    Ok(took)
}

/// Somebody else who waits for a new block, and does nothing more.
async fn listen(node: &Bitcoind) -> Result<JoinHandle<Result<Instant>>> {
    let tip = node.best_hash().await?;
    let node = node.clone();
    Ok(tokio::spawn(async move {
        let answer = node.rpc("waitfornewblock", json!([20_000, tip])).await?;
        ensure!(answer["hash"] != tip, "no block came");
        Ok(Instant::now())
    }))
}

/// When the request about the new payment had arrived. The same block makes the payment before it final,
/// which is told as well.
async fn told(receiver: &Receiver, mined_at: Instant) -> Result<Instant> {
    let is_told = |request: &paywatch_testkit::Received| {
        let body = request.json().unwrap_or_default();
        mined_at < request.at && body["type"] == "invoice.confirming"
    };
    let requests = receiver
        .wait_until("the webhook of a payment", LIMIT, |requests| {
            requests.iter().any(is_told)
        })
        .await?;
    let Some(request) = requests.iter().find(|request| is_told(request)) else {
        bail!("no webhook about the payment");
    };
    receiver.clear();
    Ok(request.at)
}

/// Drives the worker as the program does.
async fn read(mut worker: ChainWorker<BitcoinSource>) {
    loop {
        let worker::Step::Idle { wake_at } = worker.step(now()).await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::select! {
            () = worker.ready() => {}
            () = sleep_until(wake_at) => {}
        }
    }
}

/// Drives the deliverer as the program does.
pub(crate) async fn send(mut deliverer: Deliverer<Sender>) {
    loop {
        let wake_at = match deliverer.step(now()).await {
            Ok(paywatch_webhook::Step::Idle { wake_at, .. }) => wake_at,
            Ok(paywatch_webhook::Step::Progress) => continue,
            Err(error) => {
                say(&format!("webhooks cannot be sent: {error}"));
                now().plus_ms(1_000)
            }
        };
        tokio::select! {
            () = deliverer.ready() => {}
            () = sleep_until(wake_at) => {}
        }
    }
}

async fn stop(workers: [JoinHandle<()>; 2]) {
    for worker in workers {
        worker.abort();
        let _aborted = worker.await;
    }
}
