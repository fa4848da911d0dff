//! The watcher on a Solana node: what is right and what is wrong with a configuration, in words.

use anyhow::{Result, ensure};
use paywatch_testkit::{FollowedChain, SolanaCluster, Surfnet, Watcher, WatcherOptions};

/// Goal: the doctor says of each chain what its node is, or what to change.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_knows_solana_nodes_and_mints() -> Result<()> {
    let node = Surfnet::start().await?;
    let usdc = node.mint(6).await?;
    let good = FollowedChain::solana("surfpool", &node).with_token("usdc", 6, &usdc);
    let wrong = FollowedChain::solana("other", &node).with_token("usdc", 9, &usdc);
    let options = WatcherOptions::default();
    for (chain, is_good, words) in [
        (
            good,
            true,
            ["node of surfpool at 127.0.0.1", "surfpool 1.", "at block"],
        ),
        (
            wrong,
            false,
            ["node of other at 127.0.0.1", "usdc@other", "says 6"],
        ),
    ] {
        let watcher = Watcher::prepare_on(&[chain], &options).await?;
        watcher.run(&["migrate"]).await?;
        let doctor = watcher.run(&["doctor"]).await?;
        let said = String::from_utf8(doctor.stdout)?;
        ensure!(doctor.status.success() == is_good, "{said}");
        for words in words {
            ensure!(said.contains(words), "{words} is missing in {said}");
        }
    }
    Ok(())
}

/// Goal: the doctor says that a node is of another cluster, or how far it is behind the others. Method: the first
/// is a real node, the second a server that speaks as a validator does.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_knows_genesis_hashes_and_the_lag_of_a_solana_node() -> Result<()> {
    const MAIN: &str = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
    let node = Surfnet::start().await?;
    let stranger = FollowedChain::solana("solana", &node).of_cluster(MAIN);
    let cluster = SolanaCluster::start("abcdef").await?;
    let of_main = || FollowedChain::solana_at("solana", cluster.url(), None).of_cluster(MAIN);
    let doctor = async |chain: FollowedChain| -> Result<(bool, String)> {
        let watcher = Watcher::prepare_on(&[chain], &WatcherOptions::default()).await?;
        watcher.run(&["migrate"]).await?;
        let doctor = watcher.run(&["doctor"]).await?;
        Ok((doctor.status.success(), String::from_utf8(doctor.stdout)?))
    };
    let (is_good, said) = doctor(of_main()).await?;
    ensure!(
        is_good && said.contains("solana-core 4.1.2, at block 105"),
        "{said}"
    );
    let (is_good, said) = doctor(stranger).await?;
    ensure!(!is_good, "{said}");
    for words in ["genesis hash 5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "found"] {
        ensure!(said.contains(words), "{words} is missing in {said}");
    }
    cluster.lie(|method, _| (method == "getHealth").then_some(Err(-32005)));
    let (is_good, said) = doctor(of_main()).await?;
    ensure!(!is_good && said.contains("105 of 147"), "{said}");
    Ok(())
}

/// Goal: what is wrong in `chains.toml` is said with its key.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_solana_in_the_file_is_said_with_its_key() -> Result<()> {
    const MINT: &str = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v";
    let node = Surfnet::start().await?;
    let options = WatcherOptions::default();
    let chain = || FollowedChain::solana("surfpool", &node);
    for (chain, words) in [
        (
            chain().with_token("usdc", 6, "0xA0b86991"),
            "chains.surfpool.assets: the contract of usdc@surfpool must be its mint",
        ),
        (
            chain()
                .with_token("usdc", 6, MINT)
                .with_token("usdt", 6, MINT),
            "chains.surfpool.assets[2]: usdt@surfpool is usdc@surfpool again",
        ),
        (chain().final_by("{ tag = \"safe\" }"), "needs an EVM chain"),
        (
            chain().and("http://127.0.0.1:1", 3),
            "chains.surfpool.agree: must be from 1 to 2",
        ),
    ] {
        let watcher = Watcher::prepare_on(&[chain], &options).await?;
        let check = watcher.run(&["check"]).await?;
        let said = String::from_utf8(check.stderr)?;
        ensure!(!check.status.success(), "{said}");
        ensure!(said.contains(words), "{words} is missing in {said}");
    }
    Ok(())
}
