//! The API over sockets, and webhooks to a receiver on this machine: clients, server and database share the
//! processor.

mod client;
mod deliveries;
mod server;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use paywatch_testkit::Postgres;
use serde_json::json;

use crate::progress::say;
use crate::shop;
use crate::table::{Goal, Row, in_ms, per_second, percentile};
use client::Crowd;
use server::Served;

pub(crate) use deliveries::measure as deliveries;

/// Connections that ask at the same time.
const CONNECTIONS: usize = 64;
/// How many requests of a kind are measured.
const CREATES: u32 = 6_000;
const GETS: u32 = 20_000;
const LISTS: u32 = 1_000;

/// Creating, reading and listing invoices, each beside a server that does nothing.
pub(crate) async fn lite() -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("paywatch-bench-")
        .tempdir()?;
    let url = format!("sqlite:{}", folder.path().join("http.sqlite").display());
    let served = Served::start(&url, folder.path()).await?;
    let mut rows = creating(&served, "http_create", 1_000.0).await?;
    let (invoice, _) = created(&served).await?;
    let one = get(&served, &format!("/v1/invoices/{invoice}"));
    rows.push(reading(&served, "http_get", &one, GETS, 4_000.0).await?);
    let list = get(&served, "/v1/invoices?limit=100");
    rows.push(reading(&served, "http_list_100", &list, LISTS, 100.0).await?);
    served.close().await?;
    Ok(rows)
}

/// The same of creating in Postgres.
pub(crate) async fn pg() -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("paywatch-bench-")
        .tempdir()?;
    let server = Postgres::start().await?;
    let served = Served::start(&server.create_database().await?, folder.path()).await?;
    let rows = creating(&served, "http_create_pg", 800.0).await?;
    served.close().await?;
    Ok(rows)
}

async fn creating(served: &Served, name: &'static str, least: f64) -> Result<Vec<Row>> {
    say(&format!(
        "{name}: {CREATES} invoices by {CONNECTIONS} connections"
    ));
    let (_, answer) = created(served).await?;
    // Not measured: what the first requests have to warm up.
    for count in [CREATES / 10, CREATES] {
        let crowd = Crowd::at(served.address(), CONNECTIONS).await?;
        let began = Instant::now();
        let mut took = crowd
            .ask(count, |number| create(served, number), 201)
            .await?;
        let spent = began.elapsed();
        if count < CREATES {
            continue;
        }
        let bare = bare(&create(served, 0), answer.clone(), CREATES, 201).await?;
        took.sort_unstable();
        let p99 = match name {
            "http_create" => "http_create_p99",
            _ => "http_create_pg_p99",
        };
        let least = Goal::ValueAtLeast(least);
        let [own, bare_rate] = [spent, bare.0].map(|spent| per_second(CREATES, spent));
        let [slow, bare_slow] = [&took, &bare.1].map(|took| in_ms(percentile(took, 99)));
        return Ok(vec![
            Row::new(name, "requests/s", own, bare_rate, least),
            Row::new(p99, "ms", slow, bare_slow, Goal::ValueAtMost(100.0)),
        ]);
    }
    Ok(Vec::new())
}

async fn reading(
    served: &Served,
    name: &'static str,
    request: &[u8],
    count: u32,
    least: f64,
) -> Result<Row> {
    say(&format!(
        "{name}: {count} requests by {CONNECTIONS} connections"
    ));
    let answer = client::once(served.address(), request).await?;
    ensure!(answer.status == 200, "{name}: {}", answer.status);
    let crowd = Crowd::at(served.address(), CONNECTIONS).await?;
    let began = Instant::now();
    crowd.ask(count, |_| request.to_vec(), 200).await?;
    let own = per_second(count, began.elapsed());
    let (spent, _) = bare(request, answer.body, count, 200).await?;
    let goal = Goal::ValueAtLeast(least);
    Ok(Row::new(
        name,
        "requests/s",
        own,
        per_second(count, spent),
        goal,
    ))
}

/// The same requests to a server that only reads them and answers the same bytes.
async fn bare(
    request: &[u8],
    answer: Vec<u8>,
    count: u32,
    status: u16,
) -> Result<(Duration, Vec<Duration>)> {
    let bare = server::Bare::start(status, answer).await?;
    let crowd = Crowd::at(bare.address(), CONNECTIONS).await?;
    let began = Instant::now();
    let took = crowd.ask(count, |_| request.to_vec(), status).await?;
    Ok((began.elapsed(), took))
}

/// An invoice that was made over HTTP: its id, and the whole answer.
async fn created(served: &Served) -> Result<(String, Vec<u8>)> {
    let answer = client::once(served.address(), &create(served, u32::MAX)).await?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status == 201, "{}: {text}", answer.status);
    let invoice: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let id = invoice["id"].as_str().unwrap_or_default().to_owned();
    Ok((id, answer.body))
}

/// A request for an invoice, with an idempotency key of its own.
fn create(served: &Served, number: u32) -> Vec<u8> {
    let body = json!({
        "order_id": format!("order-{number}"),
        "options": [{ "asset": shop::ASSET, "amount": "0.00076924" }],
    });
    let unique = format!("bench-{number}-{}", served.draw());
    let header = format!("idempotency-key: {unique}\r\n");
    client::request(
        "POST",
        "/v1/invoices",
        served.key(),
        &header,
        &body.to_string(),
    )
}

fn get(served: &Served, path: &str) -> Vec<u8> {
    client::request("GET", path, served.key(), "", "")
}
