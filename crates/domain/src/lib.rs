//! Words and rules of paywatch: amounts, chains, terms, facts, and the fold from facts to status.
//!
//! Pure by construction: no asynchronous code, no SQL, no serde, no clock and no randomness of its
//! own. Everything that paywatch says about an invoice is computed here from terms and facts.
#![deny(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod amount;
pub mod asset;
pub mod balance;
pub mod catalogue;
pub mod chain;
pub mod currency;
pub mod dossier;
pub mod event;
pub mod exception;
pub mod facts;
pub mod finality;
pub mod fold;
pub mod id;
pub mod limits;
pub mod mark;
pub mod policy;
pub mod rate;
pub mod scope;
pub mod status;
pub mod sums;
pub mod task;
pub mod terms;
pub mod time;
pub mod violation;

pub use amount::{Amount, AmountError, Rounding};
pub use asset::{Asset, AssetKind, AssetName};
pub use balance::{Account, Flows, Verdict, Window};
pub use catalogue::{Catalogue, ChainSpec};
pub use chain::{BlockHash, BlockRef, ChainName, Family, Mode, Position, TxId};
pub use dossier::{Dossier, PaymentPlace};
pub use event::{Cause, CauseKind, EventType, PoolNews, Said};
pub use exception::{
    Action, Exception, ExceptionKind, ExceptionNews, Finding, Quarantine, Subject,
};
pub use facts::{
    ChainView, Gap, LeftReason, OperatorFact, Place, Placement, Record, RecordKind, Refund,
    Release, Role, Settlement, Transfer, Unseen, Vetting, Views,
};
pub use finality::{Commitment, Finality, FinalityError, FinalityFault, Tag, Unconfirmed};
pub use fold::{Await, Folded, OptionTally, Progress, Refusal, TransferView, fold, refunds};
pub use id::{
    DeliveryId, EndpointId, Entropy, EventId, ExceptionId, InvoiceId, KeyId, MerchantId, OptionId,
    RequestId, TransferId, WalletId,
};
pub use mark::{Mark, Marks};
pub use policy::{Basis, Policy, PolicyError, PolicyFault, PolicyGap, Price, Rule, Tier};
pub use rate::{
    Pair, PairError, Quote, Rate, RateError, RatePlan, RateProblem, RateRules, RateValue, Rates,
    Told,
};
pub use scope::Scope;
pub use status::{CustomerStatus, Status};
pub use sums::{Certainty, Sums};
pub use task::{BlockHint, Findings, Rejection, Task};
pub use terms::{Margin, OptionTerms, Terms, TermsError, Tolerance};
pub use time::{Clock, UnixMillis};
pub use violation::Violation;
