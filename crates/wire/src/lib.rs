//! The JSON forms of the API, of webhooks and of the database: domain <-> JSON, nowhere else.
//!
//! [`invoice`], [`event`], [`request`] and the small resources are the outside contract; [`stored`]
//! is what the database keeps. No form is ever computed with: numbers become domain types first.

pub mod api_key;
pub mod audit;
pub mod chain;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod exception;
pub mod explain;
pub mod export;
pub mod field;
pub mod forms;
pub mod invoice;
pub mod merchant;
pub mod page;
pub mod problem;
pub mod progress;
pub mod rate;
pub mod record;
pub mod request;
pub mod stored;
pub mod task;
pub mod time;
pub mod transfer;
pub mod wallet;

pub use api_key::{ApiKeyForm, ApiKeyRecord};
pub use audit::AuditEntry;
pub use chain::{AssetForm, CatchUp, Chain, ChainCursor, ChainEndpoint, ChainProblem};
pub use delivery::{Attempt, Delivery};
pub use endpoint::{Deleted, Endpoint, Replay};
pub use event::{
    API_VERSION, Event, EventData, EventHead, RevertedOption, endpoint_event, exception_event,
    invoice_event, quarantine_event, told_invoice,
};
pub use exception::{ExceptionForm, RefundForm, Resolution};
pub use explain::{ExplainedTransfer, Explanation};
pub use export::ExportForm;
pub use field::{Code, FieldError};
pub use forms::{CommitmentForm, FinalityForm, PolicyForm, PriceForm, TagForm, UnconfirmedForm};
pub use invoice::Invoice;
pub use merchant::MerchantForm;
pub use page::Page;
pub use problem::{PROBLEM_MEDIA_TYPE, Problem};
pub use progress::{ProgressForm, RefusalForm};
pub use rate::{QuoteForm, RateForm, RateState};
pub use record::{Fulfilment, Note};
pub use request::{
    CreateEndpoint, CreateInvoice, CreateWallet, DecodeError, Draft, DraftOption, ExtendPool,
    Material, NamedPolicies, NoFields, Rescan, ScanWallet, decode,
};
pub use stored::StoredError;
pub use task::{ChainFindings, ChainRequest};
pub use transfer::ListedTransfer;
pub use wallet::{PoolLevel, Wallet, WalletAddress};

/// The JSON text of one of this crate's forms.
///
/// # Panics
/// Never for the forms of this crate: all their keys are texts, which is all that JSON asks for.
pub fn json_text<T: serde::Serialize + ?Sized>(form: &T) -> String {
    serde_json::to_string(form).expect("forms have text keys and nothing that JSON cannot say")
}
