//! Refunds: money that was sent back, recorded as a fact.

use std::sync::Arc;

use paywatch_domain::{
    Action, Amount, Cause, CauseKind, Dossier, Entropy, ExceptionKind, Folded, InvoiceId,
    OperatorFact, OptionId, OptionTally, OptionTerms, Refund, Settlement, Sums, TxId, UnixMillis,
    refunds,
};
use paywatch_store::{InvoiceKey, Tx, audit, chains, decisions, invoices};
use paywatch_wire::json_text;
use paywatch_wire::request::RecordRefund;

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::{Caller, Change, CommandError, CommandParts, Commands};
use super::{read, tell, untrusted};
use crate::refold::{claimable, folded};

/// A locked invoice as it stands.
pub(in super::super) struct Standing {
    pub(in super::super) dossier: Dossier,
    pub(in super::super) folded: Folded,
    now: UnixMillis,
}

impl Standing {
    /// Locks an invoice and folds it.
    pub(in super::super) async fn lock(
        tx: &mut Tx,
        parts: &CommandParts,
        key: InvoiceKey,
        now: UnixMillis,
    ) -> Result<Self, CommandError> {
        invoices::lock(tx, &[key]).await?;
        let views = chains::views(tx).await?;
        let loaded = invoices::load(tx, &[key]).await?.pop();
        let loaded = loaded.ok_or_else(|| {
            CommandError::refused(404, "invoice_unknown", "there is no such invoice")
        })?;
        let claim = claimable(&loaded, &parts.master)
            .and_then(|dossier| Ok((dossier.clone(), folded(dossier, &views, now)?)));
        let (dossier, folded) = claim.map_err(|violation| untrusted(&violation))?;
        Ok(Self {
            dossier,
            folded,
            now,
        })
    }

    /// An option with its sums.
    pub(in super::super) fn option(
        &self,
        id: OptionId,
    ) -> Result<(&OptionTerms, &OptionTally), CommandError> {
        let terms = self.dossier.terms.options.iter().zip(&self.folded.options);
        let mut own = terms.filter(|(option, _)| option.id == id);
        own.next().ok_or_else(|| {
            CommandError::field(
                "/option_id",
                "option_unknown",
                "it is no option of the invoice",
            )
        })
    }

    /// Whether enough is final, or was accepted, at one of the options.
    pub(in super::super) fn is_paid(&self) -> bool {
        self.folded.status.is_paid()
    }

    /// What of these sums is final at an option and was not sent back.
    fn left(&self, id: OptionId, sums: &Sums) -> Result<Amount, CommandError> {
        let left = sums.all_finalized().and_then(|all| {
            let refunds = refunds(&self.dossier.decisions, id)?;
            Ok(all.saturating_sub(refunds))
        });
        left.map_err(|violation| untrusted(&violation))
    }
}

/// An amount that was sent back, in the unit of an asset with so many decimals.
pub(in super::super) fn refund_amount(decimals: u8, text: &str) -> Result<Amount, CommandError> {
    let amount = Amount::parse(text, decimals)
        .map_err(|error| CommandError::field("/amount", "amount_invalid", error.to_string()))?;
    if amount.is_zero() {
        return Err(CommandError::field(
            "/amount",
            "amount_zero",
            "nothing was sent back",
        ));
    }
    Ok(amount)
}

/// The fact that an option's money was sent back.
///
/// # Errors
/// Refused when it is more than what is final and was not sent back before.
pub(in super::super) fn record_refund(
    standing: &Standing,
    option: &OptionTerms,
    amount: Amount,
    tx_id: Option<TxId>,
    note: Option<&str>,
    actor: &str,
) -> Result<Refund, CommandError> {
    let mut rest = Amount::ZERO;
    for tally in &standing.folded.options {
        // A stranger's dust keeps no invoice from being refunded.
        let wanted_back = standing.left(tally.id, &tally.news)?;
        if tally.id != option.id {
            rest = rest.max(wanted_back);
            continue;
        }
        let left = standing.left(tally.id, &tally.sums)?;
        if left < amount {
            let detail = format!(
                "{} {} is final and was not sent back; a refund cannot be above that",
                left.decimal(option.decimals),
                option.asset.symbol()
            );
            return Err(CommandError::refused(409, "refund_above_final", detail));
        }
        rest = rest.max(wanted_back.saturating_sub(amount));
    }
    Ok(Refund {
        at: standing.now,
        actor: actor.into(),
        option: option.id,
        amount,
        tx_id,
        note: note.unwrap_or_default().into(),
        is_everything: rest.is_zero(),
    })
}

struct AddRefund {
    parts: Arc<CommandParts>,
    caller: Caller,
    id: InvoiceId,
    request: RecordRefund,
    now: UnixMillis,
    seed: [u8; 32],
}

impl Effect for AddRefund {
    const NAME: &'static str = "record_refund";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let (merchant, mode) = (self.caller.merchant, self.caller.mode);
        let found = invoices::find(tx, merchant, mode, self.id).await?;
        let key = found.ok_or_else(|| {
            let detail = format!("there is no invoice {}", self.id);
            CommandError::refused(404, "invoice_unknown", detail)
        })?;
        let standing = Standing::lock(tx, &self.parts, key, self.now).await?;
        let option = self.option(&standing)?;
        let amount = refund_amount(option.decimals, &self.request.amount)?;
        let (tx_id, note) = (self.request.tx_id.clone(), self.request.note.as_deref());
        let actor = &self.caller.actor;
        let refund = record_refund(&standing, option, amount, tx_id, note, actor)?;
        let facts = self.settle(&standing, &refund);
        let before = standing.folded.status;
        for fact in std::iter::once(OperatorFact::Refunded(refund)).chain(facts) {
            decisions::insert(tx, key, &fact, &self.caller.actor).await?;
        }
        let cause = Cause {
            kind: CauseKind::Operator,
            chain: None,
            height: None,
        };
        tell(tx, &self.parts, &[key], &cause, self.now, self.seed).await?;
        let shown = read::show_one(tx, &self.parts, key, self.now).await?;
        let change = Change {
            before: Some(paywatch_wire::audit::state_text(before.as_str())),
            after: Some(json_text(&shown.refunds)),
        };
        let entry = self
            .caller
            .did("invoice.refund", &self.id, change, self.now);
        audit::append(tx, &self.parts.master, &entry).await?;
        Ok(Answer {
            status: 201,
            body: json_text(&shown),
        })
    }
}

impl AddRefund {
    /// The option whose money was sent back: the one that is named, or the only one with money.
    fn option<'a>(&self, standing: &'a Standing) -> Result<&'a OptionTerms, CommandError> {
        if let Some(id) = self.request.option {
            return Ok(standing.option(id)?.0);
        }
        let mut with_money = Vec::new();
        for tally in &standing.folded.options {
            if !standing.left(tally.id, &tally.sums)?.is_zero() {
                with_money.push(tally.id);
            }
        }
        match with_money.as_slice() {
            [only] => Ok(standing.option(*only)?.0),
            [] => {
                let detail =
                    "nothing is final that was not sent back; a refund cannot be above that";
                Err(CommandError::refused(409, "refund_above_final", detail))
            }
            _ => {
                let detail = "several options have money; name the one whose money was sent back";
                Err(CommandError::field("/option_id", "required", detail))
            }
        }
    }

    /// A refund settles the open exceptions about the same money, the oldest first, as far as it goes.
    fn settle(&self, standing: &Standing, refund: &Refund) -> Vec<OperatorFact> {
        let mut left = refund.amount;
        let open = standing.dossier.exceptions.iter().filter(|exception| {
            let finding = &exception.finding;
            let is_counted = match finding.kind {
                ExceptionKind::Underpaid
                | ExceptionKind::Overpaid
                | ExceptionKind::Late
                | ExceptionKind::OtherOption
                | ExceptionKind::PaidAfterCancel => true,
                ExceptionKind::AfterWindow
                | ExceptionKind::Recoverable
                | ExceptionKind::WrongAsset
                | ExceptionKind::WrongChain
                | ExceptionKind::Unattributed
                | ExceptionKind::Reverted
                | ExceptionKind::DoubleSpent
                | ExceptionKind::Stuck
                | ExceptionKind::Quarantined => false,
            };
            exception.is_open() && is_counted && finding.subject.option() == refund.option
        });
        let mut facts = Vec::new();
        for exception in open {
            let amount = left.min(exception.finding.amount);
            if amount.is_zero() {
                break;
            }
            left = left.saturating_sub(amount);
            facts.push(OperatorFact::Settled(Settlement {
                at: self.now,
                actor: self.caller.actor.as_str().into(),
                exception: exception.id,
                kind: exception.finding.kind,
                subject: exception.finding.subject.clone(),
                amount,
                action: Action::Refund,
                reason: "".into(),
                note: refund.note.clone(),
                tx_id: refund.tx_id.clone(),
            }));
        }
        facts
    }
}

impl Commands {
    /// Records money that was sent back. When nothing final is left, the invoice is refunded.
    pub async fn record_refund(
        &self,
        caller: &Caller,
        id: InvoiceId,
        request: RecordRefund,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let effect = AddRefund {
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
