//! A real node, followed from its first slot.

use anyhow::Result;
use paywatch_chain::Source;
use paywatch_domain::{BlockRef, Mark};
use paywatch_testkit::Surfnet;

use super::support::{read, source, watching};

#[tokio::test]
async fn solana_a_real_node_is_followed_slot_by_slot() -> Result<()> {
    let node = Surfnet::start().await?;
    let source = source(&node.url());
    let shop = node.person().await?;
    let first = source.health().await?.lowest;
    let paid = node.pay(&shop, 1_000_000).await?;
    node.pass(80).await?;
    let health = source.health().await?;
    assert!(
        health.version.starts_with("surfpool 1."),
        "{}",
        health.version
    );
    assert!(first + 80 < health.tip.height);

    let mut hashes = Vec::new();
    let mut next = first;
    while next <= health.tip.height {
        let told = source.hashes(next, health.tip.height).await?;
        assert!(!told.is_empty());
        next += u64::try_from(told.len())?;
        hashes.extend(told);
    }
    assert_eq!(hashes.last(), Some(&health.tip.hash));
    let watched = watching(&[&shop]);
    let mut below = None;
    let mut credited = Vec::new();
    for (height, hash) in (first..).zip(hashes) {
        let at = BlockRef { height, hash };
        let block = read(&source, &at, &watched).await?;
        assert!(
            below.is_none_or(|below| below == block.parent),
            "slot {height}"
        );
        assert!(1_700_000_000_000 < block.time.0, "{:?}", block.time);
        assert!(0 < block.bytes);
        credited.extend(
            block
                .credits
                .into_iter()
                .map(|credit| (height, credit.tx_id)),
        );
        below = Some(at.hash);
    }
    let [(height, id)] = &credited[..] else {
        panic!("{credited:?}");
    };
    assert_eq!((*height, id.as_str()), (paid.slot, &*paid.signature));

    let marks = source.marks().await?;
    assert_eq!(marks[&Mark::Confirmed], health.tip);
    let finalized = &marks[&Mark::Finalized];
    assert!(finalized.height < health.tip.height);
    let hash = source.hash_at(finalized.height).await?;
    assert_eq!(hash.as_ref(), Some(&finalized.hash));
    Ok(())
}

#[tokio::test]
async fn solana_a_transaction_of_a_real_node_is_located() -> Result<()> {
    use paywatch_chain::Located;
    let node = Surfnet::start().await?;
    let source = source(&node.url());
    let shop = node.person().await?;
    let paid = node.pay(&shop, 1_000_000).await?;
    node.pass(3).await?;
    let located = source
        .locate(paywatch_domain::TxId::new(&paid.signature), None)
        .await?;
    let hash = source.hash_at(paid.slot).await?.unwrap();
    let height = paid.slot;
    assert_eq!(located, Located::Block(BlockRef { height, hash }));
    let nobody = paywatch_domain::TxId::new("nonsense");
    assert_eq!(source.locate(nobody, None).await?, Located::Nowhere);
    Ok(())
}

#[tokio::test]
async fn solana_a_node_that_is_gone_is_unreachable() -> Result<()> {
    let node = Surfnet::start().await?;
    let source = source(&node.url());
    source.health().await?;
    node.kill()?;
    let error = source.health().await.unwrap_err();
    assert_eq!(error.code(), "node_unreachable", "{error}");
    Ok(())
}
