//! Pools: addresses that a merchant's own wallet made, handed out in their order by the wallet's counter.

use std::sync::Arc;

use paywatch_chain::{ADDRESS_POOL, DerivedAddress, KeyError};
use paywatch_domain::{ChainName, Entropy, Family, UnixMillis, WalletId};
use paywatch_store::pool_addresses::{self, PoolAddress};
use paywatch_store::wallets::{self, Wallet as Row, WalletState};
use paywatch_store::{Conn, StoreError, Tx, WalletKey, audit};
use paywatch_wire::json_text;
use paywatch_wire::request::ExtendPool;
use paywatch_wire::wallet::PoolLevel;

use super::super::answer::{Answer, Answered, Effect, Idempotent, once};
use super::super::{Caller, Change, CommandError, CommandParts, Commands};
use super::show::render;
use super::{check_seal, derivation, find, pool_error};
use crate::seal::PoolFields;

/// A pool is low when this many addresses are left, or fewer.
const LOW: u32 = 10;
/// A pool is low when one in so many is left.
const LOW_SHARE: u32 = 10;

/// Whether a wallet's addresses stand in a pool.
pub(in super::super) fn is_pool(wallet: &Row) -> bool {
    wallet.kind == ADDRESS_POOL
}

/// How full a wallet's pool is; `None` for a wallet whose addresses are derived.
pub(in super::super) async fn level(
    conn: &mut Conn,
    wallet: &Row,
) -> Result<Option<PoolLevel>, StoreError> {
    if !is_pool(wallet) {
        return Ok(None);
    }
    let size = pool_addresses::size(conn, wallet.key).await?;
    Ok(Some(level_of(size, wallet.next_index)))
}

fn level_of(size: u32, next_index: u32) -> PoolLevel {
    let remaining = size.saturating_sub(next_index);
    PoolLevel {
        size,
        remaining,
        low: remaining <= LOW.max(size / LOW_SHARE),
    }
}

/// The address of a wallet at an index, in the form of one chain.
///
/// # Errors
/// What is wrong with the key at this index; `address_pool_empty` behind the end of a pool.
pub(in super::super) async fn address_at(
    conn: &mut Conn,
    parts: &CommandParts,
    caller: &Caller,
    wallet: &Row,
    index: u32,
    chain: &ChainName,
) -> Result<DerivedAddress, CommandError> {
    if !is_pool(wallet) {
        return derived(parts, wallet, index, chain);
    }
    let Some(row) = pool_addresses::get(conn, wallet.key, index).await? else {
        return Err(CommandError::refused(409, EMPTY, empty(wallet.id)));
    };
    let (merchant, id) = (caller.merchant_id.to_string(), wallet.id.to_string());
    let fields = PoolFields {
        merchant: &merchant,
        wallet: &id,
        position: index,
        address: &row.address,
    };
    if !fields.holds(&parts.master, &row.seal) {
        tracing::error!(wallet = %id, index, "the seal of an address does not fit: the database was changed from outside");
        let detail = format!("address {index} of wallet {id} was changed in the database");
        return Err(CommandError::refused(409, "wallet_seal_broken", detail));
    }
    let pooled = derivation(parts, wallet.family)?.pooled(&row.address, index, chain);
    pooled.map_err(|error| refused(&error))
}

/// The address of a wallet that is no pool.
pub(in super::super) fn derived(
    parts: &CommandParts,
    wallet: &Row,
    index: u32,
    chain: &ChainName,
) -> Result<DerivedAddress, CommandError> {
    let derived = derivation(parts, wallet.family)?.derive(&wallet.canonical, index, chain);
    derived.map_err(|error| refused(&error))
}

fn refused(error: &KeyError) -> CommandError {
    CommandError::refused(409, error.code(), error.to_string())
}

/// The code of an error that names a pool of which nothing is left, or not enough.
pub(in super::super) const EMPTY: &str = "address_pool_empty";

/// What to do about it.
pub(in super::super) fn empty(wallet: WalletId) -> String {
    format!(
        "the pool of {wallet} has too few addresses left that were not handed out; add a file of new \
         ones: paywatch wallet top-up {wallet} --pool FILE"
    )
}

/// Appends addresses to a pool, all or none.
pub(super) async fn append(
    tx: &mut Tx,
    parts: &CommandParts,
    caller: &Caller,
    wallet: (WalletKey, WalletId, Family),
    addresses: &[String],
) -> Result<(), CommandError> {
    let (key, id, family) = wallet;
    if let Some(known) = pool_addresses::known(tx, family, addresses).await? {
        let detail = format!(
            "{known} is in use already: in a pool, for an invoice, or as the wallet of Solana Pay; \
             nothing of the file was taken"
        );
        return Err(CommandError::field("/pool", "address_known", detail));
    }
    let first = pool_addresses::size(tx, key).await?;
    let (merchant, wallet) = (caller.merchant_id.to_string(), id.to_string());
    let rows = (first..).zip(addresses).map(|(position, address)| {
        let fields = PoolFields {
            merchant: &merchant,
            wallet: &wallet,
            position,
            address,
        };
        PoolAddress {
            position,
            address: address.clone(),
            seal: fields.seal(&parts.master).to_vec(),
        }
    });
    let rows: Vec<PoolAddress> = rows.collect();
    pool_addresses::insert(tx, key, family, &rows)
        .await
        .map_err(|error| match error {
            StoreError::Conflict("pool_changed") => {
                let detail =
                    "somebody registered some of these addresses at this moment; try again";
                CommandError::refused(409, "pool_changed", detail)
            }
            error => error.into(),
        })
}

struct TopUp {
    parts: Arc<CommandParts>,
    caller: Caller,
    id: WalletId,
    addresses: Vec<String>,
    now: UnixMillis,
}

impl Effect for TopUp {
    const NAME: &'static str = "top_up_pool";

    async fn run(&self, tx: &mut Tx) -> Result<Answer, CommandError> {
        let (parts, caller) = (&self.parts, &self.caller);
        let row = find(tx, caller, self.id).await?;
        check_seal(parts, caller, &row)?;
        check_open(&row)?;
        // Two files at once get their places one after the other.
        wallets::owners_of_node(tx, &row.node).await?;
        let before = level(tx, &row).await?;
        append(
            tx,
            parts,
            caller,
            (row.key, row.id, row.family),
            &self.addresses,
        )
        .await?;
        let after = level(tx, &row).await?;
        let change = Change {
            before: before.map(|level| json_text(&level)),
            after: after.map(|level| json_text(&level)),
        };
        let entry = caller.did("wallet.top_up", &self.id, change, self.now);
        audit::append(tx, &parts.master, &entry).await?;
        let body = json_text(&render(tx, parts, caller, &row).await?);
        Ok(Answer { status: 200, body })
    }
}

fn check_open(wallet: &Row) -> Result<(), CommandError> {
    if !is_pool(wallet) {
        let detail = format!(
            "the addresses of {} are derived; it needs no pool",
            wallet.id
        );
        return Err(CommandError::refused(409, "wallet_not_pool", detail));
    }
    if wallet.state == WalletState::Archived {
        let detail = "an archived wallet takes no addresses";
        return Err(CommandError::refused(409, "wallet_archived", detail));
    }
    Ok(())
}

impl Commands {
    /// Appends the addresses of a file to a wallet's pool. What may confirm a wallet may do this: whose
    /// addresses these are nobody checks.
    pub async fn extend_pool(
        &self,
        caller: &Caller,
        id: WalletId,
        request: &ExtendPool,
        idempotent: Option<Idempotent>,
        now: UnixMillis,
        entropy: &mut dyn Entropy,
    ) -> Result<Answered, CommandError> {
        let parts = &self.parts;
        let mut conn = parts.store.read().await?;
        let row = find(&mut conn, caller, id).await?;
        drop(conn);
        check_open(&row)?;
        let pool = derivation(parts, row.family)?.pool(&request.pool);
        let effect = TopUp {
            parts: Arc::clone(parts),
            caller: caller.clone(),
            id,
            addresses: pool.map_err(|error| pool_error(&error))?.addresses,
            now,
        };
        once(parts, caller, idempotent, now, entropy, effect).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solana_pool_is_low_before_it_is_empty() {
        for (size, next, remaining, low) in [
            (5000, 0, 5000, false),
            (5000, 4499, 501, false),
            (5000, 4500, 500, true),
            (50, 39, 11, false),
            (50, 40, 10, true),
            (5, 0, 5, true),
            (5, 9, 0, true),
        ] {
            let expected = PoolLevel {
                size,
                remaining,
                low,
            };
            assert_eq!(level_of(size, next), expected);
        }
    }
}
