//! A price in a request: decimal text and a currency.

use paywatch_domain::limits;
use serde_json::Value;

use super::fields::{Faults, Fields};
use crate::forms::PriceForm;

/// Reads a price; its digits and its currency are checked where it is used.
pub(super) fn read_price(value: &Value, at: &str, faults: &mut Faults) -> Option<PriceForm> {
    let mut fields = Fields::of(value, at, faults)?;
    let amount = fields.amount_text("amount");
    let amount = fields.require("amount", amount);
    let currency = fields.text("currency", limits::TEXT_CHARS_MAX);
    let currency = fields.require("currency", currency);
    fields.finish();
    Some(PriceForm {
        amount: amount?,
        currency: currency?,
    })
}
