//! The request that makes an invoice.

use paywatch_domain::{TermsError, WalletId, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::endpoint::check_url;
use super::fields::{Faults, Fields};
use super::price::read_price;
use super::{Body, PolicyRequest, Request, ToleranceRequest};
use crate::field::Code;
use crate::forms::PriceForm;
use crate::invoice::Metadata;

/// Makes an invoice. Amounts are texts whose digits are read when the asset is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateInvoice {
    /// The merchant's own reference.
    #[schemars(length(min = 1, max = limits::TEXT_CHARS_MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The price, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceForm>,
    /// The ways to pay.
    #[schemars(length(min = 1, max = limits::OPTIONS_MAX))]
    pub options: Vec<CreateOption>,
    /// Seconds from creation to expiry; 900 when nothing is said.
    #[schemars(range(min = 1, max = limits::EXPIRES_IN_S_MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u64>,
    /// Seconds after expiry in which late money counts; a week when nothing is said.
    #[schemars(range(max = limits::LATE_WINDOW_S_MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_window_s: Option<u64>,
    /// How far a sum may be from what is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<ToleranceRequest>,
    /// What makes money final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRequest>,
    /// Where a payer goes after paying.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_url: Option<String>,
    /// Where a payer goes who gives up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_url: Option<String>,
    /// A JSON object of the merchant, kept byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// One way to pay, as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateOption {
    /// `symbol@chain`.
    #[schemars(length(min = 1, max = limits::TEXT_CHARS_MAX))]
    pub asset: String,
    /// What is due, in the asset's own unit; overrides the price's rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Whose key the address comes from; the default wallet of the family when missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet_id: Option<String>,
}

impl Request for CreateInvoice {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let order_id = fields.text("order_id", limits::TEXT_CHARS_MAX);
        let price = fields
            .deeper("price")
            .and_then(|(value, at, faults)| read_price(value, &at, faults));
        let items = fields.list("options");
        let items = fields.require("options", items).unwrap_or_default();
        let mut options = Vec::with_capacity(items.len().min(limits::OPTIONS_MAX));
        for (place, item) in items.iter().enumerate().take(limits::OPTIONS_MAX) {
            let at = format!("/options/{place}");
            options.extend(CreateOption::read(item, &at, fields.faults()));
        }
        if limits::OPTIONS_MAX < items.len() {
            let detail = TermsError::TooManyOptions.to_string();
            fields.refuse("options", Code::OptionsTooMany, detail);
        }
        let expiry = 1..=limits::EXPIRES_IN_S_MAX;
        let late = 0..=limits::LATE_WINDOW_S_MAX;
        let request = Self {
            order_id,
            price,
            options,
            expires_in_s: fields.whole("expires_in_s", expiry, Code::ExpiresInInvalid),
            late_window_s: fields.whole("late_window_s", late, Code::LateWindowInvalid),
            tolerance: fields
                .deeper("tolerance")
                .and_then(|(value, at, faults)| ToleranceRequest::read(value, &at, faults)),
            policy: fields
                .deeper("policy")
                .and_then(|(value, at, faults)| PolicyRequest::read(value, &at, faults)),
            success_url: check_url(&mut fields, "success_url"),
            cancel_url: check_url(&mut fields, "cancel_url"),
            metadata: fields
                .deeper("metadata")
                .and_then(|(value, at, faults)| read_metadata(body, value, &at, faults)),
        };
        fields.finish();
        Some(request)
    }
}

/// Takes the metadata from the text of the body: a value that went through numbers and maps would
/// no longer be what the merchant sent.
fn read_metadata(
    body: &Body<'_>,
    value: &Value,
    at: &str,
    faults: &mut Faults,
) -> Option<Metadata> {
    #[derive(Deserialize)]
    struct Only<'a> {
        #[serde(borrow)]
        metadata: Option<&'a RawValue>,
    }
    if !value.is_object() {
        faults.wrong_type(at, "an object", value);
        return None;
    }
    let read: Option<Only<'_>> = serde_json::from_str(body.text).ok();
    let Some(raw) = read.and_then(|only| only.metadata) else {
        let detail = "the body names metadata twice";
        faults.refuse(at, Code::TypeInvalid, detail);
        return None;
    };
    if limits::METADATA_BYTES_MAX < raw.get().len() {
        let detail = format!("at most {} bytes are kept", limits::METADATA_BYTES_MAX);
        faults.refuse(at, Code::MetadataTooLarge, detail);
        return None;
    }
    Metadata::parse(raw.get())
}

impl CreateOption {
    fn read(value: &Value, at: &str, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let asset = fields.text("asset", limits::TEXT_CHARS_MAX);
        let asset = fields.require("asset", asset);
        let amount = fields.amount_text("amount");
        let wallet_id = fields.text("wallet_id", limits::TEXT_CHARS_MAX);
        if let Some(Err(error)) = wallet_id.as_ref().map(|id| id.parse::<WalletId>()) {
            fields.refuse("wallet_id", Code::IdInvalid, error.to_string());
        }
        fields.finish();
        Some(Self {
            asset: asset?,
            amount,
            wallet_id,
        })
    }
}
