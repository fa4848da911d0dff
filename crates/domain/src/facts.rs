//! Facts about an invoice: what was seen on chain, what people decided, how far chains were read.

use std::collections::BTreeMap;

use crate::amount::Amount;
use crate::asset::AssetName;
use crate::chain::{BlockRef, ChainName, Position, TxId};
use crate::exception::{Action, ExceptionKind, Subject};
use crate::id::{ExceptionId, OptionId, TransferId};
use crate::mark::Marks;
use crate::time::UnixMillis;

/// Where a transfer stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the node's mempool.
    Mempool,
    /// In this block of the chain.
    Block(BlockRef),
}

/// Why a transfer left a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftReason {
    /// It moved from the mempool into a block.
    Mined,
    /// Another transaction spends the same money and took its place.
    Replaced,
    /// The node has forgotten it.
    Evicted,
    /// A block holds a transaction that spends the same money.
    Conflicted,
    /// The block is no longer part of the chain.
    Reorged,
}

impl LeftReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Mined,
        Self::Replaced,
        Self::Evicted,
        Self::Conflicted,
        Self::Reorged,
    ];

    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mined => "mined",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
            Self::Conflicted => "conflicted",
            Self::Reorged => "reorged",
        }
    }

    /// The reason with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// Whether another transaction has spent the money.
    pub fn is_spent_elsewhere(self) -> bool {
        match self {
            Self::Replaced | Self::Conflicted => true,
            Self::Mined | Self::Evicted | Self::Reorged => false,
        }
    }
}

/// What a transfer is to the option that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A payment to the option's own address.
    Payment,
    /// Money that went to another form of the same key's address. It is never credited; whoever has
    /// the key can spend it.
    Sibling {
        /// The form, for example `p2tr`.
        form: Box<str>,
        /// The address that was paid.
        address: Box<str>,
    },
    /// Another asset than the option's at its own address: another one of its chain, or one of another
    /// chain that has the same addresses. It is never credited.
    Stray {
        /// Digits after the point of what was paid, as configured when it was seen.
        decimals: u8,
    },
}

/// A transfer with its sighting and its open placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Public id.
    pub id: TransferId,
    /// The option whose key was paid.
    pub option: OptionId,
    /// Whether it pays the option, or what it is instead.
    pub role: Role,
    /// What was paid.
    pub asset: AssetName,
    /// How much.
    pub amount: Amount,
    /// The transaction.
    pub tx_id: TxId,
    /// Where in the transaction.
    pub position: Position,
    /// Blocks, its own included, that the chain itself demands before the amount can be spent; 0 for
    /// none. A Bitcoin block's own reward needs 100.
    pub maturity: u32,
    /// When it was first seen; stored once, survives reorganisations and rescans.
    pub sighted_at: UnixMillis,
    /// Where it stands; `None` when it was evicted, replaced or reorganised away.
    pub place: Option<Place>,
    /// What the node said of its transaction before it had a block; `None` where it said nothing.
    pub vetting: Option<Vetting>,
    /// Why it left its last place; `None` while it stands somewhere.
    pub left: Option<LeftReason>,
    /// The first transaction that was seen to spend the same money, which may be its own: those that
    /// replace each other share it.
    pub origin: TxId,
    /// When it was first said to be final; stored once, and kept when it is final no more.
    pub final_at: Option<UnixMillis>,
}

impl Transfer {
    /// Whether it is another asset than the option's. There are never many of them.
    pub fn is_stray(&self) -> bool {
        matches!(self.role, Role::Stray { .. })
    }

    /// Whether it pays its option: money of its own asset at its own address, of which somebody knows that
    /// it came.
    pub fn is_payment(&self) -> bool {
        self.role == Role::Payment && !self.position.is_unexplained()
    }
}

/// What a node says of an unconfirmed transaction that pays us. Once it keeps every rule it is not asked
/// again: what it costs to be in the next block changes, and what was said of the payment must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vetting {
    /// When the node said so.
    pub vetted_at: UnixMillis,
    /// It spends money that is not confirmed itself.
    pub has_parents: bool,
    /// What it pays, in atomic units for 1,000 units of size.
    pub fee_rate: u64,
    /// What a transaction must pay to be in the next block, in the same unit; `None` when the node did not
    /// know.
    pub fee_rate_next: Option<u64>,
    /// Another transaction that spends the same was seen, before or after.
    pub has_conflict: bool,
    /// Since when a node that began anew does not have it any more.
    pub missing_since: Option<UnixMillis>,
}

/// A decision of a person, kept as a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorFact {
    /// The merchant canceled the invoice.
    Canceled {
        /// When.
        at: UnixMillis,
    },
    /// What was final at an option is enough, whether it was late, too little, or canceled before.
    Accepted {
        /// When.
        at: UnixMillis,
        /// The option.
        option: OptionId,
        /// What was final then, late money included: with less than this it is not paid.
        floor: Amount,
    },
    /// Money was sent back.
    Refunded(Refund),
    /// So much of an exception needs no decision any more.
    Settled(Settlement),
    /// Somebody takes care of an exception.
    Assigned {
        /// When.
        at: UnixMillis,
        /// The exception.
        exception: ExceptionId,
        /// Who, in the merchant's own words.
        owner: Box<str>,
    },
    /// A quarantine was lifted.
    Released(Release),
    /// Something was put on record that changes nothing of what is said.
    Recorded(Record),
}

impl OperatorFact {
    /// When it was decided.
    pub fn at(&self) -> UnixMillis {
        match self {
            Self::Canceled { at } | Self::Accepted { at, .. } | Self::Assigned { at, .. } => *at,
            Self::Refunded(refund) => refund.at,
            Self::Settled(settlement) => settlement.at,
            Self::Released(release) => release.at,
            Self::Recorded(record) => record.at,
        }
    }
}

/// Money that the merchant sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// When it was recorded.
    pub at: UnixMillis,
    /// Who recorded it, for example `key_..`.
    pub actor: Box<str>,
    /// The option whose money it was.
    pub option: OptionId,
    /// How much, in atomic units of the option's asset.
    pub amount: Amount,
    /// The transaction; `None` when it was set off in another way.
    pub tx_id: Option<TxId>,
    /// What the merchant wrote to it.
    pub note: Box<str>,
    /// With it everything was sent back that was final then, at every option.
    pub is_everything: bool,
}

/// What was decided about an exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// When.
    pub at: UnixMillis,
    /// Who decided, for example `key_..`.
    pub actor: Box<str>,
    /// The exception.
    pub exception: ExceptionId,
    /// Its kind.
    pub kind: ExceptionKind,
    /// What it is about.
    pub subject: Subject,
    /// How much of what is at stake it is about.
    pub amount: Amount,
    /// What was decided.
    pub action: Action,
    /// Why, in a word of the merchant's own.
    pub reason: Box<str>,
    /// Anything else.
    pub note: Box<str>,
    /// The transaction that sent it back, where there is one.
    pub tx_id: Option<TxId>,
}

/// The end of a quarantine: the invoice can be folded again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// When.
    pub at: UnixMillis,
    /// Who looked, for example `key_..`.
    pub actor: Box<str>,
    /// The exception.
    pub exception: ExceptionId,
    /// Why, in a word of the merchant's own.
    pub reason: Box<str>,
    /// Anything else.
    pub note: Box<str>,
}

/// What a merchant keeps with an invoice, as evidence for later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was recorded.
    pub at: UnixMillis,
    /// Who recorded it, for example `key_..`.
    pub actor: Box<str>,
    /// What kind of thing it is.
    pub kind: RecordKind,
    /// What was written, or what was shipped.
    pub text: Box<str>,
    /// The number of a parcel, a licence or a ticket; `None` where there is none.
    pub reference: Option<Box<str>>,
}

/// What kind of thing is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A note for people.
    Note,
    /// What was given for the money.
    Fulfilment,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Note, Self::Fulfilment];

    /// The name in the database, in the API and in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Fulfilment => "fulfilment",
        }
    }

    /// The kind with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A time in which nobody could look at a chain: no poll that began in it found everything read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the last poll before it began.
    pub began_at: UnixMillis,
    /// When the first poll after it began.
    pub ended_at: UnixMillis,
}

/// What the blocks of a chain do not show: of an asset more may have come than they tell, which the balances of
/// addresses do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// The asset: the coin of the chain.
    pub asset: AssetName,
    /// The time of the block after which all addresses were last looked at: what came later is not known
    /// yet.
    pub looked_until: UnixMillis,
}

/// How far one chain was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainView {
    /// Height of the last block that was read and verified; `None` before the first.
    pub tip: Option<u64>,
    /// A poll begun at this time found everything read up to the node's tip.
    pub covered_until: Option<UnixMillis>,
    /// When nobody could look, of the last [`GAPS_KNOWN_MS`](crate::limits::GAPS_KNOWN_MS); oldest first.
    pub gaps: Vec<Gap>,
    /// Up to which blocks the chain says that it will not go back.
    pub marks: Marks,
    /// What its blocks do not show; `None` when they show everything.
    pub unseen: Option<Unseen>,
}

impl ChainView {
    /// Up to when the chain is covered as far as a clock that shows `now` can say: nothing is known of it
    /// when it was covered by a clock that ran ahead and has been put back, until the next poll.
    pub fn covered_by(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.covered_until.filter(|until| until.can_have_been(now))
    }

    /// Whether everything that came by a time in an asset can be known: blocks show it, or balances were
    /// looked at since.
    pub fn shows(&self, asset: &AssetName, until: UnixMillis) -> bool {
        let unseen = self.unseen.as_ref().filter(|unseen| unseen.asset == *asset);
        unseen.is_none_or(|unseen| until < unseen.looked_until)
    }
}

/// How far each chain was read.
pub type Views = BTreeMap<ChainName, ChainView>;

/// Where a transfer stood or stands, from when to when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The transfer.
    pub transfer: TransferId,
    /// Where.
    pub place: Place,
    /// Since when.
    pub entered_at: UnixMillis,
    /// Until when, and why it left; `None` while it stands there.
    pub left: Option<(UnixMillis, LeftReason)>,
}
