//! Commands: what merchants and operators ask for, in one transaction each.
//!
//! They share the fold with what chains cause. HTTP and the command line are elsewhere; a command takes
//! a caller, a request, a time, and answers with the text that the caller gets.

mod answer;
mod chain;
mod delivery;
pub(crate) mod endpoint;
mod exception;
mod invoice;
mod key;
mod merchant;
mod rates;
mod transfer;
mod wallet;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use paywatch_chain::Derivation;
use paywatch_domain::{Catalogue, Family, MerchantId, Mode, RatePlan, UnixMillis};
use paywatch_store::audit::Entry;
use paywatch_store::{MasterKey, MerchantKey, SecretError, Store, StoreError};
use paywatch_wire::field::FieldError;
use paywatch_wire::request::NamedPolicies;

pub use answer::{Answer, Answered, Idempotent};
pub use chain::{Ask, Sight};
pub use delivery::delivery_form;
pub use transfer::{ListedTransfers, TransferFilter};
pub use wallet::WalletExport;

use crate::high_water::HighWater;

/// Says whether events may be sent to a URL, and if not, why.
pub type UrlCheck = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// What commands work with.
pub struct CommandParts {
    /// Facts.
    pub store: Store,
    /// Chains and assets.
    pub catalogue: Arc<Catalogue>,
    /// One derivation a family.
    pub derivations: BTreeMap<Family, Arc<dyn Derivation>>,
    /// Policies by name.
    pub policies: NamedPolicies,
    /// Who says what assets are worth, and when that is believed.
    pub rates: Arc<RatePlan>,
    /// Seals and encrypts.
    pub master: Arc<MasterKey>,
    /// Remembers indexes outside the database.
    pub high_water: Arc<dyn HighWater>,
    /// Which webhook addresses are acceptable.
    pub url_check: Arc<UrlCheck>,
}

/// Runs commands. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    parts: Arc<CommandParts>,
}

/// On whose behalf a command runs.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant's row.
    pub merchant: MerchantKey,
    /// The tenant.
    pub merchant_id: MerchantId,
    /// What the key may see.
    pub mode: Mode,
    /// Who it is, for the record: an API key's id, or the operator.
    pub actor: String,
    /// The request that caused it.
    pub request_id: String,
}

/// What a command changed, in JSON without secrets.
#[derive(Default)]
pub(crate) struct Change {
    /// What it was; `None` for something new.
    pub(crate) before: Option<String>,
    /// What it is now; `None` for what is gone.
    pub(crate) after: Option<String>,
}

impl Caller {
    /// The row of the merchant's audit log about something that this caller did: append it in the
    /// transaction of the effect, after everything else in it.
    pub(crate) fn did(
        &self,
        action: &'static str,
        subject: &impl ToString,
        change: Change,
        now: UnixMillis,
    ) -> Entry {
        Entry {
            merchant: Some(self.merchant_id),
            actor: self.actor.clone(),
            request_id: self.request_id.clone(),
            action,
            subject: subject.to_string(),
            before: change.before,
            after: change.after,
            now,
        }
    }
}

/// Why a command was not carried out. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Fields of the request cannot stand.
    #[error("fields of the request cannot stand")]
    Fields(Vec<FieldError>),
    /// What fields of the request name cannot be had at present; the same request may succeed later.
    #[error("what the request names cannot be had at present")]
    Unavailable(Vec<FieldError>),
    /// The request is well formed and cannot be carried out now.
    #[error("{detail}")]
    Refused {
        /// The HTTP status that fits.
        status: u16,
        /// A stable code.
        code: &'static str,
        /// What is in the way and what to do.
        detail: String,
    },
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used for another request")]
    IdempotencyReused,
    /// The first request with this idempotency key is still running.
    #[error("the first request with this idempotency key is still running")]
    IdempotencyInUse,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file that remembers indexes cannot be read or written; no address is given out without it.
    #[error("the high-water mark cannot be kept: {0}")]
    HighWater(#[from] io::Error),
    /// A secret cannot be encrypted or read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl CommandError {
    pub(crate) fn refused(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused {
            status,
            code,
            detail: detail.into(),
        }
    }

    fn field(pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        Self::Fields(vec![FieldError {
            pointer: pointer.into(),
            code: code.into(),
            detail: detail.into(),
        }])
    }
}

impl Commands {
    /// Commands over these parts.
    pub fn new(parts: CommandParts) -> Self {
        Self {
            parts: Arc::new(parts),
        }
    }

    /// Chains and assets.
    pub fn catalogue(&self) -> &Catalogue {
        &self.parts.catalogue
    }
}
