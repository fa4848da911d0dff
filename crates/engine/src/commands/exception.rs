//! Exceptions: listed, shown and decided.

use std::sync::Arc;

use paywatch_domain::{
    Action, Amount, Cause, CauseKind, Entropy, Exception, ExceptionId, ExceptionKind, OperatorFact,
    OptionTally, OptionTerms, Release, Settlement, Status, UnixMillis,
};
use paywatch_store::exceptions::{self, Filter};
use paywatch_store::invoices::{self, Loaded};
use paywatch_store::{
    Conn, Cursor, InvoiceKey, Listed, MasterKey, StoreError, Tx, audit, chains, decisions,
    quarantines,
};
use paywatch_wire::audit::state_text;
use paywatch_wire::request::ResolveException;
use paywatch_wire::{ExceptionForm, json_text};

use super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::invoice::{Standing, record_refund, refund_amount, tell, untrusted};
use super::{Caller, Change, CommandError, CommandParts, Commands};
use crate::ids::Ids;
use crate::pass::Pass;
use crate::quarantine;
use crate::refold::{claimable, folded, refold, trusted};

struct DecideException {
    parts: Arc<CommandParts>,
    caller: Caller,
    id: ExceptionId,
    request: ResolveException,
    now: UnixMillis,
    seed: [u8; 32],
}

impl Effect for DecideException {
    const NAME: &'static str = "resolve_exception";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let found = exceptions::find(tx, self.caller.merchant, self.caller.mode, self.id).await?;
        let (key, kind) = found.ok_or_else(|| {
            let detail = format!("there is no exception {}", self.id);
            CommandError::refused(404, "exception_unknown", detail)
        })?;
        let cause = Cause {
            kind: CauseKind::Operator,
            chain: None,
            height: None,
        };
        if kind == ExceptionKind::Quarantined {
            self.decide_quarantine(tx, key, &cause).await?;
        } else {
            let standing = Standing::lock(tx, &self.parts, key, self.now).await?;
            let facts = self.facts(&standing)?;
            for fact in &facts {
                decisions::insert(tx, key, fact, &self.caller.actor).await?;
            }
            tell(tx, &self.parts, &[key], &cause, self.now, self.seed).await?;
        }
        let shown = shown(tx, &self.parts.master, key, self.id).await?;
        let change = Change {
            before: Some(state_text("open")),
            after: Some(json_text(&shown)),
        };
        let action = match self.request.action {
            None => "exception.assign",
            Some(_) => "exception.resolve",
        };
        let entry = self.caller.did(action, &self.id, change, self.now);
        audit::append(tx, &self.parts.master, &entry).await?;
        Ok(Answer {
            status: 200,
            body: json_text(&shown),
        })
    }
}

impl DecideException {
    /// What this decision adds to the facts.
    fn facts(&self, standing: &Standing) -> Result<Vec<OperatorFact>, CommandError> {
        let (dossier, folded) = (&standing.dossier, &standing.folded);
        let mut told = dossier.exceptions.iter();
        let told = told.find(|one| one.id == self.id && one.is_open());
        let mut now = folded.exceptions.iter();
        let now = told.and_then(|told| now.find(|now| now.is_same(&told.finding)));
        let (Some(told), Some(now)) = (told, now) else {
            return Err(nothing_to_decide());
        };
        // Nobody decides about money that was not told yet.
        let at_stake = told.finding.amount.min(now.amount);
        let mut facts: Vec<OperatorFact> = self.assignment().into_iter().collect();
        if let Some(action) = self.request.action {
            self.decide(standing, told, (action, at_stake), &mut facts)?;
        }
        Ok(facts)
    }

    fn assignment(&self) -> Option<OperatorFact> {
        let owner = self.request.owner.as_deref()?;
        Some(OperatorFact::Assigned {
            at: self.now,
            exception: self.id,
            owner: owner.into(),
        })
    }

    /// Lifts a quarantine when the invoice can be folded again; naming who takes care needs no fold.
    async fn decide_quarantine(
        &self,
        tx: &mut Tx,
        key: InvoiceKey,
        cause: &Cause,
    ) -> Result<(), CommandError> {
        invoices::lock(tx, &[key]).await?;
        let noted = quarantines::list_of(tx, [self.id]).await?;
        if noted.iter().all(|one| one.quarantine.resolved_at.is_some()) {
            return Err(nothing_to_decide());
        }
        if let Some(fact) = self.assignment() {
            decisions::insert(tx, key, &fact, &self.caller.actor).await?;
        }
        let Some(action) = self.request.action else {
            return Ok(());
        };
        possible(ExceptionKind::Quarantined, action)?;
        let views = chains::views(tx).await?;
        let loaded = invoices::load(tx, &[key]).await?;
        for loaded in &loaded {
            let fold = trusted(loaded, &self.parts.master)
                .and_then(|dossier| folded(dossier, &views, self.now));
            fold.map_err(|violation| untrusted(&violation))?;
        }
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let release = OperatorFact::Released(Release {
            at: self.now,
            actor: self.caller.actor.as_str().into(),
            exception: self.id,
            reason: text(&self.request.reason),
            note: text(&self.request.note),
        });
        decisions::insert(tx, key, &release, &self.caller.actor).await?;
        let mut pass = Pass {
            master: &self.parts.master,
            now: self.now,
            cause,
            ids: &mut Ids::new(self.seed),
        };
        quarantine::end(tx, key, self.id, &mut pass).await?;
        refold(tx, &[key], &mut pass).await?;
        Ok(())
    }

    fn decide(
        &self,
        standing: &Standing,
        told: &Exception,
        (action, at_stake): (Action, Amount),
        facts: &mut Vec<OperatorFact>,
    ) -> Result<(), CommandError> {
        let kind = told.finding.kind;
        possible(kind, action)?;
        let (option, tally) = standing.option(told.finding.subject.option())?;
        let mut settled = at_stake;
        match action {
            Action::Accept | Action::AcceptPartial => {
                // Money beside what made the invoice paid is only kept.
                let is_beside = kind == ExceptionKind::OtherOption && standing.is_paid();
                if !is_beside {
                    facts.extend(self.acceptance(kind, action, option, tally)?);
                }
            }
            Action::Refund => {
                if let Some(text) = &self.request.amount {
                    let subject = &told.finding.subject;
                    let asset = standing.dossier.asset_of(subject);
                    let decimals = asset.map_or(option.decimals, |(_, decimals)| decimals);
                    let amount = refund_amount(decimals, text)?;
                    settled = amount.min(at_stake);
                    if at_stake < amount {
                        let detail = format!(
                            "{} is at stake; more than that cannot be sent back for it",
                            at_stake.decimal(decimals)
                        );
                        return Err(CommandError::refused(409, "refund_too_large", detail));
                    }
                }
                // Money that does not count is not part of what the invoice got.
                if !kind.is_of_uncounted_money() {
                    let (tx_id, note) = (self.request.tx_id.clone(), self.request.note.as_deref());
                    let actor = &self.caller.actor;
                    let refund = record_refund(standing, option, settled, tx_id, note, actor)?;
                    facts.push(OperatorFact::Refunded(refund));
                }
            }
            Action::Ignore => {}
        }
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        facts.push(OperatorFact::Settled(Settlement {
            at: self.now,
            actor: self.caller.actor.as_str().into(),
            exception: self.id,
            kind,
            subject: told.finding.subject.clone(),
            amount: settled,
            action,
            reason: text(&self.request.reason),
            note: text(&self.request.note),
            tx_id: self.request.tx_id.clone(),
        }));
        Ok(())
    }

    /// What is final is enough from now on; nothing where it is already.
    fn acceptance(
        &self,
        kind: ExceptionKind,
        action: Action,
        option: &OptionTerms,
        tally: &OptionTally,
    ) -> Result<Option<OperatorFact>, CommandError> {
        let is_paid = matches!(tally.status, Status::Paid | Status::Overpaid);
        if kind == ExceptionKind::Overpaid || is_paid {
            return Ok(None);
        }
        let floor = tally.sums.all_finalized();
        let floor = floor.map_err(|violation| untrusted(&violation))?;
        if floor.is_zero() {
            let detail = "nothing is final at this option, so there is nothing to accept";
            return Err(CommandError::refused(409, "nothing_final", detail));
        }
        if action == Action::AcceptPartial && option.minimum <= floor {
            let detail = "what is final is not less than what is wanted; resolve it by accept";
            return Err(CommandError::refused(409, "action_not_possible", detail));
        }
        Ok(Some(OperatorFact::Accepted {
            at: self.now,
            option: option.id,
            floor,
        }))
    }
}

fn nothing_to_decide() -> CommandError {
    let detail = "nothing has to be decided about it any more";
    CommandError::refused(409, "exception_resolved", detail)
}

/// Refuses an action that does not fit a kind.
fn possible(kind: ExceptionKind, action: Action) -> Result<(), CommandError> {
    if kind.actions().contains(&action) {
        return Ok(());
    }
    let possible: Vec<&str> = kind.actions().iter().map(|one| one.as_str()).collect();
    let detail = format!(
        "an exception of the kind {} cannot be resolved by {}; possible: {}",
        kind.as_str(),
        action.as_str(),
        possible.join(", ")
    );
    Err(CommandError::refused(409, "action_not_possible", detail))
}

/// An exception as it is stored now. One of an invoice about which no claims are made is refused, unless it
/// says just that.
async fn shown(
    conn: &mut Conn,
    master: &MasterKey,
    key: InvoiceKey,
    id: ExceptionId,
) -> Result<ExceptionForm, CommandError> {
    let noted = quarantines::list_of(conn, [id]).await?;
    if let Some(form) = quarantine::form(&noted, id) {
        return Ok(form);
    }
    let loaded = invoices::load(conn, &[key]).await?;
    let loaded = loaded.first().ok_or_else(|| unreadable(id))?;
    form(loaded, master, id)
}

/// An exception of an invoice, if anything may be claimed about it.
fn form(
    loaded: &Loaded,
    master: &MasterKey,
    id: ExceptionId,
) -> Result<ExceptionForm, CommandError> {
    let dossier = claimable(loaded, master).map_err(|violation| untrusted(&violation))?;
    let mut exceptions = dossier.exceptions.iter();
    let exception = exceptions.find(|one| one.id == id);
    let exception = exception.ok_or_else(|| unreadable(id))?;
    ExceptionForm::render(dossier, exception).map_err(|violation| untrusted(&violation))
}

fn unreadable(id: ExceptionId) -> CommandError {
    CommandError::Store(StoreError::Damaged(format!(
        "exception {id} cannot be read"
    )))
}

impl Commands {
    /// A page of exceptions, newest first. Of invoices about which no claims are made only that is shown.
    pub async fn exceptions(
        &self,
        caller: &Caller,
        filter: Filter,
        cursor: &Cursor<ExceptionId>,
        limit: u32,
    ) -> Result<Listed<ExceptionForm>, CommandError> {
        let mut conn = self.parts.store.snapshot().await?;
        let scope = (caller.merchant, caller.mode);
        let page = exceptions::page(&mut conn, scope, filter, cursor, limit).await?;
        let mut keys: Vec<InvoiceKey> = page.rows.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        let loaded = invoices::load(&mut conn, &keys).await?;
        let ids = page.rows.iter().map(|(_, id)| *id);
        let noted = quarantines::list_of(&mut conn, ids).await?;
        let rows = page.rows.iter().filter_map(|(key, id)| {
            if let Some(form) = quarantine::form(&noted, *id) {
                return Some(form);
            }
            let one = loaded.iter().find(|one| one.key == *key)?;
            form(one, &self.parts.master, *id)
                .inspect_err(|reason| {
                    tracing::error!(exception = %id, %reason, "left out of a list");
                })
                .ok()
        });
        Ok(Listed {
            rows: rows.collect(),
            has_more: page.has_more,
        })
    }

    /// One exception; `None` when the caller has none of this id.
    ///
    /// # Errors
    ///
    /// `invoice_quarantined` when no claims are made about its invoice and it is about something else.
    pub async fn exception(
        &self,
        caller: &Caller,
        id: ExceptionId,
    ) -> Result<Option<ExceptionForm>, CommandError> {
        let mut conn = self.parts.store.snapshot().await?;
        let found = exceptions::find(&mut conn, caller.merchant, caller.mode, id).await?;
        let Some((key, _)) = found else {
            return Ok(None);
        };
        let shown = shown(&mut conn, &self.parts.master, key, id).await?;
        Ok(Some(shown))
    }

    /// Decides about an exception, or says who takes care of it.
    pub async fn resolve_exception(
        &self,
        caller: &Caller,
        id: ExceptionId,
        request: ResolveException,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let effect = DecideException {
            parts: Arc::clone(&self.parts),
            caller: caller.clone(),
            id,
            request,
            now,
            seed,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }
}
