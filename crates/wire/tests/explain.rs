//! What is said about an invoice in words, situation by situation, and how far transfers are from final.

use std::collections::BTreeMap;

use paywatch_domain::{
    Amount, BlockHash, BlockRef, ChainView, Commitment, Dossier, Finality, InvoiceId, LeftReason,
    Marks, MerchantId, Mode, OperatorFact, OptionId, OptionTerms, PaymentPlace, Place, Placement,
    Policy, Position, Price, Progress, Refund, Refusal, Role, Tag, Terms, Tier, Tolerance,
    Transfer, TransferId, TxId, Unconfirmed, UnixMillis, Vetting, WalletId, fold,
};
use paywatch_wire::{Explanation, ProgressForm, json_text};

const START: UnixMillis = UnixMillis(1_796_117_400_000);
const DUE: u64 = 100_000;
/// Seconds after the start: still open, expired, and after the late window.
const OPEN_S: u64 = 60;
const LATE_S: u64 = 1_000;
const OVER_S: u64 = 2_000;

fn option() -> OptionId {
    OptionId::from_bits(2)
}

fn price(amount: &str) -> Price {
    Price {
        amount: amount.into(),
        currency: "USD".into(),
    }
}

fn dossier(transfers: Vec<Transfer>) -> Dossier {
    Dossier {
        id: InvoiceId::from_bits(1),
        merchant: MerchantId::from_bits(9),
        mode: Mode::Test,
        order_id: None,
        metadata: "{}".into(),
        terms: Terms {
            price: None,
            created_at: START,
            expires_at: START.plus_s(900),
            late_until: START.plus_s(1_800),
            policy: Policy {
                name: None,
                tiers: Vec::new(),
            },
            success_url: None,
            cancel_url: None,
            options: vec![OptionTerms {
                id: option(),
                asset: "btc@bitcoin-regtest".parse().expect("a name"),
                decimals: 8,
                rate: None,
                due: Amount::from_atomic(DUE),
                minimum: Amount::from_atomic(DUE),
                maximum: Amount::from_atomic(DUE),
                tolerance: Tolerance::default(),
                dust: Amount::from_atomic(546),
                finality: Finality::Depth(3),
                created_height: 800,
            }],
        },
        places: vec![PaymentPlace {
            option: option(),
            wallet: WalletId::from_bits(3),
            address: "bcrt1qexample".into(),
            key: [1, 2].into(),
            index: 7,
            path: "m/84h/1h/0h/0/7".into(),
            caip19: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:1".into(),
            payment_uri: "bitcoin:bcrt1qexample".into(),
        }],
        transfers,
        exceptions: Vec::new(),
        decisions: Vec::new(),
        version: 1,
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

/// Money of another asset, in the mempool.
fn stray(asset: &str) -> Transfer {
    Transfer {
        role: Role::Stray { decimals: 6 },
        asset: asset.parse().expect("a name"),
        ..transfer(DUE, 10, Some(Place::Mempool))
    }
}

/// A transfer that was first seen some seconds after the start.
fn transfer(sat: u64, after_s: u64, place: Option<Place>) -> Transfer {
    Transfer {
        role: Role::Payment,
        maturity: 0,
        id: TransferId::from_bits(4),
        option: option(),
        asset: "btc@bitcoin-regtest".parse().expect("a name"),
        amount: Amount::from_atomic(sat),
        tx_id: TxId::new("ffee"),
        left: None,
        origin: TxId::new("ffee"),
        final_at: None,
        position: Position::new("vout:0"),
        sighted_at: START.plus_s(after_s),
        place,
        vetting: None,
    }
}

/// Explained when the chain was read up to block 813 and to now.
fn explained(dossier: &Dossier, after_s: u64, history: &[Placement]) -> Explanation {
    let now = START.plus_s(after_s);
    let view = ChainView {
        gaps: Vec::new(),
        unseen: None,
        marks: Marks {
            safe: Some(811),
            confirmed: None,
            finalized: Some(805),
        },
        tip: Some(813),
        covered_until: Some(now),
    };
    let views = BTreeMap::from([("bitcoin-regtest".parse().expect("a name"), view)]);
    let folded = fold(
        &dossier.terms,
        &dossier.transfers,
        &dossier.decisions,
        &views,
        now,
    );
    Explanation::render(dossier, &folded.expect("folds"), history).expect("explained")
}

/// Goal: the merchant reads what to do next, and why each amount counts. Method: one transfer or none,
/// in each situation.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn situations_are_explained_in_words() {
    let late = " It is late: first seen at 2026-12-01T09:46:40.000Z, after the expiry at \
                2026-12-01T09:45:00.000Z.";
    let table: [(Option<Transfer>, u64, &str, &str, String); 17] = [
        (None, OPEN_S, "created show", "", String::new()),
        (None, LATE_S, "expired cancel", "", String::new()),
        (
            Some(transfer(DUE, 10, Some(Place::Mempool))),
            OPEN_S,
            "detected wait",
            "not_final",
            "Counted, and not final: it has 0 of 3 blocks.".into(),
        ),
        (
            Some(transfer(DUE, 10, Some(block(812)))),
            OPEN_S,
            "confirming wait",
            "not_final",
            "Counted, and not final: it has 2 of 3 blocks.".into(),
        ),
        (
            Some(transfer(DUE, 10, Some(block(811)))),
            OPEN_S,
            "paid fulfil",
            "final",
            "Counted, and final.".into(),
        ),
        (
            Some(transfer(DUE + 1, 10, Some(block(811)))),
            OPEN_S,
            "overpaid fulfil_and_decide",
            "final",
            "Counted, and final.".into(),
        ),
        (
            Some(transfer(60_000, 10, Some(block(811)))),
            OPEN_S,
            "underpaid ask_for_more",
            "final",
            "Counted, and final.".into(),
        ),
        (
            Some(transfer(60_000, 10, Some(block(811)))),
            LATE_S,
            "underpaid decide",
            "final",
            "Counted, and final.".into(),
        ),
        (
            Some(transfer(DUE, LATE_S, Some(block(811)))),
            LATE_S,
            "late_paid decide",
            "late",
            format!("Counted, and final.{late}"),
        ),
        (
            Some(transfer(DUE, LATE_S, Some(block(812)))),
            LATE_S,
            "expired cancel",
            "late",
            format!("Counted, and not final: it has 2 of 3 blocks.{late}"),
        ),
        (
            Some(transfer(DUE, OVER_S, Some(block(811)))),
            OVER_S,
            "expired cancel",
            "after_window",
            "Not counted: it was first seen at 2026-12-01T10:03:20.000Z, after the late window ended \
             at 2026-12-01T10:00:00.000Z."
                .into(),
        ),
        (
            Some(transfer(545, 10, Some(block(811)))),
            OPEN_S,
            "created show",
            "dust",
            "Counted, and final. It is below 0.00000546, so it changes no status by itself.".into(),
        ),
        (
            Some(transfer(DUE, 10, Some(block(799)))),
            OPEN_S,
            "created show",
            "below_creation",
            "Not counted: its block 799 is below height 800, from which the invoice counts.".into(),
        ),
        (
            Some(Transfer {
                role: Role::Sibling {
                    form: "p2tr".into(),
                    address: "bcrt1pexample".into(),
                },
                ..transfer(DUE, 10, Some(block(811)))
            }),
            OPEN_S,
            "created show",
            "other_form",
            "Not counted: it went to another form of the key (p2tr), which is never credited.".into(),
        ),
        (
            Some(stray("usdt@bitcoin-regtest")),
            OPEN_S,
            "created show",
            "wrong_asset",
            "Not counted: it is usdt@bitcoin-regtest, and btc@bitcoin-regtest is asked for; another asset is \
             never credited."
                .into(),
        ),
        (
            Some(stray("btc@bitcoin-signet")),
            OPEN_S,
            "created show",
            "wrong_chain",
            "Not counted: it came on bitcoin-signet, and btc@bitcoin-regtest is asked for; another chain is \
             never credited."
                .into(),
        ),
        (
            Some(transfer(DUE, 10, None)),
            OPEN_S,
            "created show",
            "gone",
            "Not counted: it stands nowhere.".into(),
        ),
    ];
    for (transfer, after_s, says, code, text) in table {
        let shown = explained(&dossier(transfer.into_iter().collect()), after_s, &[]);
        let next = format!("{} {}", shown.status, shown.next_action.code);
        assert_eq!(next, says, "{text}");
        let reason = shown.transfers.first().map(|one| &one.reason);
        let reason = reason.map_or(("", ""), |reason| (&*reason.code, &*reason.text));
        assert_eq!(reason, (code, &*text));
    }
}

#[test]
fn decisions_are_explained() {
    let canceled = OperatorFact::Canceled {
        at: START.plus_s(20),
    };
    let refunded = OperatorFact::Refunded(Refund {
        at: START.plus_s(50),
        actor: "key_1".into(),
        option: option(),
        amount: Amount::from_atomic(DUE),
        tx_id: None,
        note: "".into(),
        is_everything: true,
    });
    let accepted = OperatorFact::Accepted {
        at: START.plus_s(LATE_S),
        option: option(),
        floor: Amount::from_atomic(60_000),
    };
    for (sat, fact, after_s, says, words) in [
        (60_000, canceled, OPEN_S, "canceled nothing", "canceled"),
        (DUE, refunded, OPEN_S, "refunded close", "sent back"),
        (60_000, accepted, LATE_S, "paid fulfil", "Fulfil the order."),
    ] {
        let mut dossier = dossier(vec![transfer(sat, 10, Some(block(811)))]);
        dossier.decisions = vec![fact];
        let shown = explained(&dossier, after_s, &[]);
        let next = format!("{} {}", shown.status, shown.next_action.code);
        assert_eq!(next, says);
        let text = &shown.next_action.text;
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn why_money_left_is_explained_and_where_it_stood() {
    for (left, code, words) in [
        (LeftReason::Replaced, "replaced", "took its place"),
        (
            LeftReason::Conflicted,
            "conflicted",
            "a block holds another",
        ),
        (
            LeftReason::Evicted,
            "evicted",
            "dropped it from its mempool",
        ),
        (LeftReason::Reorged, "reorged", "its block left the chain"),
        (LeftReason::Mined, "gone", "it stands nowhere"),
    ] {
        let gone = transfer(DUE, 10, None);
        let stood = |place: Place, from_s: u64, to_s: u64, reason| Placement {
            transfer: gone.id,
            place,
            entered_at: START.plus_s(from_s),
            left: Some((START.plus_s(to_s), reason)),
        };
        let history = [
            stood(Place::Mempool, 10, 20, LeftReason::Mined),
            stood(block(812), 20, 30, left),
        ];
        let shown = explained(&dossier(vec![gone]), OPEN_S, &history);
        let one = &shown.transfers[0];
        assert_eq!(one.reason.code, code);
        let text = &one.reason.text;
        assert!(
            text.starts_with("Not counted: ") && text.contains(words),
            "{text}"
        );
        let placements = one.placements.iter().map(json_text);
        let expected = [
            r#"{"place":"mempool","block_height":null,"block_hash":null,"entered_at":"2026-12-01T09:30:10.000Z","left_at":"2026-12-01T09:30:20.000Z","left_reason":"mined"}"#.to_owned(),
            format!(
                r#"{{"place":"block","block_height":812,"block_hash":"00aa","entered_at":"2026-12-01T09:30:20.000Z","left_at":"2026-12-01T09:30:30.000Z","left_reason":"{}"}}"#,
                left.as_str()
            ),
        ];
        assert!(placements.eq(expected), "{:?}", one.placements);
    }
}

fn unconfirmed() -> Finality {
    Finality::Unconfirmed(Unconfirmed {
        max: Price {
            amount: "0.001".into(),
            currency: "BTC".into(),
        },
        seen_s: 10,
    })
}

/// Goal: each kind of finality says when a payment is final, how far it is, and what is awaited.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_finality_has_its_words() {
    let any = Finality::Any(vec![unconfirmed(), Finality::Depth(1)]);
    let mempool = || Some(Place::Mempool);
    let vague = "without a block up to 0.001 BTC after 10 seconds in the mempool, when its \
                 transaction keeps the rules for that";
    for (finality, place, when, so_far, awaited) in [
        (
            Finality::Depth(1),
            mempool(),
            "with 1 block",
            "it has 0 of 1 blocks",
            None,
        ),
        (
            Finality::Depth(4),
            Some(block(812)),
            "with 4 blocks",
            "it has 2 of 4 blocks",
            Some("Block 815 of bitcoin-regtest."),
        ),
        (
            Finality::Tag(Tag::Safe),
            Some(block(812)),
            "when the tag safe reaches its block",
            "the tag safe is at 811, and its block is 812",
            Some("The mark safe of bitcoin-regtest at height 812."),
        ),
        (
            Finality::Tag(Tag::Finalized),
            mempool(),
            "when the tag finalized reaches its block",
            "it has no block",
            None,
        ),
        (
            Finality::Commitment(Commitment::Finalized),
            Some(block(812)),
            "when the commitment finalized reaches its block",
            "the commitment finalized is at 805, and its block is 812",
            Some("The mark finalized of bitcoin-regtest at height 812."),
        ),
        (
            unconfirmed(),
            mempool(),
            vague,
            "it is not accepted without a block, because the node has not said anything about it yet",
            None,
        ),
        (
            any,
            mempool(),
            &format!("{vague}, or with 1 block"),
            "it is not accepted without a block, because the node has not said anything about it yet, \
             and it has 0 of 1 blocks",
            None,
        ),
    ] {
        let mut dossier = dossier(vec![transfer(DUE, 10, place)]);
        dossier.terms.options[0].finality = finality;
        let shown = explained(&dossier, OPEN_S, &[]);
        let rule = format!(
            "As the invoice's own policy has no tiers, the rule of the chain bitcoin-regtest holds: a \
             payment is final {when}."
        );
        assert_eq!(shown.rules[0].text, rule);
        let reason = &shown.transfers[0].reason.text;
        assert_eq!(*reason, format!("Counted, and not final: {so_far}."));
        if let Some(awaited) = awaited {
            let mut texts = shown.awaited.iter().map(|one| &*one.text);
            assert!(texts.any(|text| text == awaited), "{:?}", shown.awaited);
        }
    }
}

#[test]
fn a_payment_without_a_block_is_refused_with_its_reasons() {
    let vetting = Vetting {
        vetted_at: START.plus_s(11),
        has_parents: false,
        fee_rate: 2_000,
        fee_rate_next: Some(1_000),
        has_conflict: false,
        missing_since: None,
    };
    let (mut rival, mut child, mut poor, mut vague) = (vetting, vetting, vetting, vetting);
    rival.has_conflict = true;
    child.has_parents = true;
    poor.fee_rate = 900;
    vague.fee_rate_next = None;
    let refused = "it is not accepted without a block, because";
    for (sat, vetting, words) in [
        (
            DUE,
            rival,
            &*format!("{refused} another transaction that spends the same was seen"),
        ),
        (
            DUE,
            child,
            &*format!("{refused} it spends money that is not confirmed itself"),
        ),
        (
            DUE,
            poor,
            &*format!(
                "{refused} it pays 900 atomic units for 1,000 units of size, and the next block costs 1000"
            ),
        ),
        (
            DUE,
            vague,
            &*format!("{refused} the node does not know what the next block costs"),
        ),
        (
            DUE + 1,
            rival,
            &*format!(
                "{refused} it is above the cap, alone or with what was accepted before it and another \
                 transaction that spends the same was seen"
            ),
        ),
        (DUE, vetting, "it has been seen for 4 of 10 seconds"),
    ] {
        let mut seen = transfer(sat, 10, Some(Place::Mempool));
        seen.vetting = Some(vetting);
        let mut dossier = dossier(vec![seen]);
        dossier.terms.options[0].finality = unconfirmed();
        let shown = explained(&dossier, 14, &[]);
        let text = &shown.transfers[0].reason.text;
        assert_eq!(*text, format!("Counted, and not final: {words}."));
    }
}

#[test]
fn the_tier_that_holds_is_named_with_its_reason() {
    let tier = |up_to: Option<&str>| Tier {
        up_to: up_to.map(price),
        assets: BTreeMap::new(),
        chains: BTreeMap::from([(
            "bitcoin-regtest".parse().expect("a name"),
            Finality::Depth(3),
        )]),
    };
    let two = || vec![tier(Some("100.00")), tier(None)];
    for (name, tiers, amount, text) in [
        (
            Some("shop"),
            vec![],
            None,
            "As the policy shop has no tiers, the rule of the chain bitcoin-regtest holds",
        ),
        (
            None,
            vec![tier(None)],
            None,
            "The only tier of the invoice's own policy holds",
        ),
        (
            Some("shop"),
            two(),
            Some("100.00"),
            "Tier 1 of the policy shop holds, because the price 100.00 USD is not above 100.00 USD",
        ),
        (
            None,
            two(),
            Some("100.01"),
            "Tier 2 of the invoice's own policy holds, because the price 100.01 USD is above 100.00 USD",
        ),
    ] {
        let mut dossier = dossier(Vec::new());
        dossier.terms.price = amount.map(price);
        dossier.terms.policy = Policy {
            name: name.map(Into::into),
            tiers,
        };
        let shown = explained(&dossier, OPEN_S, &[]);
        let expected = format!("{text}: a payment is final with 3 blocks.");
        assert_eq!(shown.rules[0].text, expected);
    }
}

#[test]
fn every_kind_of_progress_is_shown_and_read_back() {
    let unconfirmed = Progress::Unconfirmed {
        have_s: 4,
        need_s: 10,
        refusals: vec![
            Refusal::AboveCap,
            Refusal::Conflict,
            Refusal::UnconfirmedParents,
            Refusal::LowFee { rate: 1, next: 2 },
            Refusal::FeeUnknown,
            Refusal::NotVetted,
            Refusal::Forgotten,
        ],
    };
    let depth = Progress::Depth { have: 1, need: 3 };
    for (progress, expected) in [
        (depth.clone(), r#"{"kind":"depth","have":1,"need":3}"#),
        (
            Progress::Tag {
                tag: Tag::Safe,
                have: None,
                need: Some(812),
            },
            r#"{"kind":"tag","tag":"safe","have":null,"need":812}"#,
        ),
        (
            Progress::Tag {
                tag: Tag::Finalized,
                have: Some(9),
                need: None,
            },
            r#"{"kind":"tag","tag":"finalized","have":9,"need":null}"#,
        ),
        (
            Progress::Commitment {
                commitment: Commitment::Confirmed,
                have: Some(8),
                need: Some(9),
            },
            r#"{"kind":"commitment","commitment":"confirmed","have":8,"need":9}"#,
        ),
        (
            unconfirmed,
            concat!(
                r#"{"kind":"unconfirmed","have":4,"need":10,"refused":["above_cap","conflict","#,
                r#""unconfirmed_parents","low_fee","fee_unknown","not_vetted","forgotten"]}"#
            ),
        ),
        (
            Progress::Any(vec![depth.clone(), depth]),
            concat!(
                r#"{"kind":"any","of":[{"kind":"depth","have":1,"need":3},"#,
                r#"{"kind":"depth","have":1,"need":3}]}"#
            ),
        ),
    ] {
        let form = ProgressForm::from(&progress);
        assert_eq!(json_text(&form), expected);
        let read: ProgressForm = serde_json::from_str(expected).expect("reads back");
        assert_eq!(read, form);
    }
}
