//! An invoice and its event, byte for byte, from facts through the fold.

use std::collections::BTreeMap;

use paywatch_domain::{
    Amount, BlockHash, BlockRef, Cause, CauseKind, ChainView, Dossier, EventId, EventType,
    Exception, ExceptionId, ExceptionKind, Finality, Finding, InvoiceId, MerchantId, Mode,
    OptionId, OptionTerms, PaymentPlace, Place, Policy, Position, Price, Role, Status, Subject,
    Terms, Tier, Tolerance, Transfer, TransferId, TxId, UnixMillis, Violation, WalletId, fold,
};
use paywatch_wire::event::{Event, ExceptionData, InvoiceData};
use paywatch_wire::{EventHead, Invoice, exception_event, invoice_event, json_text};

const CREATED_AT: UnixMillis = UnixMillis(1_796_117_400_000);

fn dossier() -> Dossier {
    let option = OptionId::from_bits(2);
    Dossier {
        id: InvoiceId::from_bits(1),
        merchant: MerchantId::from_bits(9),
        mode: Mode::Test,
        order_id: Some("A-1001".into()),
        metadata: r#"{"b": 1.10, "a": [18446744073709551616]}"#.into(),
        terms: Terms {
            price: Some(Price {
                amount: "49.99".into(),
                currency: "USD".into(),
            }),
            created_at: CREATED_AT,
            expires_at: CREATED_AT.plus_s(900),
            late_until: CREATED_AT.plus_s(1800),
            policy: Policy {
                name: Some("default".into()),
                tiers: vec![Tier {
                    up_to: None,
                    assets: BTreeMap::from([(
                        "btc@bitcoin-regtest".parse().expect("a name"),
                        Finality::Depth(3),
                    )]),
                    chains: BTreeMap::from([(
                        "base".parse().expect("a name"),
                        Finality::Depth(12),
                    )]),
                }],
            },
            success_url: Some("https://shop.example/ok".into()),
            cancel_url: None,
            options: vec![OptionTerms {
                id: option,
                asset: "btc@bitcoin-regtest".parse().expect("a name"),
                decimals: 8,
                rate: None,
                due: Amount::from_atomic(76_924),
                minimum: Amount::from_atomic(76_924),
                maximum: Amount::from_atomic(76_924),
                tolerance: Tolerance::default(),
                dust: Amount::from_atomic(546),
                finality: Finality::Depth(3),
                created_height: 800,
            }],
        },
        places: vec![PaymentPlace {
            option,
            wallet: WalletId::from_bits(3),
            address: "bcrt1qexample".into(),
            key: [1, 2].into(),
            index: 7,
            path: "m/84h/1h/0h/0/7".into(),
            caip19: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1".into(),
            payment_uri: "bitcoin:bcrt1qexample?amount=0.00076924".into(),
        }],
        transfers: vec![
            transfer(4, 50_000, 10, Some(block(812))),
            transfer(5, 30_000, 20, Some(Place::Mempool)),
            transfer(6, 1_000, 1_000, Some(block(812))),
            transfer(7, 76_924, 30, None),
        ],
        exceptions: Vec::new(),
        decisions: Vec::new(),
        version: 2,
        said: None,
        quarantined: None,
    }
}

fn block(height: u64) -> Place {
    Place::Block(BlockRef {
        height,
        hash: BlockHash::new("00aa"),
    })
}

fn transfer(id: u128, sats: u64, after_s: u64, place: Option<Place>) -> Transfer {
    Transfer {
        role: Role::Payment,
        maturity: 0,
        id: TransferId::from_bits(id),
        option: OptionId::from_bits(2),
        asset: "btc@bitcoin-regtest".parse().expect("a name"),
        amount: Amount::from_atomic(sats),
        tx_id: TxId::new("ffee"),
        left: None,
        origin: TxId::new("ffee"),
        final_at: None,
        position: Position::new(&format!("vout:{id}")),
        sighted_at: CREATED_AT.plus_s(after_s),
        place,
        vetting: None,
    }
}

fn rendered(dossier: &Dossier, version: u64) -> Result<Invoice, Violation> {
    let view = ChainView {
        marks: paywatch_domain::Marks::default(),
        tip: Some(813),
        covered_until: Some(CREATED_AT),
        gaps: Vec::new(),
        unseen: None,
    };
    let views = BTreeMap::from([("bitcoin-regtest".parse().expect("a name"), view)]);
    let now = CREATED_AT.plus_s(60);
    let folded = fold(
        &dossier.terms,
        &dossier.transfers,
        &dossier.decisions,
        &views,
        now,
    )?;
    Invoice::render(dossier, &folded, version)
}

const OPTION: &str = concat!(
    r#"{"id":"opt_00000000000000000000000002","asset":"btc@bitcoin-regtest","#,
    r#""caip19":"bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1","chain":"bitcoin-regtest","#,
    r#""wallet_id":"wal_00000000000000000000000003","address":"bcrt1qexample","#,
    r#""derivation_path":"m/84h/1h/0h/0/7","amount":"0.00076924","amount_atomic":"76924","#,
    r#""rate":null,"payment_uri":"bitcoin:bcrt1qexample?amount=0.00076924","#,
    r#""finality":{"depth":3},"status":"confirming","payable":true,"#,
    r#""tally":{"seen":"0.00080000","confirming":"0.00050000","final":"0","late":"0.00001000","#,
    r#""remaining":"0","excess":"0.00003076"}}"#
);

const TRANSFERS: &str = concat!(
    r#"{"id":"trf_00000000000000000000000004","option_id":"opt_00000000000000000000000002","#,
    r#""role":"payment","address":"bcrt1qexample","#,
    r#""asset":"btc@bitcoin-regtest","amount":"0.00050000","amount_atomic":"50000","#,
    r#""tx_id":"ffee","position":"vout:4","block_height":812,"block_hash":"00aa","#,
    r#""sighted_at":"2026-12-01T09:30:10.000Z","in_time":true,"final_at":null,"certainty":"confirming","#,
    r#""counted":true,"finality":{"kind":"depth","have":2,"need":3}},"#,
    r#"{"id":"trf_00000000000000000000000005","option_id":"opt_00000000000000000000000002","#,
    r#""role":"payment","address":"bcrt1qexample","#,
    r#""asset":"btc@bitcoin-regtest","amount":"0.00030000","amount_atomic":"30000","#,
    r#""tx_id":"ffee","position":"vout:5","block_height":null,"block_hash":null,"#,
    r#""sighted_at":"2026-12-01T09:30:20.000Z","in_time":true,"final_at":null,"certainty":"seen","#,
    r#""counted":true,"finality":{"kind":"depth","have":0,"need":3}},"#,
    r#"{"id":"trf_00000000000000000000000006","option_id":"opt_00000000000000000000000002","#,
    r#""role":"payment","address":"bcrt1qexample","#,
    r#""asset":"btc@bitcoin-regtest","amount":"0.00001000","amount_atomic":"1000","#,
    r#""tx_id":"ffee","position":"vout:6","block_height":812,"block_hash":"00aa","#,
    r#""sighted_at":"2026-12-01T09:46:40.000Z","in_time":false,"final_at":null,"certainty":"confirming","#,
    r#""counted":true,"finality":{"kind":"depth","have":2,"need":3}},"#,
    r#"{"id":"trf_00000000000000000000000007","option_id":"opt_00000000000000000000000002","#,
    r#""role":"payment","address":"bcrt1qexample","#,
    r#""asset":"btc@bitcoin-regtest","amount":"0.00076924","amount_atomic":"76924","#,
    r#""tx_id":"ffee","position":"vout:7","block_height":null,"block_hash":null,"#,
    r#""sighted_at":"2026-12-01T09:30:30.000Z","in_time":true,"final_at":null,"certainty":"gone","#,
    r#""counted":false,"finality":{"kind":"depth","have":0,"need":3}}"#
);

fn expected_invoice() -> String {
    [
        r#"{"id":"inv_00000000000000000000000001","object":"invoice","livemode":false,"#,
        r#""order_id":"A-1001","status":"confirming","customer_status":"confirming","#,
        r#""payable":true,"waiting_for":[],"price":{"amount":"49.99","currency":"USD"},"#,
        r#""created_at":"2026-12-01T09:30:00.000Z","expires_at":"2026-12-01T09:45:00.000Z","#,
        r#""late_until":"2026-12-01T10:00:00.000Z","paid_option":null,"options":["#,
        OPTION,
        r#"],"transfers":["#,
        TRANSFERS,
        r#"],"exceptions":[],"refunds":[],"fulfilments":[],"policy":{"name":"default","tiers":[{"finality":"#,
        r#"{"base":{"depth":12},"btc@bitcoin-regtest":{"depth":3}}}]},"#,
        r#""success_url":"https://shop.example/ok","cancel_url":null,"#,
        r#""metadata":{"b": 1.10, "a": [18446744073709551616]},"version":3,"checkout_url":null}"#,
    ]
    .concat()
}

#[test]
fn an_invoice_is_shown_as_the_contract_says() {
    let invoice = rendered(&dossier(), 3).unwrap();
    assert_eq!(json_text(&invoice), expected_invoice());
    let read: Invoice = serde_json::from_str(&expected_invoice()).unwrap();
    assert_eq!(read, invoice, "and reads back, metadata byte for byte");
}

#[test]
fn an_event_wraps_the_same_bytes() {
    let invoice = rendered(&dossier(), 3).unwrap();
    let head = EventHead {
        id: EventId::from_bits(8),
        kind: EventType::Confirming,
        at: CREATED_AT.plus_s(60),
        mode: Mode::Test,
    };
    let cause = Cause {
        kind: CauseKind::Block,
        chain: Some("bitcoin-regtest".parse().expect("a name")),
        height: Some(813),
    };
    let body = invoice_event(&head, &invoice, Some(Status::Detected), Vec::new(), &cause);
    let expected = [
        r#"{"id":"evt_00000000000000000000000008","type":"invoice.confirming","#,
        r#""timestamp":"2026-12-01T09:31:00.000Z","api_version":"2026-12-01","livemode":false,"#,
        r#""data":{"invoice":"#,
        &expected_invoice(),
        r#","previous_status":"detected","#,
        r#""cause":{"kind":"block","chain":"bitcoin-regtest","height":813}}}"#,
    ]
    .concat();
    assert_eq!(body, expected);
    let read: Event<InvoiceData> = serde_json::from_str(&body).unwrap();
    assert_eq!(read.data.invoice, invoice);

    let first = Cause {
        kind: CauseKind::Api,
        chain: None,
        height: None,
    };
    let body = invoice_event(&head, &invoice, None, Vec::new(), &first);
    assert!(
        body.ends_with(r#","previous_status":null,"cause":{"kind":"api"}}}"#),
        "{body}"
    );
}

#[test]
fn an_exception_comes_with_its_invoice() {
    let mut dossier = dossier();
    dossier.transfers = vec![Transfer {
        role: Role::Sibling {
            form: "p2tr".into(),
            address: "bcrt1pexample".into(),
        },
        ..transfer(4, 50_000, 10, Some(block(812)))
    }];
    let id = ExceptionId::from_bits(9);
    let mut exception = Exception {
        id,
        finding: Finding {
            kind: ExceptionKind::Recoverable,
            subject: Subject::Address {
                option: OptionId::from_bits(2),
                form: "p2tr".into(),
                address: "bcrt1pexample".into(),
            },
            amount: Amount::from_atomic(50_000),
        },
        opened_at: CREATED_AT.plus_s(60),
        resolved_at: None,
    };
    dossier.exceptions = vec![exception.clone()];
    let invoice = rendered(&dossier, 2).unwrap();
    let head = EventHead {
        id: EventId::from_bits(8),
        kind: EventType::ExceptionOpened,
        at: CREATED_AT.plus_s(60),
        mode: Mode::Test,
    };
    let cause = Cause {
        kind: CauseKind::Api,
        chain: None,
        height: None,
    };
    let body = exception_event(&head, &invoice, id, &cause).unwrap();
    let expected = concat!(
        r#""type":"exception.opened","timestamp":"2026-12-01T09:31:00.000Z","#,
        r#""api_version":"2026-12-01","livemode":false,"#,
        r#""data":{"exception":{"id":"exc_00000000000000000000000009","object":"exception","#,
        r#""kind":"recoverable","state":"open","invoice_id":"inv_00000000000000000000000001","#,
        r#""option_id":"opt_00000000000000000000000002","address":"bcrt1pexample","address_form":"p2tr","#,
        r#""asset":"btc@bitcoin-regtest","amount":"0.00050000","amount_atomic":"50000","#,
        r#""detail":"0.00050000 btc went to bcrt1pexample, the p2tr form of the same key "#,
        r#"(m/84h/1h/0h/0/7). It does not count for this invoice. Your wallet can spend it when it "#,
        r#"is given the key in that form.","tx_ids":["ffee"],"sighted_at":"2026-12-01T09:30:10.000Z","#,
        r#""opened_at":"2026-12-01T09:31:00.000Z","actions":["refund","ignore"],"owner":null,"#,
        r#""resolved_at":null,"resolution":null},"invoice":{"id":"inv_"#,
    );
    assert!(body.contains(expected), "{body}");
    let read: Event<ExceptionData> = serde_json::from_str(&body).unwrap();
    assert_eq!(read.data.invoice, invoice);
    let told = &read.data.invoice.transfers[0];
    assert_eq!(
        (told.role.as_str(), told.address.as_str(), told.counted),
        ("sibling", "bcrt1pexample", false)
    );
    assert_eq!(read.data.invoice.status, "created");

    exception.resolved_at = Some(CREATED_AT.plus_s(90));
    dossier.exceptions = vec![exception];
    let invoice = rendered(&dossier, 3).unwrap();
    assert_eq!(invoice.exceptions[0].state, "resolved");
    let unknown = exception_event(&head, &invoice, ExceptionId::from_bits(1), &cause);
    assert!(matches!(unknown, Err(Violation::Damaged(_))));
}

#[test]
fn a_stray_is_shown_in_its_own_unit() {
    let table = [
        ("usdt@bitcoin-regtest", 6, "wrong_asset", "2.500000"),
        ("btc@bitcoin-signet", 8, "wrong_chain", "0.02500000"),
        (
            "unlisted:EPjFWdd5@bitcoin-regtest",
            0,
            "wrong_asset",
            "2500000",
        ),
    ];
    for (asset, decimals, kind, amount) in table {
        let mut dossier = dossier();
        let paid = |id, after_s| Transfer {
            role: Role::Stray { decimals },
            asset: asset.parse().expect("a name"),
            ..transfer(id, 2_500_000, after_s, Some(Place::Mempool))
        };
        dossier.transfers = vec![paid(4, 30), paid(5, 20)];
        let (option, asset) = (OptionId::from_bits(2), asset.parse().expect("a name"));
        dossier.exceptions = vec![Exception {
            id: ExceptionId::from_bits(9),
            finding: Finding {
                kind: ExceptionKind::parse(kind).unwrap(),
                subject: Subject::Stray { option, asset },
                amount: Amount::from_atomic(2_500_000),
            },
            opened_at: CREATED_AT.plus_s(60),
            resolved_at: None,
        }];
        let invoice = rendered(&dossier, 2).unwrap();
        let shown = &invoice.transfers[0];
        assert_eq!(
            (&*shown.role, &*shown.amount, shown.counted),
            (kind, amount, false)
        );
        let told = &invoice.exceptions[0];
        assert_eq!((&*told.kind, told.amount.as_deref()), (kind, Some(amount)));
        assert_eq!(told.address.as_deref(), Some("bcrt1qexample"));
        assert_eq!(
            (told.asset.as_deref(), &*told.tx_ids),
            (Some(&*shown.asset), &["ffee".into()][..])
        );
        assert_eq!(told.sighted_at.as_deref(), Some("2026-12-01T09:30:20.000Z"));
        assert_eq!(told.actions, ["refund", "ignore"]);
        dossier.transfers.clear();
        assert!(
            matches!(rendered(&dossier, 2), Err(Violation::Damaged(_))),
            "about no money"
        );
    }
}

#[test]
fn remaining_counts_money_in_time_only() {
    let mut dossier = dossier();
    dossier.transfers = vec![
        transfer(4, 50_000, 10, Some(Place::Mempool)),
        transfer(6, 40_000, 1_000, Some(block(813))),
    ];
    let invoice = rendered(&dossier, 1).unwrap();
    let tally = &invoice.options[0].tally;
    assert_eq!(tally.remaining, "0.00026924");
    assert_eq!(tally.late, "0.00040000");
    assert_eq!(tally.excess, "0");
}

#[test]
fn a_dossier_that_contradicts_itself_is_a_violation() {
    let mut no_place = dossier();
    no_place.places.clear();
    let mut metadata = dossier();
    metadata.metadata = "{".into();
    for damaged in [no_place, metadata] {
        assert!(matches!(rendered(&damaged, 1), Err(Violation::Damaged(_))));
    }
}
