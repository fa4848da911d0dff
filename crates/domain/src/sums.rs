//! Sums of one option by time and certainty.

use crate::amount::Amount;
use crate::violation::Violation;

/// How certain a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// It stands nowhere now: evicted, replaced or reorganised away.
    Gone,
    /// In the mempool.
    Seen,
    /// In a block, not final.
    Confirming,
    /// Final by the option's policy.
    Final,
}

impl Certainty {
    /// Every certainty.
    pub const ALL: [Self; 4] = [Self::Gone, Self::Seen, Self::Confirming, Self::Final];

    /// The certainty with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|certainty| certainty.as_str() == text)
    }

    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Seen => "seen",
            Self::Confirming => "confirming",
            Self::Final => "final",
        }
    }
}

/// Sums of one option by time and certainty, in atomic units. The parts do not overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// In time, in the mempool.
    pub seen: Amount,
    /// In time, in blocks, not final.
    pub confirming: Amount,
    /// In time and final.
    pub finalized: Amount,
    /// Late, not final.
    pub late_pending: Amount,
    /// Late and final.
    pub late_finalized: Amount,
}

impl Sums {
    /// Adds a transfer to the part that it belongs to.
    pub(crate) fn add(
        &mut self,
        amount: Amount,
        certainty: Certainty,
        in_time: bool,
    ) -> Result<(), Violation> {
        let sum = match (in_time, certainty) {
            (_, Certainty::Gone) => return Ok(()),
            (true, Certainty::Seen) => &mut self.seen,
            (true, Certainty::Confirming) => &mut self.confirming,
            (true, Certainty::Final) => &mut self.finalized,
            (false, Certainty::Seen | Certainty::Confirming) => &mut self.late_pending,
            (false, Certainty::Final) => &mut self.late_finalized,
        };
        *sum = sum.checked_add(amount).ok_or(Violation::SumOverflow)?;
        Ok(())
    }

    /// Everything in time, whatever its certainty.
    pub fn in_time(&self) -> Result<Amount, Violation> {
        let pending = self.seen.checked_add(self.confirming);
        pending
            .and_then(|sum| sum.checked_add(self.finalized))
            .ok_or(Violation::SumOverflow)
    }

    /// Everything late, whatever its certainty.
    pub fn late(&self) -> Result<Amount, Violation> {
        self.late_pending
            .checked_add(self.late_finalized)
            .ok_or(Violation::SumOverflow)
    }

    /// Everything final, late money included.
    pub fn all_finalized(&self) -> Result<Amount, Violation> {
        self.finalized
            .checked_add(self.late_finalized)
            .ok_or(Violation::SumOverflow)
    }
}
