//! Folding invoices again inside a transaction, and saying what changed.
//!
//! Every writer of an invoice comes through here: lock, load, fold, compare with what was last said,
//! record. One event a change, numbered without gaps.

use std::collections::BTreeSet;

use paywatch_domain::{
    Await, Cause, ChainName, Dossier, EventId, Folded, Said, UnixMillis, Views, Violation, fold,
};
use paywatch_store::events::{self, NewEvent};
use paywatch_store::invoices::{self, Loaded, Spoken};
use paywatch_store::{InvoiceKey, MasterKey, StoreError, Tx, awaited};
use paywatch_wire::{EventHead, Invoice, invoice_event};

use crate::ids::Ids;
use crate::seal;

/// What all invoices of one pass share.
pub(crate) struct Pass<'a> {
    /// Checks seals.
    pub(crate) master: &'a MasterKey,
    /// How far each chain was read, as the transaction sees it.
    pub(crate) views: &'a Views,
    /// The time of the pass.
    pub(crate) now: UnixMillis,
    /// What set the pass off.
    pub(crate) cause: &'a Cause,
    /// Where new ids come from.
    pub(crate) ids: &'a mut Ids,
}

/// What one invoice's fold leads to.
struct Review {
    awaits: Vec<Await>,
    news: Option<(Said, NewEvent)>,
}

/// A loaded invoice whose seals fit, or why no claims are made about it.
fn trusted<'a>(loaded: &'a Loaded, master: &MasterKey) -> Result<&'a Dossier, Violation> {
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
    let (mut awaits, mut told, mut news) = (Vec::new(), Vec::new(), Vec::new());
    let mut quarantined = Vec::new();
    for loaded in invoices::load(tx, keys).await? {
        match review(&loaded, pass) {
            Ok(review) => {
                awaits.push((loaded.key, review.awaits));
                let (said, event) = review.news.unzip();
                told.extend(said.map(|said| (loaded.key, said)));
                news.extend(event);
            }
            Err(violation) => {
                tracing::error!(invoice = ?loaded.key, %violation, "invoice quarantined");
                awaits.push((loaded.key, Vec::new()));
                quarantined.push((loaded.key, violation.to_string()));
            }
        }
    }
    awaited::replace(tx, &awaits).await?;
    if !quarantined.is_empty() {
        invoices::quarantine(tx, &quarantined).await?;
    }
    if !news.is_empty() {
        let spoken: Vec<Spoken<'_>> = told
            .iter()
            .zip(&news)
            .map(|((invoice, said), event)| Spoken {
                invoice: *invoice,
                said,
                version: event.version.unwrap_or_default(),
            })
            .collect();
        invoices::record(tx, &spoken).await?;
        events::append(tx, &news, &mut || pass.ids.bits()).await?;
    }
    Ok(news.len())
}

/// Which waiting invoices a chain event makes due.
pub(crate) struct Due<'a> {
    pub(crate) chain: &'a ChainName,
    /// The height of the tip, when it changed.
    pub(crate) height: Option<u64>,
    /// The time up to which the chain is covered, when that changed.
    pub(crate) covered: Option<UnixMillis>,
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
        portion = awaited::due(tx, due.chain, due.height, due.covered).await?;
        portion.retain(|invoice| folded.insert(*invoice));
        if portion.is_empty() {
            return Ok(events);
        }
    }
}

fn review(loaded: &Loaded, pass: &mut Pass<'_>) -> Result<Review, Violation> {
    let dossier = trusted(loaded, pass.master)?;
    if dossier.quarantined.is_some() {
        return Ok(Review {
            awaits: Vec::new(),
            news: None,
        });
    }
    let folded = folded(dossier, pass.views, pass.now)?;
    let said = Said::of(&folded);
    let kind = match &dossier.said {
        None => Some(paywatch_domain::EventType::Created),
        Some(before) => before.news(&said),
    };
    let news = kind.map(|kind| {
        let version = dossier.version.saturating_add(1);
        let head = EventHead {
            id: EventId::from_bits(pass.ids.bits()),
            kind,
            at: pass.now,
            mode: dossier.mode,
        };
        let invoice = Invoice::render(dossier, &folded, version)?;
        let previous = dossier.said.as_ref().map(|said| said.status);
        let event = NewEvent {
            id: head.id,
            merchant: loaded.merchant,
            mode: dossier.mode,
            invoice: Some(loaded.key),
            version: Some(version),
            kind,
            body: invoice_event(&head, &invoice, previous, pass.cause),
            created_at: pass.now,
            only: None,
        };
        Ok((said, event))
    });
    Ok(Review {
        awaits: folded.awaits,
        news: news.transpose()?,
    })
}
