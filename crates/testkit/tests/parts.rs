//! The parts themselves: each is started for real and does what tests rely on.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use paywatch_testkit::bitcoin::consensus::encode::serialize_hex;
use paywatch_testkit::{
    Behaviour, Bitcoind, DEFAULT_FEE_RATE, Delivery, Payer, Postgres, Receiver, Verifier,
    http_client,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SHOP_SAT: u64 = 150_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_confirmed_and_comes_back_after_a_reorg() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    assert_eq!(node.height().await?, 130);
    assert_eq!(payer.coins(), 20);
    let shop = node.fresh_address()?;

    let txid = payer.pay(&[(&shop, SHOP_SAT)]).await?.to_string();
    assert_eq!(node.mempool().await?, [txid.as_str()]);
    assert_eq!(node.confirmations(&txid, None).await?, 0);

    let block = node.mine(1).await?.remove(0);
    assert!(node.mempool().await?.is_empty());
    assert_eq!(node.confirmations(&txid, Some(&block)).await?, 1);

    node.invalidate(&block).await?;
    assert_eq!(node.height().await?, 130);
    assert_eq!(
        node.mempool().await?,
        [txid.as_str()],
        "the payment goes back to the mempool"
    );

    let other = node.mine(2).await?;
    assert_ne!(other[0], block);
    assert_eq!(node.confirmations(&txid, Some(&other[0])).await?, 2);
    node.reconsider(&block).await?;
    assert_eq!(
        node.best_hash().await?,
        other[1],
        "the longer branch stays the best"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_mined_with_exactly_what_is_asked() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    let shop = node.fresh_address()?;
    let first = payer.pay(&[(&shop, SHOP_SAT)]).await?.to_string();
    let second = payer.pay(&[(&shop, SHOP_SAT)]).await?.to_string();
    let unsent = payer.build(&[(&shop, SHOP_SAT)], DEFAULT_FEE_RATE)?;

    node.mine_empty(2).await?;
    assert_eq!(node.mempool().await?.len(), 2);
    let block = node
        .mine_with(&[second.clone(), serialize_hex(&unsent)])
        .await?;
    let third = payer.record(&unsent).to_string();
    assert_eq!(node.mempool().await?, [first]);
    for txid in [second, third] {
        assert_eq!(node.confirmations(&txid, Some(&block)).await?, 1);
    }
    assert_eq!(node.height().await?, 133);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_spend_replaces_a_payment_in_the_mempool_and_after_a_reorg() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    let shop = node.fresh_address()?;
    let before = payer.balance();

    let paid = payer.pay(&[(&shop, SHOP_SAT)]).await?;
    let back = payer.double_spend(paid, None).await?;
    assert_eq!(node.mempool().await?, [back.to_string()]);
    assert!(before - payer.balance() < SHOP_SAT, "only the fee is gone");

    node.mine(1).await?;
    let paid = payer.pay(&[(&shop, SHOP_SAT)]).await?;
    node.mine(3).await?;
    node.invalidate_last(3).await?;
    let other = node.fresh_address()?;
    let replacement = payer.double_spend(paid, Some((&other, SHOP_SAT))).await?;
    let blocks = node.mine(4).await?;
    assert_eq!(
        node.confirmations(&replacement.to_string(), Some(&blocks[0]))
            .await?,
        4
    );
    assert!(
        node.confirmations(&paid.to_string(), None).await.is_err(),
        "the old one is unknown"
    );

    let tracked = payer.balance();
    payer.refresh().await?;
    assert_eq!(payer.balance(), tracked, "the purse agrees with the node");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_coins_pay_in_one_block() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    payer.fan_out(200, 1_000_000).await?;
    node.mine(1).await?;
    let shop = node.fresh_address()?;
    for _ in 0..120 {
        payer.pay(&[(&shop, SHOP_SAT)]).await?;
    }
    assert_eq!(node.mempool().await?.len(), 120);
    node.mine(1).await?;
    assert!(node.mempool().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_comes_back_after_a_stop_and_after_a_kill() -> Result<()> {
    let node = Bitcoind::start().await?;
    node.mine(5).await?;
    let first = node.process_id().context("it runs")?;
    node.restart().await?;
    assert_eq!(node.height().await?, 5);
    assert_ne!(node.process_id().context("it runs")?, first);
    node.kill()?;
    assert!(node.height().await.is_err());
    node.restart().await?;
    node.mine(1).await?;
    assert!(node.height().await? >= 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_start_says_why() {
    let error = Bitcoind::start_with(&["-prune=7"])
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("ended with"), "{error}");
    assert!(
        error.contains("Prune configured below the minimum"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_what_was_committed_when_it_is_killed() -> Result<()> {
    let mut postgres = Postgres::start().await?;
    let url = postgres.create_database().await?;
    assert_ne!(url, postgres.create_database().await?);
    assert_eq!(postgres.query(&url, "SELECT 1").await?, "1");
    postgres
        .query(
            &url,
            "CREATE TABLE kept (n bigint); INSERT INTO kept VALUES (7)",
        )
        .await?;
    assert_eq!(postgres.query(&url, "SHOW fsync").await?, "on");
    postgres.restart().await?;
    postgres.kill()?;
    assert!(postgres.query(&url, "SELECT 1").await.is_err());
    postgres.restart().await?;
    assert_eq!(postgres.query(&url, "SELECT n FROM kept").await?, "7");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_keeps_requests_and_behaves_as_told() -> Result<()> {
    let receiver = Receiver::start().await?;
    let client = http_client()?;
    let post = async |path: &str| {
        client
            .post(receiver.url(path))
            .header("Webhook-Id", "evt_1")
            .body("{\"a\": 1}")
            .send()
            .await
    };
    assert_eq!(post("/hooks?x=1").await?.status(), 200);
    let seen = receiver
        .wait_for(1, Duration::from_secs(5))
        .await?
        .remove(0);
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("POST", "/hooks?x=1")
    );
    assert_eq!(seen.header("webhook-id"), "evt_1");
    assert_eq!(seen.body.as_ref(), b"{\"a\": 1}");

    let wait = vec![("retry-after".to_owned(), "30".to_owned())];
    receiver.set(Behaviour::Script(vec![
        Behaviour::status(500),
        Behaviour::Status(503, wait),
    ]));
    receiver.set_for("/moved", Behaviour::Redirect(receiver.url("/hooks")));
    assert_eq!(post("/hooks").await?.status(), 500);
    let answer = post("/hooks").await?;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (503, &"30".parse()?)
    );
    assert_eq!(post("/hooks").await?.status(), 200);
    let answer = post("/moved").await?;
    assert_eq!(answer.status(), 302);
    assert_eq!(
        answer.headers()["location"].to_str()?,
        receiver.url("/hooks")
    );
    assert_eq!(receiver.requests_to("/hooks").len(), 3);

    receiver.set(Behaviour::BigBody(300_000));
    assert_eq!(post("/").await?.bytes().await?.len(), 300_000);
    receiver.set(Behaviour::Slow(Duration::from_millis(300)));
    let started = Instant::now();
    assert_eq!(post("/").await?.status(), 200);
    assert!(started.elapsed() >= Duration::from_millis(300));
    receiver.set(Behaviour::EndlessBody(Duration::from_millis(10)));
    let answer = post("/").await?;
    let body = tokio::time::timeout(Duration::from_millis(200), answer.bytes()).await;
    assert!(body.is_err(), "the body has no end");
    receiver.set(Behaviour::Hang);
    let hanging = tokio::time::timeout(Duration::from_millis(200), post("/")).await;
    assert!(hanging.is_err(), "there is no answer");

    let waited = receiver
        .wait_for(1000, Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(
        format!("{waited:#}").contains("1000 webhooks"),
        "{waited:#}"
    );
    Ok(())
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &str = r#"{"test": 2432232314}"#;

/// The signature of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`.
fn sign(timestamp: u64) -> Result<String> {
    let key = STANDARD.decode(SECRET.trim_start_matches("whsec_"))?;
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key)?;
    mac.update(format!("{ID}.{timestamp}.{BODY}").as_bytes());
    Ok(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

fn delivery(timestamp: u64, signature: &str) -> Delivery {
    let headers = BTreeMap::from([
        ("webhook-id".to_owned(), ID.to_owned()),
        ("webhook-timestamp".to_owned(), timestamp.to_string()),
        ("webhook-signature".to_owned(), signature.to_owned()),
    ]);
    Delivery {
        headers,
        body: Bytes::from_static(BODY.as_bytes()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verifiers_accept_what_is_signed_and_refuse_what_was_changed() -> Result<()> {
    // The published vector of the specification.
    assert_eq!(
        sign(1_614_265_330)?,
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let good = delivery(now, &sign(now)?);
    let mut tampered = good.clone();
    tampered.body = Bytes::from_static(br#"{"test": 2432232315}"#);
    let old = delivery(now - 3600, &sign(now - 3600)?);
    for verifier in Verifier::ALL {
        assert_eq!(
            verifier
                .verify(&[good.clone(), good.clone()], SECRET)
                .await?,
            2
        );
        for bad in [&tampered, &old] {
            let all = [good.clone(), bad.clone()];
            let error = verifier.verify(&all, SECRET).await.unwrap_err().to_string();
            assert!(
                error.contains("refused 1 of 2: #1"),
                "{verifier:?}: {error}"
            );
        }
        let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
        assert!(
            verifier
                .verify(std::slice::from_ref(&good), other)
                .await
                .is_err()
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_node_name_method_and_code() -> Result<()> {
    let node = Bitcoind::start().await?;
    let error = node
        .rpc("getblockhash", json!([99]))
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "getblockhash: \"Block height out of range\" (code -8)"
    );
    Ok(())
}
