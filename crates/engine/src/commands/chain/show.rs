//! Requests as people see them.

use paywatch_domain::{RequestId, Task};
use paywatch_store::Conn;
use paywatch_store::requests::{self, Request, RequestState};
use paywatch_wire::time::rfc3339;
use paywatch_wire::{ChainFindings, ChainRequest};

use super::super::{Caller, CommandError, CommandParts, Commands};

/// Which requests a caller may see, or withdraw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// What concerns whole chains, with everything that is known of it: operators.
    pub whole_chains: bool,
    /// What concerns the merchant's wallets.
    pub wallets: bool,
    /// What concerns the merchant's invoices.
    pub invoices: bool,
}

impl Sight {
    fn holds(self, caller: &Caller, request: &Request) -> bool {
        let is_meant = match &request.task {
            Task::Resume | Task::Rescan { .. } => self.whole_chains,
            Task::WalletScan { .. } => self.wallets,
            Task::Attach { .. } | Task::Check { .. } => self.invoices,
        };
        let is_own = request
            .merchant
            .is_none_or(|merchant| merchant == caller.merchant);
        is_own && (is_meant || self.whole_chains)
    }
}

/// A request that a caller may see.
pub(super) async fn visible(
    conn: &mut Conn,
    parts: &CommandParts,
    caller: &Caller,
    sight: Sight,
    id: RequestId,
) -> Result<Option<Request>, CommandError> {
    let found = requests::get(conn, id).await?;
    Ok(found.filter(|request| {
        let chain = parts.catalogue.chain(&request.chain);
        sight.holds(caller, request) && chain.is_some_and(|chain| chain.mode == caller.mode)
    }))
}

impl Commands {
    /// One request; `None` when there is none of this id that the caller may see.
    pub async fn chain_request(
        &self,
        caller: &Caller,
        sight: Sight,
        id: RequestId,
    ) -> Result<Option<ChainRequest>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let found = visible(&mut conn, &self.parts, caller, sight, id).await?;
        Ok(found.map(|request| show(&request, sight.whole_chains)))
    }
}

/// A request as people see it. The text of an error may name hosts and files of the installation:
/// merchants learn what holds, and operators why.
pub(super) fn show(request: &Request, is_operator: bool) -> ChainRequest {
    let (task, progress) = (&request.task, &request.progress);
    let heights = task.heights();
    let findings = progress.findings;
    let is_refused = findings.is_some_and(|findings| findings.rejection.is_some());
    ChainRequest {
        id: request.id.to_string(),
        object: "request".into(),
        kind: task.kind().into(),
        chain: request.chain.to_string(),
        state: progress.state.as_str().into(),
        wallet_id: task.wallet().map(|wallet| wallet.to_string()),
        invoice_id: task.invoice().map(|invoice| invoice.to_string()),
        tx_id: match task {
            Task::Attach { tx_id, .. } => Some(tx_id.to_string()),
            Task::Resume | Task::Rescan { .. } | Task::WalletScan { .. } | Task::Check { .. } => {
                None
            }
        },
        from_height: heights.map(|(from, _)| from),
        to_height: heights.map(|(_, to)| to),
        blocks_done: progress.blocks_done,
        blocks_total: progress.blocks_total,
        findings: findings.map(|findings| ChainFindings::render(task, findings)),
        error: progress.error.as_ref().map(|error| match progress.state {
            _ if is_operator || is_refused => error.clone(),
            RequestState::Failed => "failed; ask the operator".into(),
            RequestState::Canceled => "canceled".into(),
            RequestState::Waiting | RequestState::Running | RequestState::Done => {
                "waits for the node; ask the operator if it stays so".into()
            }
        }),
        created_at: rfc3339(request.created_at),
        started_at: request.started_at.map(rfc3339),
        finished_at: request.finished_at.map(rfc3339),
    }
}
