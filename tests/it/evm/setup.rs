//! What is wrong with a configuration or a node, in words that say what to change.

use super::house::{CHAIN, EvmHouse};
use anyhow::{Result, ensure};
use paywatch_testkit::{Anvil, AnvilOptions, Deployed, FollowedChain, Watcher, WatcherOptions};

/// Goal: a node of another chain, a token with other decimals and an address where nobody answers each
/// have a problem of their own, and no invoice is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_used_is_named() -> Result<()> {
    let node = Anvil::start().await?;
    let usdc = Deployed::new(&node, "Token", 0).await?;
    let options = AnvilOptions {
        chain_id: 31_339,
        ..AnvilOptions::default()
    };
    let stranger = Anvil::start_with(options).await?;
    let gone = Anvil::start().await?;
    gone.kill()?;
    let chains = [
        FollowedChain::evm("stranger", &node).through(&stranger.url()),
        FollowedChain::evm(CHAIN, &node).with_token("usdc", 18, &usdc.address),
        FollowedChain::evm("gone", &gone),
    ];
    let house = EvmHouse::unready(node, &chains).await?;
    for (name, code, words) in [
        ("stranger", "wrong_network", ["31337", "31339"]),
        (CHAIN, "asset_misconfigured", ["usdc@anvil", "18"]),
        ("gone", "node_unreachable", ["127.0.0.1", "gone"]),
    ] {
        let said = house.until_problem(name, code).await?;
        for word in words {
            ensure!(said.contains(word), "{word} is missing in {said}");
        }
        let body = serde_json::json!(
            { "options": [{ "asset": format!("eth@{name}"), "amount": "1" }], "expires_in_s": 60 }
        );
        let refused = house.api.post("/v1/invoices", &body).await?;
        assert_eq!(refused.code(), "chain_unavailable", "{name}");
    }
    let doctor = house.watcher.run(&["doctor"]).await?;
    let said = String::from_utf8(doctor.stdout)?;
    ensure!(!doctor.status.success(), "{said}");
    for words in ["node of stranger at 127.0.0.1", "31339", "usdc@anvil"] {
        ensure!(said.contains(words), "{words} is missing in {said}");
    }
    Ok(())
}

/// Goal: what is wrong in `chains.toml` is said with its key, all at once, before anything is asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_file_is_said_with_its_key() -> Result<()> {
    let node = Anvil::start().await?;
    let chain = FollowedChain::evm(CHAIN, &node)
        // One letter has the wrong size.
        .with_token("usdc", 6, "0xa0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")
        .with_token("usdt", 6, "0xdAC17F958D2ee523a2206206994597C13D831ec7")
        .with_token("tether", 6, "0xdac17f958d2ee523a2206206994597c13d831ec7")
        .and("http://127.0.0.1:1", 3);
    let options = WatcherOptions::default();
    let refused = Watcher::prepare_on(&[chain], &options).await;
    let watcher = refused?;
    let check = watcher.run(&["check"]).await?;
    let said = String::from_utf8(check.stderr)?;
    ensure!(!check.status.success(), "{said}");
    for words in [
        "chains.anvil.assets[1].contract: the checksum",
        "chains.anvil.assets[3]: tether@anvil is usdt@anvil again",
        "chains.anvil.agree: must be from 1 to 2",
    ] {
        ensure!(said.contains(words), "{words} is missing in {said}");
    }
    Ok(())
}

/// Goal: the doctor says what a node offers.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_a_node_offers() -> Result<()> {
    let house = EvmHouse::new().await?;
    let doctor = house.watcher.run(&["doctor"]).await?;
    let said = String::from_utf8(doctor.stdout)?;
    ensure!(doctor.status.success(), "{said}");
    for words in ["anvil/", "at block", "payments by contracts"] {
        ensure!(said.contains(words), "{words} is missing in {said}");
    }
    Ok(())
}
