//! What transactions bring, from a real node to credits: whatever moved the money.

use anyhow::Result;
use paywatch_chain_solana::{Config, Power, SolanaSource};
use paywatch_testkit::{Landed, Surfnet};
use serde_json::{Value, json};

use super::support::{assets, config, credits, read_at, source, watching};

/// The rent of an account for tokens.
const RENT: u64 = 2_039_280;
/// What an account must hold at least.
const RENT_MIN: u64 = 890_880;

/// What the payer does, with what, and what it brings.
type Case<'a> = (&'a str, Value, &'a [(&'a str, &'a str)]);

/// A node with a shop that holds some SOL and tokens of each of its mints.
struct Shop {
    node: Surfnet,
    source: SolanaSource,
    address: String,
    usdc: String,
    fee: String,
    clawed: String,
    fake: String,
}

impl Shop {
    async fn open() -> Result<Self> {
        let node = Surfnet::start().await?;
        let address = node.person().await?;
        let usdc = node.mint(6).await?;
        let with = async |field: &str, value: Value| -> Result<String> {
            let mut work = json!({"decimals": 6, "program": "token_2022"});
            work[field] = value;
            node.act("mint", work).await
        };
        let fee = with("fee_bps", json!(500)).await?;
        let clawed = with("extensions", json!(["permanent_delegate"])).await?;
        let fake = node.mint(6).await?;
        let source = SolanaSource::new(Config {
            assets: assets(&[
                ("usdc", &usdc, 6, &[]),
                ("fee", &fee, 6, &[]),
                ("clawed", &clawed, 6, &[Power::PermanentDelegate]),
            ]),
            ..config(&node.url())
        })?;
        node.pay(&address, 1_000_000_000).await?;
        node.send_tokens(&clawed, &address, 100).await?;
        Ok(Self {
            node,
            source,
            address,
            usdc,
            fee,
            clawed,
            fake,
        })
    }

    /// What a transaction brings the shop, as its block tells.
    async fn brought(&self, landed: &Landed) -> Result<Vec<(String, String)>> {
        let watched = watching(&[&self.address]);
        let block = read_at(&self.source, landed.slot, &watched).await?;
        for credit in &block.credits {
            assert_eq!(credit.tx_id.as_str(), landed.signature);
        }
        let credits = credits(&block).into_iter();
        Ok(credits
            .inspect(|(key, ..)| assert_eq!(*key, self.address))
            .map(|(_, symbol, amount)| (symbol, amount))
            .collect())
    }
}

/// Each action of the payer, and what it brings.
#[tokio::test]
async fn solana_payments_are_told_by_balances() -> Result<()> {
    let shop = Shop::open().await?;
    let unlisted = format!("unlisted:{}", shop.fake);
    let wrapped = "unlisted:So11111111111111111111111111111111111111112".to_owned();
    let (usdc, fee, clawed, fake) = (&shop.usdc, &shop.fee, &shop.clawed, &shop.fake);
    let of = |mint: &str, amount: u64| json!({"mint": mint, "amount": amount});
    let sol = |lamports: u64| json!({ "lamports": lamports });
    let rent = RENT.to_string();
    let cases: [Case<'_>; 17] = [
        ("pay", sol(7), &[("sol", "7")]),
        // The account for the tokens is made in the same transaction, by another program.
        ("send_tokens", of(usdc, 5_000_000), &[("usdc", "5000000")]),
        (
            "send_tokens_plainly",
            of(usdc, 1_000_000),
            &[("usdc", "1000000")],
        ),
        ("send_tokens_twice", of(usdc, 7), &[("usdc", "14")]),
        ("batch", of(usdc, 11), &[("usdc", "22")]),
        // With the rent of the account that is left.
        (
            "recover",
            json!({"mint": usdc, "other": fake, "amount": 4}),
            &[("usdc", "4"), ("sol", &rent)],
        ),
        ("send_and_take_back", of(usdc, 7), &[]),
        ("send_tokens", of(fee, 100), &[("fee", "95")]),
        (
            "claw_back",
            json!({"mint": clawed, "amount": 10, "from": shop.address}),
            &[],
        ),
        (
            "issue_elsewhere",
            of(usdc, 2_000_000),
            &[("usdc", "2000000")],
        ),
        ("hand_over", of(usdc, 3_000_000), &[("usdc", "3000000")]),
        ("close", of(usdc, 0), &[("sol", &rent)]),
        ("wrap", sol(1_000_000), &[(&wrapped, "1000000")]),
        ("issue", of(fake, 99), &[(&unlisted, "99")]),
        ("pay_by_table", sol(9), &[("sol", "9")]),
        ("fail", sol(1_000_000), &[]),
        ("send_tokens", of(usdc, 0), &[]),
    ];
    for (action, mut work, expected) in cases {
        work["to"] = json!(shop.address);
        let landed: Landed = shop.node.act(action, work).await?;
        let failed = action == "fail";
        assert_eq!(
            landed.error.is_null(),
            !failed,
            "{action}: {}",
            landed.error
        );
        let brought = shop.brought(&landed).await?;
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(symbol, amount)| ((*symbol).to_owned(), (*amount).to_owned()))
            .collect();
        assert_eq!(brought, expected, "{action}");
    }
    Ok(())
}

/// A new address takes nothing below the rent minimum, and so nothing is told of what failed.
#[tokio::test]
async fn solana_payments_below_the_rent_minimum_fail() -> Result<()> {
    let node = Surfnet::start().await?;
    let source = source(&node.url());
    for (lamports, expected) in [(RENT_MIN - 1, 0), (RENT_MIN, 1)] {
        let address = node.person().await?;
        let landed = node.pay(&address, lamports).await?;
        assert_eq!(landed.error.is_null(), expected == 1, "{lamports}");
        let block = read_at(&source, landed.slot, &watching(&[&address])).await?;
        assert_eq!(block.credits.len(), expected, "{lamports}");
    }
    Ok(())
}

/// The same payment has the same place whatever stands around it, and two in one transaction have two.
#[tokio::test]
async fn solana_a_payment_has_a_place_of_its_own() -> Result<()> {
    let shop = Shop::open().await?;
    let work = json!({"to": shop.address, "lamports": 5});
    let landed: Landed = shop.node.act("pay", work).await?;
    let payer = shop.node.payer().to_owned();
    let both = watching(&[&shop.address, &payer]);
    let block = read_at(&shop.source, landed.slot, &both).await?;
    let places: Vec<&str> = block
        .credits
        .iter()
        .map(|credit| credit.position.as_str())
        .collect();
    assert_eq!(places, [format!("native:{}", shop.address)]);

    let work = json!({"to": shop.address, "mint": shop.usdc, "amount": 5});
    let landed: Landed = shop.node.act("send_tokens", work).await?;
    let block = read_at(&shop.source, landed.slot, &both).await?;
    let places: Vec<&str> = block
        .credits
        .iter()
        .map(|credit| credit.position.as_str())
        .collect();
    assert_eq!(places, [format!("token:{}:{}", shop.usdc, shop.address)]);
    Ok(())
}

/// Solana Pay: the wallet is one, and references tell its invoices apart. Money is credited once.
#[tokio::test]
async fn solana_references_tell_whose_payment_it_is() -> Result<()> {
    let shop = Shop::open().await?;
    let (one, two) = (shop.node.person().await?, shop.node.person().await?);
    let with = |reference: &str| format!("{}/{reference}", shop.address);
    let (of_one, of_two) = (with(&one), with(&two));
    let watched = watching(&[&of_one, &of_two]);
    let with_wallet = watching(&[&of_one, &of_two, &shop.address]);
    for (references, expected, expected_with_wallet) in [
        (vec![&one], vec![&of_one], vec![&of_one]),
        (vec![&two], vec![&of_two], vec![&of_two]),
        (vec![], vec![], vec![&shop.address]),
        (vec![&two, &one], vec![&of_two], vec![&of_two]),
    ] {
        for (action, symbol) in [("pay", "sol"), ("send_tokens", "usdc")] {
            let mut work = json!({"to": shop.address, "references": references});
            match action {
                "pay" => work["lamports"] = json!(11),
                _ => (work["mint"], work["amount"]) = (json!(shop.usdc), json!(11)),
            }
            let landed: Landed = shop.node.act(action, work).await?;
            for (watched, expected) in
                [(&watched, &expected), (&with_wallet, &expected_with_wallet)]
            {
                let block = read_at(&shop.source, landed.slot, watched).await?;
                let expected: Vec<_> = expected
                    .iter()
                    .map(|key| ((*key).clone(), symbol.to_owned(), "11".to_owned()))
                    .collect();
                assert_eq!(credits(&block), expected, "{references:?}");
            }
        }
    }
    // Somebody else is paid, and names the reference.
    let other = shop.node.person().await?;
    let work = json!({"to": other, "lamports": 2_000_000, "references": [one]});
    let landed: Landed = shop.node.act("pay", work).await?;
    let block = read_at(&shop.source, landed.slot, &with_wallet).await?;
    assert_eq!(credits(&block), []);
    Ok(())
}
