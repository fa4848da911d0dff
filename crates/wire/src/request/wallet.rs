//! The requests that register public key material and top up a pool of addresses.

use std::fmt;

use paywatch_domain::{Family, limits};
use schemars::JsonSchema;
use serde::Serialize;

use super::fields::{Faults, Fields};
use super::{Body, Request};
use crate::field::Code;

/// Registers public key material for one chain family.
///
/// Prints without the key: a merchant may paste a private one by mistake.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CreateWallet {
    /// Which chains it is for.
    #[serde(serialize_with = "family_name")]
    #[schemars(with = "String", extend("enum" = Family::ALL.map(Family::as_str)))]
    pub chain_family: Family,
    /// The key, or the file of addresses.
    #[serde(flatten)]
    #[schemars(with = "MaterialFields")]
    pub material: Material,
    /// What kind of material it is meant to be; the key itself tells, this is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// First index that may be handed out, for a key that was used elsewhere.
    #[schemars(range(max = i32::MAX))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_index: Option<u32>,
}

/// What addresses are made of.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Material {
    /// Extended public key or output descriptor, as pasted. For Bitcoin a plain xpub or tpub is taken for
    /// an account of native segwit, at `/0/*`; other forms are given as descriptors: `wpkh`, `sh(wpkh)`,
    /// `tr`, `pkh`, `wsh(sortedmulti)`. Of several paths (`<0;1>`) the first receives. For Solana an
    /// `acct_xvk`, or the address of one wallet that is paid with references of Solana Pay.
    Key(String),
    /// A file of addresses that the merchant's own wallet made: one a line, and a last line `# sha256:`
    /// with the hash over the lines before it.
    Pool(String),
}

/// How requests name material: by one of two fields.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes fields; nothing is of this type")]
struct MaterialFields {
    /// Extended public key or output descriptor, as pasted. For Bitcoin a plain xpub or tpub is taken for
    /// an account of native segwit, at `/0/*`; other forms are given as descriptors: `wpkh`, `sh(wpkh)`,
    /// `tr`, `pkh`, `wsh(sortedmulti)`. For Solana an `acct_xvk`, or the address of one wallet that is paid
    /// with references of Solana Pay. Either this or `pool`.
    key: Option<String>,
    /// A file of addresses that the merchant's own wallet made: one a line, and a last line `# sha256:`
    /// with the hash over the lines before it. Either this or `key`.
    pool: Option<String>,
}

/// Tops up a pool with the addresses of another file.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ExtendPool {
    /// The file: one address a line, and a last line `# sha256:` with the hash over the lines before it.
    pub pool: String,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key(not shown)",
            Self::Pool(_) => "Pool(not shown)",
        })
    }
}

impl fmt::Debug for ExtendPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtendPool")
            .field("pool", &"(not shown)")
            .finish()
    }
}

impl Request for ExtendPool {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let pool = fields.pasted("pool", limits::POOL_CHARS_MAX);
        let pool = fields.require("pool", pool);
        fields.finish();
        Some(Self { pool: pool? })
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn family_name<S: serde::Serializer>(family: &Family, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(family.as_str())
}

impl fmt::Debug for CreateWallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateWallet")
            .field("chain_family", &self.chain_family)
            .field("material", &self.material)
            .field("kind", &self.kind)
            .field("label", &self.label)
            .field("start_index", &self.start_index)
            .finish()
    }
}

impl Request for CreateWallet {
    fn read(body: &Body<'_>, faults: &mut Faults) -> Option<Self> {
        let mut fields = Fields::of(&body.value, "", faults)?;
        let family_text = fields.text("chain_family", limits::TEXT_CHARS_MAX);
        let family_text = fields.require("chain_family", family_text);
        let chain_family = family_text.and_then(|text| {
            let family = Family::parse(&text);
            if family.is_none() {
                let known: Vec<&str> = Family::ALL.iter().map(|family| family.as_str()).collect();
                let detail = format!("chain families are {}", known.join(", "));
                fields.refuse("chain_family", Code::FamilyUnknown, detail);
            }
            family
        });
        // A seed phrase in several lines must reach those who can tell that it is one.
        let key = fields.pasted("key", limits::KEY_CHARS_MAX);
        let pool = fields.pasted("pool", limits::POOL_CHARS_MAX);
        let material = match (key, pool) {
            (Some(_), Some(_)) => {
                let detail = "a wallet is made of a key or of a file of addresses, not of both";
                fields.refuse("pool", Code::MaterialAmbiguous, detail);
                None
            }
            (None, Some(pool)) => Some(Material::Pool(pool)),
            (Some(key), None) => Some(Material::Key(key.trim().to_owned())),
            (None, None) if fields.has("pool") => None,
            (None, None) => fields.require("key", None),
        };
        let kind = fields.text("kind", limits::TEXT_CHARS_MAX);
        let label = fields.text("label", limits::TEXT_CHARS_MAX);
        // BIP32: steps from 2^31 on are hardened, which a public key cannot take.
        let indexes = 0..=u64::from(u32::MAX >> 1);
        let start_index = fields.whole("start_index", indexes, Code::IndexInvalid);
        fields.finish();
        Some(Self {
            chain_family: chain_family?,
            material: material?,
            kind,
            label,
            start_index: start_index.and_then(|index| u32::try_from(index).ok()),
        })
    }
}
