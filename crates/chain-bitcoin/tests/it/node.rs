//! Blocks and health of a real bitcoind.

use std::time::Duration;

use anyhow::Result;
use paywatch_chain::{Retry, Source, SourceError, rpc};
use paywatch_chain_bitcoin::{BitcoinSource, Config, Credentials, Network, SetupError};
use paywatch_domain::{Amount, BlockHash, BlockRef};
use paywatch_testkit::{Bitcoind, Payer};
use serde_json::json;

use crate::liar::Liar;
use crate::support::{address, block_at, by_rest, by_rpc, config, read, timed, tip, watching};

/// Every block of a chain with payments is the same by REST and by RPC, links to the one below, and
/// holds the credits that were paid.
#[tokio::test]
async fn rest_and_rpc_give_the_same_blocks() -> Result<()> {
    let node = Bitcoind::start().await?;
    let payer = Payer::new(&node).await?;
    let (one, two) = (address(1).address, address(2).address);
    let first = payer
        .pay(&[(&one, 50_000), (&two, 60_000), (&one, 70_000)])
        .await?;
    node.mine(1).await?;
    payer.pay(&[(&address(3).address, 80_000)]).await?;
    node.mine(1).await?;
    let watched = watching(&[1, 2]);
    let without_rest = Bitcoind::start_with(&["-rest=0"]).await?;
    let (rest, rpc) = (by_rest(&node), by_rpc(&node));
    let mut parent: Option<BlockHash> = None;
    let mut credits = Vec::new();
    let tip_height = node.height().await?;
    let hashes = rest.hashes(0, tip_height + 5).await?;
    assert_eq!(u64::try_from(hashes.len())?, tip_height + 1);
    assert_eq!(rpc.hashes(tip_height + 1, tip_height + 2).await?, []);
    for (height, hash) in (0..).zip(hashes) {
        let at = block_at(&node, height).await?;
        assert_eq!(at.hash, hash);
        assert_eq!(rest.hash_at(height).await?, Some(at.hash.clone()));
        let block = read(&rest, &at, &watched).await?;
        assert_eq!(block, read(&rpc, &at, &watched).await?);
        assert!(parent.is_none_or(|parent| parent == block.parent));
        parent = Some(at.hash);
        credits.extend(block.credits);
    }
    let amounts: Vec<(String, Amount)> = credits
        .iter()
        .map(|credit| (credit.position.to_string(), credit.amount))
        .collect();
    let expected = [("vout:0", 50_000), ("vout:1", 60_000), ("vout:2", 70_000)]
        .map(|(position, satoshi)| (position.to_owned(), Amount::from_atomic(satoshi)));
    assert_eq!(amounts, expected);
    for credit in &credits {
        assert_eq!(credit.tx_id.as_str(), first.to_string());
        assert_eq!(credit.spends.len(), 1);
    }
    assert_eq!(*credits[1].key, *address(2).key);

    // A node without REST is noticed and asked by RPC.
    without_rest.mine(1).await?;
    let at = tip(&without_rest).await?;
    let block = read(&by_rest(&without_rest), &at, &watched).await?;
    assert_eq!(block.at, at);
    Ok(())
}

#[tokio::test]
async fn health_and_heights() -> Result<()> {
    let node = Bitcoind::start().await?;
    let source = by_rest(&node);
    assert_eq!(source.chain().as_str(), "regtest");
    for height in [0, 3] {
        let health = source.health().await?;
        assert_eq!(health.tip, tip(&node).await?);
        assert_eq!(health.tip.height, height);
        assert_eq!(health.lowest, 0);
        assert!(health.version.starts_with("Satoshi:"), "{}", health.version);
        node.mine(3).await?;
    }
    assert_eq!(source.hash_at(7).await?, None);
    assert_eq!(source.hash_at(u64::from(u32::MAX)).await?, None);
    Ok(())
}

/// A node of another network, with another password, or none at all: each has its own error.
#[tokio::test]
async fn nodes_that_cannot_be_used() -> Result<()> {
    let node = Bitcoind::start().await?;
    let config = config(&node.url());
    let other = BitcoinSource::new(Config {
        network: Network::Testnet4,
        ..config.clone()
    })?;
    let error = other.health().await.unwrap_err();
    assert!(matches!(error, SourceError::WrongNetwork { .. }), "{error}");
    assert_eq!(error.retry(), Retry::AfterChange);

    let secret = "correct horse";
    let stranger = BitcoinSource::new(Config {
        credentials: Credentials::User {
            user: "merchant".to_owned(),
            password: secret.to_owned(),
        },
        ..config.clone()
    })?;
    let error = stranger.health().await.unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
    assert!(!format!("{error} {error:?} {stranger:?}").contains(secret));

    let source = BitcoinSource::new(config)?;
    let at = tip(&node).await?;
    source.health().await?;
    node.kill()?;
    for error in [
        source.health().await.unwrap_err(),
        source.hash_at(0).await.unwrap_err(),
        source.fetch(at.clone()).await.err().unwrap(),
        source.fetch_pool().await.err().unwrap(),
    ] {
        assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
        assert_eq!(error.retry(), Retry::Soon);
    }
    // A caller that polls in a loop is not spun by a node that is down.
    let wait = Duration::from_millis(300);
    assert!(wait <= timed(source.wait_for_change(&at, wait)).await);
    node.restart().await?;
    source.health().await?;
    Ok(())
}

#[test]
fn configurations_that_cannot_work() {
    let good = config("http://127.0.0.1:8332");
    for url in [
        "127.0.0.1:8332",
        "ftp://127.0.0.1",
        "http://user:secret@127.0.0.1:8332",
        "",
    ] {
        let config = Config {
            url: url.to_owned(),
            ..good.clone()
        };
        let error = BitcoinSource::new(config).unwrap_err();
        assert!(
            matches!(error, SetupError::Node(rpc::SetupError::Url { .. })),
            "{error}"
        );
        assert!(!error.to_string().contains("secret"));
    }
    let config = Config {
        asset: "btc@bitcoin".parse().unwrap(),
        ..good
    };
    let error = BitcoinSource::new(config).unwrap_err();
    assert!(matches!(error, SetupError::Asset { .. }), "{error}");
}

/// bitcoind writes another cookie at each start; the new one is read when the old one is refused.
#[tokio::test]
async fn the_cookie_file_is_read_again() -> Result<()> {
    // The login of the testkit in the form that leaves the cookie on: user, salt, HMAC-SHA256.
    let login = "-rpcauth=paywatch:9c1f0f1cbd4f0c8d5e6a7b8c9d0e1f20\
                 $109be0f7dc81af2b3ca850e2f555adb11ba9f60d77a8abf456107c945fbc391b";
    let node = Bitcoind::start_with(&[login, "-rpcpassword="]).await?;
    let file = node.folder().join("regtest/.cookie");
    let first = std::fs::read_to_string(&file)?;
    let source = BitcoinSource::new(Config {
        credentials: Credentials::CookieFile(file.clone()),
        ..config(&node.url())
    })?;
    source.health().await?;
    node.kill()?;
    node.restart().await?;
    assert_ne!(std::fs::read_to_string(&file)?, first);
    source.health().await?;
    let missing = BitcoinSource::new(Config {
        credentials: Credentials::CookieFile(node.folder().join("none")),
        ..config(&node.url())
    })?;
    let error = missing.health().await.unwrap_err();
    assert!(error.to_string().contains("cookie file"), "{error}");
    Ok(())
}

#[tokio::test]
async fn waiting_ends_with_a_new_block() -> Result<()> {
    let node = Bitcoind::start().await?;
    let source = by_rest(&node);
    let long = Duration::from_secs(30);
    let at = tip(&node).await?;
    let mined = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        timed(async {
            node.mine(1).await.unwrap();
        })
        .await
    };
    let (waited, mining) = tokio::join!(timed(source.wait_for_change(&at, long)), mined);
    assert!(Duration::from_millis(300) <= waited, "{waited:?}");
    assert!(waited <= Duration::from_millis(1300) + mining, "{waited:?}");
    // A tip that is old already is noticed at once.
    assert!(timed(source.wait_for_change(&at, long)).await < Duration::from_secs(5));
    let at = tip(&node).await?;
    // A wait that the node keeps to may be a little shorter; one that it cannot keep to is waited out.
    for (asked_ms, least_ms) in [(1, 1), (100, 100), (700, 500)] {
        let asked = Duration::from_millis(asked_ms);
        let waited = timed(source.wait_for_change(&at, asked)).await;
        let least = Duration::from_millis(least_ms);
        assert!(
            least <= waited && waited < Duration::from_secs(5),
            "{waited:?} of {asked:?}"
        );
    }
    Ok(())
}

/// A block that left the chain is still given, and is not at its height any more; one that never was
/// is missing.
#[tokio::test]
async fn stale_and_missing_blocks() -> Result<()> {
    let node = Bitcoind::start().await?;
    node.mine(5).await?;
    let old = tip(&node).await?;
    node.invalidate_last(3).await?;
    let (rest, rpc) = (by_rest(&node), by_rpc(&node));
    assert_eq!(rest.health().await?.tip.height, 2);
    assert_eq!(rest.hash_at(5).await?, None);
    node.mine(4).await?;
    assert_eq!(rest.health().await?.tip, tip(&node).await?);
    let now = rest.hash_at(5).await?.unwrap();
    assert_ne!(now, old.hash);
    let never = BlockRef {
        height: 5,
        hash: BlockHash::new(&"07".repeat(32)),
    };
    let garbage = BlockRef {
        height: 5,
        hash: BlockHash::new("../../etc/passwd"),
    };
    for source in [rest, rpc] {
        let stale = read(&source, &old, &watching(&[])).await?;
        assert_eq!(stale.at, old);
        let error = read(&source, &never, &watching(&[])).await.unwrap_err();
        let block = never.clone();
        let chain = source.chain().clone();
        assert_eq!(error, SourceError::Missing { chain, block });
        let error = read(&source, &garbage, &watching(&[])).await.unwrap_err();
        assert!(matches!(error, SourceError::Malformed { .. }), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_pruned_block_is_named() -> Result<()> {
    let node = Bitcoind::start_with(&["-prune=1", "-fastprune=1"]).await?;
    node.mine(800).await?;
    node.rpc("pruneblockchain", json!([400])).await?;
    let (rest, rpc) = (by_rest(&node), by_rpc(&node));
    let lowest = rest.health().await?.lowest;
    assert!((2..=401).contains(&lowest), "{lowest}");
    let gone = block_at(&node, 1).await?;
    let kept = block_at(&node, lowest).await?;
    for source in [rest, rpc] {
        let error = read(&source, &gone, &watching(&[])).await.unwrap_err();
        let expected = SourceError::Pruned {
            chain: source.chain().clone(),
            pruned_height: lowest,
            wanted: 1,
        };
        assert_eq!(error, expected);
        assert_eq!(error.retry(), Retry::AfterChange);
        read(&source, &kept, &watching(&[])).await?;
    }
    Ok(())
}

/// Under the rules of a network with difficulty periods, the headers below a block are fetched and
/// lead to it: what then fails is that blocks of a private chain lack work, and that after a whole
/// period their difficulty would have to change.
#[tokio::test]
async fn headers_of_a_period_are_fetched_and_link() -> Result<()> {
    let node = Bitcoind::start().await?;
    node.mine(2020).await?;
    for rest in [true, false] {
        let source = BitcoinSource::new(Config {
            network: Network::Mainnet,
            rest,
            ..config(&node.url())
        })?;
        for (height, words) in [
            (1, "lacks proof of work"),
            (2015, "lacks proof of work"),
            (2016, "its difficulty is 207fffff and must be 1d00ffff"),
            (2017, "lacks proof of work"),
            (2020, "lacks proof of work"),
        ] {
            let at = block_at(&node, height).await?;
            let error = read(&source, &at, &watching(&[])).await.unwrap_err();
            assert!(error.to_string().contains(words), "{height}: {error}");
        }
        // A block beside the chain has its ancestors there too, unless they are stale themselves.
        let parent = block_at(&node, 2019).await?;
        let beside = tip(&node).await?;
        node.invalidate(parent.hash.as_str()).await?;
        node.mine(3).await?;
        let fresh = BitcoinSource::new(Config {
            network: Network::Mainnet,
            rest,
            ..config(&node.url())
        })?;
        let error = fresh.fetch(beside.clone()).await.err().unwrap();
        let chain = fresh.chain().clone();
        assert_eq!(
            error,
            SourceError::Stale {
                chain,
                block: beside
            }
        );
        node.reconsider(parent.hash.as_str()).await?;
    }
    Ok(())
}

/// Blocks that are fetched at once ask for the headers of their period once.
#[tokio::test]
async fn headers_are_asked_for_once_in_a_period() -> Result<()> {
    let node = Bitcoind::start().await?;
    node.mine(40).await?;
    for rest in [true, false] {
        let liar = Liar::start(&node, |_, answer| answer).await?;
        let source = BitcoinSource::new(Config {
            network: Network::Mainnet,
            rest,
            ..config(&liar.url())
        })?;
        let mut blocks = Vec::new();
        for height in 10..=40 {
            blocks.push(block_at(&node, height).await?);
        }
        let fetches = blocks.iter().map(|at| source.fetch(at.clone()));
        futures_util::future::try_join_all(fetches).await?;
        let asked = liar.asked();
        let headers = asked
            .iter()
            .filter(|name| name.starts_with("/rest/headers/") || *name == "getblockheader")
            .count();
        assert_eq!(headers, if rest { 1 } else { 41 }, "{asked:?}");
        // The next block needs no other header than those that came with blocks.
        node.mine(1).await?;
        source.fetch(tip(&node).await?).await?;
        let more = liar.asked().len() - asked.len();
        assert_eq!(more, 1, "{:?}", liar.asked());
        node.invalidate_last(1).await?;
    }
    Ok(())
}
