//! Secrets: none of them is logged or told, whatever goes wrong.
//!
//! Every test with a watcher looks for what it knows of secrets when the watcher ends (`testkit::leaks`). Here is the
//! story that has all of them, at the most verbose level, with everything that can be refused or fail.

use crate::support::{Database, HOOKS, House, PATIENCE, command};
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::http::{StatusCode, Uri};
use paywatch_testkit::{
    Behaviour, Paywatch, WatcherOptions, eventually, expect_no_secret, http_client, note_secret,
};
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const DUE_SAT: u64 = 70_000;
/// Secrets of an operator, by what they are for.
const NODE_TOKEN: &str = "node-token-5b1c7a90e2";
const NODE_PASSWORD: &str = "node-password-e19a44c7";
const SOCKET_TOKEN: &str = "socket-token-77d0f3b6";
const RATES_KEY: &str = "rates-key-c04e9d1b8a";
const RATES_TOKEN: &str = "rates-token-3f6b2e85";
const DATABASE_PASSWORD: &str = "database-password-18fe";
/// What merchants should never send, and do.
const HOOK_TOKEN: &str = "hook-token-90ab6d2c41";
const PRIVATE_KEY: &str = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";

/// What was asked of the server that refuses.
type Asked = Arc<Mutex<String>>;

/// A server that refuses everybody, and says what was asked of it, as some providers do.
async fn refusing(serving: &mut JoinSet<()>, asked: &Asked) -> Result<String> {
    let asked = Arc::clone(asked);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let place = listener.local_addr()?.to_string();
    let router = Router::new().fallback(async move |uri: Uri| {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push_str(&uri.to_string());
        (StatusCode::UNAUTHORIZED, format!("no access to {uri}"))
    });
    serving.spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok(place)
}

fn settings(refusing: &str) -> String {
    format!(
        "[telemetry]\nfilter = \"trace\"\n\
         [rates]\nrefresh_s = 1\nallow_networks = [\"127.0.0.0/8\"]\n\
         [rates.sources.bourse]\nurl = \"http://{refusing}/{RATES_TOKEN}?key={RATES_TOKEN}\"\n\
         pointers = {{ \"btc/USD\" = \"/btc\" }}\nheaders = {{ x-api-key = \"{RATES_KEY}\" }}\n"
    )
}

/// A chain behind a provider that knows us by a token in the address.
fn add_provider(house: &House, refusing: &str) -> Result<()> {
    let folder = house.watcher.folder();
    let node = format!("http://{refusing}/v3/{NODE_TOKEN}?key={NODE_TOKEN}");
    std::fs::write(folder.join("node.url"), node)?;
    let socket = format!("ws://{refusing}/ws/{SOCKET_TOKEN}");
    std::fs::write(folder.join("socket.url"), socket)?;
    std::fs::write(folder.join("node.password"), NODE_PASSWORD)?;
    let chains = folder.join("chains.toml");
    let text = std::fs::read_to_string(&chains)?;
    let section = r#"
[chains.base]
mode = "test"
family = "evm"
caip2 = "eip155:8453"
evm.chain_id = 8453
assets = [{ symbol = "eth", decimals = 18, dust = "1000", slip44 = 1 }]
endpoints = [{ url_file = "node.url", websocket_file = "socket.url", user = "shop", password_file = "node.password" }]
poll_ms = 100
finality = { depth = 2 }
reorg_depth_max = 100
lag_ms_max = 600000
"#;
    Ok(std::fs::write(chains, text + section)?)
}

/// Keys that are wrong, in the wrong place, or of the wrong form.
async fn wrong_keys(house: &House) -> Result<()> {
    let (client, url) = (http_client()?, house.watcher.url());
    let key = house.api.key();
    let mut mistyped = key.to_owned();
    mistyped.pop();
    note_secret(&mistyped)?;
    for header in [
        format!("Bearer {mistyped}"),
        format!("Basic {key}"),
        format!("Bearer {key} {key}"),
        key.to_owned(),
    ] {
        let request = client.get(format!("{url}/v1/invoices"));
        let answer = request.header("authorization", header).send().await?;
        ensure!(answer.status() == 401, "{}", answer.status());
        expect_no_secret("a refused key's answer", &answer.text().await?)?;
    }
    for path in [
        format!("/v1/invoices/{key}"),
        format!("/v1/{key}"),
        format!("/{key}"),
        format!("/v1/invoices?limit={key}"),
        format!("/v1/invoices?{key}=1"),
        format!("/v1/invoices?order_id=A&starting_after={key}"),
    ] {
        let answer = house.api.get(&path).await?;
        ensure!(400 <= answer.status, "{path}: {}", answer.text);
    }
    Ok(())
}

/// Bodies with secrets where none belong.
async fn wrong_bodies(house: &House) -> Result<()> {
    let secret = &house.secret;
    let hook = json!({ "url": "ftp://shop.example", "secret": secret, "event_types": [secret] });
    let of_words = json!({ "url": secret, "enabled": secret });
    let wallet = json!({ "chain_family": "bitcoin", "key": PRIVATE_KEY });
    let path = "/v1/webhook-endpoints";
    for (path, body) in [
        (path, hook.to_string()),
        (path, of_words.to_string()),
        (path, format!("{{\"url\":\"{secret}")),
        (
            path,
            format!("{{\"url\":\"{secret}\",\"url\":\"{secret}\"}}"),
        ),
        ("/v1/wallets", wallet.to_string()),
        ("/v1/wallets", format!("{PRIVATE_KEY}{{")),
        (
            "/v1/invoices",
            json!({ "metadata": 1, "order_id": [secret] }).to_string(),
        ),
    ] {
        // What is refused is looked through by the client.
        let answer = house.api.post_bytes(path, body.into_bytes(), None).await?;
        ensure!(
            (400..500).contains(&answer.status),
            "{path}: {}",
            answer.text
        );
    }
    Ok(())
}

/// An endpoint whose address holds a token fails, and its secret is replaced.
async fn failing_webhooks(house: &House) -> Result<()> {
    let path = format!("/fails/{HOOK_TOKEN}?token={HOOK_TOKEN}");
    house.receiver.set_for(&path, Behaviour::status(500));
    let (id, _) = house.endpoint(&path).await?;
    let rotate = format!("/v1/webhook-endpoints/{id}/rotate-secret");
    let once = "a-rotation";
    house
        .api
        .post_once(&rotate, &json!({}), once)
        .await?
        .value()?;
    let reused = json!({ "overlap_s": 5 });
    let reused = house.api.post_once(&rotate, &reused, once).await?;
    ensure!(reused.status == 422, "{}", reused.text);
    let gone = house.endpoint("/gone").await?;
    house.receiver.set_for("/gone", Behaviour::status(410));
    let invoice = house.invoice(DUE_SAT).await?;
    house.pay(&invoice, DUE_SAT).await?;
    house.mine(2).await?;
    house.until(&invoice, "paid").await?;
    house.until_told(&invoice).await?;
    eventually("a webhook to fail", PATIENCE, async || {
        let failed = house.receiver.requests_to(&path);
        let disabled = house.receiver.requests_to(HOOKS);
        let told = disabled.iter().any(|request| {
            let body = String::from_utf8_lossy(&request.body);
            body.contains("endpoint.disabled") && body.contains(&gone.0)
        });
        Ok((told && failed.len() > 1).then_some(()))
    })
    .await
}

/// What the operator's commands say, also when the database or the configuration is wrong.
async fn commands(house: &House) -> Result<()> {
    let place = format!("shop:{DATABASE_PASSWORD}@127.0.0.1:1/paywatch");
    let binary = Paywatch::find()?;
    for url in [
        format!("postgres://{place}"),
        format!("postgres://{place}?sslmode=wrong"),
        format!("mysql://{place}"),
        format!("postgres//{place}"),
        place,
    ] {
        for line in ["check", "migrate", "doctor", "keys list", "serve"] {
            let words: Vec<&str> = line.split_whitespace().collect();
            let environment = [("PAYWATCH__DATABASE__URL", &*url)];
            let running = binary.run(house.watcher.folder(), &words, &environment);
            let output = tokio::time::timeout(PATIENCE, running).await??;
            ensure!(
                line == "check" || !output.status.success(),
                "`{line}` ended well"
            );
            expect_no_secret(line, &String::from_utf8_lossy(&output.stdout))?;
        }
    }
    for line in [
        "doctor",
        "check",
        "chains list",
        "wallet list",
        "webhook list",
        "audit list",
    ] {
        let (_, said, _) = command(house, line).await?;
        // The owner of an endpoint sees its address.
        let said = said.replace(HOOK_TOKEN, "");
        expect_no_secret(line, &said)?;
    }
    Ok(())
}

/// Goal: nobody finds a secret in the logs, in a refusal, or in what is shown to others than its owner. Method: the
/// binary at its most verbose level, with a provider that refuses it and repeats its address, a database that
/// is not there, wrong keys, secrets in bodies and paths, webhooks that fail; then every form of every secret
/// is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn no_api_secret_is_logged_or_told() -> Result<()> {
    for secret in [
        NODE_TOKEN,
        NODE_PASSWORD,
        SOCKET_TOKEN,
        RATES_KEY,
        RATES_TOKEN,
        DATABASE_PASSWORD,
        HOOK_TOKEN,
        PRIVATE_KEY,
    ] {
        note_secret(secret)?;
    }
    let (mut serving, asked) = (JoinSet::new(), Asked::default());
    let refusing = refusing(&mut serving, &asked).await?;
    let options = WatcherOptions {
        further_settings: settings(&refusing),
        ..WatcherOptions::default()
    };
    let mut house = House::with(Database::Sqlite, options).await?;
    house.watcher.stop().await?;
    add_provider(&house, &refusing)?;
    house.watcher.launch().await?;
    house.until_accepting().await?;
    wrong_keys(&house).await?;
    wrong_bodies(&house).await?;
    failing_webhooks(&house).await?;
    commands(&house).await?;
    eventually(
        "the provider and the source to refuse",
        PATIENCE,
        async || {
            let chains = house.chain_named("base").await?.to_string();
            let rates = house.api.get("/v1/rates").await?.text;
            for text in [&chains, &rates] {
                expect_no_secret("what the API shows", text)?;
            }
            let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            let tokens = [NODE_TOKEN, RATES_TOKEN];
            let missing = tokens.iter().find(|token| !asked.contains(**token));
            ensure!(missing.is_none(), "{missing:?} is not in {asked}");
            Ok(Some(()))
        },
    )
    .await?;
    for path in [
        "/v1/audit",
        "/v1/deliveries",
        "/metrics",
        "/readyz",
        "/v1/events",
    ] {
        // The owner of an endpoint sees its address here too.
        let text = house.api.get(path).await?.text.replace(HOOK_TOKEN, "");
        expect_no_secret(path, &text)?;
    }
    let log = house.watcher.log();
    ensure!(
        log.contains("TRACE") && log.contains("DEBUG"),
        "it is verbose"
    );
    house.watcher.stop().await?;
    Ok(())
}

/// Goal: a watcher that logs a secret fails its test. Method: a line is added to its log.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_in_a_log_is_found() -> Result<()> {
    let house = House::new().await?;
    house.watcher.expect_no_leak()?;
    let file = house.watcher.folder().join("output.log");
    let log = std::fs::read_to_string(&file)?;
    let master = std::fs::read_to_string(house.watcher.folder().join("master.key"))?;
    for secret in [
        house.api.key(),
        &house.secret,
        master.trim(),
        house.node.password(),
    ] {
        std::fs::write(&file, format!("{log}INFO key={secret}\n"))?;
        let found = house.watcher.expect_no_leak();
        std::fs::write(&file, &log)?;
        let error = found.err().context("it is found")?.to_string();
        ensure!(!error.contains(secret), "and not told again: {error}");
    }
    Ok(())
}
