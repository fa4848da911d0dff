//! What operators do about chains and keys: resume, rescan, scan, through the command line.

use crate::support::{Database, House, Invoice, PATIENCE, command, run, run_json, statuses, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::bitcoin::Txid;
use paywatch_testkit::{Bitcoind, Postgres, WalletKey, WatcherOptions, eventually};
use serde_json::{Value, json};

const DUE_SAT: u64 = 300_000;

async fn until_halted(house: &House) -> Result<String> {
    eventually("the chain to halt", PATIENCE, async || {
        let chain = house.chain().await?;
        Ok(chain["halted"].as_str().map(str::to_owned))
    })
    .await
}

/// The node is listed below its chain, by host and port alone.
async fn endpoint_is_listed(house: &House, listed: &str) -> Result<()> {
    let shown = run_json(house, "chains list").await?;
    let node = &shown["data"][0]["endpoints"][0];
    let place = node["endpoint"].as_str().context("where it is")?;
    assert_eq!(
        (&node["condition"], &node["leading"]),
        (&json!("well"), &json!(true))
    );
    ensure!(
        listed.contains(place) && place.starts_with("127.0.0.1:"),
        "{listed}"
    );
    ensure!(!place.contains(['/', '@']), "{place}");
    Ok(())
}

/// An invoice that is paid under three blocks more than are followed back.
async fn deeply_paid(house: &House) -> Result<(Invoice, Txid)> {
    let invoice = house.invoice(DUE_SAT).await?;
    let txid = house.pay(&invoice, DUE_SAT).await?;
    house.until(&invoice, "detected").await?;
    house.mine(7).await?;
    house.until(&invoice, "paid").await?;
    house.until_told(&invoice).await?;
    Ok((invoice, txid))
}

/// Goal: a reorganisation deeper than the limit halts the chain and says nothing about invoices; after
/// `chains resume` each is told one result. Method: a limit of three blocks; the fork is looked for
/// above, and in the second round below everything that was ever read.
#[tokio::test(flavor = "multi_thread")]
async fn a_deep_reorganisation_halts_until_an_operator_resumes() -> Result<()> {
    let options = WatcherOptions {
        reorg_depth_max: 3,
        ..WatcherOptions::default()
    };
    let (node, payer) = House::node().await?;
    // Even where the last forty blocks are gone, the payer's coins can be spent.
    node.mine(60).await?;
    let house = House::on(node, payer, Database::Sqlite, options).await?;
    let (status, _, complaint) = command(&house, "chains resume bitcoin-regtest").await?;
    ensure!(
        status == Some(1) && complaint.contains("nothing to resume"),
        "{complaint}"
    );
    for undone in [8, 40] {
        let (gone, txid) = deeply_paid(&house).await?;
        let short = house
            .invoice_with(DUE_SAT, json!({ "expires_in_s": 1 }))
            .await?;
        let told = house.until_told(&gone).await?.len();
        house.node.invalidate_last(undone).await?;
        house.payer.double_spend(txid, None).await?;
        house.node.mine(undone + 1).await?;
        let why = until_halted(&house).await?;
        ensure!(why.contains("paywatch chains resume"), "{why}");
        let listed = run(&house, "chains list").await?;
        ensure!(listed.contains("halted"), "{listed}");
        endpoint_is_listed(&house, &listed).await?;
        let body = Invoice::request(DUE_SAT, json!({}));
        let refused = house.api.post("/v1/invoices", &body).await?;
        assert_eq!(refused.code(), "chain_unavailable");
        assert_eq!(
            house.shown(&gone).await?["status"],
            "paid",
            "nothing is guessed"
        );
        assert_eq!(house.until_told(&gone).await?.len(), told);
        assert_eq!(
            house.shown(&short).await?["status"],
            "created",
            "nothing expires"
        );

        let done = run_json(&house, "chains resume bitcoin-regtest").await?;
        assert_eq!(
            (&done["kind"], &done["state"]),
            (&json!("resume"), &json!("done"))
        );
        house.until_caught_up().await?;
        let back = house.until(&gone, "created").await?;
        assert_eq!(tally(&back, "seen")?, 0);
        let events = house.until_told(&gone).await?;
        let news: Vec<&Value> = events[told..].iter().collect();
        let reverted: Vec<&&Value> = news
            .iter()
            .filter(|event| event["type"] == "invoice.reverted")
            .collect();
        ensure!(reverted.len() == 1, "{news:?}");
        assert_eq!(reverted[0]["data"]["cause"]["kind"], "reorg");
        assert_eq!(statuses(&events).last(), Some(&"created"));
        house.until(&short, "expired").await?;
        house.until_accepting().await?;
    }
    Ok(())
}

/// Goal: what was lost from the database is found again by `chains rescan`, with the same result and no
/// word to the merchant. Method: rows are deleted behind the watcher's back.
#[tokio::test(flavor = "multi_thread")]
async fn a_rescan_brings_back_what_the_database_lost() -> Result<()> {
    let server = Postgres::start().await?;
    let database = server.create_database().await?;
    let options = WatcherOptions {
        database_url: Some(database.clone()),
        ..WatcherOptions::default()
    };
    let house = House::with(Database::Sqlite, options).await?;
    let (invoice, _) = deeply_paid(&house).await?;
    let before = house.shown(&invoice).await?;
    let told = house.until_told(&invoice).await?;
    server
        .query(&database, "DELETE FROM placements; DELETE FROM transfers")
        .await?;
    assert_eq!(house.shown(&invoice).await?["transfers"], json!([]));

    let tip = house.node.height().await?;
    let line = "chains rescan bitcoin-regtest --from 1";
    let (status, _, complaint) = command(&house, line).await?;
    ensure!(status == Some(1), "nothing proves what stands that low");
    let (_, lowest) = complaint
        .split_once("must not be below ")
        .context("a height")?;
    let lowest: u64 = lowest.split(':').next().context("a height")?.parse()?;
    let whole = format!("chains rescan bitcoin-regtest --from {lowest}");
    let done = run_json(&house, &whole).await?;
    assert_eq!(done["blocks_done"], json!(tip + 1 - lowest));
    assert_eq!(
        (&done["findings"]["placed"], &done["findings"]["removed"]),
        (&json!(1), &json!(0))
    );
    let after = house.shown(&invoice).await?;
    for field in ["status", "options", "payable", "paid_option", "version"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    for field in [
        "tx_id",
        "position",
        "amount",
        "block_hash",
        "in_time",
        "certainty",
    ] {
        let [after, before] = [&after, &before].map(|shown| &shown["transfers"][0][field]);
        assert_eq!(after, before, "{field}");
    }
    assert_eq!(house.until_told(&invoice).await?, told, "there is no news");
    let from = tip - 2;
    let said = run(
        &house,
        &format!("chains rescan bitcoin-regtest --from {from} --to {tip}"),
    )
    .await?;
    ensure!(
        said.contains("3 blocks") && said.contains("0 transfers were missing"),
        "{said}"
    );
    let line = format!("chains rescan bitcoin-regtest --from {}", tip + 1);
    let (status, _, complaint) = command(&house, &line).await?;
    ensure!(
        status == Some(1) && complaint.contains("height_invalid"),
        "{complaint}"
    );
    let line = format!("--json {whole} --no-wait");
    let asked: Value = serde_json::from_str(&run(&house, &line).await?)?;
    let path = format!("/v1/requests/{}", asked["id"].as_str().context("an id")?);
    eventually("the rescan to be done", PATIENCE, async || {
        let shown = house.api.get(&path).await?.value()?;
        Ok((shown["state"] == "done").then_some(()))
    })
    .await
}

/// Sends the coins of an address on, which the last block has paid, as its owner does.
async fn spend(
    node: &Bitcoind,
    wallet: &WalletKey,
    index: u32,
    txid: &str,
    to: &str,
) -> Result<()> {
    let address = wallet.address(index)?;
    let block = node.best_hash().await?;
    let paid = node
        .rpc("getrawtransaction", json!([txid, true, block]))
        .await?;
    let outputs = paid["vout"].as_array().context("outputs")?;
    let own = outputs
        .iter()
        .find(|output| output["scriptPubKey"]["address"] == json!(address))
        .context("an output to the address")?;
    let inputs = json!([{ "txid": txid, "vout": own["n"] }]);
    let raw = node
        .rpc("createrawtransaction", json!([inputs, [{ to: "0.00005" }]]))
        .await?;
    let keys = json!([wallet.wif_at(index)?]);
    let signed = node
        .rpc("signrawtransactionwithkey", json!([raw, keys]))
        .await?;
    ensure!(signed["complete"] == true, "{signed}");
    node.rpc("sendrawtransaction", json!([signed["hex"]]))
        .await?;
    Ok(())
}

/// An invoice that is paid to a wallet other than the default.
async fn of_wallet(house: &House, wallet: &str) -> Result<Invoice> {
    let mut body = Invoice::request(DUE_SAT, json!({}));
    body["options"][0]["wallet_id"] = json!(wallet);
    Invoice::read(&house.api.post("/v1/invoices", &body).await?.value()?)
}

/// Goal: a key that was used elsewhere hands out no used address. Method: payments to twelve indexes up
/// to 37, some of them spent again and one above more than twenty unused ones, in blocks that the
/// watcher never read; then `wallet add --scan-from`.
#[tokio::test(flavor = "multi_thread")]
async fn a_used_key_is_found_by_a_scan() -> Result<()> {
    let (node, payer) = House::node().await?;
    let used = WalletKey::new(9)?;
    let indexes: Vec<u32> = (0..=10).chain([37]).collect();
    for index in &indexes {
        let txid = payer.pay(&[(&used.address(*index)?, 10_000)]).await?;
        node.mine(1).await?;
        if index % 4 == 0 {
            spend(&node, &used, *index, &txid.to_string(), &payer.address()).await?;
        }
    }
    // Deeper than the watcher begins.
    node.mine(110).await?;
    payer.refresh().await?;
    let house = House::on(node, payer, Database::Sqlite, WatcherOptions::default()).await?;
    let line = format!("wallet add {} --label old --scan-from 1", used.vpub());
    let added = run_json(&house, &line).await?;
    assert_eq!(added["next_index"], 38, "{added}");
    assert_eq!(added["highest_used_index"], 37, "{added}");
    assert_eq!(
        added["unused_gap"], 0,
        "the owner's wallet got there too: {added}"
    );
    let id = added["id"].as_str().context("a wallet has an id")?;
    run(&house, &format!("wallet confirm {id}")).await?;
    let invoice = of_wallet(&house, id).await?;
    assert_eq!(invoice.address, used.address(38)?);
    let said = run(&house, &format!("wallet scan {id} --from-height 1")).await?;
    ensure!(
        said.contains("highest index that was ever paid is 37"),
        "{said}"
    );
    let invoice = of_wallet(&house, id).await?;
    assert_eq!(invoice.address, used.address(39)?, "never lowered");
    Ok(())
}

/// A section of the configuration that names keys of before.
const RETIRED: &str = "\n[secrets]\nretired_master_key_files = [\"old.key\"]\n";

/// Goal: the master key is replaced without anything being lost, and the old one is good for nothing
/// afterwards. Method: an open invoice, a key that is used meanwhile and one that is not; the files of the keys
/// are changed while the watcher is down.
#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_replaced_and_the_old_one_thrown_away() -> Result<()> {
    let mut house = House::new().await?;
    let invoice = house.invoice(DUE_SAT).await?;
    let unused = house.watcher.create_key("test").await?;
    house.watcher.stop().await?;
    let (folder, config) = (house.watcher.folder().to_owned(), house.watcher.config());
    std::fs::rename(folder.join("master.key"), folder.join("old.key"))?;
    std::fs::write(folder.join("master.key"), "9e".repeat(32))?;
    let (status, _, complaint) = command(&house, "keys create --mode test").await?;
    ensure!(
        status == Some(1) && complaint.contains("retired_master_key_files"),
        "{complaint}"
    );

    let settings = std::fs::read_to_string(&config)?;
    std::fs::write(&config, format!("{settings}{RETIRED}"))?;
    house.watcher.launch().await?;
    house.until_caught_up().await?;
    assert_eq!(house.shown(&invoice).await?["status"], "created");
    let done = run_json(&house, "reseal").await?;
    assert_eq!(
        done["sealed"],
        json!([
            { "kind": "wallets", "sealed": 1, "broken": [] },
            { "kind": "pool addresses", "sealed": 0, "broken": [] },
            { "kind": "invoices", "sealed": 1, "broken": [] },
            { "kind": "webhook endpoints", "sealed": 1, "broken": [] },
        ])
    );
    let id = unused.rsplit_once('_').context("a key has parts")?.0;
    let left = done["unused_keys"].as_array().context("keys")?;
    ensure!(left.len() == 1, "{id}: {done}");
    run(&house, "audit verify").await?;

    house.watcher.stop().await?;
    std::fs::write(&config, settings)?;
    std::fs::remove_file(folder.join("old.key"))?;
    house.watcher.launch().await?;
    house.until_caught_up().await?;
    house.pay(&invoice, DUE_SAT).await?;
    house.mine(2).await?;
    house.until(&invoice, "paid").await?;
    house.until_told(&invoice).await?;
    let refused = house.watcher.api(&unused)?.get("/v1/invoices").await?;
    assert_eq!(refused.code(), "key_invalid");
    Ok(())
}
