//! Pools of addresses over HTTP and by the binary: files that are whole, and files that are not.

use super::house::{CHAIN, SOL, SolanaHouse, Way};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{read_solana_transactions, solana_pool};
use serde_json::{Value, json};

/// The program of ordinary tokens.
const TOKEN_PROGRAM: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";

impl SolanaHouse {
    /// How full the pool of a wallet is.
    async fn pool(&self, wallet: &str) -> Result<Value> {
        let path = format!("/v1/wallets/{wallet}");
        Ok(self.api.get(&path).await?.value()?["pool"].clone())
    }
}

/// Goal: from a file to invoices to an empty pool to the next file, by the binary; each address is handed out once and
/// in its order, a low pool is warned of, and an empty one refuses invoices with what to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_filled_used_up_and_topped_up() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let people = house.people(4).await?;
    house.write("pool-1", &solana_pool(&people[..2]))?;
    house.write("pool-2", &solana_pool(&people[2..]))?;
    let line = "--json wallet add --pool pool-1 --family solana";
    let (is_good, said) = house.line(line).await?;
    ensure!(is_good, "{said}");
    let wallet: Value = serde_json::from_str(said.trim())?;
    ensure!(wallet["kind"] == "address_pool", "{wallet}");
    ensure!(wallet["first_addresses"][1]["address"] == json!(people[1]));
    let id = wallet["id"].as_str().context("an id")?;
    let (is_good, said) = house.line(&format!("wallet confirm {id}")).await?;
    ensure!(is_good, "{said}");
    let (_, said) = house.line(&format!("wallet show {id}")).await?;
    for words in ["has 2 addresses left", "paywatch wallet top-up"] {
        ensure!(said.contains(words), "{words} is missing in {said}");
    }
    for person in &people[..2] {
        let invoice = house.invoice_of(id, "sol", "0.25").await?;
        assert_eq!(invoice.address, *person);
    }
    let option = json!({ "asset": format!("sol@{CHAIN}"), "amount": "0.25", "wallet_id": id });
    let body = json!({ "options": [option], "expires_in_s": 3600 });
    let refused = house.api.post("/v1/invoices", &body).await?;
    assert_eq!(refused.code(), "address_pool_empty", "{}", refused.text);
    ensure!(refused.text.contains("wallet top-up"), "{}", refused.text);

    let line = format!("wallet top-up {id} --pool pool-2");
    let (is_good, said) = house.line(&line).await?;
    ensure!(is_good, "{said}");
    let invoice = house.invoice_of(id, "sol", "0.25").await?;
    assert_eq!(invoice.address, people[2]);
    let paid = house.node.pay(&invoice.address, SOL / 4).await?;
    house.pass(2, paid.slot).await?;
    house.until(&invoice, "paid").await?;
    // The same file again: all of it is known.
    let (is_good, said) = house.line(&line).await?;
    ensure!(!is_good && said.contains("is in use already"), "{said}");
    assert_eq!(
        house.pool(id).await?,
        json!({ "size": 4, "remaining": 1, "low": true })
    );
    Ok(())
}

/// Offers a file as a new wallet and as more addresses for one, over HTTP and by the binary: each time it is refused.
async fn refused(
    house: &SolanaHouse,
    id: &str,
    (code, file, says): (&str, &str, &str),
) -> Result<()> {
    let new = json!({ "chain_family": "solana", "pool": file });
    for (path, body) in [
        ("/v1/wallets".to_owned(), new),
        (
            format!("/v1/wallets/{id}/addresses"),
            json!({ "pool": file }),
        ),
    ] {
        let refused = house.api.post(&path, &body).await?;
        assert_eq!(refused.status, 422, "{code}: {}", refused.text);
        if !file.is_empty() {
            assert_eq!(refused.code(), code, "{}", refused.text);
            ensure!(
                refused.text.contains(says),
                "{says} is missing in {}",
                refused.text
            );
        }
    }
    house.write("bad", file)?;
    for line in [
        "wallet add --pool bad --family solana".to_owned(),
        format!("wallet top-up {id} --pool bad"),
    ] {
        let (is_good, said) = house.line(&line).await?;
        ensure!(!is_good, "{code}: {line}: {said}");
        ensure!(
            file.is_empty() || said.contains(says),
            "{says} is missing in {said}"
        );
        ensure!(!said.contains("xprv9s21"), "a key is repeated: {said}");
    }
    Ok(())
}

/// Goal: a file that is not whole, or holds what cannot stand, is refused with its line, and nothing of it is taken:
/// over HTTP as a new wallet and as more addresses for one, and by the binary.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_stand_is_refused_whole() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let id = house.wallet(Way::Pool).await?;
    let before = house.pool(&id).await?;
    let people = house.people(3).await?;
    let whole = solana_pool(&people);
    let owner = people[0].as_str();
    let asked = [[owner, TOKEN_PROGRAM, house.usdc.as_str()]];
    let derived = read_solana_transactions(&[], &asked).await?;
    let off_curve = derived["accounts"][0].as_str().context("an account")?;
    let with = |line: &str| {
        let mut people = people.clone();
        people.push(line.to_owned());
        solana_pool(&people)
    };
    let short: Vec<&str> = whole.lines().collect();
    let words = "abandon ".repeat(11) + "about";
    let cases = [
        (
            "pool_truncated",
            short[..3].join("\n") + "\n",
            "its last line must be",
        ),
        (
            "key_checksum",
            [&short[..2], &short[3..]].concat().join("\n"),
            "missing or changed",
        ),
        ("pool_truncated", String::new(), "not whole"),
        (
            "address_duplicate",
            with(&people[1]),
            "stands in line 2 already",
        ),
        ("address_off_curve", with(off_curve), "line 4"),
        ("address_malformed", with("not an address"), "line 4"),
        (
            "private_key_refused",
            with(&words),
            "never anything private",
        ),
        (
            "private_key_refused",
            with(
                "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
            ),
            "never anything private",
        ),
    ];
    for (code, file, says) in cases {
        refused(&house, &id, (code, &file, says)).await?;
    }
    assert_eq!(house.pool(&id).await?, before, "nothing was taken");
    // What was refused is still new.
    let more = json!({ "pool": whole });
    let path = format!("/v1/wallets/{id}/addresses");
    house.api.post(&path, &more).await?.value()?;
    Ok(())
}

/// Goal: an address is in a pool or the wallet of Solana Pay, never both: each payment would count twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_in_a_pool_or_paid_with_references() -> Result<()> {
    let house = SolanaHouse::new().await?;
    let people = house.people(3).await?;
    let pool = json!({ "chain_family": "solana", "pool": solana_pool(&people) });
    let wallet = house.api.post("/v1/wallets", &pool).await?.value()?;
    house.confirm(&wallet).await?;
    for person in [&people[0], &people[2]] {
        let pay = json!({ "chain_family": "solana", "key": person });
        let refused = house.api.post("/v1/wallets", &pay).await?;
        assert_eq!(refused.status, 422, "{}", refused.text);
        assert_eq!(refused.code(), "address_known", "{}", refused.text);
        assert_eq!(refused.json()?["errors"][0]["pointer"], "/key");
    }
    // Nor that of an invoice whose address was derived.
    let account = house.wallet(Way::Account).await?;
    let invoice = house.invoice_of(&account, "sol", "0.25").await?;
    let pay = json!({ "chain_family": "solana", "key": invoice.address });
    let refused = house.api.post("/v1/wallets", &pay).await?;
    assert_eq!(refused.code(), "address_known", "{}", refused.text);

    let recipient = house.node.person().await?;
    let pay = json!({ "chain_family": "solana", "key": recipient });
    house.api.post("/v1/wallets", &pay).await?.value()?;
    let pool = solana_pool(&[house.node.person().await?, recipient.clone()]);
    let pool = json!({ "chain_family": "solana", "pool": pool });
    let refused = house.api.post("/v1/wallets", &pool).await?;
    assert_eq!(refused.code(), "address_known", "{}", refused.text);
    ensure!(refused.text.contains(&recipient), "{}", refused.text);
    Ok(())
}
