//! A request to the worker of a chain, as the API shows it.

use paywatch_domain::Task;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody has asked of the worker that follows a chain, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainRequest {
    /// `req_…`.
    pub id: String,
    /// Always `request`.
    pub object: String,
    /// `resume`, `rescan`, `wallet_scan`, `attach` or `check`.
    pub kind: String,
    /// Whose worker does it.
    pub chain: String,
    /// `waiting`, `running`, `done`, `failed` or `canceled`.
    pub state: String,
    /// The wallet that is scanned for.
    pub wallet_id: Option<String>,
    /// The invoice that is checked, or that a transaction is attached to.
    pub invoice_id: Option<String>,
    /// The transaction that is attached.
    pub tx_id: Option<String>,
    /// The lowest block to be read.
    pub from_height: Option<u64>,
    /// The highest block to be read.
    pub to_height: Option<u64>,
    /// Blocks that were read, or need not be: the node's index finds nothing in them.
    pub blocks_done: u64,
    /// Blocks to be read; `null` before that is known.
    pub blocks_total: Option<u64>,
    /// What was found so far; `null` for what finds nothing.
    pub findings: Option<ChainFindings>,
    /// Why it failed, or what it waits for. Keys without the scope `admin` see only which of the two.
    pub error: Option<String>,
    /// When it was asked.
    #[schemars(extend("format" = "date-time"))]
    pub created_at: String,
    /// When a worker began.
    #[schemars(extend("format" = "date-time"))]
    pub started_at: Option<String>,
    /// When it was done or given up.
    #[schemars(extend("format" = "date-time"))]
    pub finished_at: Option<String>,
}

/// What reading blocks again has brought to light.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainFindings {
    /// Transfers that were missing and stand there now, of the invoice where the request is about one;
    /// `null` for a scan.
    pub placed: Option<u64>,
    /// Transfers that were said to stand there and do not, of the invoice where the request is about one;
    /// `null` for a scan.
    pub removed: Option<u64>,
    /// The highest index of the wallet that was ever paid; `null` when none was, and for a rescan.
    pub highest_index: Option<u32>,
    /// Why a transaction was not attached: `transaction_not_found`, `transaction_not_in_chain`,
    /// `transaction_in_mempool` or `transaction_pays_nothing`; `error` has it in words.
    pub rejection: Option<String>,
}

impl ChainFindings {
    /// Shows what a task has found.
    pub fn render(task: &Task, findings: paywatch_domain::Findings) -> Self {
        let is_scan = task.wallet().is_some();
        Self {
            placed: (!is_scan).then_some(findings.placed),
            removed: (!is_scan).then_some(findings.removed),
            highest_index: findings.highest_index,
            rejection: findings
                .rejection
                .map(|rejection| rejection.as_str().into()),
        }
    }
}
