//! Chains and assets as merchants see them: what can be paid, and how far it was read.

use paywatch_domain::{Asset, ChainSpec, Mode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::forms::FinalityForm;

/// One chain: what it is, and how far it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Chain {
    /// Short name.
    pub chain: String,
    /// Always `chain`.
    pub object: String,
    /// CAIP-2 id (<https://chainagnostic.org/CAIPs/caip-2>).
    pub caip2: String,
    /// Which wallets serve it.
    pub family: String,
    /// Whether real money moves.
    pub livemode: bool,
    /// What is final where no policy says otherwise.
    pub finality: FinalityForm,
    /// How far it was read; `null` before the first block.
    pub cursor: Option<ChainCursor>,
    /// Height of the first block that was read and verified; from there to the cursor every one was.
    pub first_height: Option<u64>,
    /// Everything up to this time was read.
    #[schemars(extend("format" = "date-time"))]
    pub covered_until: Option<String>,
    /// Height of the node's tip, as last read.
    pub tip_height: Option<u64>,
    /// Blocks between the cursor and the node's tip.
    pub lag_blocks: Option<u64>,
    /// How fast it catches up; `null` at the tip and while that is not known.
    pub catching_up: Option<CatchUp>,
    /// Why nothing is applied until an operator looked.
    pub halted: Option<String>,
    /// What keeps the follower from reading on, for as long as it does.
    pub problem: Option<ChainProblem>,
    /// How each of its endpoints is, as its follower last wrote; empty for keys without the scope `admin`.
    #[serde(default)]
    pub endpoints: Vec<ChainEndpoint>,
    /// Whether new invoices on it are accepted.
    pub accepting: bool,
    /// When its follower last wrote.
    #[schemars(extend("format" = "date-time"))]
    pub updated_at: Option<String>,
}

/// A chain on the way to its node's tip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CatchUp {
    /// Blocks that were read and verified so far.
    pub blocks_done: u64,
    /// Blocks still to be read.
    pub blocks_left: u64,
    /// Blocks read in a minute, over the last seconds.
    pub blocks_per_minute: u64,
    /// How long that will take at this speed; `null` while nothing moves.
    pub seconds_left: Option<u64>,
}

/// The last block that was read and verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainCursor {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: String,
}

/// What keeps a follower from reading on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainProblem {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// One endpoint of a chain: a node, or somebody who runs nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainEndpoint {
    /// Host and port. The rest of its address may hold a key and is shown nowhere.
    pub endpoint: String,
    /// `unasked`, `well`, `lost`, `distrusted` (a block that it gave failed its proof a short time ago) or
    /// `wrong_network`.
    pub condition: String,
    /// Whether it is asked first, as long as it is well.
    pub leading: bool,
    /// Whether it is left out of polls for a few seconds, because it gave no answer.
    pub resting: bool,
    /// Its software and version, once it has told them.
    pub version: Option<String>,
    /// What else it gives, in words; `null` where all endpoints of the family give the same.
    pub offers: Option<String>,
    /// Height of its tip when it last answered.
    pub tip_height: Option<u64>,
    /// Blocks between that and the highest tip of any endpoint.
    pub lag_blocks: Option<u64>,
    /// Requests that failed since the follower started.
    pub errors: u64,
    /// The last of them; it may be over.
    pub last_error: Option<ChainProblem>,
}

/// One asset that can be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssetForm {
    /// `symbol@chain`.
    pub asset: String,
    /// Always `asset`.
    pub object: String,
    /// The part before the `@`.
    pub symbol: String,
    /// The chain it is paid on.
    pub chain: String,
    /// CAIP-19 id (<https://chainagnostic.org/CAIPs/caip-19>).
    pub caip19: String,
    /// Whether real money moves.
    pub livemode: bool,
    /// Digits after the point.
    pub decimals: u8,
    /// A transfer below this alone causes no status, in the asset's own unit.
    pub dust: String,
}

impl AssetForm {
    /// Shows an asset of a chain.
    pub fn render(chain: &ChainSpec, asset: &Asset) -> Self {
        Self {
            asset: asset.name.to_string(),
            object: "asset".into(),
            symbol: asset.name.symbol().into(),
            chain: chain.name.to_string(),
            caip19: asset.caip19.to_string(),
            livemode: chain.mode == Mode::Live,
            decimals: asset.decimals,
            dust: asset.dust.decimal(asset.decimals),
        }
    }
}
