//! Wallets as merchants see them.

use paywatch_domain::WalletId;
use paywatch_store::handed_out::{self, Usage};
use paywatch_store::wallets::{self, Wallet as Row};
use paywatch_store::{Conn, Cursor, Listed};
use paywatch_wire::wallet::{Wallet, WalletAddress};

use super::super::{Caller, CommandError, CommandParts, Commands};
use super::{address_at, check_seal, pool_level, shown_chain};

/// Addresses that are shown for comparison with the wallet itself.
const SHOWN: u32 = 3;

/// A wallet as merchants see it, with its first addresses and its gap meter.
pub(super) async fn render(
    conn: &mut Conn,
    parts: &CommandParts,
    caller: &Caller,
    row: &Row,
) -> Result<Wallet, CommandError> {
    // Up to what a scan found the owner's own wallet has looked already.
    let scanned = row.scanned_index.map(|index| index.saturating_add(1));
    let first = row.start_index.max(scanned.unwrap_or(0));
    let usage = handed_out::usage(conn, row.key, first).await?;
    let next_index = row.next_index.max(first);
    let unused_gap = unused_gap(usage, first, next_index);
    let pool = pool_level(conn, row).await?;
    let mut first_addresses = Vec::new();
    if let Some(chain) = shown_chain(parts, caller, row.family) {
        let end = pool.as_ref().map_or(u32::MAX, |pool| pool.size);
        for index in row.start_index..row.start_index.saturating_add(SHOWN).min(end) {
            let derived = address_at(conn, parts, caller, row, index, &chain.name).await?;
            first_addresses.push(WalletAddress {
                index,
                address: derived.address,
                derivation_path: derived.path,
            });
        }
    }
    Ok(Wallet {
        id: row.id.to_string(),
        object: "wallet".into(),
        livemode: row.mode == paywatch_domain::Mode::Live,
        chain_family: row.family.as_str().into(),
        kind: row.kind.clone(),
        fingerprint: row.fingerprint.clone(),
        label: row.label.clone(),
        state: row.state.as_str().into(),
        default: row.is_default,
        start_index: row.start_index,
        next_index,
        highest_used_index: usage.highest.max(row.scanned_index),
        unused_gap,
        recommended_gap_limit: recommended_gap_limit(unused_gap),
        pool,
        first_addresses,
        created_at: paywatch_wire::time::rfc3339(row.created_at),
        confirmed_at: row.confirmed_at.map(paywatch_wire::time::rfc3339),
    })
}

/// What most wallets look past when nobody changed it
/// (<https://github.com/bitcoin/bips/blob/master/bip-0044.mediawiki#address-gap-limit>).
const GAP_LIMIT_USUAL: u32 = 20;

/// The longest row of unused indexes from `start` on that ends before a used one or before `next`.
fn unused_gap(usage: Usage, start: u32, next: u32) -> u32 {
    let behind = usage.highest.map_or(start, |used| used.saturating_add(1));
    usage.longest_gap.max(next.saturating_sub(behind))
}

/// Twice the gap, so that as many addresses again can be handed out; never below the usual limit.
fn recommended_gap_limit(unused_gap: u32) -> u32 {
    unused_gap.saturating_mul(2).max(GAP_LIMIT_USUAL)
}

impl Commands {
    /// One wallet; `None` when the caller has none of this id.
    pub async fn wallet(
        &self,
        caller: &Caller,
        id: WalletId,
    ) -> Result<Option<Wallet>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let row = wallets::get(&mut conn, caller.merchant, caller.mode, id).await?;
        match row {
            Some(row) => self.show_wallet(&mut conn, caller, &row).await.map(Some),
            None => Ok(None),
        }
    }

    /// A stored wallet as merchants see it.
    async fn show_wallet(
        &self,
        conn: &mut Conn,
        caller: &Caller,
        row: &Row,
    ) -> Result<Wallet, CommandError> {
        check_seal(&self.parts, caller, row)?;
        render(conn, &self.parts, caller, row).await
    }

    /// A page of the caller's wallets, newest first.
    pub async fn wallets(
        &self,
        caller: &Caller,
        cursor: &Cursor<WalletId>,
        limit: u32,
    ) -> Result<Listed<Wallet>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let (merchant, mode) = (caller.merchant, caller.mode);
        let page = wallets::list(&mut conn, merchant, mode, cursor, limit).await?;
        let mut rows = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            rows.push(self.show_wallet(&mut conn, caller, row).await?);
        }
        Ok(Listed {
            rows,
            has_more: page.has_more,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line per case: highest used index, longest gap before it, start, next; gap and limit.
    #[test]
    fn gaps_and_limits() {
        let table = [
            (None, 0, 0, 0, 0, 20),
            (None, 0, 5, 5, 0, 20),
            (None, 0, 5, 12, 7, 20),
            (Some(11), 3, 5, 12, 3, 20),
            (Some(11), 3, 5, 22, 10, 20),
            (Some(11), 3, 5, 23, 11, 22),
            (Some(40), 29, 5, 41, 29, 58),
            (
                Some(0x7fff_ffff),
                0x7fff_fffe,
                0,
                0x8000_0000,
                0x7fff_fffe,
                0xffff_fffc,
            ),
        ];
        for (highest, longest_gap, start, next, gap, limit) in table {
            let usage = Usage {
                highest,
                longest_gap,
            };
            assert_eq!(
                unused_gap(usage, start, next),
                gap,
                "{usage:?} {start} {next}"
            );
            assert_eq!(recommended_gap_limit(gap), limit);
        }
    }
}
