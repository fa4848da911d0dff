//! Exceptions: what a person has to decide about an invoice.
//!
//! The fold finds them among the facts. What was found and is not kept yet is opened; what is kept as
//! open and not found any more has resolved itself. Nothing is deleted.

use crate::amount::Amount;
use crate::asset::AssetName;
use crate::facts::{Role, Transfer};
use crate::id::{ExceptionId, OptionId};
use crate::time::UnixMillis;

/// What there is to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExceptionKind {
    /// The window is closed, and what is final in time is less than the minimum. At stake is what came.
    Underpaid,
    /// More than the maximum is final. At stake is what is above the amount due.
    Overpaid,
    /// Money became final that came after expiry, within the late window.
    Late,
    /// Money became final that came after the late window. It does not count.
    AfterWindow,
    /// Money is final at a canceled invoice.
    PaidAfterCancel,
    /// Money is final at an option beside the one that leads. Sums never cross options, so it counts for
    /// nothing as long as the other one leads.
    OtherOption,
    /// Money went to another form of an option's key. It does not count; the merchant can spend it.
    Recoverable,
    /// Money of another asset of the same chain went to an option's address. It is never credited.
    WrongAsset,
    /// Money went to an option's address on another chain of its family. It is never credited.
    WrongChain,
    /// Money at an address of the invoice stands in a block from before the invoice, so it is nobody's; or
    /// the balance of an address differs, and nothing tells why.
    Unattributed,
    /// Money that was said to be final is final no more, and nothing has taken its place.
    Reverted,
    /// An unconfirmed payment will not come: another transaction spent its money, and pays less or nothing.
    DoubleSpent,
    /// Money that came in time is not final hours after expiry.
    Stuck,
    /// A rule that must hold of the invoice does not, so no claims are made about it. No fold finds this.
    Quarantined,
}

impl ExceptionKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Underpaid,
        Self::Overpaid,
        Self::Late,
        Self::AfterWindow,
        Self::PaidAfterCancel,
        Self::OtherOption,
        Self::Recoverable,
        Self::WrongAsset,
        Self::WrongChain,
        Self::Unattributed,
        Self::Reverted,
        Self::DoubleSpent,
        Self::Stuck,
        Self::Quarantined,
    ];

    /// The name in API, events and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Underpaid => "underpaid",
            Self::Overpaid => "overpaid",
            Self::Late => "late",
            Self::AfterWindow => "after_window",
            Self::PaidAfterCancel => "paid_after_cancel",
            Self::OtherOption => "other_option",
            Self::Recoverable => "recoverable",
            Self::WrongAsset => "wrong_asset",
            Self::WrongChain => "wrong_chain",
            Self::Unattributed => "unattributed",
            Self::Reverted => "reverted",
            Self::DoubleSpent => "double_spent",
            Self::Stuck => "stuck",
            Self::Quarantined => "quarantined",
        }
    }

    /// The kind with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What may be decided about it.
    ///
    /// Accepting makes an invoice count as paid, so there must be money that can count; sending back
    /// needs money that is the merchant's; everything may be let be.
    pub fn actions(self) -> &'static [Action] {
        use Action::{Accept, AcceptPartial, Ignore, Refund};
        match self {
            Self::Underpaid | Self::Late | Self::PaidAfterCancel | Self::OtherOption => {
                &[Accept, AcceptPartial, Refund, Ignore]
            }
            Self::Overpaid => &[Accept, Refund, Ignore],
            Self::AfterWindow
            | Self::Recoverable
            | Self::WrongAsset
            | Self::WrongChain
            | Self::Unattributed => &[Refund, Ignore],
            Self::Reverted | Self::DoubleSpent | Self::Stuck | Self::Quarantined => &[Ignore],
        }
    }

    /// Whether it is about money that is never part of what the invoice got.
    pub fn is_of_uncounted_money(self) -> bool {
        match self {
            Self::AfterWindow
            | Self::Recoverable
            | Self::WrongAsset
            | Self::WrongChain
            | Self::Unattributed => true,
            Self::Underpaid
            | Self::Overpaid
            | Self::Late
            | Self::PaidAfterCancel
            | Self::OtherOption
            | Self::Reverted
            | Self::DoubleSpent
            | Self::Stuck
            | Self::Quarantined => false,
        }
    }
}

/// What a person decides about an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// What is there is enough: the invoice counts as paid, and the merchant keeps what is above.
    Accept,
    /// The same for less than was due: the merchant takes the part, and bears the difference.
    AcceptPartial,
    /// It was sent back.
    Refund,
    /// Nothing is done about it, for the reason given.
    Ignore,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 4] = [
        Self::Accept,
        Self::AcceptPartial,
        Self::Refund,
        Self::Ignore,
    ];

    /// The name in API and database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::AcceptPartial => "accept_partial",
            Self::Refund => "refund",
            Self::Ignore => "ignore",
        }
    }

    /// The action with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// What an exception is about. However many transfers there are, there is one exception of a kind about
/// each of these: a payer must not be able to make a flood of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// One payment option, and the money at its own address.
    Option(OptionId),
    /// Another address of an option's key.
    Address {
        /// The option whose key it belongs to.
        option: OptionId,
        /// The form of the key, for example `p2tr`.
        form: Box<str>,
        /// The address that was paid.
        address: Box<str>,
    },
    /// An option's own address, and money there that is not the option's asset.
    Stray {
        /// The option whose address was paid.
        option: OptionId,
        /// What was paid, and on which chain.
        asset: AssetName,
    },
}

impl Subject {
    /// The option that it belongs to.
    pub fn option(&self) -> OptionId {
        match self {
            Self::Option(option) | Self::Address { option, .. } | Self::Stray { option, .. } => {
                *option
            }
        }
    }

    /// What money is about, by which of an option's keys it went to and what it is.
    pub fn of(transfer: &Transfer) -> Self {
        let option = transfer.option;
        match &transfer.role {
            Role::Payment => Self::Option(option),
            Role::Sibling { form, address } => Self::Address {
                option,
                form: form.clone(),
                address: address.clone(),
            },
            Role::Stray { .. } => Self::Stray {
                option,
                asset: transfer.asset.clone(),
            },
        }
    }
}

/// An exception that the facts call for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What there is to decide.
    pub kind: ExceptionKind,
    /// What it is about.
    pub subject: Subject,
    /// What is at stake, in atomic units of the subject's asset, which is the option's but for strays.
    pub amount: Amount,
}

impl Finding {
    /// Whether both are the same exception, whatever is at stake.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.subject == other.subject
    }
}

/// An exception that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Public id.
    pub id: ExceptionId,
    /// What it says, with the amount that was last told.
    pub finding: Finding,
    /// When it was told first.
    pub opened_at: UnixMillis,
    /// When it was told that nothing has to be decided any more; `None` while it is open.
    pub resolved_at: Option<UnixMillis>,
}

impl Exception {
    /// Whether somebody has to decide.
    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }
}

/// The exception about an invoice as a whole of which a rule does not hold. It is known without its
/// invoice, which may be unreadable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Public id.
    pub id: ExceptionId,
    /// The invoice's public id as it is stored.
    pub invoice_id: Box<str>,
    /// Which rule, in words.
    pub violation: Box<str>,
    /// When it was told first.
    pub opened_at: UnixMillis,
    /// When it was lifted; `None` while it is open.
    pub resolved_at: Option<UnixMillis>,
}

/// The difference between the exceptions that were told and those that a fold finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExceptionNews {
    /// Found and not open: to be opened.
    pub opened: Vec<Finding>,
    /// Open, with something else at stake than was told: the amount now.
    pub amended: Vec<(ExceptionId, Amount)>,
    /// Open and not found any more: resolved.
    pub resolved: Vec<ExceptionId>,
}

impl ExceptionNews {
    /// Compares what was told with what a fold finds. The order of both is kept.
    pub fn between(told: &[Exception], found: &[Finding]) -> Self {
        let mut news = Self::default();
        let open = || told.iter().filter(|exception| exception.is_open());
        for finding in found {
            match open().find(|exception| exception.finding.is_same(finding)) {
                None => news.opened.push(finding.clone()),
                Some(exception) if exception.finding.amount != finding.amount => {
                    news.amended.push((exception.id, finding.amount));
                }
                Some(_) => {}
            }
        }
        let gone = open().filter(|told| !found.iter().any(|found| found.is_same(&told.finding)));
        news.resolved = gone.map(|exception| exception.id).collect();
        news
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.amended.is_empty() && self.resolved.is_empty()
    }
}
