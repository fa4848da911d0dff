//! Tokens: what is one, and what only looks like one.

use super::house::{CHAIN, EvmHouse};
use anyhow::Result;
use paywatch_testkit::{Anvil, Argument, Deployed, FollowedChain};

/// Goal: a token pays what its contract logs: also one that answers nothing, and one that takes a fee.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_pay_what_they_log() -> Result<()> {
    let node = Anvil::start().await?;
    let usdc = Deployed::new(&node, "Token", 0).await?;
    let usdt = Deployed::new(&node, "NoReturnToken", 0).await?;
    let fee = Deployed::new(&node, "FeeToken", 0).await?;
    let chain = FollowedChain::evm(CHAIN, &node)
        .with_token("usdc", 6, &usdc.address)
        .with_token("usdt", 6, &usdt.address)
        .with_token("fee", 6, &fee.address);
    let house = EvmHouse::on(node, &[chain]).await?;
    let node = &house.node;
    let owner = node.accounts().await?.remove(0);
    let mint = [Argument::Account(owner), Argument::Number(1_000_000_000)];
    usdc.call(node, "mint", &mint, 0).await?;
    let [plain, silent, short] = [
        house.invoice("usdc", "25.00").await?,
        house.invoice("usdt", "25.00").await?,
        house.invoice("fee", "25.00").await?,
    ];
    usdc.transfer(node, &plain.address, 25_000_000).await?;
    usdt.transfer(node, &silent.address, 25_000_000).await?;
    fee.transfer(node, &short.address, 25_000_000).await?;
    house.mine(2).await?;
    house.until(&plain, "paid").await?;
    house.until(&silent, "paid").await?;
    let shown = house.until(&short, "underpaid").await?;
    assert_eq!(
        shown["options"][0]["tally"]["final"], "24.750000",
        "{shown}"
    );
    Ok(())
}

/// Goal: nothing that only looks like a transfer of the token is one, and none of it is told as a payment.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_looks_like_a_transfer_pays_nothing() -> Result<()> {
    let node = Anvil::start().await?;
    let (nft, one_topic) = (
        Deployed::new(&node, "Nft", 0).await?,
        Deployed::new(&node, "OneTopic", 0).await?,
    );
    let (lying, refusing) = (
        Deployed::new(&node, "FakeTransfer", 0).await?,
        Deployed::new(&node, "FalseToken", 0).await?,
    );
    // Even of contracts that the merchant lists.
    let chain = FollowedChain::evm(CHAIN, &node)
        .with_token("topic", 6, &one_topic.address)
        .with_token("lying", 6, &lying.address)
        .with_token("refusing", 6, &refusing.address);
    let house = EvmHouse::on(node, &[chain]).await?;
    let node = &house.node;
    let mut invoices = Vec::new();
    for symbol in ["topic", "refusing", "lying"] {
        invoices.push(house.invoice(symbol, "25.00").await?);
    }
    for invoice in &invoices {
        let to = &invoice.address;
        one_topic.transfer(node, to, 25_000_000).await?;
        refusing.transfer(node, to, 25_000_000).await?;
        nft.transfer(node, to, 25_000_000).await?;
        let from = Argument::Account(node.accounts().await?.remove(0));
        let nothing = [from, Argument::Account(to.clone()), Argument::Number(0)];
        let method = "say";
        lying.call(node, method, &nothing, 0).await?;
        let clean = word(to, 0)?;
        for (from, to, data) in [
            // Something in front of an address, too little data, too much.
            ([1; 32], clean, vec![0; 31]),
            (word(to, 9)?, clean, amount(25_000_000)),
            (clean, word(to, 9)?, amount(25_000_000)),
            (clean, clean, Vec::new()),
            (clean, clean, [amount(25_000_000), vec![0; 32]].concat()),
        ] {
            let raw = [
                Argument::Word(from),
                Argument::Word(to),
                Argument::Bytes(data),
            ];
            lying.call(node, "sayRaw", &raw, 0).await?;
        }
    }
    house.mine(3).await?;
    for invoice in &invoices {
        let shown = house.shown(invoice).await?;
        assert_eq!(shown["status"], "created", "{shown}");
        assert_eq!(house.told(invoice).await?, ["created"], "{shown}");
    }
    Ok(())
}

/// An address as a topic, with a byte in front of it.
fn word(address: &str, front: u8) -> Result<[u8; 32]> {
    let mut word = [0; 32];
    word[11] = front;
    for (place, byte) in word[12..].iter_mut().enumerate() {
        let at = 2 + 2 * place;
        *byte = u8::from_str_radix(&address[at..at + 2], 16)?;
    }
    Ok(word)
}

/// An amount as the data of a log.
fn amount(value: u128) -> Vec<u8> {
    [vec![0; 16], value.to_be_bytes().to_vec()].concat()
}
