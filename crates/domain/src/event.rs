//! Events: what a merchant is told, and when there is something to tell.

use crate::chain::ChainName;
use crate::fold::Folded;
use crate::id::OptionId;
use crate::limits;
use crate::status::Status;
use crate::sums::Sums;
use crate::time::UnixMillis;

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// The invoice was made; said once.
    Created,
    /// Money was seen in the mempool.
    Detected,
    /// Money stands in a block.
    Confirming,
    /// Enough is final.
    Paid,
    /// More than enough is final.
    Overpaid,
    /// Some, but not enough, is final.
    Underpaid,
    /// Nothing came in time.
    Expired,
    /// Enough is final, late money included.
    LatePaid,
    /// The same status or a fall from an unpaid one: sums changed, the window closed.
    Updated,
    /// A fall from a paid status.
    Reverted,
    /// The merchant canceled.
    Canceled,
    /// Everything final was sent back.
    Refunded,
    /// A person has to decide something about an invoice.
    ExceptionOpened,
    /// There is nothing to decide about it any more.
    ExceptionResolved,
    /// A webhook endpoint was switched off.
    EndpointDisabled,
    /// A merchant asked for a test.
    EndpointTest,
}

impl EventType {
    /// Every type.
    pub const ALL: [Self; 16] = [
        Self::Created,
        Self::Detected,
        Self::Confirming,
        Self::Paid,
        Self::Overpaid,
        Self::Underpaid,
        Self::Expired,
        Self::LatePaid,
        Self::Updated,
        Self::Reverted,
        Self::Canceled,
        Self::Refunded,
        Self::ExceptionOpened,
        Self::ExceptionResolved,
        Self::EndpointDisabled,
        Self::EndpointTest,
    ];

    /// The name in API and webhooks.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "invoice.created",
            Self::Detected => "invoice.detected",
            Self::Confirming => "invoice.confirming",
            Self::Paid => "invoice.paid",
            Self::Overpaid => "invoice.overpaid",
            Self::Underpaid => "invoice.underpaid",
            Self::Expired => "invoice.expired",
            Self::LatePaid => "invoice.late_paid",
            Self::Updated => "invoice.updated",
            Self::Reverted => "invoice.reverted",
            Self::Canceled => "invoice.canceled",
            Self::Refunded => "invoice.refunded",
            Self::ExceptionOpened => "exception.opened",
            Self::ExceptionResolved => "exception.resolved",
            Self::EndpointDisabled => "endpoint.disabled",
            Self::EndpointTest => "endpoint.test",
        }
    }

    /// The type with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    fn named(status: Status) -> Self {
        match status {
            Status::Refunded => Self::Refunded,
            Status::Canceled => Self::Canceled,
            Status::Overpaid => Self::Overpaid,
            Status::Paid => Self::Paid,
            Status::LatePaid => Self::LatePaid,
            Status::Confirming => Self::Confirming,
            Status::Detected => Self::Detected,
            Status::Underpaid => Self::Underpaid,
            Status::Expired => Self::Expired,
            Status::Created => Self::Created,
        }
    }
}

/// What set an event off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CauseKind {
    /// Blocks were connected.
    Block,
    /// The mempool changed.
    Mempool,
    /// Blocks were disconnected.
    Reorg,
    /// A time passed.
    Expiry,
    /// A request of the merchant.
    Api,
    /// A decision of an operator.
    Operator,
    /// A range was read again.
    Rescan,
}

impl CauseKind {
    /// The name in webhooks.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Mempool => "mempool",
            Self::Reorg => "reorg",
            Self::Expiry => "expiry",
            Self::Api => "api",
            Self::Operator => "operator",
            Self::Rescan => "rescan",
        }
    }
}

/// What set an event off, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// The chain, for what a chain caused.
    pub chain: Option<ChainName>,
    /// The height of the cursor afterwards, for what blocks caused.
    pub height: Option<u64>,
}

/// What was last said about an invoice: compared with the new fold, never shown.
///
/// Confirmation counts are not part of it, and neither is dust: they alone are no news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The status.
    pub status: Status,
    /// Whether the window is closed.
    pub closed: bool,
    /// Chains that keep the invoice from a conclusion.
    pub waiting_for: Vec<ChainName>,
    /// The sums of each option by time and certainty.
    pub options: Vec<(OptionId, Sums)>,
    /// How much of it the mempool alone made lately; no news by itself.
    pub pool: Option<PoolNews>,
}

/// How often the mempool alone made news of an invoice: a payment that is replaced again and again must
/// not become a flood of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolNews {
    /// When the first of them was told.
    pub since: UnixMillis,
    /// How many were told since.
    pub count: u32,
}

impl PoolNews {
    /// The count with one more told now, or until when that must wait.
    pub fn one_more(before: Option<Self>, now: UnixMillis) -> Result<Self, UnixMillis> {
        // A clock that was put back must not make them wait for as long as it jumped.
        let is_counted = |before: &Self| before.since <= now && now <= before.until();
        let Some(before) = before.filter(is_counted) else {
            return Ok(Self {
                since: now,
                count: 1,
            });
        };
        if limits::POOL_NEWS_MAX <= before.count {
            return Err(before.until());
        }
        Ok(Self {
            count: before.count.saturating_add(1),
            ..before
        })
    }

    fn until(self) -> UnixMillis {
        self.since.plus_ms(limits::POOL_NEWS_MS)
    }
}

impl Said {
    /// What this fold says.
    pub fn of(folded: &Folded) -> Self {
        Self {
            status: folded.status,
            closed: folded.closed,
            waiting_for: folded.waiting_for.clone(),
            options: folded
                .options
                .iter()
                .map(|option| (option.id, option.news))
                .collect(),
            pool: None,
        }
    }

    /// Whether both say the same of what is final.
    pub fn has_same_final(&self, other: &Self) -> bool {
        let last = |said: &Self| {
            let sums = said.options.iter();
            let sums = sums.map(|(id, sums)| (*id, sums.finalized, sums.late_finalized));
            sums.collect::<Vec<_>>()
        };
        last(self) == last(other)
    }

    /// Whether a merchant who knows one knows the other.
    fn is_same(&self, other: &Self) -> bool {
        self.status == other.status
            && self.closed == other.closed
            && self.waiting_for == other.waiting_for
            && self.options == other.options
    }

    /// The event that tells a merchant who knows `self` about `now`; `None` when nothing changed.
    pub fn news(&self, now: &Self) -> Option<EventType> {
        if self.is_same(now) {
            return None;
        }
        if self.status == now.status {
            return Some(EventType::Updated);
        }
        if is_reverted(self.status, now.status) {
            return Some(EventType::Reverted);
        }
        let fell = is_fall(self.status, now.status);
        Some(if fell {
            EventType::Updated
        } else {
            EventType::named(now.status)
        })
    }
}

/// Whether money that was final is not any more. The less final money of the paid statuses is later in
/// the table; refunding and canceling take nothing away.
fn is_reverted(before: Status, now: Status) -> bool {
    let taken = match now {
        Status::Refunded | Status::Canceled => false,
        Status::Overpaid
        | Status::Paid
        | Status::LatePaid
        | Status::Confirming
        | Status::Detected
        | Status::Underpaid
        | Status::Expired
        | Status::Created => true,
    };
    before.is_paid() && taken && before < now
}

/// Whether money that had come, and was not final, is gone again.
fn is_fall(before: Status, now: Status) -> bool {
    matches!(
        (before, now),
        (Status::Confirming, Status::Detected | Status::Created)
            | (
                Status::Detected | Status::Underpaid | Status::Expired,
                Status::Created
            )
    )
}
