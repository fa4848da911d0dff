//! The tolerance of a request: on each side a percentage or an amount of the option's asset.

use paywatch_domain::{Amount, Margin, Tolerance};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Faults, Fields};
use crate::field::Code;

/// Digits after the point of a percentage: parts of a million.
const PERCENT_DECIMALS: u8 = 4;
/// The largest percentage, in millionths: tenfold.
const MILLIONTHS_MAX: u32 = 10_000_000;

/// The margins as asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ToleranceRequest {
    /// Less by this share of what is due is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_percent: Option<String>,
    /// Less by this amount is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_amount: Option<String>,
    /// More by this share of what is due is not too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_percent: Option<String>,
    /// More by this amount is not too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_amount: Option<String>,
}

impl ToleranceRequest {
    pub(super) fn read(value: &Value, at: &str, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(value, at, faults)?;
        let tolerance = Self {
            under_percent: fields.amount_text("under_percent"),
            under_amount: fields.amount_text("under_amount"),
            over_percent: fields.amount_text("over_percent"),
            over_amount: fields.amount_text("over_amount"),
        };
        for (percent, amount, name) in [
            (
                &tolerance.under_percent,
                &tolerance.under_amount,
                "under_amount",
            ),
            (
                &tolerance.over_percent,
                &tolerance.over_amount,
                "over_amount",
            ),
        ] {
            if percent.is_some() && amount.is_some() {
                let detail = "give either a percentage or an amount";
                fields.refuse(name, Code::ToleranceAmbiguous, detail);
            }
        }
        fields.finish();
        Some(tolerance)
    }

    /// The field that says how much less is enough.
    pub(super) fn under_pointer(&self) -> &'static str {
        if self.under_percent.is_some() {
            "/tolerance/under_percent"
        } else {
            "/tolerance/under_amount"
        }
    }

    /// The margins in domain words, for an asset with so many decimals.
    pub(super) fn check(&self, decimals: u8, faults: &mut Faults) -> Option<Tolerance> {
        let mut margin =
            |percent: Option<&str>, amount: Option<&str>, side: &str| match (percent, amount) {
                (None, None) => Some(Margin::NONE),
                (Some(text), _) => percentage(text, &format!("/tolerance/{side}_percent"), faults),
                (None, Some(text)) => {
                    let pointer = format!("/tolerance/{side}_amount");
                    faults.amount(&pointer, text, decimals).map(Margin::Amount)
                }
            };
        let under = margin(
            self.under_percent.as_deref(),
            self.under_amount.as_deref(),
            "under",
        );
        let over = margin(
            self.over_percent.as_deref(),
            self.over_amount.as_deref(),
            "over",
        );
        Some(Tolerance {
            under: under?,
            over: over?,
        })
    }
}

/// A percentage with four decimals, without its point, is a count of millionths.
fn percentage(text: &str, pointer: &str, faults: &mut Faults) -> Option<Margin> {
    let parts = Amount::parse(text, PERCENT_DECIMALS).ok();
    let parts = parts.and_then(|parts| parts.to_string().parse::<u32>().ok());
    let parts = parts.filter(|parts| *parts <= MILLIONTHS_MAX);
    if parts.is_none() {
        let detail = "must be a decimal text from 0 to 1000 with at most four decimals";
        faults.refuse(pointer, Code::PercentInvalid, detail);
    }
    parts.map(Margin::Millionths)
}
