//! What people decided, in the order in which they decided it.

use crate::amount::Amount;
use crate::exception::Finding;
use crate::facts::OperatorFact;
use crate::id::OptionId;
use crate::violation::Violation;

/// Decisions as the fold reads them.
pub(super) struct Decided<'a> {
    facts: &'a [OperatorFact],
    /// Canceled, and not accepted afterwards.
    pub(super) canceled: bool,
    /// Everything that was final then was sent back.
    pub(super) refunded: bool,
}

impl<'a> Decided<'a> {
    pub(super) fn read(facts: &'a [OperatorFact]) -> Self {
        let (mut canceled, mut refunded) = (false, false);
        for fact in facts {
            match fact {
                OperatorFact::Canceled { .. } => canceled = true,
                OperatorFact::Accepted { .. } => canceled = false,
                OperatorFact::Refunded(refund) => refunded |= refund.is_everything,
                OperatorFact::Settled(_)
                | OperatorFact::Assigned { .. }
                | OperatorFact::Released(_)
                | OperatorFact::Recorded(_) => {}
            }
        }
        Self {
            facts,
            canceled,
            refunded,
        }
    }

    /// The least that was accepted as enough at an option.
    pub(super) fn floor(&self, option: OptionId) -> Option<Amount> {
        let floors = self.facts.iter().filter_map(|fact| match fact {
            OperatorFact::Accepted {
                option: accepted,
                floor,
                ..
            } if *accepted == option => Some(*floor),
            OperatorFact::Accepted { .. }
            | OperatorFact::Canceled { .. }
            | OperatorFact::Refunded(_)
            | OperatorFact::Settled(_)
            | OperatorFact::Assigned { .. }
            | OperatorFact::Released(_)
            | OperatorFact::Recorded(_) => None,
        });
        floors.filter(|floor| !floor.is_zero()).min()
    }

    /// What was sent back of an option's money.
    pub(super) fn refunds(&self, option: OptionId) -> Result<Amount, Violation> {
        refunds(self.facts, option)
    }

    /// What is left to decide of a finding, after what was settled.
    pub(super) fn unsettled(&self, finding: &Finding) -> Result<Amount, Violation> {
        let settled = self.facts.iter().filter_map(|fact| match fact {
            OperatorFact::Settled(settled)
                if settled.kind == finding.kind && settled.subject == finding.subject =>
            {
                Some(settled.amount)
            }
            OperatorFact::Settled(_)
            | OperatorFact::Accepted { .. }
            | OperatorFact::Canceled { .. }
            | OperatorFact::Refunded(_)
            | OperatorFact::Assigned { .. }
            | OperatorFact::Released(_)
            | OperatorFact::Recorded(_) => None,
        });
        Ok(finding.amount.saturating_sub(sum(settled)?))
    }
}

/// What was sent back of an option's money, by these facts.
pub fn refunds(facts: &[OperatorFact], option: OptionId) -> Result<Amount, Violation> {
    sum(facts.iter().filter_map(|fact| match fact {
        OperatorFact::Refunded(refund) if refund.option == option => Some(refund.amount),
        OperatorFact::Refunded(_)
        | OperatorFact::Accepted { .. }
        | OperatorFact::Canceled { .. }
        | OperatorFact::Settled(_)
        | OperatorFact::Assigned { .. }
        | OperatorFact::Released(_)
        | OperatorFact::Recorded(_) => None,
    }))
}

/// Adds amounts up.
pub(super) fn sum(mut amounts: impl Iterator<Item = Amount>) -> Result<Amount, Violation> {
    let sum = amounts.try_fold(Amount::ZERO, Amount::checked_add);
    sum.ok_or(Violation::SumOverflow)
}
