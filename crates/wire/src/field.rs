//! What is wrong with one field of a request, and the table of stable codes.

use paywatch_domain::{AmountError, FinalityError, PolicyGap, TermsError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One field that cannot stand, in the `errors` of a problem (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// Where, as a JSON pointer (RFC 6901); empty for the whole body.
    pub pointer: String,
    /// Stable, for programs: one of [`Code`], or what a command says of key material, wallets or their addresses.
    pub code: String,
    /// For people. Never repeats the value, which may be a secret.
    pub detail: String,
}

impl FieldError {
    /// The error `code` at `pointer`.
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            code: code.into(),
            detail: detail.into(),
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// The stable codes of fields that cannot stand. Texts never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])+ $name,)+
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as text.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

codes! {
    /// A field that this request does not have.
    UnknownField = "unknown_field",
    /// A field that must be there is not.
    Required = "required",
    /// Another JSON type is needed here; amounts in particular are texts.
    TypeInvalid = "type_invalid",
    /// More characters than are read.
    TextTooLong = "text_too_long",
    /// An empty text, or one with control characters.
    TextInvalid = "text_invalid",
    /// Not of the form `12` or `12.34`: a sign, an exponent, a space, `NaN`.
    AmountNotDecimal = "amount_not_decimal",
    /// More digits after the point than the asset has.
    AmountTooManyDecimals = "amount_too_many_decimals",
    /// More characters than any amount has.
    AmountTooLong = "amount_too_long",
    /// Larger than any amount can be.
    AmountTooLarge = "amount_too_large",
    /// Nothing would be due.
    AmountZero = "amount_zero",
    /// A payment of this amount would be ignored as dust.
    AmountBelowDust = "amount_below_dust",
    /// Neither a currency of ISO 4217 nor the symbol of an asset in capitals.
    CurrencyInvalid = "currency_invalid",
    /// No such asset on this chain, or not of the form `symbol@chain`.
    AssetUnknown = "asset_unknown",
    /// The asset is of the other mode: a test key cannot ask for real money, nor a live key for test coins.
    AssetOtherMode = "asset_other_mode",
    /// No such chain.
    ChainUnknown = "chain_unknown",
    /// The chain is described in the configuration and not followed.
    ChainDisabled = "chain_disabled",
    /// No such chain family.
    FamilyUnknown = "family_unknown",
    /// No way to pay.
    OptionsRequired = "options_required",
    /// More options than are served.
    OptionsTooMany = "options_too_many",
    /// Another option asks for the same asset.
    OptionTwice = "option_twice",
    /// No source of rates turns a price into an amount of this asset; name the option's amount.
    RateUnavailable = "rate_unavailable",
    /// The rate cannot be trusted at present: its sources are silent, disagree, or jumped.
    RateUntrusted = "rate_untrusted",
    /// Zero, negative or too long a time to pay.
    ExpiresInInvalid = "expires_in_invalid",
    /// Negative or too long a late window.
    LateWindowInvalid = "late_window_invalid",
    /// Not a percentage with at most four decimals, from 0 to 1000.
    PercentInvalid = "percent_invalid",
    /// A margin given both as percentage and as amount.
    ToleranceAmbiguous = "tolerance_ambiguous",
    /// The margin leaves nothing to pay.
    ToleranceTooWide = "tolerance_too_wide",
    /// No policy of this name in the configuration.
    PolicyUnknown = "policy_unknown",
    /// Not a policy: neither a name nor tiers.
    PolicyInvalid = "policy_invalid",
    /// Neither price nor asset is in the currency of the policy's tiers.
    PolicyNotComparable = "policy_not_comparable",
    /// The policy says nothing about the chain or the asset.
    PolicySilent = "policy_silent",
    /// Not of the form of any finality.
    FinalityInvalid = "finality_invalid",
    /// A depth that is out of range.
    FinalityDepth = "finality_depth_invalid",
    /// A block tag on a chain that has none.
    FinalityTag = "finality_tag_unsupported",
    /// A commitment on a chain that has none.
    FinalityCommitment = "finality_commitment_unsupported",
    /// No alternatives, or too many.
    FinalityAlternatives = "finality_any_empty",
    /// Alternatives inside of alternatives.
    FinalityNested = "finality_any_nested",
    /// Unconfirmed acceptance on a chain whose mempool cannot be read.
    FinalityUnconfirmed = "finality_unconfirmed_unsupported",
    /// A cap that is not an amount above zero.
    FinalityCap = "finality_cap_invalid",
    /// A cap in a currency that nothing can be held against.
    FinalityCapNotComparable = "finality_cap_not_comparable",
    /// A time to wait that is out of range.
    FinalitySeconds = "finality_seconds_invalid",
    /// A chain's own rule that does not say what is final in a block.
    FinalityNeedsBlock = "finality_needs_block",
    /// Not an id of the kind that belongs here.
    IdInvalid = "id_invalid",
    /// Not one of the words that are possible here.
    WordUnknown = "word_unknown",
    /// Not an `http` or `https` address, or one that this installation does not send to.
    UrlInvalid = "url_invalid",
    /// More bytes of metadata than are kept.
    MetadataTooLarge = "metadata_too_large",
    /// No such type of event.
    EventTypeUnknown = "event_type_unknown",
    /// Longer than two secrets may sign beside each other.
    OverlapInvalid = "overlap_invalid",
    /// Not the `seq` of an event, or a range that ends before it begins.
    RangeInvalid = "range_invalid",
    /// Not a height of a block that was read.
    HeightInvalid = "height_invalid",
    /// Both a key and a file of addresses.
    MaterialAmbiguous = "material_ambiguous",
    /// No such scope.
    ScopeUnknown = "scope_unknown",
    /// Not a network in CIDR form.
    NetworkInvalid = "network_invalid",
    /// Not a time in the form of RFC 3339.
    TimeInvalid = "time_invalid",
    /// Not a derivation index: 0 to 2147483647.
    IndexInvalid = "index_invalid",
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.as_str().into()
    }
}

impl From<AmountError> for Code {
    fn from(error: AmountError) -> Self {
        match error {
            AmountError::NotDecimal => Self::AmountNotDecimal,
            AmountError::TooManyDecimals { .. } => Self::AmountTooManyDecimals,
            AmountError::TooLong => Self::AmountTooLong,
            AmountError::TooLarge => Self::AmountTooLarge,
        }
    }
}

impl From<&TermsError> for Code {
    fn from(error: &TermsError) -> Self {
        match error {
            TermsError::NothingDue => Self::AmountZero,
            TermsError::BelowDust { .. } => Self::AmountBelowDust,
            TermsError::ToleranceTooWide => Self::ToleranceTooWide,
            TermsError::TooLarge => Self::AmountTooLarge,
            TermsError::Finality(error) => error.into(),
            TermsError::NoOption => Self::OptionsRequired,
            TermsError::TooManyOptions => Self::OptionsTooMany,
            TermsError::OptionTwice { .. } => Self::OptionTwice,
            TermsError::Times => Self::ExpiresInInvalid,
            TermsError::Policy { .. } => Self::PolicyInvalid,
        }
    }
}

impl From<&FinalityError> for Code {
    fn from(error: &FinalityError) -> Self {
        match error {
            FinalityError::Depth => Self::FinalityDepth,
            FinalityError::Tag { .. } => Self::FinalityTag,
            FinalityError::Commitment { .. } => Self::FinalityCommitment,
            FinalityError::Alternatives => Self::FinalityAlternatives,
            FinalityError::Nested => Self::FinalityNested,
            FinalityError::NoMempool(_) => Self::FinalityUnconfirmed,
            FinalityError::Cap => Self::FinalityCap,
            FinalityError::CapNotComparable(_) => Self::FinalityCapNotComparable,
            FinalityError::Seconds => Self::FinalitySeconds,
            FinalityError::NeedsBlock => Self::FinalityNeedsBlock,
        }
    }
}

impl From<&PolicyGap> for Code {
    fn from(gap: &PolicyGap) -> Self {
        match gap {
            PolicyGap::NotComparable { .. } => Self::PolicyNotComparable,
            PolicyGap::NoRule { .. } => Self::PolicySilent,
        }
    }
}
