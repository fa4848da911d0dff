//! Folding invoices again inside a transaction, and saying what changed.
//!
//! Every writer of an invoice comes through here: lock, load, fold, compare with what was last said,
//! record.

use std::collections::BTreeSet;

use paywatch_domain::{
    Await, ChainName, Dossier, Folded, Marks, UnixMillis, Views, Violation, fold,
};
use paywatch_store::invoices::{self, Loaded};
use paywatch_store::{
    InvoiceKey, MasterKey, StoreError, TransferKey, Tx, awaited, chains, transfers,
};

use crate::news::{self, News, Outcome};
use crate::pass::Pass;
use crate::quarantine;
use crate::seal;

/// What one invoice's fold leads to.
struct Review {
    awaits: Vec<Await>,
    /// Said to be final now, and never before.
    finalized: Vec<TransferKey>,
    news: Option<News>,
}

/// A loaded invoice whose seals fit, or why no claims are made about it.
pub(crate) fn trusted<'a>(
    loaded: &'a Loaded,
    master: &MasterKey,
) -> Result<&'a Dossier, Violation> {
    let dossier = loaded
        .dossier
        .as_ref()
        .map_err(|reason| Violation::Damaged(reason.clone()))?;
    if seal::holds(master, dossier, &loaded.seal, &loaded.option_seals) {
        Ok(dossier)
    } else {
        Err(Violation::Damaged("its seal does not fit".into()))
    }
}

/// A loaded invoice about which claims may be made.
pub(crate) fn claimable<'a>(
    loaded: &'a Loaded,
    master: &MasterKey,
) -> Result<&'a Dossier, Violation> {
    let dossier = trusted(loaded, master)?;
    match &dossier.quarantined {
        None => Ok(dossier),
        Some(reason) => Err(Violation::Quarantined(reason.to_string())),
    }
}

/// Folds an invoice as it stands.
pub(crate) fn folded(
    dossier: &Dossier,
    views: &Views,
    now: UnixMillis,
) -> Result<Folded, Violation> {
    fold(
        &dossier.terms,
        &dossier.transfers,
        &dossier.decisions,
        views,
        now,
    )
}

/// Locks, folds and records these invoices; answers how many events were said.
///
/// How far the chains were read is looked up behind the lock. The workers of several chains write one
/// invoice: what another one placed while this one waited stands in blocks that an earlier look at its
/// chain does not know.
///
/// A violated rule quarantines its own invoice and no other.
pub(crate) async fn refold(
    tx: &mut Tx,
    keys: &[InvoiceKey],
    pass: &mut Pass<'_>,
) -> Result<usize, StoreError> {
    if keys.is_empty() {
        return Ok(0);
    }
    invoices::lock(tx, keys).await?;
    let views = chains::views(tx).await?;
    let (mut awaits, mut news, mut violations) = (Vec::new(), Vec::new(), Vec::new());
    let mut finalized = Vec::new();
    for loaded in invoices::load(tx, keys).await? {
        match review(&loaded, &views, pass) {
            Ok(review) => {
                awaits.push((loaded.key, review.awaits));
                finalized.extend(review.finalized);
                news.extend(review.news);
            }
            Err(violation) => {
                tracing::error!(invoice = ?loaded.key, %violation, "invoice quarantined");
                awaits.push((loaded.key, Vec::new()));
                violations.push((loaded.key, violation.to_string()));
            }
        }
    }
    awaited::replace(tx, &awaits).await?;
    transfers::mark_final(tx, &finalized, pass.now).await?;
    let events = quarantine::begin(tx, &violations, pass).await?;
    Ok(events.saturating_add(news::record(tx, news, pass).await?))
}

/// Which waiting invoices a chain event makes due.
pub(crate) struct Due<'a> {
    pub(crate) chain: &'a ChainName,
    /// The height of the tip, when it changed.
    pub(crate) height: Option<u64>,
    /// The time up to which the chain is covered, when that changed.
    pub(crate) covered: Option<UnixMillis>,
    /// The marks of the chain, when they changed.
    pub(crate) marks: Marks,
}

/// Folds the invoices that were touched and then, in portions, those that are due. Folding takes an
/// invoice out of the due ones; one that stays due is not folded twice.
pub(crate) async fn refold_all(
    tx: &mut Tx,
    touched: BTreeSet<InvoiceKey>,
    due: &Due<'_>,
    pass: &mut Pass<'_>,
) -> Result<usize, StoreError> {
    let mut folded = touched;
    let mut portion: Vec<InvoiceKey> = folded.iter().copied().collect();
    let mut events = 0;
    loop {
        events += refold(tx, &portion, pass).await?;
        portion = awaited::due(tx, due.chain, due.height, due.covered, due.marks).await?;
        portion.retain(|invoice| folded.insert(*invoice));
        if portion.is_empty() {
            return Ok(events);
        }
    }
}

fn review(loaded: &Loaded, views: &Views, pass: &mut Pass<'_>) -> Result<Review, Violation> {
    let dossier = trusted(loaded, pass.master)?;
    if dossier.quarantined.is_some() {
        return Ok(Review {
            awaits: Vec::new(),
            finalized: Vec::new(),
            news: None,
        });
    }
    let mut folded = folded(dossier, views, pass.now)?;
    let facts = dossier.transfers.iter().zip(&folded.transfers);
    let finalized = facts
        .zip(&loaded.transfer_keys)
        .filter(|((transfer, view), _)| view.final_at.is_some() && transfer.final_at.is_none())
        .map(|(_, key)| *key);
    let finalized = finalized.collect();
    let news = match News::of(loaded, dossier, &folded, pass)? {
        Outcome::Nothing => None,
        Outcome::Held { until } => {
            let chain = pass.cause.chain.clone();
            folded
                .awaits
                .extend(chain.map(|chain| Await::Covered { chain, until }));
            None
        }
        Outcome::News(news) => Some(*news),
    };
    Ok(Review {
        awaits: folded.awaits,
        finalized,
        news,
    })
}
