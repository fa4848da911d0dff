//! A transfer in the list of all of a merchant's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explain::ExplainedTransfer;

/// One transfer, with the invoice that it was seen for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedTransfer {
    /// `inv_…`.
    pub invoice_id: String,
    /// Always `transfer`.
    pub object: String,
    /// The transfer, where it has stood, and what it counts for.
    #[serde(flatten)]
    pub explained: ExplainedTransfer,
}

impl ListedTransfer {
    /// A transfer of an invoice.
    pub fn new(invoice_id: String, explained: ExplainedTransfer) -> Self {
        Self {
            invoice_id,
            object: "transfer".into(),
            explained,
        }
    }

    /// `seen`, `confirming`, `final` or `gone`.
    pub fn certainty(&self) -> &str {
        &self.explained.transfer.certainty
    }
}
