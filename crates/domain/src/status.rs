//! The status of an option and of an invoice: one table, first matching line wins.

/// What an invoice is called to the merchant. In the order of the table: earlier wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Everything that was final was sent back.
    Refunded,
    /// Canceled; later money does not count.
    Canceled,
    /// More than the maximum is final in time.
    Overpaid,
    /// The minimum is final in time, or what was accepted as enough.
    Paid,
    /// The minimum is final, late money included.
    LatePaid,
    /// Some money in time stands in a block and is not final.
    Confirming,
    /// Some money in time is in the mempool only.
    Detected,
    /// Some money in time, all of it final, is less than the minimum.
    Underpaid,
    /// The window is closed and covered, and nothing came in time.
    Expired,
    /// Nothing yet.
    Created,
}

/// What a payer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CustomerStatus {
    /// Nothing was seen yet.
    Waiting,
    /// Something was seen, not yet in a block.
    Received,
    /// In blocks, not final.
    Confirming,
    /// Done.
    Complete,
    /// A part is there.
    PartiallyPaid,
    /// Too late to pay.
    Expired,
    /// Withdrawn by the merchant.
    Canceled,
    /// Sent back.
    Refunded,
    /// The merchant has to look at it.
    NeedsAttention,
}

/// What is final of the in-time money, against the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Less than the minimum.
    Under,
    /// Between minimum and maximum.
    Exact,
    /// Above the maximum.
    Over,
}

/// What is not final of the in-time money; dust alone does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing.
    None,
    /// Something, only in the mempool.
    Mempool,
    /// Something that stands in a block.
    Block,
}

/// What the status of an option depends on, and nothing else.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, enumerated in a test"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measures {
    /// Everything that was final was sent back.
    pub refunded: bool,
    /// A cancel fact without a later acceptance.
    pub canceled: bool,
    /// What a person accepted as enough is still final.
    pub accepted: bool,
    /// The final in-time sum.
    pub reached: Reached,
    /// The final sum with late money reaches the minimum.
    pub late_reached: bool,
    /// In-time money that is not final.
    pub pending: Pending,
    /// In-time money above dust was seen at all.
    pub received: bool,
    /// The window is closed and every chain of the invoice is covered up to its end.
    pub closed: bool,
}

impl Measures {
    /// The status by the table.
    pub fn status(self) -> Status {
        if self.refunded {
            return Status::Refunded;
        }
        if self.canceled {
            return Status::Canceled;
        }
        match (self.reached, self.late_reached, self.pending) {
            (Reached::Over, _, _) => Status::Overpaid,
            (Reached::Exact, _, _) => Status::Paid,
            (Reached::Under, _, _) if self.accepted => Status::Paid,
            (Reached::Under, true, _) => Status::LatePaid,
            (Reached::Under, false, Pending::Block) => Status::Confirming,
            (Reached::Under, false, Pending::Mempool) => Status::Detected,
            (Reached::Under, false, Pending::None) if self.received => Status::Underpaid,
            (Reached::Under, false, Pending::None) if self.closed => Status::Expired,
            (Reached::Under, false, Pending::None) => Status::Created,
        }
    }
}

impl Status {
    /// Every status, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Refunded,
        Self::Canceled,
        Self::Overpaid,
        Self::Paid,
        Self::LatePaid,
        Self::Confirming,
        Self::Detected,
        Self::Underpaid,
        Self::Expired,
        Self::Created,
    ];

    /// The name in API, events and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refunded => "refunded",
            Self::Canceled => "canceled",
            Self::Overpaid => "overpaid",
            Self::Paid => "paid",
            Self::LatePaid => "late_paid",
            Self::Confirming => "confirming",
            Self::Detected => "detected",
            Self::Underpaid => "underpaid",
            Self::Expired => "expired",
            Self::Created => "created",
        }
    }

    /// The status with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether the merchant was told that enough money is final.
    pub fn is_paid(self) -> bool {
        match self {
            Self::Overpaid | Self::Paid | Self::LatePaid => true,
            Self::Refunded
            | Self::Canceled
            | Self::Confirming
            | Self::Detected
            | Self::Underpaid
            | Self::Expired
            | Self::Created => false,
        }
    }

    /// Whether a merchant may cancel an invoice of this status.
    pub fn is_cancelable(self) -> bool {
        match self {
            Self::Created | Self::Detected | Self::Underpaid => true,
            Self::Refunded
            | Self::Canceled
            | Self::Overpaid
            | Self::Paid
            | Self::LatePaid
            | Self::Confirming
            | Self::Expired => false,
        }
    }

    /// Whether a payment before expiry is still asked for or under way.
    pub fn is_open(self) -> bool {
        match self {
            Self::Created | Self::Detected | Self::Confirming | Self::Underpaid => true,
            Self::Refunded
            | Self::Canceled
            | Self::Overpaid
            | Self::Paid
            | Self::LatePaid
            | Self::Expired => false,
        }
    }

    /// What the payer is told.
    pub fn customer(self) -> CustomerStatus {
        match self {
            Self::Refunded => CustomerStatus::Refunded,
            Self::Canceled => CustomerStatus::Canceled,
            Self::Overpaid | Self::Paid => CustomerStatus::Complete,
            Self::LatePaid => CustomerStatus::NeedsAttention,
            Self::Confirming => CustomerStatus::Confirming,
            Self::Detected => CustomerStatus::Received,
            Self::Underpaid => CustomerStatus::PartiallyPaid,
            Self::Expired => CustomerStatus::Expired,
            Self::Created => CustomerStatus::Waiting,
        }
    }
}

impl CustomerStatus {
    /// The name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Received => "received",
            Self::Confirming => "confirming",
            Self::Complete => "complete",
            Self::PartiallyPaid => "partially_paid",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
            Self::Refunded => "refunded",
            Self::NeedsAttention => "needs_attention",
        }
    }
}
