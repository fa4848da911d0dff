//! Goal: every credit to a key of ours is a payment, a stray, or nothing worth keeping. Method: a table.

use paywatch_domain::{Amount, Asset, AssetKind, Family, Finality, Mode, OptionId};

use super::*;

fn spec(mode: Mode) -> ChainSpec {
    let asset = |symbol: &str, decimals| Asset {
        name: format!("{symbol}@base").parse().unwrap(),
        kind: AssetKind::Native,
        decimals,
        dust: Amount::from_atomic(10),
        caip19: "test".into(),
    };
    ChainSpec {
        name: "base".parse().unwrap(),
        caip2: "eip155:8453".into(),
        family: Family::Evm,
        mode,
        enabled: true,
        finality: Finality::Depth(1),
        reorg_depth_max: 1,
        lag_ms_max: 1,
        assets: vec![asset("eth", 18), asset("usdc", 6)],
    }
}

#[test]
fn a_credit_is_a_payment_a_stray_or_nothing() {
    let sibling = Role::Sibling {
        form: "p2tr".into(),
        address: "other".into(),
    };
    let stray = |decimals| Some(Role::Stray { decimals });
    let (own, live, test) = (Role::Payment, Mode::Live, Mode::Test);
    let table = [
        ("usdc@base", &own, live, "usdc@base", 9, Some(own.clone())),
        ("usdc@base", &own, live, "eth@base", 10, stray(18)),
        ("usdc@base", &own, live, "eth@base", 9, None),
        ("usdc@ethereum", &own, live, "usdc@base", 10, stray(6)),
        ("usdc@ethereum", &own, test, "usdc@base", 10, None),
        ("usdc@base", &own, live, "gold@base", 10, None),
        ("usdc@base", &own, live, "unlisted:0xab@base", 1, stray(0)),
        ("usdc@base", &own, test, "unlisted:0xab@base", 1, None),
        (
            "usdc@base",
            &sibling,
            live,
            "usdc@base",
            1,
            Some(sibling.clone()),
        ),
        ("usdc@base", &sibling, live, "eth@base", 10, None),
    ];
    for (wanted, key, mode, paid, amount, expected) in table {
        let asset: AssetName = wanted.parse().unwrap();
        let owner = Owner {
            key: vec![1],
            role: key.clone(),
            option: OptionKey(1),
            option_id: OptionId::from_bits(1),
            invoice: InvoiceKey(1),
            chain: asset.chain().clone(),
            asset,
            mode: Mode::Live,
        };
        let credit = Credit {
            key: [1].into(),
            asset: paid.parse().unwrap(),
            amount: Amount::from_atomic(amount),
            tx_id: TxId::new("a"),
            position: Position::new("log:0"),
            maturity: 0,
            spends: [].into(),
        };
        let found = role(&owner, &credit, &spec(mode));
        assert_eq!(found, expected, "{wanted} {paid} {amount} {mode:?}");
    }
}
