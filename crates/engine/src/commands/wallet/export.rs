//! What a wallet handed out, page by page.

use paywatch_domain::{ChainName, WalletId};
use paywatch_store::handed_out;
use paywatch_store::wallets::{self, Wallet as Row};
use paywatch_wire::export::{DescriptorExport, ExportRow};

use super::super::{Caller, CommandError, Commands};
use super::show::render;
use super::{check_seal, derivation, key_error, shown_chain};

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
    /// The wallet's descriptor over what was handed out, and the gap limit to set.
    pub fn descriptor(&self) -> String {
        let row = &self.row;
        let last = row.next_index.saturating_sub(1).max(row.start_index);
        let export = DescriptorExport {
            desc: &row.canonical,
            range: [row.start_index, last],
            timestamp: row.created_at.0.div_euclid(1000),
            active: false,
            internal: false,
        };
        export.text(self.gap_limit)
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

    /// The next addresses of an export from an index on; none when it ends. They are derived again
    /// and not read from the database, which somebody may have changed.
    pub async fn exported(
        &self,
        export: &WalletExport,
        from: u32,
    ) -> Result<Vec<ExportRow>, CommandError> {
        let mut conn = self.parts.store.read().await?;
        let page = handed_out::page(&mut conn, export.row.key, from, PAGE_ROWS).await?;
        drop(conn);
        let derivation = derivation(&self.parts, export.row.family)?;
        let row = |row: handed_out::HandedOut| {
            let derived = derivation
                .derive(&export.row.canonical, row.index, &export.chain)
                .map_err(|error| key_error(&error))?;
            Ok(ExportRow {
                index: row.index,
                path: derived.path,
                address: derived.address,
                invoice_id: row.invoice,
                order_id: row.order_id,
                status: row.status,
                created_at: row.created_at,
            })
        };
        page.into_iter().map(row).collect()
    }
}
