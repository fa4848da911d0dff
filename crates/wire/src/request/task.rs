//! Requests to the worker of a chain.

use paywatch_domain::{ChainName, limits};
use schemars::JsonSchema;
use serde::Serialize;

use super::fields::{Faults, Fields};
use super::{Body, Request};
use crate::field::Code;

/// Heights that are read: all that a database can hold.
const HEIGHTS: std::ops::RangeInclusive<u64> = 0..=i64::MAX.unsigned_abs();

/// Reads blocks of a chain again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rescan {
    /// The lowest block; not below the one from which the chain is followed.
    #[schemars(range(max = i64::MAX))]
    pub from_height: u64,
    /// The highest block; the last one that was read when nothing is said.
    #[schemars(range(max = i64::MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_height: Option<u64>,
}

/// Looks for the used addresses of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ScanWallet {
    /// The lowest block in which the key may have been paid.
    #[schemars(range(max = i64::MAX))]
    pub from_height: u64,
    /// On which chain; needed where the installation follows several of the wallet's family.
    #[serde(serialize_with = "chain_name", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
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

/// Puts a transaction on an invoice's record that pays it and that nobody saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AttachTransaction {
    /// The transaction's id.
    pub tx_id: String,
    /// The option that it pays; its chain is where the transaction is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub option_id: Option<String>,
    /// On which chain; needed where the invoice can be paid on several and no option is named.
    #[serde(serialize_with = "chain_name", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub chain: Option<ChainName>,
    /// The height of the block that holds it, for a node that cannot find it by its id.
    #[schemars(range(max = i64::MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_height: Option<u64>,
    /// The hash of the block that holds it, for a node that cannot find it by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_hash: Option<String>,
}

/// Reads an invoice's addresses now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CheckInvoice {
    /// On which chain; needed where the invoice can be paid on several.
    #[serde(serialize_with = "chain_name", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub chain: Option<ChainName>,
}

/// The chain that a request names, if it names one.
fn chain_of(fields: &mut Fields<'_>) -> Option<ChainName> {
    let text = fields.text("chain", limits::TEXT_CHARS_MAX)?;
    let chain = text.parse::<ChainName>();
    if let Err(error) = &chain {
        fields.refuse("chain", Code::ChainUnknown, error.to_string());
    }
    chain.ok()
}

impl Request for AttachTransaction {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let tx_id = fields.text("tx_id", limits::TEXT_CHARS_MAX);
        let tx_id = fields.require("tx_id", tx_id);
        let option_id = fields.text("option_id", limits::TEXT_CHARS_MAX);
        let chain = chain_of(&mut fields);
        let block_height = fields.whole("block_height", HEIGHTS, Code::HeightInvalid);
        let block_hash = fields.text("block_hash", limits::TEXT_CHARS_MAX);
        if block_height.is_some() && block_hash.is_some() {
            let detail = "name the block by its height or by its hash";
            fields.refuse("block_hash", Code::HeightInvalid, detail);
        }
        fields.finish();
        Some(Self {
            tx_id: tx_id?,
            option_id,
            chain,
            block_height,
            block_hash,
        })
    }
}

impl Request for CheckInvoice {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let chain = chain_of(&mut fields);
        fields.finish();
        Some(Self { chain })
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
        let chain = chain_of(&mut fields);
        fields.finish();
        Some(Self {
            from_height: from_height?,
            chain,
        })
    }
}
