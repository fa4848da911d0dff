//! Merchants as operators see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A merchant: one tenant of the installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MerchantForm {
    /// `mer_…`.
    pub id: String,
    /// Always `merchant`.
    pub object: String,
    /// For operators.
    pub name: String,
    /// When it was registered.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
}
