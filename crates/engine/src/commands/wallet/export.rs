//! What a wallet handed out, page by page.

use paywatch_domain::{ChainName, Family, WalletId};
use paywatch_store::handed_out;
use paywatch_store::wallets::{self, Wallet as Row};
use paywatch_wire::export::{DescriptorExport, ExportRow};

use super::super::{Caller, CommandError, Commands};
use super::show::render;
use super::{address_at, check_seal, shown_chain};

/// Addresses of one page: a few milliseconds of derivation.
const PAGE_ROWS: u32 = 100;

/// A wallet whose addresses are about to be read.
#[derive(Clone, Debug)]
pub struct WalletExport {
    row: Row,
    chain: ChainName,
    gap_limit: u32,
}

impl WalletExport {
    /// The wallet's descriptor over what was handed out, and the gap limit to set. Refused where a wallet
    /// has none: no other program reads its form, or it holds a secret.
    pub fn descriptor(&self) -> Result<String, CommandError> {
        let row = &self.row;
        if row.family == Family::Solana {
            let detail = "wallets of Solana have no descriptor; choose the form csv or bip329";
            return Err(CommandError::refused(409, "descriptor_none", detail));
        }
        let last = row.next_index.saturating_sub(1).max(row.start_index);
        let export = DescriptorExport {
            desc: &row.canonical,
            range: [row.start_index, last],
            timestamp: row.created_at.0.div_euclid(1000),
            active: false,
            internal: false,
        };
        Ok(export.text(self.gap_limit))
    }
}

impl Commands {
    /// Begins to export a wallet; `None` when the caller has none of this id.
    pub async fn wallet_export(
        &self,
        caller: &Caller,
        id: WalletId,
    ) -> Result<Option<WalletExport>, CommandError> {
        let parts = &self.parts;
        let mut conn = parts.store.read().await?;
        let found = wallets::get(&mut conn, caller.merchant, caller.mode, id).await?;
        let Some(row) = found else {
            return Ok(None);
        };
        check_seal(parts, caller, &row)?;
        let Some(chain) = shown_chain(parts, caller, row.family) else {
            let detail =
                "no chain of this wallet is configured here, so its addresses have no form";
            return Err(CommandError::refused(409, "family_not_served", detail));
        };
        let shown = render(&mut conn, parts, caller, &row).await?;
        Ok(Some(WalletExport {
            chain: chain.name.clone(),
            gap_limit: shown.recommended_gap_limit,
            row,
        }))
    }

    /// The next addresses of an export from an index on; none when it ends. They are derived again,
    /// or read with their seals: somebody may have changed the database.
    pub async fn exported(
        &self,
        caller: &Caller,
        export: &WalletExport,
        from: u32,
    ) -> Result<Vec<ExportRow>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let wallet = &export.row;
        let page = handed_out::page(&mut conn, wallet.key, from, PAGE_ROWS).await?;
        let mut rows = Vec::with_capacity(page.len());
        for row in page {
            let (index, chain) = (row.index, &export.chain);
            let derived = address_at(&mut conn, &self.parts, caller, wallet, index, chain).await?;
            rows.push(ExportRow {
                index,
                path: derived.path,
                address: derived.address,
                invoice_id: row.invoice,
                order_id: row.order_id,
                status: row.status,
                created_at: row.created_at,
            });
        }
        Ok(rows)
    }
}
