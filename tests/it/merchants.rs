//! Merchants whose backends fail, hang, redirect or are gone.

use crate::support::{HOOKS, House, Invoice, PATIENCE};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{
    Behaviour, Delivery, Received, Verifier, WatcherOptions, eventually, sleep,
};
use serde_json::{Value, json};
use std::time::Duration;

const DUE_SAT: u64 = 90_000;

/// The attempts at a path: the type of the event and its id.
fn attempts(house: &House, path: &str) -> Result<Vec<(String, String)>> {
    let requests = house.receiver.requests_to(path);
    let named = requests.iter().map(|request| {
        let kind = request.json()?["type"]
            .as_str()
            .context("an event has a type")?
            .to_owned();
        Ok((kind, request.header("webhook-id").to_owned()))
    });
    named.collect()
}

/// The deliveries to an endpoint, oldest first.
async fn deliveries(house: &House, endpoint: &str) -> Result<Vec<Value>> {
    let mut rows = house.api.get("/v1/deliveries?limit=100").await?.rows()?;
    rows.retain(|row| row["endpoint_id"] == json!(endpoint));
    rows.reverse();
    Ok(rows)
}

/// The HTTP status of every attempt of a delivery.
fn codes(delivery: &Value) -> Vec<u64> {
    let attempts = delivery["attempts"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    attempts
        .iter()
        .filter_map(|attempt| attempt["status_code"].as_u64())
        .collect()
}

async fn detected(house: &House) -> Result<Invoice> {
    let invoice = house.invoice(DUE_SAT).await?;
    house.pay(&invoice, DUE_SAT).await?;
    house.until(&invoice, "detected").await?;
    Ok(invoice)
}

/// Goal: a merchant that answers 500 twice gets the same event again, signed anew, and the next
/// event only after it.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_refused_is_sent_again_before_the_next() -> Result<()> {
    let house = House::new().await?;
    let twice = vec![Behaviour::status(500), Behaviour::status(503)];
    house.receiver.set_for(HOOKS, Behaviour::Script(twice));
    let invoice = detected(&house).await?;
    house.until_told(&invoice).await?;
    let made = attempts(&house, HOOKS)?;
    let kinds: Vec<&str> = made.iter().map(|(kind, _)| kind.as_str()).collect();
    let created = "invoice.created";
    assert_eq!(kinds, [created, created, created, "invoice.detected"]);
    assert!(
        made[..3].iter().all(|(_, id)| *id == made[0].1),
        "one event, one id"
    );
    let requests = house.receiver.requests_to(HOOKS);
    assert!(
        requests[..3]
            .iter()
            .all(|request| request.body == requests[0].body)
    );
    let times: Vec<&str> = requests[..3]
        .iter()
        .map(|request| request.header("webhook-timestamp"))
        .collect();
    assert_ne!(times[0], times[2], "each attempt bears its own time");
    let signed: Vec<Delivery> = requests.iter().map(Delivery::from).collect();
    assert_eq!(Verifier::Python.verify(&signed, &house.secret).await?, 4);

    let endpoints = house.api.get("/v1/webhook-endpoints").await?.rows()?;
    let id = endpoints[0]["id"]
        .as_str()
        .context("an endpoint has an id")?;
    let shown = eventually("the attempts to be recorded", PATIENCE, async || {
        let rows = deliveries(&house, id).await?;
        let done = rows.len() == 2 && rows.iter().all(|row| row["state"] == "delivered");
        Ok(done.then_some(rows))
    });
    let shown = shown.await?;
    assert_eq!(codes(&shown[0]), [500, 503, 200]);
    assert_eq!(codes(&shown[1]), [200]);
    Ok(())
}

/// Goal: after three failed attempts of an event the next one goes on, so that a merchant who
/// cannot digest one event hears the others.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_event_waits_for_three_failed_attempts_only() -> Result<()> {
    let house = House::new().await?;
    house.receiver.set_for(HOOKS, Behaviour::status(500));
    let invoice = detected(&house).await?;
    let second = |kind: &String| kind == "invoice.detected";
    eventually("the second event", PATIENCE, async || {
        let made = attempts(&house, HOOKS)?;
        Ok(made.iter().any(|(kind, _)| second(kind)).then_some(()))
    })
    .await?;
    let made = attempts(&house, HOOKS)?;
    let before = made.iter().take_while(|(kind, _)| !second(kind)).count();
    ensure!(
        before >= 3,
        "the second event came after {before} attempts of the first"
    );
    house.receiver.set_for(HOOKS, Behaviour::Accept);
    house.until_told(&invoice).await?;
    Ok(())
}

/// Goal: an endpoint that never answers holds up nobody else, and gets its events once it answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_hangs_holds_up_no_other() -> Result<()> {
    const HANGS: &str = "/hangs";
    let house = House::new().await?;
    house.endpoint(HANGS).await?;
    house.receiver.set_for(HANGS, Behaviour::Hang);
    let started = std::time::Instant::now();
    let mut invoices = Vec::new();
    for _ in 0..10 {
        invoices.push(detected(&house).await?);
    }
    for invoice in &invoices {
        house.until_told(invoice).await?;
    }
    let elapsed = started.elapsed();
    ensure!(
        !house.receiver.requests_to(HANGS).is_empty(),
        "it was tried"
    );
    ensure!(
        elapsed < Duration::from_secs(15),
        "the others waited: {elapsed:?}"
    );
    house.receiver.set_for(HANGS, Behaviour::Accept);
    for invoice in &invoices {
        eventually("the hanging endpoint's events", PATIENCE, async || {
            Ok((house.webhooks(invoice, HANGS)?.len() >= 2).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Goal: a redirect is a failure and is never followed: it could lead into the merchant's network.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_never_followed() -> Result<()> {
    const MOVED: &str = "/moved";
    const ELSEWHERE: &str = "/elsewhere";
    let options = WatcherOptions {
        schedule_s: vec![0, 1, 1],
        ..WatcherOptions::default()
    };
    let house = House::with(crate::support::Database::Sqlite, options).await?;
    let (endpoint, _) = house.endpoint(MOVED).await?;
    house
        .receiver
        .set_for(MOVED, Behaviour::Redirect(house.receiver.url(ELSEWHERE)));
    house.invoice(DUE_SAT).await?;
    let exhausted = eventually("the delivery to be given up", PATIENCE, async || {
        let rows = deliveries(&house, &endpoint).await?;
        let row = rows.into_iter().find(|row| row["state"] == "exhausted");
        Ok(row)
    });
    let exhausted = exhausted.await?;
    assert_eq!(codes(&exhausted), [302, 302, 302]);
    assert_eq!(house.receiver.requests_to(MOVED).len(), 3);
    assert!(
        house.receiver.requests_to(ELSEWHERE).is_empty(),
        "nobody followed"
    );
    let path = format!(
        "/v1/deliveries/{}",
        exhausted["id"].as_str().context("an id")?
    );
    assert_eq!(house.api.get(&path).await?.value()?, exhausted);
    Ok(())
}

/// Goal: an endpoint that answers 410 is switched off at once, hears nothing more, and the
/// merchant's other endpoint is told.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_disabled() -> Result<()> {
    const GONE: &str = "/gone";
    let house = House::new().await?;
    let (endpoint, _) = house.endpoint(GONE).await?;
    house.receiver.set_for(GONE, Behaviour::status(410));
    let first = house.invoice(DUE_SAT).await?;
    let told = eventually("the other endpoint to be told", PATIENCE, async || {
        let requests = house.receiver.requests_to(HOOKS);
        let events = requests.iter().map(Received::json);
        let events = events.collect::<Result<Vec<_>>>()?;
        Ok(events
            .into_iter()
            .find(|event| event["type"] == "endpoint.disabled"))
    });
    let told = told.await?;
    assert_eq!(told["data"]["endpoint"]["id"], json!(endpoint));
    assert!(
        told["data"]["endpoint"].get("secret").is_none(),
        "secrets are shown once"
    );
    let shown = house
        .api
        .get(&format!("/v1/webhook-endpoints/{endpoint}"))
        .await?
        .value()?;
    assert_eq!(shown["state"], "disabled");
    assert!(
        shown["disabled_reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("410")),
        "{shown}"
    );

    house.until_told(&first).await?;
    let second = detected(&house).await?;
    house.until_told(&second).await?;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(
        house.receiver.requests_to(GONE).len(),
        1,
        "it is left alone"
    );
    let signed: Vec<Delivery> = house
        .receiver
        .requests_to(HOOKS)
        .iter()
        .map(Delivery::from)
        .collect();
    for verifier in Verifier::ALL {
        assert_eq!(verifier.verify(&signed, &house.secret).await?, signed.len());
    }
    Ok(())
}
