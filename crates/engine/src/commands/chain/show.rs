//! Requests as people see them.

use paywatch_domain::Task;
use paywatch_store::requests::{Request, RequestState};
use paywatch_wire::time::rfc3339;
use paywatch_wire::{ChainFindings, ChainRequest};

/// A request as people see it. The text of an error may name hosts and files of the installation:
/// merchants learn what holds, and operators why.
pub(super) fn show(request: &Request, is_operator: bool) -> ChainRequest {
    let (task, progress) = (&request.task, &request.progress);
    let heights = task.heights();
    let wallet = match task {
        Task::WalletScan { wallet, .. } => Some(wallet.to_string()),
        Task::Resume | Task::Rescan { .. } => None,
    };
    let findings = progress.findings;
    ChainRequest {
        id: request.id.to_string(),
        object: "request".into(),
        kind: task.kind().into(),
        chain: request.chain.to_string(),
        state: progress.state.as_str().into(),
        wallet_id: wallet,
        from_height: heights.map(|(from, _)| from),
        to_height: heights.map(|(_, to)| to),
        blocks_done: progress.blocks_done,
        blocks_total: progress.blocks_total,
        findings: findings.map(|findings| ChainFindings::render(task, findings)),
        error: progress.error.as_ref().map(|error| match progress.state {
            _ if is_operator => error.clone(),
            RequestState::Failed => "failed; ask the operator".into(),
            RequestState::Waiting | RequestState::Running | RequestState::Done => {
                "waits for the node; ask the operator if it stays so".into()
            }
        }),
        created_at: rfc3339(request.created_at),
        started_at: request.started_at.map(rfc3339),
        finished_at: request.finished_at.map(rfc3339),
    }
}
