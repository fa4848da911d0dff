//! Wallets: public key material, registered and then confirmed by a person.

mod export;
mod pool;
mod register;
mod show;
mod standing;

pub use export::WalletExport;
pub(super) use pool::{
    EMPTY as POOL_EMPTY, address_at, derived, empty as pool_empty, is_pool, level as pool_level,
};

use std::sync::Arc;

use paywatch_chain::{Derivation, KeyError};
use paywatch_domain::{ChainSpec, Family, WalletId};
use paywatch_store::wallets::{self, Wallet as Row, WalletState};
use paywatch_store::{Conn, StoreError};

use super::{Caller, CommandError, CommandParts};
use crate::seal::WalletFields;

/// One wallet of a caller, or the refusal that there is none.
pub(super) async fn find(
    conn: &mut Conn,
    caller: &Caller,
    id: WalletId,
) -> Result<Row, CommandError> {
    let row = wallets::get(conn, caller.merchant, caller.mode, id).await?;
    row.ok_or_else(|| {
        CommandError::refused(404, "wallet_unknown", format!("there is no wallet {id}"))
    })
}

/// What the seal of a stored wallet covers.
fn with_sealed<T>(caller: &Caller, row: &Row, run: impl FnOnce(&WalletFields<'_>) -> T) -> T {
    let (merchant, wallet) = (caller.merchant_id.to_string(), row.id.to_string());
    run(&WalletFields {
        merchant: &merchant,
        wallet: &wallet,
        mode: row.mode.as_str(),
        family: row.family.as_str(),
        canonical: &row.canonical,
        node: &row.node,
        start_index: row.start_index,
        state: row.state,
    })
}

/// Refuses a wallet whose row was changed by somebody who does not have the master key.
pub(super) fn check_seal(
    parts: &CommandParts,
    caller: &Caller,
    row: &Row,
) -> Result<(), CommandError> {
    if with_sealed(caller, row, |fields| fields.holds(&parts.master, &row.seal)) {
        return Ok(());
    }
    let wallet = row.id.to_string();
    tracing::error!(
        wallet,
        "a wallet's seal does not fit: the database was changed from outside"
    );
    let detail = format!("wallet {wallet} was changed in the database; nothing is derived from it");
    Err(CommandError::refused(409, "wallet_seal_broken", detail))
}

pub(super) fn derivation(
    parts: &CommandParts,
    family: Family,
) -> Result<&Arc<dyn Derivation>, CommandError> {
    parts.derivations.get(&family).ok_or_else(|| {
        let detail = format!("no chain of the family {} is served here", family.as_str());
        CommandError::refused(422, "family_not_served", detail)
    })
}

fn key_error(error: &KeyError) -> CommandError {
    CommandError::field("/key", error.code(), error.to_string())
}

fn pool_error(error: &KeyError) -> CommandError {
    CommandError::field("/pool", error.code(), error.to_string())
}

/// The chain in whose form a wallet's addresses are shown.
fn shown_chain<'a>(
    parts: &'a CommandParts,
    caller: &Caller,
    family: Family,
) -> Option<&'a ChainSpec> {
    parts
        .catalogue
        .chains()
        .find(|chain| chain.family == family && chain.mode == caller.mode)
}

/// The wallet that an option is paid to: the one that was named, or the default of the family. What
/// cannot stand is said at `pointer`.
pub(super) async fn payee(
    conn: &mut Conn,
    parts: &CommandParts,
    caller: &Caller,
    family: Family,
    named: Option<WalletId>,
    pointer: &str,
) -> Result<Row, CommandError> {
    let found: Result<Option<Row>, StoreError> = match named {
        Some(id) => wallets::get(conn, caller.merchant, caller.mode, id).await,
        None => wallets::default_of(conn, caller.merchant, caller.mode, family).await,
    };
    let Some(row) = found? else {
        let (code, detail) = match named {
            Some(id) => ("wallet_unknown", format!("there is no wallet {id}")),
            None => (
                "wallet_missing",
                format!(
                    "there is no confirmed wallet for {} chains; register one and confirm it",
                    family.as_str()
                ),
            ),
        };
        return Err(CommandError::field(pointer, code, detail));
    };
    if row.family != family {
        let detail = format!("this wallet is for {} chains", row.family.as_str());
        return Err(CommandError::field(pointer, "wallet_other_family", detail));
    }
    if row.state != WalletState::Active {
        let detail = "the wallet is not confirmed: compare its addresses and confirm it first";
        return Err(CommandError::field(pointer, "wallet_not_active", detail));
    }
    check_seal(parts, caller, &row)?;
    Ok(row)
}
