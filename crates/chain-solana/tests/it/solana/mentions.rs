//! Where a node finds addresses by its index: a hint for people who check one invoice.

use std::collections::BTreeSet;

use anyhow::Result;
use paywatch_chain::{Source, SourceError};
use paywatch_chain_solana::address::{associated_account, parse_bytes};
use paywatch_chain_solana::mint::{TOKEN_2022_PROGRAM, TOKEN_PROGRAM};
use paywatch_chain_solana::{Config, SolanaSource};
use paywatch_testkit::{Landed, SolanaCluster, Surfnet, read_solana_transactions};
use serde_json::{Value, json};

use super::addresses::WALLET;
use super::support::{assets, config, credits, payment, read_at, source, watching};

const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
/// What some wallet chose to keep tokens in.
const LOOSE: &str = "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU";
const REFERENCE: &str = "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB";

async fn named(
    source: &SolanaSource,
    key: &str,
    heights: (u64, u64),
) -> Result<Option<Vec<u64>>, SourceError> {
    let keys = vec![key.as_bytes().into()];
    let slots = source.mentions(keys, heights).await?;
    Ok(slots.map(|slots| slots.into_iter().collect()))
}

/// The usual account of the wallet for the mint.
fn usual() -> String {
    let owner = parse_bytes(WALLET).unwrap();
    associated_account(&owner, TOKEN_PROGRAM, MINT).unwrap()
}

#[tokio::test]
async fn solana_the_usual_account_of_a_token_is_where_others_look_for_it() -> Result<()> {
    let mut asked = Vec::new();
    let mut ours = Vec::new();
    for owner in [WALLET, REFERENCE, MINT] {
        for program in [TOKEN_PROGRAM, TOKEN_2022_PROGRAM] {
            for mint in [MINT, LOOSE, "So11111111111111111111111111111111111111112"] {
                asked.push([owner, program, mint]);
                ours.push(associated_account(&parse_bytes(owner)?, program, mint));
            }
        }
    }
    let theirs = read_solana_transactions(&[], &asked).await?;
    assert_eq!(theirs["accounts"], json!(ours));
    let owner = parse_bytes(WALLET)?;
    assert_eq!(associated_account(&owner, "no program", MINT), None);
    Ok(())
}

#[tokio::test]
async fn solana_addresses_are_found_by_signatures_of_all_their_accounts() -> Result<()> {
    let cluster = SolanaCluster::start("abcdef-h").await?;
    let mut failed = payment("failed", WALLET, 7);
    failed["meta"]["err"] = json!({"InstructionError": [0, "Custom"]});
    cluster.fill(101, json!([payment("one", WALLET, 7), failed.clone()]));
    cluster.fill(102, json!([failed]));
    cluster.fill(103, json!([payment("two", REFERENCE, 7)]));
    cluster.fill(104, json!([payment("three", &usual(), 7)]));
    cluster.fill(
        107,
        json!([payment("four", LOOSE, 7), payment("five", LOOSE, 7)]),
    );
    let held = vec![LOOSE.to_owned()];
    cluster.state().token_accounts = [(WALLET.to_owned(), held)].into();
    let source = SolanaSource::new(Config {
        assets: assets(&[]),
        ..config(cluster.url())
    })?;
    let with_reference = format!("{WALLET}/{REFERENCE}");
    for (key, heights, expected) in [
        (WALLET, (100, 107), vec![101, 107]),
        (WALLET, (102, 107), vec![107]),
        (WALLET, (100, 106), vec![101]),
        (WALLET, (108, 120), vec![]),
        (&*with_reference, (100, 107), vec![103]),
        // Keys of other families, and what is none.
        (
            "0x52908400098527886E0F7030069857D2E4169EE7",
            (100, 107),
            vec![],
        ),
        ("", (100, 107), vec![]),
    ] {
        let found = named(&source, key, heights).await?;
        assert_eq!(found, Some(expected), "{key} {heights:?}");
    }
    let raw: Box<[u8]> = [0xff; 20].into();
    assert_eq!(
        source.mentions(vec![raw], (0, 200)).await?,
        Some(BTreeSet::new())
    );
    Ok(())
}

/// The account of a listed token counts even where the node lists no account of the owner: it may be closed.
#[tokio::test]
async fn solana_the_usual_accounts_of_listed_tokens_are_looked_up_too() -> Result<()> {
    let cluster = SolanaCluster::start("abcdef").await?;
    cluster.fill(104, json!([payment("three", &usual(), 7)]));
    // A mint with six decimals, as the token program keeps it.
    let mut mint = vec![0_u8; 82];
    (mint[44], mint[45]) = (6, 1);
    let data = base64_text(&mint);
    cluster.lie(move |method, _| {
        let account = json!({"owner": TOKEN_PROGRAM, "data": [data, "base64"]});
        (method == "getAccountInfo").then(|| Ok(json!({ "value": account })))
    });
    let source = SolanaSource::new(Config {
        assets: assets(&[("usdc", MINT, 6, &[])]),
        ..config(cluster.url())
    })?;
    assert_eq!(named(&source, WALLET, (100, 105)).await?, Some(vec![104]));
    Ok(())
}

fn base64_text(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn solana_signatures_are_read_page_by_page_and_not_without_end() -> Result<()> {
    let many = |count: usize| -> Value {
        let payments = (0..count).map(|number| payment(&format!("of-{number}"), WALLET, 7));
        payments.collect()
    };
    let cluster = SolanaCluster::start("abc").await?;
    let source = source(cluster.url());
    cluster.fill(100, json!([payment("old", WALLET, 7)]));
    for (count, from, expected, pages) in [
        (1_500, 100, Some(vec![100, 101]), 2),
        (1_500, 101, Some(vec![101]), 2),
        (1_500, 102, Some(vec![]), 1),
        (999, 100, Some(vec![100, 101]), 2),
        (9_000, 100, None, 8),
        (9_000, 102, Some(vec![]), 1),
    ] {
        cluster.fill(101, many(count));
        cluster.take_asked();
        let found = named(&source, WALLET, (from, 102)).await?;
        assert_eq!(found, expected, "{count} from {from}");
        let asked = cluster.take_asked().into_iter();
        let asked = asked.filter(|asked| asked.starts_with("getSignaturesForAddress"));
        assert_eq!(asked.count(), pages, "{count} from {from}");
    }
    Ok(())
}

/// A node without these indexes says so in several ways: then every block is read. One that is away is asked again.
#[tokio::test]
async fn solana_without_an_index_every_block_is_read() -> Result<()> {
    let cluster = SolanaCluster::start("abc").await?;
    let source = source(cluster.url());
    for (method, code) in [
        ("getSignaturesForAddress", -32_011),
        ("getSignaturesForAddress", -32_601),
        ("getTokenAccountsByOwner", -32_010),
        ("getTokenAccountsByOwner", -32_601),
    ] {
        cluster.lie(move |asked, _| (asked == method).then_some(Err(code)));
        let found = named(&source, WALLET, (100, 102)).await?;
        assert_eq!(found, None, "{method} {code}");
    }
    cluster.lie(|asked, _| (asked == "getSignaturesForAddress").then(|| Ok(json!({"a": 1}))));
    let error = named(&source, WALLET, (100, 102)).await.unwrap_err();
    assert_eq!(error.code(), "node_answer_malformed", "{error}");
    let many = (0..70).map(|number| format!("account-{number}"));
    cluster.be_honest();
    cluster.state().token_accounts = [(WALLET.to_owned(), many.collect())].into();
    let found = named(&source, WALLET, (100, 102)).await?;
    assert_eq!(found, None, "strangers can make any number of accounts");
    Ok(())
}

/// On a real node: the slots of everything that came, whatever it named, and not of what failed.
#[tokio::test]
async fn solana_a_real_node_finds_what_was_paid() -> Result<()> {
    let node = Surfnet::start().await?;
    let (shop, reference) = (node.person().await?, node.person().await?);
    let usdc = node.mint(6).await?;
    let source = SolanaSource::new(Config {
        assets: assets(&[("usdc", &usdc, 6, &[])]),
        ..config(&node.url())
    })?;
    let tokens = || json!({"to": shop, "mint": usdc, "amount": 5});
    let lamports = || json!({"to": shop, "lamports": 1_000_000});
    let mut expected = BTreeSet::new();
    for (action, work) in [
        ("pay", lamports()),
        ("send_tokens", tokens()),
        // Names neither the owner nor the mint.
        ("send_tokens_plainly", tokens()),
        ("issue_elsewhere", tokens()),
        ("hand_over", tokens()),
    ] {
        let landed: Landed = node.act(action, work).await?;
        let block = read_at(&source, landed.slot, &watching(&[&shop])).await?;
        assert_eq!(credits(&block).len(), 1, "{action}");
        expected.insert(landed.slot);
    }
    let failed: Landed = node.act("fail", lamports()).await?;
    let mut with_reference = lamports();
    with_reference["references"] = json!([reference]);
    let referred: Landed = node.act("pay", with_reference).await?;
    let last = node.pass(2).await?;
    let key = format!("{shop}/{reference}");
    assert_eq!(
        named(&source, &key, (0, last)).await?,
        Some(vec![referred.slot])
    );
    expected.insert(referred.slot);
    let found = named(&source, &shop, (0, last)).await?.unwrap();
    let found: BTreeSet<u64> = found.into_iter().collect();
    assert!(!found.contains(&failed.slot));
    assert!(found.is_superset(&expected), "{found:?} {expected:?}");
    Ok(())
}
