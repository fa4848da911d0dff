//! Quarantine: what is said about an invoice of which a rule does not hold.
//!
//! Its facts are not believed and may be unreadable. So both events, its beginning and its end, show the
//! invoice as its last event did, and claim nothing new about it.

use paywatch_domain::{EventId, EventType, ExceptionId, ExceptionKind};
use paywatch_store::events::{self, NewEvent};
use paywatch_store::quarantines::{self, Noted};
use paywatch_store::{InvoiceKey, StoreError, Tx};
use paywatch_wire::{EventHead, ExceptionForm, quarantine_event, told_invoice};

use crate::pass::Pass;

/// Stops claims about locked invoices and says so; answers how many events were said. Those that are
/// quarantined already stay so without a word.
pub(crate) async fn begin(
    tx: &mut Tx,
    violations: &[(InvoiceKey, String)],
    pass: &mut Pass<'_>,
) -> Result<usize, StoreError> {
    let begun = quarantines::begin(tx, violations).await?;
    if begun.is_empty() {
        return Ok(0);
    }
    let mut id = |invoice| (invoice, ExceptionId::from_bits(pass.ids.bits()));
    let opened: Vec<_> = begun.into_iter().map(&mut id).collect();
    quarantines::open(tx, &opened, pass.now).await?;
    for (invoice, id) in &opened {
        tell(tx, *invoice, *id, EventType::ExceptionOpened, pass).await?;
    }
    Ok(opened.len())
}

/// Lets claims be made about a locked invoice again, and says so. What has changed meanwhile is said by
/// the fold that follows.
pub(crate) async fn end(
    tx: &mut Tx,
    invoice: InvoiceKey,
    id: ExceptionId,
    pass: &mut Pass<'_>,
) -> Result<(), StoreError> {
    quarantines::end(tx, invoice, id, pass.now).await?;
    tell(tx, invoice, id, EventType::ExceptionResolved, pass).await
}

/// A quarantine as merchants see it; `None` when the exception is of another kind.
pub(crate) fn form(noted: &[Noted], id: ExceptionId) -> Option<ExceptionForm> {
    let noted = noted.iter().find(|noted| noted.quarantine.id == id)?;
    Some(ExceptionForm::quarantined(&noted.quarantine, &noted.notes))
}

async fn tell(
    tx: &mut Tx,
    invoice: InvoiceKey,
    id: ExceptionId,
    kind: EventType,
    pass: &mut Pass<'_>,
) -> Result<(), StoreError> {
    let noted = quarantines::list_of(tx, [id]).await?;
    let form = form(&noted, id)
        .ok_or_else(|| StoreError::Damaged(format!("exception {id} cannot be read")))?;
    let last = quarantines::last_told(tx, invoice).await?;
    let version = last.version.saturating_add(1);
    let mut told = last.body.as_deref().and_then(told_invoice);
    if let Some(told) = &mut told {
        let quarantined = ExceptionKind::Quarantined.as_str();
        told.exceptions.retain(|one| one.kind != quarantined);
        told.exceptions.push(form.clone());
        told.version = version;
    }
    let head = EventHead {
        id: EventId::from_bits(pass.ids.bits()),
        kind,
        at: pass.now,
        mode: last.mode,
    };
    let event = NewEvent {
        id: head.id,
        merchant: last.merchant,
        mode: last.mode,
        invoice: Some(invoice),
        version: Some(version),
        kind,
        body: quarantine_event(&head, &form, told.as_ref(), pass.cause),
        created_at: pass.now,
        only: None,
    };
    quarantines::number(tx, invoice, version).await?;
    events::append(tx, &[event], &mut || pass.ids.bits()).await
}
