//! Withdrawing what was asked of a worker: a request that waits for ever holds up those behind it.

use std::sync::Arc;

use paywatch_domain::{Entropy, RequestId, UnixMillis};
use paywatch_store::requests::{self, RequestState};
use paywatch_store::{Tx, audit};
use paywatch_wire::audit::state_text;
use paywatch_wire::json_text;

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::{Caller, Change, CommandError, CommandParts, Commands};
use super::show::{Sight, show, visible};
use super::unknown;

struct CancelRequest {
    parts: Arc<CommandParts>,
    caller: Caller,
    sight: Sight,
    id: RequestId,
    now: UnixMillis,
}

impl Effect for CancelRequest {
    const NAME: &'static str = "cancel_request";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let Self {
            parts,
            caller,
            sight,
            id,
            now,
        } = self;
        let find = async |tx: &mut Tx| {
            let found = visible(tx, parts, caller, *sight, *id).await?;
            found.ok_or_else(|| unknown(*id))
        };
        let before = find(tx).await?;
        if !requests::cancel(tx, before.key, *now).await? {
            let state = find(tx).await?.progress.state.as_str();
            let detail = format!("the request is {state}; there is nothing to withdraw");
            return Err(CommandError::refused(409, "request_over", detail));
        }
        let after = find(tx).await?;
        let change = Change {
            before: Some(state_text(before.progress.state.as_str())),
            after: Some(state_text(RequestState::Canceled.as_str())),
        };
        let mut entry = caller.did("request.cancel", id, change, *now);
        entry.merchant = before.merchant.map(|_| caller.merchant_id);
        audit::append(tx, &parts.master, &entry).await?;
        Ok(Answer {
            status: 200,
            body: json_text(&show(&after, sight.whole_chains)),
        })
    }
}

impl Commands {
    /// Withdraws a request that is not over. What was done of it stays; its worker lets go of it at its
    /// next look.
    pub async fn cancel_request(
        &self,
        caller: &Caller,
        sight: Sight,
        id: RequestId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let effect = CancelRequest {
            parts: Arc::clone(&self.parts),
            caller: caller.clone(),
            sight,
            id,
            now,
        };
        once(&self.parts, caller, idempotent, now, entropy, effect).await
    }
}
