//! Requests that cannot stand: each has a clear error with a stable code, and nothing remains of it.

use crate::support::{House, Invoice};
use anyhow::{Context, Result};
use paywatch_testkit::{Answer, Api, WalletKey};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const MEGABYTE: usize = 1 << 20;
/// The first master public key of BIP32's test vectors.
const XPUB: &str = "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8";

/// The error of a request whose only fault is in one field.
fn check_field(answer: &Answer, pointer: &str, code: &str, case: &str) -> Result<()> {
    let problem = answer.json()?;
    assert_eq!(answer.status, 422, "{case}: {problem}");
    assert_eq!(
        answer.header("content-type"),
        "application/problem+json",
        "{case}"
    );
    assert_eq!(problem["code"], json!(code), "{case}: {problem}");
    let errors = problem["errors"].as_array().context("errors are a list")?;
    let found = errors
        .iter()
        .any(|error| error["pointer"] == json!(pointer));
    assert!(found, "{case}: {pointer} is not named: {problem}");
    assert_eq!(
        problem["request_id"],
        json!(answer.header("x-request-id")),
        "{case}"
    );
    Ok(())
}

async fn register(api: &Api, key: &str) -> Result<Answer> {
    api.post(
        "/v1/wallets",
        &json!({ "chain_family": "bitcoin", "key": key }),
    )
    .await
}

/// Goal: private keys in every form, keys of another network and mistyped keys are refused by name;
/// nothing of a private key is kept or logged.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_must_not_be_taken_are_refused() -> Result<()> {
    let house = House::new().await?;
    let live = house
        .watcher
        .api(&house.watcher.create_key("live").await?)?;
    let wallet = WalletKey::new(9)?;
    let seed = [
        "legal winner thank year wave sausage",
        "worth useful legal winner thank yellow",
    ];
    let secrets = [
        wallet.tprv(),
        wallet.wif(),
        seed.join(" "),
        format!("wpkh({}/0/*)", wallet.tprv()),
        format!("  {}\n", wallet.tprv()),
        seed.join("\n"),
    ];
    for secret in &secrets {
        for api in [&house.api, &live] {
            let answer = register(api, secret).await?;
            check_field(&answer, "/key", "private_key_refused", "a private key")?;
            assert!(!answer.text.contains(secret.trim()), "it is not repeated");
        }
    }
    let last = if wallet.vpub().ends_with('z') {
        "y"
    } else {
        "z"
    };
    let mistyped = format!("{}{last}", &wallet.vpub()[..wallet.vpub().len() - 1]);
    let (vpub, tpub) = (wallet.vpub(), wallet.tpub());
    let hardened = format!("wpkh({tpub}/0h/*)");
    let table = [
        (&live, tpub.as_str(), "key_wrong_network"),
        (&live, &vpub, "key_wrong_network"),
        (&house.api, XPUB, "key_wrong_network"),
        (&house.api, &mistyped, "key_checksum"),
        (&house.api, &hardened, "key_hardened_step"),
        (
            &house.api,
            "bcrt1qwamhwamhwamhwamhwamhwamhwamhwamhje54fy",
            "key_malformed",
        ),
    ];
    for (api, key, code) in table {
        check_field(&register(api, key).await?, "/key", code, key)?;
    }
    assert_eq!(
        house.api.get("/v1/wallets").await?.rows()?.len(),
        1,
        "the house's own"
    );
    assert!(live.get("/v1/wallets").await?.rows()?.is_empty());
    let log = house.watcher.log();
    for secret in secrets.iter().map(|secret| secret.trim()).chain(seed) {
        assert!(!log.contains(secret), "a secret stands in the log");
    }
    Ok(())
}

/// Requests for an invoice with one fault each, the place of the fault, and its code.
fn faulty_invoices() -> Vec<(Value, &'static str, &'static str)> {
    let amount = |amount: Value| {
        let option = json!({ "asset": "btc@bitcoin-regtest", "amount": amount });
        json!({ "options": [option], "expires_in_s": 900 })
    };
    let at = "/options/0/amount";
    let digits = "9".repeat(80);
    vec![
        (amount(json!("0.000000001")), at, "amount_too_many_decimals"),
        (amount(json!("-1")), at, "amount_not_decimal"),
        (amount(json!("1e8")), at, "amount_not_decimal"),
        (amount(json!("NaN")), at, "amount_not_decimal"),
        (amount(json!("")), at, "amount_not_decimal"),
        (amount(json!("1,5")), at, "amount_not_decimal"),
        (amount(json!(digits)), at, "amount_too_large"),
        (amount(json!("9".repeat(200))), at, "amount_too_long"),
        (amount(json!(0.5)), at, "type_invalid"),
        (amount(json!("0")), at, "amount_zero"),
        (amount(json!("0.00000545")), at, "amount_below_dust"),
        (
            json!({ "options": [{ "asset": "doge@bitcoin-regtest", "amount": "1" }] }),
            "/options/0/asset",
            "asset_unknown",
        ),
        (
            json!({ "options": [{ "asset": "btc@bitcoin", "amount": "1" }] }),
            "/options/0/asset",
            "chain_unknown",
        ),
        (json!({ "options": [] }), "/options", "options_required"),
        (json!({}), "/options", "required"),
        (
            Invoice::request(50_000, json!({ "expires_in_s": 0 })),
            "/expires_in_s",
            "expires_in_invalid",
        ),
        (
            Invoice::request(50_000, json!({ "expires_in_s": -5 })),
            "/expires_in_s",
            "expires_in_invalid",
        ),
        (
            Invoice::request(50_000, json!({ "colour": "red" })),
            "/colour",
            "unknown_field",
        ),
        (
            Invoice::request(50_000, json!({ "policy": "nobody" })),
            "/policy",
            "policy_unknown",
        ),
        (
            Invoice::request(50_000, json!({ "metadata": [1] })),
            "/metadata",
            "type_invalid",
        ),
        (
            Invoice::request(50_000, json!({ "metadata": { "a": "x".repeat(9_000) } })),
            "/metadata",
            "metadata_too_large",
        ),
    ]
}

/// Goal: every fault of a request for an invoice has its code and its place.
#[tokio::test(flavor = "multi_thread")]
async fn invoices_that_cannot_be_are_refused() -> Result<()> {
    let house = House::new().await?;
    for (body, pointer, code) in &faulty_invoices() {
        let answer = house.api.post("/v1/invoices", body).await?;
        check_field(&answer, pointer, code, &body.to_string())?;
    }
    refused_whole(&house).await?;
    assert!(
        house.api.get("/v1/invoices").await?.rows()?.is_empty(),
        "nothing was made"
    );
    let wallets = house.api.get("/v1/wallets").await?.rows()?;
    assert_eq!(wallets[0]["next_index"], 0, "no address was used up");
    assert!(
        house.api.get("/v1/events").await?.rows()?.is_empty(),
        "nothing was told"
    );
    Ok(())
}

/// Requests that are refused before anybody looks at their fields.
async fn refused_whole(house: &House) -> Result<()> {
    let big = json!({ "options": [], "metadata": { "a": "x".repeat(10 * MEGABYTE) } });
    let answer = house.api.post("/v1/invoices", &big).await?;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "body_too_large")
    );
    let answer = house
        .api
        .post_bytes("/v1/invoices", b"{\"options\": [".to_vec(), None)
        .await?;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "body_not_json")
    );
    let nested = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let answer = house.api.post_bytes("/v1/invoices", nested, None).await?;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "body_not_json")
    );
    let good = Invoice::request(50_000, json!({}));
    let answer = house
        .api
        .post_once("/v1/invoices", &good, &"k".repeat(256))
        .await?;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "idempotency_key_invalid")
    );
    for (key, code) in [("", "key_missing"), ("pw_test_wrong", "key_invalid")] {
        let answer = house.watcher.api(key)?.post("/v1/invoices", &good).await?;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, code),
            "{key:?}"
        );
    }
    let answer = house.api.get("/v1/invoices/inv_nobody").await?;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (404, "invoice_unknown")
    );
    Ok(())
}

/// Goal: requests with one idempotency key at the same moment make one invoice; all of them get the
/// same answer, and all but one are told that it was given before.
#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_makes_one_invoice() -> Result<()> {
    let house = House::new().await?;
    let body = Invoice::request(50_000, json!({ "order_id": "A-1" }));
    for round in 0..5 {
        let key = format!("key-{round}");
        let ask = || async {
            loop {
                let answer = house.api.post_once("/v1/invoices", &body, &key).await?;
                // The contract lets a second request be told to come again.
                if answer.code() != "idempotency_key_in_use" {
                    return Ok::<Answer, anyhow::Error>(answer);
                }
            }
        };
        let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
        let answers = [a?, b?, c?, d?];
        let texts: BTreeSet<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
        assert_eq!(texts.len(), 1, "one answer for all: {texts:?}");
        assert!(
            answers.iter().all(|answer| answer.status == 201),
            "{answers:?}"
        );
        let replayed = answers
            .iter()
            .filter(|one| one.header("idempotency-replayed") == "true");
        assert_eq!(replayed.count(), 3, "one was the first");
        let other = Invoice::request(60_000, json!({}));
        let answer = house.api.post_once("/v1/invoices", &other, &key).await?;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (422, "idempotency_key_reused")
        );
        assert_eq!(
            house.api.get("/v1/invoices").await?.rows()?.len(),
            round + 1
        );
    }
    assert_eq!(
        house.api.get("/v1/events").await?.rows()?.len(),
        5,
        "each was told once"
    );
    Ok(())
}
