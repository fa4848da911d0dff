//! What can go wrong with sources of rates, named by what the caller can do about it.

use paywatch_store::StoreError;
use paywatch_webhook::WebhookError;

/// Errors of the collector.
#[derive(Debug, thiserror::Error)]
pub enum RatesError {
    /// The HTTP client could not be built: correct the installation.
    #[error("the HTTP client for rates cannot be built: {0}")]
    ClientUnavailable(#[source] WebhookError),
    /// The database did not do what was asked; nothing is lost, step again later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an answer of a source says nothing. What the source said before stays until it is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerProblem {
    /// No connection, or one that broke off.
    #[error("the source cannot be reached")]
    Unreachable,
    /// Its address is none that this installation connects to.
    #[error("the source's address is in a network that is not allowed; see rates.allow_networks")]
    RefusedAddress,
    /// No whole answer in time.
    #[error("the source did not answer in time")]
    Timeout,
    /// Another status than 200 to 299.
    #[error("the source answered with an error")]
    Status,
    /// It wants to be asked elsewhere; nobody follows it there.
    #[error(
        "the source redirects elsewhere, which is not followed; put the new address into the configuration"
    )]
    Redirected,
    /// More bytes than are read.
    #[error("the source's answer is larger than is read")]
    TooLarge,
    /// No JSON, or JSON that is nested too deeply.
    #[error("the source's answer is not JSON")]
    NotJson,
    /// Nothing stands at the pointer.
    #[error("the source's answer has nothing at the pointer of the pair")]
    Missing,
    /// What stands at the pointer is no number above zero.
    #[error("what stands at the pointer of the pair is no rate")]
    NotARate,
    /// What stands at the pointer of a time is no time.
    #[error("what stands at the pointer of the pair's time is no time")]
    NotATime,
    /// It tells a time that is still to come.
    #[error("the source tells a time that is still to come; its clock or ours is wrong")]
    Ahead,
}

impl AnswerProblem {
    /// The stable word in the database and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::RefusedAddress => "refused_address",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Redirected => "redirected",
            Self::TooLarge => "too_large",
            Self::NotJson => "not_json",
            Self::Missing => "missing",
            Self::NotARate => "not_a_rate",
            Self::NotATime => "not_a_time",
            Self::Ahead => "ahead",
        }
    }
}
