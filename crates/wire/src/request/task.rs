//! Requests to the worker of a chain.

use paywatch_domain::{ChainName, limits};
use serde::Serialize;

use super::fields::{Faults, Fields};
use super::{Body, Request};
use crate::field::Code;

/// Heights that are read: all that a database can hold.
const HEIGHTS: std::ops::RangeInclusive<u64> = 0..=i64::MAX.unsigned_abs();

/// Reads blocks of a chain again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rescan {
    /// The lowest block; not below the one from which the chain is followed.
    pub from_height: u64,
    /// The highest block; the last one that was read when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_height: Option<u64>,
}

/// Looks for the used addresses of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScanWallet {
    /// The lowest block in which the key may have been paid.
    pub from_height: u64,
    /// On which chain; needed where the installation follows several of the wallet's family.
    #[serde(serialize_with = "chain_name", skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainName>,
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn chain_name<S: serde::Serializer>(
    chain: &Option<ChainName>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match chain {
        Some(chain) => serializer.serialize_str(chain.as_str()),
        None => serializer.serialize_none(),
    }
}

impl Request for Rescan {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let from = fields.whole("from_height", HEIGHTS, Code::HeightInvalid);
        let from_height = fields.require("from_height", from);
        let to_height = fields.whole("to_height", HEIGHTS, Code::HeightInvalid);
        if to_height
            .zip(from_height)
            .is_some_and(|(to, from)| to < from)
        {
            let detail = "must not be below from_height";
            fields.refuse("to_height", Code::HeightInvalid, detail);
        }
        fields.finish();
        Some(Self {
            from_height: from_height?,
            to_height,
        })
    }
}

impl Request for ScanWallet {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let from = fields.whole("from_height", HEIGHTS, Code::HeightInvalid);
        let from_height = fields.require("from_height", from);
        let text = fields.text("chain", limits::TEXT_CHARS_MAX);
        let chain = text.and_then(|text| {
            let chain = text.parse::<ChainName>();
            if let Err(error) = &chain {
                fields.refuse("chain", Code::ChainUnknown, error.to_string());
            }
            chain.ok()
        });
        fields.finish();
        Some(Self {
            from_height: from_height?,
            chain,
        })
    }
}
