//! Folding an invoice that a thousand transfers paid, against adding their amounts up.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use paywatch_domain::{
    Amount, BlockHash, BlockRef, ChainView, Entropy as _, Finality, Marks, OptionId, OptionTerms,
    Place, Policy, Position, Price, Role, Terms, Tolerance, Transfer, TransferId, TxId,
    Unconfirmed, UnixMillis, Vetting, Views, fold,
};

use crate::numbers::Numbers;
use crate::shop;
use crate::table::{Goal, Row, in_ms, median};

/// Transfers of the invoice.
const TRANSFERS: u32 = 1_000;
/// Folds of a round.
const FOLDS: u32 = 100;
const EXPIRES_AT: UnixMillis = UnixMillis(1_000_000);
const TIP: u64 = 1_000;

/// Milliseconds for one fold, and for one addition of the same amounts.
pub(crate) fn measure(rounds: u32) -> Result<Row> {
    let terms = terms()?;
    let transfers = transfers(&terms, &mut Numbers(7))?;
    let now = EXPIRES_AT.plus_s(60);
    let views = Views::from([(
        shop::asset()?.chain().clone(),
        ChainView {
            gaps: Vec::new(),
            unseen: None,
            tip: Some(TIP),
            covered_until: Some(now),
            marks: Marks::default(),
        },
    )]);
    let (mut folds, mut sums) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        folds.push(each(|| {
            let folded = fold(black_box(&terms), black_box(&transfers), &[], &views, now)?;
            ensure!(folded.transfers.len() == transfers.len(), "one was lost");
            black_box(folded);
            Ok(())
        })?);
        sums.push(each(|| {
            let mut amounts = black_box(&transfers).iter().map(|one| one.amount);
            let sum = amounts.try_fold(Amount::ZERO, Amount::checked_add);
            black_box(sum.context("the sum is too large")?);
            Ok(())
        })?);
    }
    let (value, baseline) = (in_ms(median(folds)), in_ms(median(sums)));
    let goal = Goal::ValueAtMost(1.0);
    Ok(Row::new("fold_1000_transfers", "ms", value, baseline, goal))
}

/// How long one of many runs took.
fn each(mut run: impl FnMut() -> Result<()>) -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..FOLDS {
        run()?;
    }
    Ok(started.elapsed() / FOLDS)
}

/// Final at six blocks, or without a block: the rule that looks at a transfer most often.
fn terms() -> Result<Terms> {
    let asset = shop::asset()?;
    let due = Amount::from_atomic(1_000_000);
    let unconfirmed = Unconfirmed {
        max: Price {
            amount: "0.001".into(),
            currency: asset.symbol().to_ascii_uppercase().into(),
        },
        seen_s: 30,
    };
    let option = OptionTerms {
        id: OptionId::from_bits(1),
        asset,
        decimals: 8,
        rate: None,
        due,
        minimum: due,
        maximum: due,
        tolerance: Tolerance::default(),
        dust: Amount::from_atomic(546),
        finality: Finality::Any(vec![Finality::Unconfirmed(unconfirmed), Finality::Depth(6)]),
        created_height: 1,
    };
    Ok(Terms {
        price: None,
        created_at: UnixMillis(0),
        expires_at: EXPIRES_AT,
        late_until: EXPIRES_AT.plus_s(86_400),
        policy: Policy {
            name: None,
            tiers: Vec::new(),
        },
        success_url: None,
        cancel_url: None,
        options: vec![option],
    })
}

/// In blocks and in the mempool, in time and late, as the numbers fall.
fn transfers(terms: &Terms, numbers: &mut Numbers) -> Result<Vec<Transfer>> {
    let option = terms.options.first().context("an option")?;
    let one = |_| {
        let id = TxId::new(&format!("{:032x}{:032x}", numbers.bits(), numbers.bits()));
        let height = numbers.next() % (2 * TIP);
        let in_block = Place::Block(BlockRef {
            height,
            hash: BlockHash::new(&format!("{height:064x}")),
        });
        let sighted_at = UnixMillis(i64::try_from(numbers.next() % 1_100_000).unwrap_or_default());
        Transfer {
            id: TransferId::from_bits(numbers.bits()),
            option: option.id,
            role: Role::Payment,
            asset: option.asset.clone(),
            amount: Amount::from_atomic(600 + numbers.next() % 2_000),
            origin: id.clone(),
            tx_id: id,
            position: Position::new("vout:0"),
            maturity: 0,
            sighted_at,
            place: Some(if height <= TIP {
                in_block
            } else {
                Place::Mempool
            }),
            vetting: Some(Vetting {
                vetted_at: sighted_at,
                has_parents: false,
                fee_rate: 2_000,
                fee_rate_next: Some(1_000),
                has_conflict: false,
                missing_since: None,
            }),
            left: None,
            final_at: None,
        }
    };
    Ok((0..TRANSFERS).map(one).collect())
}
