//! Notes and fulfilments: evidence that a merchant keeps with an invoice. They change nothing of what is said.

use std::sync::Arc;

use paywatch_domain::{Entropy, InvoiceId, OperatorFact, Record, RecordKind, UnixMillis, limits};
use paywatch_store::{Tx, audit, decisions, invoices};
use paywatch_wire::request::{AddFulfilment, AddNote};
use paywatch_wire::{Fulfilment, Note, json_text};

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::{Caller, Change, CommandError, CommandParts, Commands};

struct AddRecord {
    parts: Arc<CommandParts>,
    caller: Caller,
    id: InvoiceId,
    record: Record,
}

impl Effect for AddRecord {
    const NAME: &'static str = "add_record";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let found = invoices::find(tx, merchant, mode, self.id).await?;
        let key = found.ok_or_else(|| {
            let detail = format!("there is no invoice {}", self.id);
            CommandError::refused(404, "invoice_unknown", detail)
        })?;
        // So that two at once cannot both be the last that fits.
        invoices::lock(tx, &[key]).await?;
        let kind = self.record.kind.as_str();
        if limits::RECORDS_MAX <= decisions::count_of(tx, key, kind).await? {
            let most = limits::RECORDS_MAX;
            let detail = format!("at most {most} of the kind {kind} are kept with an invoice");
            return Err(CommandError::refused(409, "records_too_many", detail));
        }
        let fact = OperatorFact::Recorded(self.record.clone());
        decisions::insert(tx, key, &fact, &self.caller.actor).await?;
        let (action, body) = match self.record.kind {
            RecordKind::Note => ("invoice.note", json_text(&Note::from(&self.record))),
            RecordKind::Fulfilment => {
                ("invoice.fulfil", json_text(&Fulfilment::from(&self.record)))
            }
        };
        let change = Change {
            before: None,
            after: Some(body.clone()),
        };
        let entry = self.caller.did(action, &self.id, change, self.record.at);
        audit::append(tx, &self.parts.master, &entry).await?;
        Ok(Answer { status: 201, body })
    }
}

impl Commands {
    /// Puts a note on an invoice's record, whatever its status, also when no claims are made about it.
    pub async fn add_note(
        &self,
        caller: &Caller,
        id: InvoiceId,
        request: AddNote,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let record = request.into_record(&caller.actor, now);
        self.add_record(caller, id, record, idempotent, entropy)
            .await
    }

    /// Puts what was given for an invoice's money on its record. Whether it was paid is the merchant's to ask.
    pub async fn add_fulfilment(
        &self,
        caller: &Caller,
        id: InvoiceId,
        request: AddFulfilment,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let record = request.into_record(&caller.actor, now);
        self.add_record(caller, id, record, idempotent, entropy)
            .await
    }

    async fn add_record(
        &self,
        caller: &Caller,
        id: InvoiceId,
        record: Record,
        idempotent: Option<Idempotent>,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let now = record.at;
        let effect = AddRecord {
            parts: Arc::clone(&self.parts),
            caller: caller.clone(),
            id,
            record,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }
}
