//! What a person decides by commands, and what the merchant is told of it.

use crate::support::{Database, House, Invoice, PATIENCE, command, run, run_json, statuses, tally};
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Postgres, WatcherOptions, eventually};
use serde_json::{Value, json};

const DUE_SAT: u64 = 100_000;

/// Runs a command that must fail for a reason that can be read; gives what it complains about.
async fn refused(house: &House, line: &str) -> Result<String> {
    let (status, _, complaint) = command(house, line).await?;
    ensure!(
        status == Some(1),
        "`{line}` ended with {status:?}: {complaint}"
    );
    Ok(complaint)
}

/// Waits until something has to be decided about an invoice; gives it.
async fn until_opened(house: &House, invoice: &Invoice) -> Result<Value> {
    eventually("an open exception", PATIENCE, async || {
        let shown = house.shown(invoice).await?;
        let mut exceptions = shown["exceptions"].as_array().into_iter().flatten();
        let open = exceptions.find(|exception| exception["state"] == "open");
        Ok(open.cloned())
    })
    .await
}

fn id_of(exception: &Value) -> Result<String> {
    let id = exception["id"].as_str().context("an exception has an id")?;
    Ok(id.to_owned())
}

/// Too little money is listed and shown to people and to programs; gives the exception's id.
async fn listed_and_shown(house: &House, invoice: &Invoice) -> Result<String> {
    let opened = until_opened(house, invoice).await?;
    let id = id_of(&opened)?;
    let listed = run(house, "exceptions list --kind underpaid").await?;
    for word in [&*id, "underpaid", "0.00060000", &*invoice.id] {
        ensure!(listed.contains(word), "{word} is missing: {listed}");
    }
    let page = run_json(house, "exceptions list").await?;
    assert_eq!(page["data"], json!([opened]), "as the invoice shows it");
    assert_eq!(
        run_json(house, &format!("exceptions show {id}")).await?,
        opened
    );
    let shown = run(house, &format!("exceptions show {id}")).await?;
    ensure!(
        shown.contains("0.00060000 of 0.00100000 btc came in time")
            && shown.contains("possible: accept, accept_partial, refund, ignore"),
        "{shown}"
    );
    Ok(id)
}

/// Too little came, and a person takes it.
async fn accepted_in_part(house: &House) -> Result<()> {
    let terms = json!({ "expires_in_s": 25 });
    let invoice = house.invoice_with(DUE_SAT, terms).await?;
    house.pay(&invoice, 60_000).await?;
    house.until(&invoice, "detected").await?;
    house.mine(2).await?;
    house.until(&invoice, "underpaid").await?;
    let nothing = run(house, "exceptions list").await?;
    ensure!(
        nothing.contains("nothing yet"),
        "the rest can still come: {nothing}"
    );

    let id = listed_and_shown(house, &invoice).await?;
    let line = format!("exceptions resolve {id} --action assign --owner ann");
    assert_eq!(run_json(house, &line).await?["owner"], "ann");
    let line = format!("exceptions resolve {id} --action ignore");
    let said = refused(house, &line).await?;
    ensure!(said.contains("reason"), "it says what is missing: {said}");
    let line = format!("exceptions resolve {id}");
    assert_eq!(command(house, &line).await?.0, Some(2), "no action");

    let line = format!("exceptions resolve {id} --action accept_partial --reason regular");
    let decided = run(house, &line).await?;
    ensure!(
        decided.contains("resolved")
            && decided.contains("owner ann")
            && decided.contains("accept_partial by key_")
            && decided.contains("regular"),
        "{decided}"
    );
    let paid = house.until(&invoice, "paid").await?;
    assert_eq!(tally(&paid, "final")?, 60_000, "nothing is made up");
    let told = [
        "created",
        "detected",
        "confirming",
        "underpaid",
        "updated",
        "exception.opened",
        "paid",
        "exception.resolved",
    ];
    house.expect_told(&invoice, &told).await?;
    let events = house.until_told(&invoice).await?;
    assert_eq!(statuses(&events)[6], "paid");
    assert_eq!(events[6]["data"]["cause"]["kind"], "operator");
    let resolved = &events[7]["data"]["exception"];
    assert_eq!(resolved["resolution"]["reason"], "regular");
    assert_eq!(resolved["owner"], "ann");

    let said = refused(house, &line).await?;
    ensure!(said.contains("exception_resolved"), "{said}");
    let nothing = run(house, "exceptions list").await?;
    ensure!(nothing.contains("nothing yet"), "{nothing}");
    let listed = run(house, "exceptions list --state resolved").await?;
    ensure!(listed.contains(&id), "{listed}");
    Ok(())
}

/// Too much came: a part of it is sent back, the rest is set off.
async fn sent_back(house: &House) -> Result<()> {
    let invoice = house.invoice(DUE_SAT).await?;
    let txid = house.pay(&invoice, 125_000).await?;
    house.until(&invoice, "detected").await?;
    house.mine(2).await?;
    house.until(&invoice, "overpaid").await?;
    let id = id_of(&until_opened(house, &invoice).await?)?;
    let said = refused(
        house,
        &format!("exceptions resolve {id} --action accept_partial"),
    )
    .await?;
    ensure!(
        said.contains("action_not_possible") && said.contains("accept, refund, ignore"),
        "{said}"
    );
    let line = format!("exceptions resolve {id} --action refund --amount 0.0003 --tx-id {txid}");
    let said = refused(house, &line).await?;
    ensure!(said.contains("0.00025000 is at stake"), "{said}");
    let line = format!("exceptions resolve {id} --action refund --amount 0.0001 --tx-id {txid}");
    let decided = run_json(house, &line).await?;
    assert_eq!(
        (&decided["state"], &decided["amount_atomic"]),
        (&json!("open"), &json!("15000"))
    );
    let path = format!("/v1/invoices/{}/refunds", invoice.id);
    let rest = json!({ "amount": "0.00015", "offset": true, "note": "a voucher" });
    let recorded = house.api.post(&path, &rest).await?.value()?;
    let shown = house.shown(&invoice).await?;
    assert_eq!(recorded["refunds"], shown["refunds"]);
    assert_eq!(shown["status"], "overpaid", "what came is a fact");
    assert_eq!(shown["exceptions"][0]["state"], "resolved");
    let refunds = &shown["refunds"];
    assert_eq!(
        (&refunds[0]["tx_id"], &refunds[0]["amount_atomic"]),
        (&json!(txid.to_string()), &json!("10000"))
    );
    assert_eq!(
        (&refunds[1]["tx_id"], &refunds[1]["note"]),
        (&Value::Null, &json!("a voucher"))
    );
    let told = [
        "created",
        "detected",
        "confirming",
        "overpaid",
        "exception.opened",
        "updated",
        "exception.resolved",
    ];
    house.expect_told(&invoice, &told).await
}

/// Goal: a person decides by commands, and the merchant's backend hears of it by webhooks.
#[tokio::test(flavor = "multi_thread")]
async fn exceptions_are_decided_by_commands() -> Result<()> {
    let house = House::new().await?;
    accepted_in_part(&house).await?;
    sent_back(&house).await
}

/// Goal: the same word for word on Postgres.
#[tokio::test(flavor = "multi_thread")]
async fn exceptions_are_decided_by_commands_on_postgres() -> Result<()> {
    let house = House::with(Database::Postgres, WatcherOptions::default()).await?;
    accepted_in_part(&house).await?;
    sent_back(&house).await
}

/// Goal: a transaction that the database lost is put on record again by its id, or by a check of the
/// invoice, and the words about it are true before and after. Method: rows are deleted behind the
/// watcher's back.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_transaction_is_attached_or_found_by_a_check() -> Result<()> {
    let server = Postgres::start().await?;
    let database = server.create_database().await?;
    let options = WatcherOptions {
        database_url: Some(database.clone()),
        ..WatcherOptions::default()
    };
    let house = House::with(Database::Sqlite, options).await?;
    let [invoice, other] = [house.invoice(DUE_SAT).await?, house.invoice(DUE_SAT).await?];
    let explain = format!("invoice explain {}", invoice.id);
    let words = run(&house, &explain).await?;
    ensure!(
        words.contains(&format!("{} is created.", invoice.id))
            && words.contains("Next: Show the payer how to pay."),
        "{words}"
    );
    let txid = house.pay(&invoice, DUE_SAT).await?;
    house.until(&invoice, "detected").await?;
    house.mine(1).await?;
    house.until(&invoice, "confirming").await?;
    let height = house.node.height().await?;
    let words = run(&house, &explain).await?;
    for part in [
        format!("0.00100000 btc@bitcoin-regtest in {txid}: Counted, and not final: it has 1 of 2"),
        "(mined)".to_owned(),
        format!("  block {height} from"),
        format!("Awaited: Block {} of bitcoin-regtest.", height + 1),
    ] {
        ensure!(words.contains(&part), "{part} is missing: {words}");
    }
    house.mine(1).await?;
    house.until(&invoice, "paid").await?;
    let words = run(&house, &explain).await?;
    ensure!(
        words.contains("Next: Fulfil the order.") && words.contains("Counted, and final."),
        "{words}"
    );
    let told = house.until_told(&invoice).await?;

    let attach = format!("invoice attach {} {txid}", invoice.id);
    let said = run(&house, &attach).await?;
    ensure!(said.contains("was on record already"), "{said}");
    let said = refused(&house, &format!("invoice attach {} {txid}", other.id)).await?;
    ensure!(said.contains("failed"), "it pays another one: {said}");
    assert_eq!(house.shown(&other).await?["transfers"], json!([]));

    let attach = format!("{attach} --block {height}");
    let check = format!("invoice check {}", invoice.id);
    for (line, expected) in [
        (&attach, "is on record now"),
        (&check, "1 transfers were missing"),
    ] {
        server
            .query(&database, "DELETE FROM placements; DELETE FROM transfers")
            .await?;
        assert_eq!(house.shown(&invoice).await?["transfers"], json!([]));
        let said = run(&house, line).await?;
        ensure!(
            said.contains(expected) && said.contains("the invoice is paid"),
            "`{line}`: {said}"
        );
        let shown = house.shown(&invoice).await?;
        assert_eq!(shown["transfers"][0]["tx_id"], json!(txid.to_string()));
        assert_eq!(house.until_told(&invoice).await?, told, "there is no news");
    }
    let explained = run_json(&house, &explain).await?;
    assert_eq!(explained["next_action"]["code"], "fulfil");
    let placements = &explained["transfers"][0]["placements"];
    assert_eq!(placements[0]["block_height"], json!(height));
    let said = refused(&house, "invoice explain inv_nobody").await?;
    ensure!(said.contains("invoice_unknown"), "{said}");
    Ok(())
}

/// Goal: the command line says of a quarantined invoice that it is one and what to do, and shows it again
/// after the repair. Method: an address is changed in the database and put back.
#[tokio::test(flavor = "multi_thread")]
async fn a_quarantined_invoice_is_told_by_commands() -> Result<()> {
    let server = Postgres::start().await?;
    let database = server.create_database().await?;
    let options = WatcherOptions {
        database_url: Some(database.clone()),
        ..WatcherOptions::default()
    };
    let house = House::with(Database::Sqlite, options).await?;
    let invoice = house.invoice(DUE_SAT).await?;
    let damage = "UPDATE options SET address = 'thief'";
    server.query(&database, damage).await?;
    house.pay(&invoice, DUE_SAT).await?;
    let id = eventually("the quarantine", PATIENCE, async || {
        let page = run_json(&house, "exceptions list --kind quarantined").await?;
        Ok(page["data"][0]["id"].as_str().map(str::to_owned))
    })
    .await?;
    let said = refused(&house, &format!("invoice show {}", invoice.id)).await?;
    ensure!(said.contains("its seal does not fit"), "{said}");
    let shown = run(&house, &format!("exceptions show {id}")).await?;
    for word in ["quarantined", "Repair what is stored", &*invoice.id] {
        ensure!(shown.contains(word), "{word} is missing: {shown}");
    }
    let listed = run(&house, "exceptions list").await?;
    ensure!(
        listed.contains("quarantined") && listed.contains(&invoice.id),
        "{listed}"
    );
    let line = format!("exceptions resolve {id} --action ignore --reason repaired");
    let early = refused(&house, &line).await?;
    ensure!(early.contains("its seal does not fit"), "{early}");
    let repair = format!("UPDATE options SET address = '{}'", invoice.address);
    server.query(&database, &repair).await?;
    assert_eq!(run_json(&house, &line).await?["state"], "resolved");
    let back = run(&house, &format!("invoice show {}", invoice.id)).await?;
    ensure!(back.contains("detected"), "{back}");
    Ok(())
}
