//! What the source says of a real node.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use anyhow::Result;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use paywatch_chain::rpc::Budget;
use paywatch_chain::{Located, Source, SourceError};
use paywatch_chain_evm::{Capabilities, Config, EvmSource, Rules, TraceKind, TransactionCheck};
use paywatch_domain::{BlockHash, BlockHint, BlockRef, Mark, TxId};
use paywatch_testkit::{Anvil, AnvilOptions, Deployed};

use super::support::{account, assets, block_at, config, read, source, tip, watching};

#[tokio::test]
async fn health_tells_version_and_tip_and_what_is_offered() -> Result<()> {
    let node = Anvil::start().await?;
    node.mine(3).await?;
    let genesis = BlockHash::new(&node.hash_at(0).await?);
    let source = EvmSource::new(Config {
        genesis: Some(genesis),
        ..config(&node.url())
    })?;
    assert_eq!(source.capabilities(), None);
    let health = source.health().await?;
    assert!(health.version.starts_with("anvil/"), "{}", health.version);
    assert_eq!(health.tip, tip(&node).await?);
    assert_eq!(health.lowest, 0);
    let offered = Capabilities {
        block_receipts: true,
        traces: TraceKind::ALL.into(),
        state_overrides: true,
        batches: true,
    };
    assert_eq!(offered.trace(), Some(TraceKind::Flat));
    assert_eq!(source.capabilities(), Some(offered));
    // Where transactions may move coin without a call, calls do not tell everything.
    let source = EvmSource::new(Config {
        rules: Rules {
            transactions: TransactionCheck::Hash,
            ..Rules::default()
        },
        ..config(&node.url())
    })?;
    source.health().await?;
    let offered = source.capabilities().unwrap();
    assert_eq!(offered.trace(), Some(TraceKind::Balances));
    Ok(())
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused() -> Result<()> {
    let options = AnvilOptions {
        chain_id: 10,
        ..AnvilOptions::default()
    };
    let node = Anvil::start_with(options).await?;
    let error = source(&node.url()).health().await.unwrap_err();
    assert_eq!(error.code(), "wrong_network");
    let words = error.to_string();
    assert!(
        words.contains("expected chain id 31337, found chain id 10"),
        "{words}"
    );

    let genesis = format!("0x{}", "11".repeat(32));
    let source = EvmSource::new(Config {
        chain_id: 10,
        genesis: Some(BlockHash::new(&genesis)),
        ..config(&node.url())
    })?;
    let block = tip(&node).await?;
    for error in [
        source.health().await.unwrap_err(),
        source.fetch(block).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "wrong_network");
        assert!(error.to_string().contains(&genesis), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn decimals_must_be_those_of_the_contract() -> Result<()> {
    let node = Anvil::start().await?;
    let token = Deployed::new(&node, "Token", 0).await?;
    let nobody = account("9");
    let nft = Deployed::new(&node, "Nft", 0).await?;
    let cases = [
        (&token.address, 6, None),
        (
            &token.address,
            18,
            Some("configured with 18 decimals, and its contract"),
        ),
        (&token.address, 18, Some("says 6; correct")),
        (&nobody, 6, Some("there is no token on this chain")),
        (&nft.address, 6, Some("there is no token on this chain")),
    ];
    for (contract, decimals, words) in cases {
        let source = EvmSource::new(Config {
            assets: assets(&[("usdc", contract, decimals)]),
            ..config(&node.url())
        })?;
        match (source.health().await, words) {
            (Ok(_), None) => {}
            (Err(error), Some(words)) => {
                assert_eq!(error.code(), "asset_misconfigured");
                let said = error.to_string();
                assert!(
                    said.contains(words) && said.contains("usdc@anvil"),
                    "{said}"
                );
            }
            (said, _) => panic!("{contract} with {decimals}: {said:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn hashes_come_in_batches_and_end_at_the_tip() -> Result<()> {
    let node = Anvil::start().await?;
    node.mine(60).await?;
    let source = source(&node.url());
    let mut hashes = Vec::new();
    while let Some(from) = u64::try_from(hashes.len()).ok().filter(|from| *from <= 60) {
        let some = source.hashes(from, 100).await?;
        assert!(1 < some.len() || from == 60, "more than one in a request");
        hashes.extend(some);
    }
    assert_eq!(hashes.len(), 61);
    for height in [0, 1, 37, 60] {
        let expected = block_at(&node, height).await?.hash;
        assert_eq!(hashes[usize::try_from(height)?], expected);
        assert_eq!(source.hash_at(height).await?, Some(expected));
    }
    assert_eq!(source.hash_at(61).await?, None);
    assert_eq!(source.hashes(61, 70).await?, []);
    assert_eq!(source.hashes(5, 4).await?, []);
    assert_eq!(source.hashes(7, 8).await?.len(), 2);
    Ok(())
}

/// A block that left the chain is never read as an empty one.
#[tokio::test]
async fn a_block_that_left_the_chain_is_stale() -> Result<()> {
    let node = Anvil::start().await?;
    let shop = account("5");
    node.pay(&shop, 700).await?;
    node.mine(3).await?;
    let (source, watched) = (source(&node.url()), watching(&[&shop]));
    let paid = block_at(&node, 1).await?;
    assert_eq!(read(&source, &paid, &watched).await?.credits.len(), 1);
    node.reorg(3).await?;
    assert_eq!(node.height().await?, 3);
    let error = read(&source, &paid, &watched).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Stale { block, .. } if *block == paid),
        "{error}"
    );
    let other = block_at(&node, 1).await?;
    assert_eq!(source.hash_at(1).await?.as_ref(), Some(&other.hash));
    assert!(read(&source, &other, &watched).await?.credits.is_empty());

    let above = BlockRef { height: 9, ..paid };
    let error = read(&source, &above, &watched).await.unwrap_err();
    assert!(matches!(error, SourceError::Missing { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn tags_are_marks_where_the_chain_has_them() -> Result<()> {
    let options = AnvilOptions {
        slots_in_epoch: 4,
        ..AnvilOptions::default()
    };
    let node = Anvil::start_with(options).await?;
    node.mine(21).await?;
    let marks = source(&node.url()).marks().await?;
    let expected = BTreeMap::from([
        (Mark::Safe, block_at(&node, 17).await?),
        (Mark::Finalized, block_at(&node, 13).await?),
    ]);
    assert_eq!(marks, expected);
    let without = EvmSource::new(Config {
        marks: BTreeSet::new(),
        ..config(&node.url())
    })?;
    assert!(without.marks().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn transactions_are_found_by_their_hash_or_in_the_block_that_is_named() -> Result<()> {
    let node = Anvil::start().await?;
    let paid = TxId::new(node.pay(&account("5"), 700).await?.as_str());
    node.mine(2).await?;
    let waiting = TxId::new(node.pay(&account("5"), 800).await?.as_str());
    let unknown = TxId::new(format!("0x{}", "77".repeat(32)).as_str());
    let [first, second] = [block_at(&node, 1).await?, block_at(&node, 2).await?];
    let of_hash = |block: &BlockRef| Some(BlockHint::Hash(block.hash.clone()));
    let nowhere = BlockHash::new(&format!("0x{}", "78".repeat(32)));
    let here = Located::Block(first.clone());
    let cases = [
        (&paid, None, here.clone()),
        (&paid, Some(BlockHint::Height(1)), here.clone()),
        (&paid, of_hash(&first), here),
        (&paid, Some(BlockHint::Height(2)), Located::Nowhere),
        (&paid, Some(BlockHint::Height(9)), Located::Nowhere),
        (&paid, of_hash(&second), Located::Nowhere),
        (&paid, Some(BlockHint::Hash(nowhere)), Located::Nowhere),
        (&waiting, None, Located::Mempool),
        (&unknown, None, Located::Nowhere),
        (&TxId::new("withdrawal:7"), None, Located::Nowhere),
    ];
    let source = source(&node.url());
    for (transaction, hint, expected) in cases {
        let found = source.locate(transaction.clone(), hint.clone()).await?;
        assert_eq!(found, expected, "{transaction} in {hint:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_down_is_unreachable_until_it_is_back() -> Result<()> {
    let node = Anvil::start().await?;
    node.mine(2).await?;
    let source = source(&format!("{}/?key=secret", node.url()));
    source.health().await?;
    node.stop().await?;
    let error = source.health().await.unwrap_err();
    assert_eq!(error.code(), "node_unreachable");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(source.capabilities(), None, "another node may answer next");
    node.restart().await?;
    assert_eq!(source.health().await?.tip.height, 2);
    Ok(())
}

/// What is more than the budget has to wait for longer than an answer may take is refused at once.
#[tokio::test]
async fn the_budget_of_an_endpoint_is_kept() -> Result<()> {
    let node = Anvil::start().await?;
    node.mine(60).await?;
    let [slowly, at_once] = [1, 30].map(|number| NonZeroU32::new(number).unwrap());
    let source = EvmSource::new(Config {
        budget: Budget::per_second(slowly, at_once),
        ..config(&node.url())
    })?;
    source.health().await?;
    let mut asking: FuturesUnordered<_> = (0..4).map(|_| source.hashes(0, 60)).collect();
    let mut refused = None;
    while let Some(answer) = asking.next().await {
        if let Err(error) = answer {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.map(|error| error.code()), Some("node_busy"));
    Ok(())
}

#[test]
fn addresses_that_cannot_be_used_are_refused_without_being_shown() {
    let cases = [
        ("ftp://node.example/secret", None),
        ("http://user:secret@node.example", None),
        ("http://node.example", Some("http://node.example/secret")),
        (
            "http://node.example",
            Some("wss://user:secret@node.example"),
        ),
        ("http://node.example", Some("secret")),
    ];
    for (url, websocket) in cases {
        let refused = EvmSource::new(Config {
            websocket: websocket.map(str::to_owned),
            ..config(url)
        });
        let said = refused.unwrap_err().to_string();
        assert!(!said.contains("secret"), "{said}");
    }
    let websocket = Some("wss://node.example/secret".to_owned());
    let config = Config {
        websocket,
        ..config("https://node.example/secret")
    };
    let shown = format!("{config:?}");
    let shown = format!("{shown} {:?}", EvmSource::new(config).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("node.example:443"), "{shown}");
}
