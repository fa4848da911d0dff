//! Which wallet is used: the default of its family, and wallets that are used no more.

use std::sync::Arc;

use paywatch_domain::{Entropy, UnixMillis, WalletId};
use paywatch_store::wallets::{self, Wallet as Row, WalletState};
use paywatch_store::{StoreError, Tx, audit};
use paywatch_wire::audit::state_text;
use paywatch_wire::json_text;

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::{Caller, Change, CommandError, CommandParts, Commands};
use super::show::render;
use super::{check_seal, find, with_sealed};

/// What becomes of a wallet.
#[derive(Clone, Copy)]
enum Standing {
    Default,
    Archived,
}

struct ChangeStanding {
    parts: Arc<CommandParts>,
    caller: Caller,
    id: WalletId,
    standing: Standing,
    now: UnixMillis,
}

impl Effect for ChangeStanding {
    const NAME: &'static str = "change_wallet_standing";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let (parts, caller) = (&self.parts, &self.caller);
        let row = find(tx, caller, self.id).await?;
        check_seal(parts, caller, &row)?;
        match self.standing {
            Standing::Default if row.is_default => {}
            Standing::Default => self.make_default(tx, &row).await?,
            Standing::Archived if row.state == WalletState::Archived => {}
            Standing::Archived => self.archive(tx, &row).await?,
        }
        let row = find(tx, caller, self.id).await?;
        let body = json_text(&render(tx, parts, caller, &row).await?);
        Ok(Answer { status: 200, body })
    }
}

impl ChangeStanding {
    async fn make_default(&self, tx: &mut Tx, row: &Row) -> Result<(), CommandError> {
        if row.state != WalletState::Active {
            let detail = "only a confirmed wallet that is not archived can be the default";
            return Err(CommandError::refused(409, "wallet_not_active", detail));
        }
        let before = wallets::default_of(tx, row.merchant, row.mode, row.family).await?;
        wallets::make_default(tx, row)
            .await
            .map_err(|error| match error {
                StoreError::Conflict("wallets_default") => {
                    let detail = "another wallet became the default at this moment; try again";
                    CommandError::refused(409, "wallet_default_changed", detail)
                }
                error => error.into(),
            })?;
        let change = Change {
            before: before.map(|before| json_text(&before.id.to_string())),
            after: Some(json_text(&row.id.to_string())),
        };
        self.note(tx, "wallet.default", change).await
    }

    async fn archive(&self, tx: &mut Tx, row: &Row) -> Result<(), CommandError> {
        let archived = Row {
            state: WalletState::Archived,
            ..row.clone()
        };
        let master = &self.parts.master;
        let seal = with_sealed(&self.caller, &archived, |fields| fields.seal(master));
        wallets::archive(tx, row.key, &seal).await?;
        let change = Change {
            before: Some(state_text(row.state.as_str())),
            after: Some(state_text(archived.state.as_str())),
        };
        self.note(tx, "wallet.archive", change).await
    }

    async fn note(
        &self,
        tx: &mut Tx,
        action: &'static str,
        change: Change,
    ) -> Result<(), CommandError> {
        let entry = self.caller.did(action, &self.id, change, self.now);
        Ok(audit::append(tx, &self.parts.master, &entry).await?)
    }
}

impl Commands {
    /// Makes a confirmed wallet the one that options of its family use where they name none.
    pub async fn make_default_wallet(
        &self,
        caller: &Caller,
        id: WalletId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let change = self.standing(caller, id, Standing::Default, now);
        once(&self.parts, caller, idempotent, now, entropy, change).await
    }

    /// Takes a wallet out of use for new invoices. What it handed out is watched as before.
    pub async fn archive_wallet(
        &self,
        caller: &Caller,
        id: WalletId,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let change = self.standing(caller, id, Standing::Archived, now);
        once(&self.parts, caller, idempotent, now, entropy, change).await
    }

    fn standing(
        &self,
        caller: &Caller,
        id: WalletId,
        standing: Standing,
        now: UnixMillis,
    ) -> ChangeStanding {
        ChangeStanding {
            parts: Arc::clone(&self.parts),
            caller: caller.clone(),
            id,
            standing,
            now,
        }
    }
}
