//! `kill -9` at random moments, of the watcher and of its database, while payments and blocks arrive.

use crate::support::{Chance, Database, House, Invoice, PATIENCE, is_full, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Answer, Api, Bitcoind, Payer, WatcherOptions, eventually, sleep};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the watcher is killed, and with `--full`.
const KILLS: usize = 5;
const KILLS_FULL: usize = 50;
/// Each part that a customer pays, in satoshi.
const PART_SAT: u64 = 40_000;
/// Most parts of one payment.
const PARTS_MAX: u64 = 3;
/// How long a request is repeated while the watcher is away.
const AWAY_LIMIT: Duration = Duration::from_mins(1);
/// After the last kill, everything must have been told within this time. Webhooks that were under
/// way are sent again when their claim has run out.
const TOLD_LIMIT: Duration = Duration::from_mins(2);

/// Customers who order and pay, and a miner, until they are told to stop.
struct Traffic {
    api: Api,
    node: Bitcoind,
    payer: Arc<Payer>,
    chance: Chance,
    stop: Arc<AtomicBool>,
}

/// An invoice with the transactions that paid it.
struct Order {
    invoice: Invoice,
    paid: BTreeSet<String>,
}

impl Traffic {
    async fn run(mut self) -> Result<Vec<Order>> {
        let mut orders = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            orders.push(self.order(orders.len()).await?);
            sleep(self.chance.pause(0, 150)).await;
            if self.chance.below(3) > 0 {
                self.node.mine(1).await?;
            }
        }
        Ok(orders)
    }

    /// A customer orders and pays in one to three parts, in one block or in several.
    async fn order(&mut self, number: usize) -> Result<Order> {
        let parts = 1 + self.chance.below(PARTS_MAX);
        let further = json!({ "order_id": format!("order-{number}") });
        let body = Invoice::request(PART_SAT * parts, further);
        let invoice = Invoice::read(&self.create(&body, number).await?)?;
        let mut paid = BTreeSet::new();
        for _ in 0..parts {
            let txid = self.payer.pay(&[(&invoice.address, PART_SAT)]).await?;
            paid.insert(txid.to_string());
            if self.chance.below(3) == 0 {
                self.node.mine(1).await?;
            }
        }
        Ok(Order { invoice, paid })
    }

    /// A shop repeats its request with the same idempotency key until it has an answer, as the
    /// contract advises.
    async fn create(&self, body: &Value, number: usize) -> Result<Value> {
        let key = format!("order-{number}");
        eventually("an answer to an order", AWAY_LIMIT, async || {
            let answer: Answer = self.api.post_once("/v1/invoices", body, &key).await?;
            match answer.status {
                409 | 503 => Ok(None),
                _ => answer.value().map(Some),
            }
        })
        .await
    }
}

/// Everything in `/v1/events`, page by page, by the id of the event.
async fn all_events(house: &House) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    let mut after = "0".to_owned();
    loop {
        let path = format!("/v1/events?limit=100&after={after}");
        let page = house.api.get(&path).await?.value()?;
        let rows = page["data"].as_array().context("a page holds a list")?;
        events.extend(rows.iter().cloned());
        if page["has_more"] != json!(true) {
            return Ok(events);
        }
        let next = page["next_cursor"].as_str().context("there is more")?;
        next.clone_into(&mut after);
    }
}

/// Every payment of the order is counted once.
async fn check_order(house: &House, order: &Order) -> Result<Vec<Value>> {
    let paid = house.until(&order.invoice, "paid").await?;
    let transfers = paid["transfers"]
        .as_array()
        .context("transfers are a list")?;
    let found: BTreeSet<String> = transfers
        .iter()
        .filter_map(|transfer| transfer["tx_id"].as_str().map(str::to_owned))
        .collect();
    ensure!(found == order.paid, "paid by {:?}: {paid}", order.paid);
    ensure!(
        transfers.len() == found.len(),
        "a payment is counted twice: {paid}"
    );
    assert_eq!(tally(&paid, "final")?, order.invoice.due_sat);
    assert_eq!(tally(&paid, "excess")?, 0);
    let events = house.history(&order.invoice).await?;
    let last = events.last().context("an invoice has events")?;
    ensure!(last["type"] == "invoice.paid", "{last}");
    ensure!(paid["version"] == json!(events.len()), "{paid}");
    Ok(events)
}

/// Waits until every event has arrived at least once, and looks at the order of first arrivals.
async fn check_webhooks(house: &House, told: &BTreeMap<String, Vec<Value>>) -> Result<()> {
    let ids: BTreeSet<&str> = told
        .values()
        .flatten()
        .filter_map(|event| event["id"].as_str())
        .collect();
    eventually("every event to arrive", TOLD_LIMIT, async || {
        let requests = house.receiver.requests();
        let arrived: BTreeSet<&str> = requests
            .iter()
            .map(|request| request.header("webhook-id"))
            .collect();
        Ok(ids.is_subset(&arrived).then_some(()))
    })
    .await?;
    let mut versions: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut seen = BTreeMap::new();
    for request in house.receiver.requests() {
        let body = request.body.clone();
        let before = seen.insert(request.header("webhook-id").to_owned(), body.clone());
        if let Some(before) = before {
            ensure!(before == body, "further attempts send the same bytes");
            continue;
        }
        let event = request.json()?;
        let invoice = &event["data"]["invoice"];
        let id = invoice["id"].as_str().context("an invoice")?.to_owned();
        versions
            .entry(id)
            .or_default()
            .extend(invoice["version"].as_u64());
    }
    ensure!(
        seen.len() == ids.len(),
        "webhooks about events that nobody knows"
    );
    for (invoice, events) in told {
        let expected: Vec<u64> = (1..=u64::try_from(events.len())?).collect();
        ensure!(
            versions.get(invoice) == Some(&expected),
            "{invoice}: {versions:?}"
        );
    }
    Ok(())
}

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Watcher,
    /// The server, half of the time; in the other half it is told to restart.
    Postgres,
}

/// Takes something away and brings it back.
async fn strike(house: &mut House, victim: Victim, chance: &mut Chance) -> Result<()> {
    match victim {
        Victim::Watcher => {
            house.watcher.kill()?;
            sleep(chance.pause(0, 300)).await;
            house.watcher.launch().await
        }
        Victim::Postgres => {
            let server = house.postgres.as_mut().context("there is a server")?;
            if chance.below(2) == 0 {
                server.kill()?;
                sleep(chance.pause(0, 1_000)).await;
            }
            server.restart().await?;
            house.watcher.expect_running()
        }
    }
}

/// Kills `victim` several times under traffic, and looks at everything afterwards.
async fn kill_and_check(database: Database, victim: Victim) -> Result<()> {
    let kills = if is_full() { KILLS_FULL } else { KILLS };
    let mut house = House::with(database, WatcherOptions::default()).await?;
    let mut chance = Chance::new()?;
    let stop = Arc::new(AtomicBool::new(false));
    let traffic = Traffic {
        api: house.api.clone(),
        node: house.node.clone(),
        payer: Arc::clone(&house.payer),
        chance: chance.fork(),
        stop: Arc::clone(&stop),
    };
    let killing = async {
        for _ in 0..kills {
            sleep(chance.pause(50, 1_500)).await;
            strike(&mut house, victim, &mut chance).await?;
        }
        stop.store(true, Ordering::Relaxed);
        Ok(())
    };
    let (orders, ()) = tokio::try_join!(traffic.run(), killing)?;
    ensure!(orders.len() >= kills, "only {} orders", orders.len());
    house.node.mine(3).await?;
    house.until_caught_up().await?;

    let mut told = BTreeMap::new();
    for order in &orders {
        told.insert(order.invoice.id.clone(), check_order(&house, order).await?);
    }
    assert_eq!(
        house.count_invoices().await?,
        orders.len(),
        "no order was doubled"
    );
    let all = all_events(&house).await?;
    let ids: BTreeSet<String> = all.iter().map(|event| event["id"].to_string()).collect();
    let expected: usize = told.values().map(Vec::len).sum();
    assert_eq!(
        (all.len(), ids.len()),
        (expected, expected),
        "each event stands once"
    );
    check_webhooks(&house, &told).await?;
    println!("{} orders, {expected} events", orders.len());
    Ok(())
}

/// Goal: whatever the moment, a crash loses nothing and doubles nothing. Every order exists once,
/// every payment is counted once, every event is numbered without gaps and arrives at least once
/// and in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_watcher_loses_nothing_and_doubles_nothing() -> Result<()> {
    kill_and_check(Database::Sqlite, Victim::Watcher).await
}

/// Goal: the same on Postgres, where a new process waits until the lease and the claims of the one
/// that was killed have run out.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_watcher_on_postgres_loses_nothing_and_doubles_nothing() -> Result<()> {
    kill_and_check(Database::Postgres, Victim::Watcher).await
}

/// Goal: the same while the database dies and comes back under a watcher that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_loses_nothing_and_doubles_nothing() -> Result<()> {
    kill_and_check(Database::Postgres, Victim::Postgres).await
}

/// Goal: the end by SIGTERM is orderly: exit status 0, and the next start goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_watcher_ends_well_and_goes_on() -> Result<()> {
    let mut house = House::new().await?;
    let invoice = house.invoice(PART_SAT).await?;
    let started = std::time::Instant::now();
    let status = house.watcher.stop().await?;
    assert!(status.success(), "{status}");
    assert!(
        started.elapsed() < PATIENCE,
        "nothing is waited for: {:?}",
        started.elapsed()
    );
    house.pay(&invoice, PART_SAT).await?;
    house.node.mine(2).await?;
    house.watcher.launch().await?;
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(tally(&paid, "final")?, PART_SAT);
    house.until_told(&invoice).await?;
    Ok(())
}

/// Goal: a second watcher on the same SQLite file is refused before it touches anything, and the
/// first one goes on; on the second's way out nothing is claimed, sent or told twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_watcher_on_one_file_is_refused() -> Result<()> {
    let mut house = House::new().await?;
    let invoice = house.invoice(PART_SAT).await?;
    let second = house.watcher.run(&["serve"]).await?;
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr)?;
    ensure!(said.contains("another paywatch serves"), "{said}");
    house.watcher.expect_running()?;
    house.pay(&invoice, PART_SAT).await?;
    house.until(&invoice, "detected").await?;
    house.mine(2).await?;
    house.until(&invoice, "paid").await?;
    let events = house.until_told(&invoice).await?;
    assert_eq!(house.receiver.requests().len(), events.len());
    Ok(())
}
