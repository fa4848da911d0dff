//! Tokens that behave and tokens that do not, from a real node to credits.

use anyhow::Result;
use paywatch_chain::Source;
use paywatch_chain_evm::address::{address_text, parse_address};
use paywatch_chain_evm::{Config, EvmSource};
use paywatch_testkit::{Anvil, Argument, Deployed};

use super::support::{account, assets, config, credits, read, tip, to, watching};

/// What is called on a token, and the amounts that are credited with their places.
type Case<'a> = (&'a str, &'a str, Vec<Argument>, &'a [(&'a str, &'a str)]);

#[tokio::test]
async fn tokens_pay_what_they_log() -> Result<()> {
    let node = Anvil::start().await?;
    let payer = node.accounts().await?.remove(0);
    let shop = account("5");
    let pay = |amount| vec![to(&shop), Argument::Number(amount)];
    let say = |from: &str, amount| vec![to(from), to(&shop), Argument::Number(amount)];
    let word = |account: &str| {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&hex::decode(account).unwrap());
        word
    };
    let raw = |front: u8, data: Vec<u8>| {
        let mut dirty = word(&shop);
        dirty[0] = front;
        let from = Argument::Word(word(&payer));
        vec![from, Argument::Word(dirty), Argument::Bytes(data)]
    };
    let amount = |amount: u8| [vec![0; 31], vec![amount]].concat();
    let cases: [Case<'_>; 12] = [
        ("Token", "mint", pay(1_000_000), &[("1000000", "log:0")]),
        ("NoReturnToken", "transfer", pay(7), &[("7", "log:0")]),
        // It says no, and succeeds: nothing is logged.
        ("FalseToken", "transfer", pay(7), &[]),
        (
            "FeeToken",
            "transfer",
            pay(5_000_000),
            &[("4950000", "log:0")],
        ),
        // A token that is listed is believed.
        ("FakeTransfer", "say", say(&payer, 7), &[("7", "log:0")]),
        ("FakeTransfer", "say", say(&payer, 0), &[]),
        ("FakeTransfer", "say", say(&shop, 7), &[]),
        (
            "FakeTransfer",
            "sayRaw",
            raw(0, amount(9)),
            &[("9", "log:0")],
        ),
        ("FakeTransfer", "sayRaw", raw(1, amount(9)), &[]),
        ("FakeTransfer", "sayRaw", raw(0, vec![]), &[]),
        ("FakeTransfer", "sayRaw", raw(0, amount(9).repeat(2)), &[]),
        ("OneTopic", "transfer", pay(7), &[]),
    ];
    for (name, method, arguments, expected) in cases {
        let token = Deployed::new(&node, name, 0).await?;
        let source = EvmSource::new(Config {
            assets: assets(&[("usdc", &token.address, 6)]),
            ..config(&node.url())
        })?;
        source.health().await?;
        token.call(&node, method, &arguments, 0).await?;
        node.mine(1).await?;
        let block = read(&source, &tip(&node).await?, &watching(&[&shop])).await?;
        let found = credits(&block);
        let found: Vec<_> = found
            .iter()
            .inspect(|(_, symbol, _, _)| assert_eq!(symbol, "usdc"))
            .map(|(_, _, amount, place)| (amount.as_str(), place.as_str()))
            .collect();
        assert_eq!(found, expected, "{name} {method}");
    }
    Ok(())
}

/// The same name on another contract is another token, however it calls itself.
#[tokio::test]
async fn only_listed_contracts_have_names() -> Result<()> {
    let node = Anvil::start().await?;
    let payer = node.accounts().await?.remove(0);
    let shop = account("5");
    let real = Deployed::new(&node, "Token", 0).await?;
    let fake = Deployed::new(&node, "FakeTransfer", 0).await?;
    let nft = Deployed::new(&node, "Nft", 0).await?;
    let source = EvmSource::new(Config {
        assets: assets(&[("usdc", &real.address, 6)]),
        ..config(&node.url())
    })?;
    real.call(&node, "mint", &[to(&payer), Argument::Number(50)], 0)
        .await?;
    real.call(&node, "transfer", &[to(&shop), Argument::Number(20)], 0)
        .await?;
    // More than there is: the transaction fails.
    real.call(&node, "transfer", &[to(&shop), Argument::Number(40)], 0)
        .await?;
    let forged = [to(&payer), to(&shop), Argument::Number(99)];
    fake.call(&node, "say", &forged, 0).await?;
    nft.call(&node, "transfer", &[to(&shop), Argument::Number(1)], 0)
        .await?;
    node.mine(1).await?;
    let block = read(&source, &tip(&node).await?, &watching(&[&shop])).await?;
    let log = |symbol: String, amount: &str| {
        let (shop, amount) = (shop.clone(), amount.to_owned());
        (shop, symbol, amount, "log:0".to_owned())
    };
    let unlisted = format!("unlisted:{}", address_text(parse_address(&fake.address)?));
    let expected = [log("usdc".to_owned(), "20"), log(unlisted, "99")];
    assert_eq!(credits(&block), expected);
    Ok(())
}
