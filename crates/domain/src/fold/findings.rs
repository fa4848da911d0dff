//! What the facts ask a person to decide.
//!
//! Each finding is about all the money of its kind, so a payer cannot make a flood of them. What can be
//! spent or sent back is told when it is final; what was settled is taken off.

use std::collections::BTreeMap;

use super::decisions::{Decided, sum};
use super::{OptionTally, TransferView};
use crate::amount::Amount;
use crate::chain::TxId;
use crate::exception::{ExceptionKind, Finding, Subject};
use crate::facts::{LeftReason, Role, Transfer};
use crate::id::OptionId;
use crate::limits;
use crate::status::Status;
use crate::sums::Certainty;
use crate::terms::{OptionTerms, Terms};
use crate::time::UnixMillis;
use crate::violation::Violation;

/// What the fold found out before.
pub(super) struct Found<'a> {
    pub(super) terms: &'a Terms,
    /// With their views, in the order of the facts.
    pub(super) transfers: &'a [(&'a Transfer, &'a TransferView)],
    pub(super) decided: &'a Decided<'a>,
    /// Enough is final at one of the options.
    pub(super) is_paid: bool,
    /// The option that leads, once money stands in a block.
    pub(super) lead: Option<OptionId>,
    pub(super) closed: bool,
    pub(super) now: UnixMillis,
}

/// Money of one option, dust apart.
type Money<'a> = Vec<(&'a Transfer, &'a TransferView)>;

/// The findings, by option, kind and address.
pub(super) fn find(found: &Found<'_>, tallies: &[OptionTally]) -> Result<Vec<Finding>, Violation> {
    let mut findings = Vec::new();
    for (option, tally) in found.terms.options.iter().zip(tallies) {
        let own = found.transfers.iter().copied();
        let own = own.filter(|(transfer, _)| transfer.option == option.id);
        let (strays, money): (Money<'_>, Money<'_>) = own
            .filter(|(transfer, _)| transfer.is_stray() || option.dust <= transfer.amount)
            .partition(|(transfer, _)| transfer.is_stray());
        let amounts = [
            (ExceptionKind::Underpaid, found.underpaid(tally)),
            (ExceptionKind::Overpaid, found.overpaid(option, tally)?),
            (ExceptionKind::Late, found.late(tally)),
            (ExceptionKind::AfterWindow, found.after_window(&money)?),
            (ExceptionKind::PaidAfterCancel, after_cancel(tally)?),
            (ExceptionKind::OtherOption, found.other_option(tally)),
            (
                ExceptionKind::Reverted,
                found.reverted(option, tally, &money)?,
            ),
            (ExceptionKind::DoubleSpent, found.double_spent(&money)?),
            (ExceptionKind::Stuck, found.stuck(tally)?),
        ];
        findings.extend(amounts.map(|(kind, amount)| Finding {
            kind,
            subject: Subject::Option(option.id),
            amount,
        }));
        let all = money.iter().chain(&strays).copied();
        findings.extend(beside(all, |transfer, view| {
            if view.stands {
                return uncounted(option, transfer);
            }
            // It is older than the invoice.
            (view.certainty != Certainty::Gone).then_some(ExceptionKind::Unattributed)
        })?);
    }
    for finding in &mut findings {
        finding.amount = found.decided.unsettled(finding)?;
    }
    findings.retain(|finding| !finding.amount.is_zero());
    Ok(findings)
}

impl Found<'_> {
    /// Nobody waits for money any more, whatever comes.
    fn is_withdrawn(&self) -> bool {
        self.decided.canceled || self.decided.refunded
    }

    /// Another option leads, so what is final at this one is as a whole the exception `other_option`.
    fn is_beside(&self, tally: &OptionTally) -> bool {
        !self.is_withdrawn() && self.lead.is_some_and(|lead| lead != tally.id)
    }

    /// What came late is the exception `late` instead.
    fn other_option(&self, tally: &OptionTally) -> Amount {
        if self.is_beside(tally) {
            tally.news.finalized
        } else {
            Amount::ZERO
        }
    }

    fn underpaid(&self, tally: &OptionTally) -> Amount {
        let is_short = tally.status == Status::Underpaid && !self.is_beside(tally);
        if self.closed && !self.is_paid && is_short {
            tally.news.finalized
        } else {
            Amount::ZERO
        }
    }

    /// What is above the amount due, or above what was sent back where everything was.
    fn overpaid(&self, option: &OptionTerms, tally: &OptionTally) -> Result<Amount, Violation> {
        if tally.status == Status::Overpaid && !self.is_beside(tally) {
            return Ok(tally.sums.finalized.saturating_sub(option.due));
        }
        if tally.status == Status::Refunded {
            let refunds = self.decided.refunds(option.id)?;
            return Ok(tally.news.all_finalized()?.saturating_sub(refunds));
        }
        Ok(Amount::ZERO)
    }

    fn late(&self, tally: &OptionTally) -> Amount {
        if self.is_withdrawn() {
            Amount::ZERO
        } else {
            tally.news.late_finalized
        }
    }

    fn after_window(&self, money: &Money<'_>) -> Result<Amount, Violation> {
        let late_until = self.terms.late_until;
        sum(money.iter().filter_map(|(transfer, view)| {
            let is_final = view.stands && view.certainty == Certainty::Final;
            let is_too_late = late_until < transfer.sighted_at;
            (transfer.is_payment() && is_final && is_too_late).then_some(transfer.amount)
        }))
    }

    /// Money that was final and is no more, unless enough is there without it.
    fn reverted(
        &self,
        option: &OptionTerms,
        tally: &OptionTally,
        money: &Money<'_>,
    ) -> Result<Amount, Violation> {
        let floor = self.decided.floor(option.id);
        let floor = floor.map_or(option.minimum, |floor| floor.min(option.minimum));
        let wanted = sum([floor, self.decided.refunds(option.id)?].into_iter())?;
        let is_paid_otherwise = self.is_paid && !tally.status.is_paid();
        if self.is_withdrawn() || is_paid_otherwise || wanted <= tally.sums.all_finalized()? {
            return Ok(Amount::ZERO);
        }
        sum(money.iter().filter_map(|(transfer, view)| {
            let is_lost = transfer.final_at.is_some() && view.certainty != Certainty::Final;
            is_lost.then_some(transfer.amount)
        }))
    }

    /// Where enough is final without it, nobody has to decide anything.
    fn double_spent(&self, money: &Money<'_>) -> Result<Amount, Violation> {
        if self.is_paid || self.is_withdrawn() {
            Ok(Amount::ZERO)
        } else {
            double_spent(money)
        }
    }

    fn stuck(&self, tally: &OptionTally) -> Result<Amount, Violation> {
        let is_pending = matches!(tally.status, Status::Confirming | Status::Detected);
        if is_pending
            && !self.is_paid
            && self.terms.expires_at.plus_ms(limits::STUCK_AFTER_MS) < self.now
        {
            sum([tally.news.seen, tally.news.confirming].into_iter())
        } else {
            Ok(Amount::ZERO)
        }
    }
}

fn after_cancel(tally: &OptionTally) -> Result<Amount, Violation> {
    if tally.status == Status::Canceled {
        tally.news.all_finalized()
    } else {
        Ok(Amount::ZERO)
    }
}

/// Transactions that spend the same money.
#[derive(Default)]
struct Rivals<'a> {
    /// What each of those pays that will not come.
    spent_elsewhere: BTreeMap<&'a TxId, Vec<Amount>>,
    /// What those pay that stand.
    standing: Vec<Amount>,
}

/// What unconfirmed payments would have paid whose money was spent elsewhere, less what that pays.
fn double_spent(money: &Money<'_>) -> Result<Amount, Violation> {
    let mut rivals: BTreeMap<&TxId, Rivals<'_>> = BTreeMap::new();
    for (transfer, view) in money {
        if !transfer.is_payment() {
            continue;
        }
        let group = rivals.entry(&transfer.origin).or_default();
        let is_lost = transfer.left.is_some_and(LeftReason::is_spent_elsewhere);
        if view.stands {
            group.standing.push(transfer.amount);
        } else if is_lost && transfer.final_at.is_none() {
            let payments = group.spent_elsewhere.entry(&transfer.tx_id);
            payments.or_default().push(transfer.amount);
        }
    }
    let mut lost = Vec::with_capacity(rivals.len());
    for group in rivals.values() {
        let mut most = Amount::ZERO;
        for amounts in group.spent_elsewhere.values() {
            most = most.max(sum(amounts.iter().copied())?);
        }
        lost.push(most.saturating_sub(sum(group.standing.iter().copied())?));
    }
    sum(lost.into_iter())
}

/// What money is that stands, for as long as the invoice has been there, and never counts.
fn uncounted(option: &OptionTerms, transfer: &Transfer) -> Option<ExceptionKind> {
    match transfer.role {
        Role::Payment if transfer.is_payment() => None,
        Role::Payment => Some(ExceptionKind::Unattributed),
        Role::Sibling { .. } => Some(ExceptionKind::Recoverable),
        Role::Stray { .. } if transfer.asset.chain() == option.asset.chain() => {
            Some(ExceptionKind::WrongAsset)
        }
        Role::Stray { .. } => Some(ExceptionKind::WrongChain),
    }
}

/// Money that never counts: one finding for each address and asset.
fn beside<'a>(
    money: impl Iterator<Item = (&'a Transfer, &'a TransferView)>,
    kind: impl Fn(&Transfer, &TransferView) -> Option<ExceptionKind>,
) -> Result<Vec<Finding>, Violation> {
    let mut amounts: BTreeMap<(ExceptionKind, Subject), Vec<Amount>> = BTreeMap::new();
    for (transfer, view) in money {
        if let Some(kind) = kind(transfer, view) {
            let subject = Subject::of(transfer);
            amounts
                .entry((kind, subject))
                .or_default()
                .push(transfer.amount);
        }
    }
    let findings = amounts.into_iter().map(|((kind, subject), amounts)| {
        let amount = sum(amounts.into_iter())?;
        Ok(Finding {
            kind,
            subject,
            amount,
        })
    });
    findings.collect()
}
