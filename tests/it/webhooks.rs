//! Webhook endpoints from the command line, and a backend that listens without an address of its own.

use std::process::Stdio;

use crate::support::{HOOKS, House, PATIENCE, run, run_json};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Delivery, Paywatch, Received, Verifier, eventually};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const DUE_SAT: u64 = 300_000;

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    let text = value[field].as_str();
    text.with_context(|| format!("no {field} in {value}"))
}

/// A backend's way to events.
struct Listening {
    _process: Child,
    /// What it says is taken as long as it runs.
    _said: Lines<BufReader<ChildStdout>>,
    secret: String,
}

/// Begins to listen.
async fn listen(house: &House, path: &str) -> Result<Listening> {
    let to = house.receiver.url(path);
    let words = ["--json", "webhook", "listen", "--forward-to", &to];
    let url = house.watcher.url();
    let mut command = Paywatch::find()?.command(house.watcher.folder(), &words);
    command
        .env("PAYWATCH_URL", url)
        .env("PAYWATCH_KEY", house.api.key());
    let mut process = Command::from(command)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let said = process.stdout.take().context("its output")?;
    let mut lines = BufReader::new(said).lines();
    let first = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
    let said: Value = serde_json::from_str(&first.context("it ended")?)?;
    Ok(Listening {
        _process: process,
        _said: lines,
        secret: text(&said, "secret")?.to_owned(),
    })
}

async fn arrived(house: &House, path: &str, count: usize) -> Result<Vec<Received>> {
    eventually("webhooks to arrive", PATIENCE, async || {
        let requests = house.receiver.requests_to(path);
        Ok((count <= requests.len()).then_some(requests))
    })
    .await
}

/// Goal: a developer without a public address gets the same bytes, signed so that the libraries of others
/// accept them, from the moment on at which the command says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_backend_without_an_address_gets_the_same_events() -> Result<()> {
    let house = House::new().await?;
    let before = house.invoice(DUE_SAT).await?;
    house.until_told(&before).await?;
    let listening = listen(&house, "/local").await?;
    let invoice = house.invoice(DUE_SAT).await?;
    house.pay(&invoice, DUE_SAT).await?;
    house.until(&invoice, "detected").await?;
    let local = arrived(&house, "/local", 2).await?;
    let told = house.until_told(&invoice).await?;
    ensure!(told.len() == local.len(), "nothing of what was before");
    let public = house.receiver.requests_to(HOOKS);
    for request in &local {
        let same = |other: &&Received| other.header("webhook-id") == request.header("webhook-id");
        let other = public
            .iter()
            .find(same)
            .context("it was sent to the endpoint too")?;
        ensure!(other.body == request.body, "byte for byte");
    }
    let sent: Vec<Delivery> = local.iter().map(Delivery::from).collect();
    for verifier in Verifier::ALL {
        assert_eq!(
            verifier.verify(&sent, &listening.secret).await?,
            local.len()
        );
        ensure!(
            verifier.verify(&sent, &house.secret).await.is_err(),
            "a secret of its own"
        );
    }
    Ok(())
}

/// Goal: an operator does with endpoints from the command line what merchants do through the API.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_kept_from_the_command_line() -> Result<()> {
    let house = House::new().await?;
    let url = house.receiver.url("/second");
    let line = format!("webhook add {url} --event invoice.paid");
    let made = run_json(&house, &line).await?;
    let (id, first) = (text(&made, "id")?, text(&made, "secret")?);
    let shown = run(&house, "webhook list").await?;
    ensure!(shown.contains(id) && !shown.contains("whsec_"), "{shown}");
    run(&house, &format!("webhook test {id}")).await?;
    let rotated = run(&house, &format!("webhook rotate {id} --overlap-s 0")).await?;
    ensure!(
        rotated.contains("whsec_") && !rotated.contains(first),
        "{rotated}"
    );
    let tested = arrived(&house, "/second", 1).await?;
    ensure!(tested[0].json()?["type"] == "endpoint.test");

    let invoice = house.invoice(DUE_SAT).await?;
    house.until_told(&invoice).await?;
    let changed = run(
        &house,
        &format!("webhook update {id} --event invoice.created"),
    )
    .await?;
    ensure!(changed.contains("(invoice.created)"), "{changed}");
    let replayed = run_json(&house, &format!("webhook replay {id} --after 0")).await?;
    assert_eq!(replayed["deliveries"], 1, "{replayed}");
    arrived(&house, "/second", 2).await?;
    let listed = run_json(&house, "webhook deliveries").await?;
    let last = text(&listed["data"][0], "id")?;
    run(&house, &format!("events resend {last}")).await?;
    let again = arrived(&house, "/second", 3).await?;
    assert_eq!(again[1].header("webhook-id"), again[2].header("webhook-id"));
    let events = run(&house, "events list").await?;
    ensure!(
        events.contains("invoice.created") && events.contains(&invoice.id),
        "{events}"
    );

    run(&house, &format!("webhook update {id} --disable")).await?;
    ensure!(run(&house, "webhook list").await?.contains("disabled"));
    run(&house, &format!("webhook delete {id}")).await?;
    ensure!(!run(&house, "webhook list").await?.contains(id));
    Ok(())
}

/// Goal: a receiver that has the public key alone can check what arrives, and a rotation with overlap gives it time
/// to change. Method: the command line asks for it, Node's own ed25519 checks it, and the libraries that know
/// nothing of that form check the same requests.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_webhook_can_be_checked_without_a_secret() -> Result<()> {
    let house = House::new().await?;
    let url = house.receiver.url("/public");
    let made = run_json(&house, &format!("webhook add {url} --asymmetric")).await?;
    let (id, secret, key) = (
        text(&made, "id")?,
        text(&made, "secret")?,
        text(&made, "public_key")?,
    );
    house.invoice(DUE_SAT).await?;
    let first = arrived(&house, "/public", 1).await?;
    let rotated = run_json(&house, &format!("webhook rotate {id} --overlap-s 3600")).await?;
    let (new_secret, new_key) = (text(&rotated, "secret")?, text(&rotated, "public_key")?);
    ensure!(new_key != key, "{rotated}");
    run(&house, &format!("webhook test {id}")).await?;
    let both = arrived(&house, "/public", 2).await?;
    let sent: Vec<Delivery> = both.iter().map(Delivery::from).collect();
    let accepts = async |verifier: Verifier, sent: &[Delivery], key: &str| {
        verifier.verify(sent, key).await.is_ok()
    };
    ensure!(first.len() == 1 && accepts(Verifier::Asymmetric, &sent, key).await);
    ensure!(accepts(Verifier::Asymmetric, &sent[1..], new_key).await);
    ensure!(!accepts(Verifier::Asymmetric, &sent[..1], new_key).await);
    for library in Verifier::ALL {
        ensure!(accepts(library, &sent, secret).await, "{library:?}");
        ensure!(
            accepts(library, &sent[1..], new_secret).await,
            "{library:?}"
        );
    }
    let plain = house.receiver.requests_to(HOOKS);
    let plain = plain.first().context("the other endpoint was told too")?;
    ensure!(!plain.header("webhook-signature").contains("v1a"));
    run(&house, &format!("webhook update {id} --asymmetric false")).await?;
    let listed = run_json(&house, "webhook list").await?;
    ensure!(listed["data"][0]["public_key"].is_null(), "{listed}");
    Ok(())
}
