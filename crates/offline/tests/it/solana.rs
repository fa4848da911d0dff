//! Keys, pools and sweeps for Solana.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Result;
use paywatch_chain::{Derivation, private_material};
use paywatch_chain_solana::SolanaDerivation;
use paywatch_testkit::{Surfnet, other_solana_addresses, read_solana_transactions};
use serde_json::{Value, json};
use tempfile::TempDir;

const WORDS: &str = "test walk nut penalty hip pave soap entry language right filter choice";
const BLOCKHASH: &str = "EkSnNWid2cvwEVnVx9aBqawnmiCNiDgp3gUdkDPTKN1N";
const DESTINATION: &str = "mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN";
const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
const TOKEN: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
const TOKEN_2022: &str = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb";

/// A folder with the words in a file.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("words"), format!("{WORDS}\n")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paywatch-offline"));
        command.args(arguments).current_dir(self.folder.path());
        command.output().unwrap()
    }

    /// What a run prints that succeeds.
    fn say(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a run complains of that fails; it prints nothing else.
    fn complain(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn plan(&self, plan: &Value) -> PathBuf {
        let path = self.path("plan.json");
        fs::write(&path, plan.to_string()).unwrap();
        path
    }

    fn sweep(&self, plan: &Value) -> Vec<String> {
        let plan = self.plan(plan);
        let said = self.say(&["sweep", "--words", "words", "--plan", text(&plan)]);
        said.lines().map(str::to_owned).collect()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn derivation() -> SolanaDerivation {
    SolanaDerivation::new(["solana".parse().unwrap()])
}

/// The account's public key, and its addresses as the watcher derives them.
fn derived(desk: &Desk, account: &str, indexes: &[u32]) -> (String, Vec<String>) {
    let said = desk.say(&["xpub", "--words", "words", "--account", account]);
    let key = said.lines().next().unwrap().to_owned();
    let chain = "solana".parse().unwrap();
    let addresses = indexes.iter().map(|index| {
        let derived = derivation().derive(&key, *index, &chain);
        derived.unwrap().address
    });
    let addresses = addresses.collect();
    (key, addresses)
}

#[test]
fn new_words_are_drawn_into_a_file_that_nobody_else_can_read() {
    let desk = Desk::new();
    let printed = desk.say(&["new"]);
    assert_eq!(printed.split_whitespace().count(), 24);
    assert!(
        private_material(&printed).is_some(),
        "the watcher would refuse it"
    );
    assert_ne!(printed, desk.say(&["new"]));
    assert_eq!(desk.say(&["new", "--count", "12", "--out", "root"]), "");
    let root = desk.path("root");
    assert_eq!(
        fs::read_to_string(&root)
            .unwrap()
            .split_whitespace()
            .count(),
        12
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&root).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = fs::read_to_string(&root).unwrap();
    assert!(
        desk.complain(&["new", "--out", "root"])
            .contains("cannot make")
    );
    assert_eq!(
        fs::read_to_string(&root).unwrap(),
        before,
        "a root is never written over"
    );
    assert!(
        desk.complain(&["new", "--count", "13"])
            .contains("13 words")
    );
}

#[tokio::test]
async fn the_watcher_derives_the_addresses_of_an_account() -> Result<()> {
    let desk = Desk::new();
    for account in ["0", "7"] {
        let said = desk.say(&["xpub", "--words", "words", "--account", account]);
        let mut lines = said.lines();
        let key = lines.next().unwrap();
        assert!(private_material(key).is_none());
        let theirs = other_solana_addresses(key, &[0, 1, 2]).await?;
        for (index, (line, theirs)) in (0..).zip(lines.zip(theirs)) {
            let derived = derivation().derive(key, index, &"solana".parse()?)?;
            assert_eq!(line, format!("  {}  {}", derived.path, derived.address));
            assert_eq!(derived.address, theirs);
        }
    }
    let accounts = ["0", "1"].map(|account| derived(&desk, account, &[]).0);
    assert_ne!(accounts[0], accounts[1]);
    Ok(())
}

#[test]
fn the_watcher_takes_a_pool() {
    let desk = Desk::new();
    let words = format!("{}about\n", "abandon ".repeat(11));
    fs::write(desk.path("common"), words).unwrap();
    let file = desk.say(&["pool", "--words", "common", "--count", "50"]);
    let pool = derivation().pool(&file).unwrap();
    assert_eq!(pool.addresses.len(), 50);
    // What common wallets show for these words.
    assert_eq!(
        pool.addresses[0],
        "HAgk14JpMQLgt6rVgv7cBQFJWFto5Dqxi472uT3DKpqk"
    );
    let arguments = [
        "pool", "--words", "common", "--from", "40", "--count", "20", "--out", "more",
    ];
    assert_eq!(desk.say(&arguments), "");
    let more = fs::read_to_string(desk.path("more")).unwrap();
    let more = derivation().pool(&more).unwrap();
    assert_eq!(more.addresses[..10], pool.addresses[40..]);
    assert!(!pool.addresses.contains(&more.addresses[10]));
    for count in ["0", "5001"] {
        let said = desk.complain(&["pool", "--words", "common", "--count", count]);
        assert!(said.contains("1 to 5000"), "{said}");
    }
}

#[tokio::test]
async fn a_sweep_is_what_other_programs_read_in_it() -> Result<()> {
    let desk = Desk::new();
    let (_, addresses) = derived(&desk, "0", &[0, 5, 9]);
    let [payer, first, second] = &addresses[..] else {
        unreachable!()
    };
    let plan = json!({
        "way": "xpub", "blockhash": BLOCKHASH, "destination": DESTINATION,
        "fee_payer": {"index": 0}, "close_emptied": true,
        "from": [
            {"index": 5, "address": first, "lamports": 1_500_000_000_u64},
            {"index": 9, "address": second, "tokens": [
                {"mint": MINT, "decimals": 6, "amount": "18446744073709551615"},
                {"mint": DESTINATION, "decimals": 0, "amount": "7", "program": "token-2022"},
            ]},
        ],
    });
    let asked = [
        [second.as_str(), TOKEN, MINT],
        [DESTINATION, TOKEN, MINT],
        [second.as_str(), TOKEN_2022, DESTINATION],
        [DESTINATION, TOKEN_2022, DESTINATION],
    ];
    let answer = read_solana_transactions(&desk.sweep(&plan), &asked).await?;
    let read = answer["read"].as_array().unwrap();
    assert_eq!(read.len(), 2);
    for (read, signer) in read.iter().zip([first, second]) {
        assert_eq!(read["payer"], json!(payer));
        assert_eq!(read["blockhash"], BLOCKHASH);
        assert_eq!(read["signers"], json!([payer, signer]));
    }
    let all =
        json!([{"does": "transfer", "from": first, "to": DESTINATION, "amount": "1500000000"}]);
    assert_eq!(read[0]["steps"], all);
    let account = |place: usize| &answer["accounts"][place];
    let steps = json!([
        {"does": "make", "account": account(1), "owner": DESTINATION, "mint": MINT, "program": TOKEN},
        {"does": "transfer_checked", "from": account(0), "to": account(1), "owner": second, "mint": MINT,
         "amount": "18446744073709551615", "decimals": 6, "program": TOKEN},
        {"does": "close", "account": account(0), "to": DESTINATION},
        {"does": "make", "account": account(3), "owner": DESTINATION, "mint": DESTINATION,
         "program": TOKEN_2022},
        {"does": "transfer_checked", "from": account(2), "to": account(3), "owner": second,
         "mint": DESTINATION, "amount": "7", "decimals": 0, "program": TOKEN_2022},
        {"does": "close", "account": account(2), "to": DESTINATION},
    ]);
    assert_eq!(read[1]["steps"], steps);
    Ok(())
}

#[tokio::test]
async fn an_address_can_pay_for_its_own_sweep() -> Result<()> {
    let desk = Desk::new();
    let pool = desk.say(&["pool", "--words", "words", "--count", "4"]);
    let address = pool.lines().nth(3).unwrap();
    let plan = json!({
        "way": "pool", "blockhash": BLOCKHASH, "destination": DESTINATION,
        "from": [{"index": 3, "address": address, "lamports": 5001}],
    });
    let answer = read_solana_transactions(&desk.sweep(&plan), &[]).await?;
    let read = &answer["read"][0];
    assert_eq!(read["payer"], address);
    assert_eq!(read["signers"], json!([address]));
    let one = json!([{"does": "transfer", "from": address, "to": DESTINATION, "amount": "1"}]);
    assert_eq!(read["steps"], one);
    Ok(())
}

#[test]
fn a_plan_that_cannot_stand_signs_nothing() {
    let desk = Desk::new();
    let (_, addresses) = derived(&desk, "0", &[0, 1]);
    let good = json!({
        "way": "xpub", "blockhash": BLOCKHASH, "destination": DESTINATION,
        "from": [
            {"index": 0, "address": addresses[0], "lamports": 1_000_000},
            {"index": 1, "address": addresses[1], "lamports": 1_000_000},
        ],
    });
    assert_eq!(desk.sweep(&good).len(), 2);
    let cases = [
        ("/from/1/index", json!(2), "other words or another way"),
        ("/from/1/account", json!(1), "other words or another way"),
        ("/way", json!("pool"), "other words or another way"),
        ("/from/1/lamports", json!(4999), "less than the fee"),
        ("/from/1/lamports", json!(5000), "nothing stands there"),
        ("/from/1/lamports", json!(-1), "no plan"),
        ("/from/1/lamports", json!(0.5), "no plan"),
        ("/from/1/index", json!(2_147_483_648_u32), "not possible"),
        (
            "/from/1/tokens",
            json!([{"mint": MINT, "decimals": 6, "amount": "1.5"}]),
            "smallest units",
        ),
        (
            "/from/1/tokens",
            json!([{"mint": "abc", "decimals": 6, "amount": "1"}]),
            "32 bytes",
        ),
        ("/from/1/typo", json!(1), "no plan"),
        ("/fee_payer", json!({"index": 1}), "pays the fees"),
        ("/destination", json!(TOKEN.replace('T', "0")), "32 bytes"),
        (
            "/destination",
            json!("11111111111111111111111111111111"),
            "no private key",
        ),
        (
            "/destination",
            json!(addresses[1]),
            "the destination itself",
        ),
        ("/blockhash", json!("abc"), "32 bytes"),
        ("/from", json!([]), "no address"),
    ];
    for (pointer, value, words) in cases {
        let mut plan = good.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        plan.pointer_mut(parent).unwrap()[field] = value;
        let plan = desk.plan(&plan);
        let said = desk.complain(&["sweep", "--words", "words", "--plan", text(&plan)]);
        assert!(said.contains(words), "{pointer}: {said}");
        assert!(!said.contains("penalty"));
    }
    fs::write(desk.path("wrong"), WORDS.replace("walk", "walks")).unwrap();
    let said = desk.complain(&["xpub", "--words", "wrong"]);
    assert!(said.contains("word 2") && !said.contains("walks"), "{said}");
}

/// Rent of an account for tokens, which closing it gives back.
const RENT: u64 = 2_039_280;

async fn lamports(node: &Surfnet, address: &str) -> Result<u64> {
    let balance = node.rpc("getBalance", json!([address, {"commitment": "confirmed"}]));
    Ok(balance.await?["value"].as_u64().unwrap())
}

/// What a wallet has of a token, as text; `None` when it has no account for it.
async fn tokens(node: &Surfnet, owner: &str, mint: &str) -> Result<Option<String>> {
    let form = json!({"encoding": "jsonParsed", "commitment": "confirmed"});
    let asked = json!([owner, {"mint": mint}, form]);
    let answer = node.rpc("getTokenAccountsByOwner", asked).await?;
    let amount = answer["value"][0].pointer("/account/data/parsed/info/tokenAmount/amount");
    Ok(amount.and_then(Value::as_str).map(str::to_owned))
}

async fn blockhash(node: &Surfnet) -> Result<Value> {
    let mut answer = node.rpc("getLatestBlockhash", json!([])).await?;
    Ok(answer["value"]["blockhash"].take())
}

/// SOL and tokens of both programs, from addresses that were derived from the public key alone.
#[tokio::test]
async fn a_real_node_carries_out_the_sweep_of_derived_addresses() -> Result<()> {
    let node = Surfnet::start().await?;
    let desk = Desk::new();
    let (_, addresses) = derived(&desk, "0", &[0, 5, 9]);
    let [payer, first, second] = &addresses[..] else {
        unreachable!()
    };
    let destination = node.person().await?;
    let mint = node.mint(6).await?;
    let work = json!({"decimals": 2, "program": "token_2022"});
    let newer: String = node.act("mint", work).await?;
    node.pay(payer, 100_000_000).await?;
    node.pay(first, 1_500_000_000).await?;
    node.send_tokens(&mint, second, 12_340_000).await?;
    node.send_tokens(&newer, second, 77).await?;
    let plan = json!({
        "way": "xpub", "blockhash": blockhash(&node).await?, "destination": destination,
        "fee_payer": {"index": 0}, "close_emptied": true,
        "from": [
            {"index": 5, "address": first, "lamports": 1_500_000_000_u64},
            {"index": 9, "address": second, "tokens": [
                {"mint": mint, "decimals": 6, "amount": "12340000"},
                {"mint": newer, "decimals": 2, "amount": "77", "program": "token-2022"},
            ]},
        ],
    });
    for transaction in desk.sweep(&plan) {
        let landed = node.submit(&transaction).await?;
        assert_eq!(landed.error, Value::Null);
    }
    assert_eq!(lamports(&node, first).await?, 0);
    for (mint, amount) in [(&mint, "12340000"), (&newer, "77")] {
        assert_eq!(
            tokens(&node, &destination, mint).await?.as_deref(),
            Some(amount)
        );
        assert_eq!(
            tokens(&node, second, mint).await?,
            None,
            "the account is closed"
        );
    }
    let swept = lamports(&node, &destination).await?;
    assert!(
        1_500_000_000 + RENT < swept,
        "{swept}: the SOL and the rents"
    );
    assert!(
        lamports(&node, payer).await? < 100_000_000,
        "who paid the fees"
    );
    Ok(())
}

#[tokio::test]
async fn a_real_node_carries_out_the_sweep_of_a_solana_pool() -> Result<()> {
    let node = Surfnet::start().await?;
    let desk = Desk::new();
    let pool = desk.say(&["pool", "--words", "words", "--count", "3"]);
    let address = pool.lines().nth(2).unwrap();
    let destination = node.person().await?;
    let mint = node.mint(6).await?;
    node.pay(address, 10_000_000).await?;
    node.send_tokens(&mint, address, 5).await?;
    // Who pays for themselves needs an account at the destination.
    node.send_tokens(&mint, &destination, 1).await?;
    let plan = json!({
        "way": "pool", "blockhash": blockhash(&node).await?, "destination": destination,
        "from": [{"index": 2, "address": address, "lamports": 10_000_000, "tokens": [
            {"mint": mint, "decimals": 6, "amount": "5"},
        ]}],
    });
    let [transaction] = &desk.sweep(&plan)[..] else {
        panic!("one address is one transaction")
    };
    let landed = node.submit(transaction).await?;
    assert_eq!(landed.error, Value::Null);
    assert_eq!(lamports(&node, address).await?, 0);
    assert_eq!(lamports(&node, &destination).await?, 10_000_000 - 5_000);
    assert_eq!(
        tokens(&node, &destination, &mint).await?.as_deref(),
        Some("6")
    );
    assert_eq!(tokens(&node, address, &mint).await?.as_deref(), Some("0"));
    Ok(())
}
