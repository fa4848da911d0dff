//! The command line as an operator uses it, from an empty folder to a paid invoice.

use crate::support::PATIENCE;
use anyhow::{Context, Result, ensure};
use paywatch_testkit::{Bitcoind, Payer, Paywatch, WalletKey, Watcher, WatcherOptions, eventually};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;

const ORDER: &str = "invoice create --option btc@bitcoin-regtest=0.0005 --order-id A-7";

/// Runs a command in a folder.
struct Shell<'a> {
    binary: Paywatch,
    folder: &'a Path,
    environment: Vec<(&'a str, &'a str)>,
}

impl Shell<'_> {
    async fn run(&self, line: &str) -> Result<Output> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.binary
            .run(self.folder, &words, &self.environment)
            .await
    }

    /// Runs a command with `--json`, which must end with a status; gives what it printed.
    async fn json(&self, line: &str, status: i32) -> Result<Value> {
        let output = self.run(&format!("--json {line}")).await?;
        check(line, &output, status)?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("`{line}` prints JSON"))
    }

    /// Runs a command that must end well; gives what people read.
    async fn text(&self, line: &str) -> Result<String> {
        let output = self.run(line).await?;
        check(line, &output, 0)?;
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command that must end with a status other than 0; gives what it complains about.
    async fn fails(&self, line: &str, status: i32) -> Result<String> {
        let output = self.run(line).await?;
        check(line, &output, status)?;
        Ok(String::from_utf8(output.stderr)?)
    }
}

fn text(value: &Value, field: &str) -> Result<String> {
    let text = value[field].as_str().map(str::to_owned);
    text.with_context(|| format!("no {field} in {value}"))
}

fn check(line: &str, output: &Output, status: i32) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    let found = output.status.code();
    ensure!(
        found == Some(status),
        "`{line}` ended with {found:?}, not {status}: {said}"
    );
    Ok(())
}

/// Goal: a new folder is made, checked and understood; every mistake in it is named at once, with
/// exit status 1; what cannot be a command ends with 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_configuration_is_made_and_checked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let shell = Shell {
        binary: Paywatch::find()?,
        folder: folder.path(),
        environment: vec![],
    };
    let made = shell.json("init shop", 0).await?;
    let files = made["files"].as_array().context("files are listed")?;
    ensure!(
        files.len() == 3 && files.iter().all(|file| file["written"] == true),
        "{made}"
    );
    let key = folder.path().join("shop/master.key");
    let before = std::fs::read_to_string(&key)?;
    let again = shell.text("init shop").await?;
    ensure!(again.contains("kept"), "{again}");
    assert_eq!(
        std::fs::read_to_string(&key)?,
        before,
        "a key is never overwritten"
    );

    let checked = shell.json("--config shop/paywatch.toml check", 0).await?;
    assert_eq!(checked, json!({ "ok": true, "followed": [] }));
    let looked = shell.json("--config shop/paywatch.toml doctor", 1).await?;
    assert_eq!(looked["ok"], false, "no chain has a node yet: {looked}");

    let wrong = "[server]\nlisten = \"nowhere\"\n[webhooks]\ncolour = 1\n";
    std::fs::write(folder.path().join("shop/paywatch.toml"), wrong)?;
    let said = shell.fails("--config shop/paywatch.toml check", 1).await?;
    ensure!(
        said.contains("server.listen") && said.contains("webhooks.colour"),
        "{said}"
    );
    let listed = shell.json("--config shop/paywatch.toml check", 1).await?;
    assert_eq!(
        listed["problems"].as_array().map(Vec::len),
        Some(2),
        "{listed}"
    );

    shell.fails("nonsense", 2).await?;
    shell.fails("invoice create --order-id A-8", 2).await?;
    let said = shell.fails("invoice list", 1).await?;
    ensure!(
        said.contains("PAYWATCH_KEY"),
        "it says what is missing: {said}"
    );
    let help = shell.text("--help").await?;
    for command in [
        "serve", "init", "check", "doctor", "wallet", "invoice", "keys", "migrate", "audit",
    ] {
        ensure!(help.contains(command), "{command} is missing: {help}");
    }
    Ok(())
}

/// Goal: an operator makes keys, registers and confirms a wallet, makes an invoice and sees it paid,
/// by commands alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_made_paid_and_fulfilled_by_api_commands() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    let mut watcher = Watcher::prepare(&node, &WatcherOptions::default()).await?;
    let folder = watcher.folder().to_owned();
    let mut shell = Shell {
        binary: Paywatch::find()?,
        folder: &folder,
        environment: vec![],
    };

    assert_eq!(
        shell.json("check", 0).await?["followed"],
        json!(["bitcoin-regtest"])
    );
    shell.text("migrate").await?;
    let looked = shell.json("doctor", 0).await?;
    ensure!(
        looked["findings"]
            .to_string()
            .contains("node of bitcoin-regtest"),
        "{looked}"
    );
    let key = shell
        .json("keys create --mode test --label shop", 0)
        .await?;
    let reader = shell
        .json("keys create --mode test --scopes invoices:read", 0)
        .await?;
    let (key, reader_key) = (text(&key, "key")?, text(&reader, "key")?);
    ensure!(key.starts_with("pw_test_"), "a key says what it is for");
    assert_eq!(reader["scopes"], json!(["invoices:read"]));
    let listed = shell.text("keys list").await?;
    ensure!(
        listed.contains("shop") && !listed.contains(&key),
        "keys are shown once: {listed}"
    );

    watcher.launch().await?;
    let url = watcher.url();
    shell.environment = vec![("PAYWATCH_URL", &url), ("PAYWATCH_KEY", &key)];
    let own = WalletKey::new(3)?;
    let shown = shell
        .text(&format!("wallet add {} --label till", own.vpub()))
        .await?;
    ensure!(
        shown.contains(&own.address(0)?),
        "addresses are there to be compared: {shown}"
    );
    let wallets = shell.json("wallet list", 0).await?;
    let id = text(&wallets["data"][0], "id")?;
    ensure!(
        shell.fails(ORDER, 1).await?.contains("wallet_missing"),
        "nobody confirmed it yet"
    );
    let confirmed = shell.json(&format!("wallet confirm {id}"), 0).await?;
    assert_eq!(confirmed["state"], "active");
    chain_read(&shell).await?;
    let id = order_and_pay(&shell, &payer, &node, &own.address(0)?).await?;
    kept_with(&shell, &id).await?;
    let looked = shell.json("doctor", 0).await?;
    ensure!(
        looked["findings"].to_string().contains("read up to block"),
        "{looked}"
    );
    let listed = shell.text("audit list").await?;
    ensure!(
        listed.contains("wallet.confirm") && listed.contains("pending -> active"),
        "{listed}"
    );
    revoked_and_limited(shell, &reader, &reader_key).await
}

/// Waits until what is shown of the only chain says that it was read.
async fn chain_read(shell: &Shell<'_>) -> Result<()> {
    eventually("the chain to be read", PATIENCE, async || {
        let chains = shell.json("chains list", 0).await?;
        Ok(chains["data"][0]["covered_until"].as_str().map(drop))
    })
    .await
}

/// What is written down is shown with the invoice, and changes nothing else of it.
async fn kept_with(shell: &Shell<'_>, id: &str) -> Result<()> {
    let before = shell.json(&format!("invoice show {id}"), 0).await?;
    let line = format!("invoice note {id} called-about-friday");
    shell.text(&line).await?;
    let line = format!("invoice fulfil {id} 1-coffee-grinder --reference 00340434161094");
    let said = shell.text(&line).await?;
    ensure!(said.contains(id), "{said}");
    let line = format!("invoice fulfil {id} 2-filters");
    shell.json(&line, 0).await?;
    let after = shell.json(&format!("invoice show {id}"), 0).await?;
    let explained = shell.json(&format!("invoice explain {id}"), 0).await?;
    let texts = |list: &str, field: &str| -> Vec<Value> {
        let rows = explained[list].as_array().into_iter().flatten();
        rows.map(|row| row[field].clone()).collect()
    };
    assert_eq!(texts("notes", "text"), [json!("called-about-friday")]);
    assert_eq!(
        texts("fulfilments", "description"),
        [json!("1-coffee-grinder"), json!("2-filters")]
    );
    assert_eq!(
        texts("fulfilments", "reference"),
        [json!("00340434161094"), Value::Null]
    );
    for field in ["status", "version", "options", "transfers"] {
        assert_eq!(before[field], after[field], "{field}");
    }
    for line in ["invoice note inv_nobody x", "invoice fulfil inv_nobody x"] {
        let said = shell.fails(line, 1).await?;
        ensure!(said.contains("invoice_unknown"), "{said}");
    }
    let long = format!("invoice note {id} {}", "x".repeat(20_000));
    let said = shell.fails(&long, 1).await?;
    ensure!(said.contains("/text"), "it says what is wrong: {said}");
    shell.fails(&format!("invoice fulfil {id}"), 2).await?;
    Ok(())
}

/// An order is made, listed, paid at the wallet's own address, and watched to its end; gives its id.
async fn order_and_pay(
    shell: &Shell<'_>,
    payer: &Payer,
    node: &Bitcoind,
    own: &str,
) -> Result<String> {
    let invoice = shell.json(ORDER, 0).await?;
    let id = text(&invoice, "id")?;
    assert_eq!(invoice["options"][0]["address"], json!(own));
    let listed = shell.text("invoice list").await?;
    ensure!(listed.contains(&id) && listed.contains("A-7"), "{listed}");
    payer.pay(&[(own, 50_000)]).await?;
    node.mine(2).await?;
    let watched = shell.text(&format!("invoice watch {id}")).await?;
    ensure!(watched.contains("paid"), "it watches to the end: {watched}");
    let shown = shell.json(&format!("invoice show {id}"), 0).await?;
    assert_eq!(shown["status"], "paid");
    assert_eq!(
        shell.json("invoice list --status paid", 0).await?["data"][0]["id"],
        json!(id)
    );
    let listed = shell.json("wallet list", 0).await?;
    let wallet = text(&listed["data"][0], "id")?;
    let shown = shell.text(&format!("wallet show {wallet}")).await?;
    ensure!(shown.contains("gap limit to set      20"), "{shown}");
    let line = format!("wallet export {wallet} --form csv");
    let table = shell.text(&line).await?;
    ensure!(table.contains(&format!(",{own},{id},A-7,paid,")), "{table}");
    let exported = shell.text(&format!("wallet export {wallet}")).await?;
    ensure!(exported.contains("\"range\":[0,0]"), "{exported}");
    let said = shell.fails("wallet export wal_nobody", 1).await?;
    ensure!(said.contains("wallet_unknown"), "{said}");
    let said = shell.fails("invoice show inv_nobody", 1).await?;
    ensure!(said.contains("invoice_unknown"), "{said}");
    Ok(id)
}

/// A key that may only read does not write, and a revoked one does nothing.
async fn revoked_and_limited(mut shell: Shell<'_>, reader: &Value, reader_key: &str) -> Result<()> {
    let url = shell.environment[0];
    let environment = vec![url, ("PAYWATCH_KEY", reader_key)];
    let folder = shell.folder;
    shell = Shell {
        binary: shell.binary,
        folder,
        environment,
    };
    shell.json("invoice list", 0).await?;
    let said = shell.fails(ORDER, 1).await?;
    ensure!(
        said.contains("invoices:write"),
        "the missing scope is named: {said}"
    );
    let id = reader["id"].as_str().context("a key has an id")?;
    shell.text(&format!("keys revoke {id}")).await?;
    let said = shell.fails("invoice list", 1).await?;
    ensure!(said.contains("key_invalid"), "{said}");
    audited(&shell).await
}

/// What was done is kept, and cutting off the end of the log is found by what was noted of it.
async fn audited(shell: &Shell<'_>) -> Result<()> {
    let verified = shell.json("audit verify", 0).await?;
    let logs = verified["logs"].as_array().context("logs")?;
    let [log] = logs.as_slice() else {
        anyhow::bail!("one merchant has one log: {verified}");
    };
    // Two keys made, one revoked, a wallet registered and confirmed, a note and two fulfilments kept.
    assert_eq!(log["rows"], 8, "{verified}");
    let noted = format!("{}:8:{}", text(log, "log")?, text(log, "seal")?);
    let said = shell.text(&format!("audit verify --noted {noted}")).await?;
    ensure!(said.contains(&noted), "{said}");
    let later = noted.replace(":8:", ":9:");
    let said = shell
        .fails(&format!("audit verify --noted {later}"), 1)
        .await?;
    ensure!(said.contains("row 9"), "{said}");
    shell.fails("audit verify --noted five", 2).await?;
    Ok(())
}
