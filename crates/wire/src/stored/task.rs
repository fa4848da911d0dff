//! Tasks of chain workers and what they found.

use paywatch_domain::{BlockHash, BlockHint, Findings, Rejection, Task, TxId};
use serde::{Deserialize, Serialize};

use super::{StoredError, VERSION, read};
use crate::json_text;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskForm {
    v: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wallet: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_height: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_height: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_height: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_hash: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FindingsForm {
    v: u32,
    placed: u64,
    removed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    highest_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<String>,
}

/// What belongs to a task's kind, for the database.
pub fn task_to_json(task: &Task) -> String {
    let heights = task.heights();
    let mut form = TaskForm {
        v: VERSION,
        merchant: None,
        wallet: task.wallet().map(|wallet| wallet.to_string()),
        from_height: heights.map(|(from, _)| from),
        to_height: heights.map(|(_, to)| to),
        invoice: task.invoice().map(|invoice| invoice.to_string()),
        tx_id: None,
        block_height: None,
        block_hash: None,
    };
    match task {
        Task::WalletScan { merchant, .. } => form.merchant = Some(merchant.to_string()),
        Task::Attach { tx_id, block, .. } => {
            form.tx_id = Some(tx_id.to_string());
            match block {
                Some(BlockHint::Height(height)) => form.block_height = Some(*height),
                Some(BlockHint::Hash(hash)) => form.block_hash = Some(hash.to_string()),
                None => {}
            }
        }
        Task::Resume | Task::Rescan { .. } | Task::Check { .. } => {}
    }
    json_text(&form)
}

/// Reads a task back.
pub fn task_from_json(kind: &str, text: &str) -> Result<Task, StoredError> {
    const FORM: &str = "task";
    let damaged = |field, value: &str| StoredError::Value {
        form: FORM,
        field,
        value: value.into(),
    };
    let form: TaskForm = read(FORM, text)?;
    let heights = || {
        let both = form.from_height.zip(form.to_height);
        both.ok_or_else(|| damaged("heights", text))
    };
    let invoice = || {
        let invoice = form.invoice.as_deref().unwrap_or_default();
        invoice.parse().map_err(|_| damaged("invoice", invoice))
    };
    match kind {
        "resume" => Ok(Task::Resume),
        "rescan" => heights().map(|(from_height, to_height)| Task::Rescan {
            from_height,
            to_height,
        }),
        "wallet_scan" => {
            let merchant = form.merchant.as_deref().unwrap_or_default();
            let wallet = form.wallet.as_deref().unwrap_or_default();
            let (from_height, to_height) = heights()?;
            Ok(Task::WalletScan {
                merchant: merchant
                    .parse()
                    .map_err(|_| damaged("merchant", merchant))?,
                wallet: wallet.parse().map_err(|_| damaged("wallet", wallet))?,
                from_height,
                to_height,
            })
        }
        "attach" => Ok(Task::Attach {
            invoice: invoice()?,
            tx_id: form
                .tx_id
                .as_deref()
                .map(TxId::new)
                .ok_or_else(|| damaged("tx_id", text))?,
            block: match (form.block_height, &form.block_hash) {
                (Some(height), _) => Some(BlockHint::Height(height)),
                (None, Some(hash)) => Some(BlockHint::Hash(BlockHash::new(hash))),
                (None, None) => None,
            },
        }),
        "check" => {
            let (from_height, to_height) = heights()?;
            Ok(Task::Check {
                invoice: invoice()?,
                from_height,
                to_height,
            })
        }
        other => Err(damaged("kind", other)),
    }
}

/// What a task found, for the database.
pub fn findings_to_json(findings: &Findings) -> String {
    json_text(&FindingsForm {
        v: VERSION,
        placed: findings.placed,
        removed: findings.removed,
        highest_index: findings.highest_index,
        rejection: findings
            .rejection
            .map(|rejection| rejection.as_str().into()),
    })
}

/// Reads back what a task found.
pub fn findings_from_json(text: &str) -> Result<Findings, StoredError> {
    let form: FindingsForm = read("findings", text)?;
    Ok(Findings {
        placed: form.placed,
        removed: form.removed,
        highest_index: form.highest_index,
        rejection: form.rejection.as_deref().and_then(Rejection::parse),
    })
}
