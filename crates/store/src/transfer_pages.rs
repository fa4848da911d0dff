//! Lists of a merchant's transfers.

use paywatch_domain::{AssetName, ChainName, InvoiceId, Mode, TransferId};

use crate::column::parsed;
use crate::keys::{InvoiceKey, MerchantKey};
use crate::page::{Cursor, Listed, Window};
use crate::sql::{Sql, statements};
use crate::{Bind, Conn, StoreError};

/// Two statements for each filter: pages downwards and upwards from a row.
macro_rules! pages {
    ($($older:ident $newer:ident $filter:literal;)+) => {
        statements! {
            FIND = "SELECT id FROM transfers WHERE merchant = $1 AND mode = $2 AND public_id = $3";
            $(
                $older = "SELECT t.invoice, t.public_id FROM transfers AS t
                    WHERE t.merchant = $1 AND t.mode = $2 AND t.id < $3",
                    $filter, " ORDER BY t.id DESC LIMIT CAST($4 AS BIGINT)";
                $newer = "SELECT t.invoice, t.public_id FROM transfers AS t
                    WHERE t.merchant = $1 AND t.mode = $2 AND t.id > $3",
                    $filter, " ORDER BY t.id LIMIT CAST($4 AS BIGINT)";
            )+
        }
    };
}

pages! {
    ALL_OLDER ALL_NEWER "";
    INVOICE_OLDER INVOICE_NEWER " AND t.invoice IN (SELECT i.id FROM invoices AS i WHERE i.public_id = $5)";
    TRANSACTION_OLDER TRANSACTION_NEWER " AND t.tx_id = $5";
    ASSET_OLDER ASSET_NEWER " AND t.asset = $5";
    CHAIN_OLDER CHAIN_NEWER " AND t.chain = $5";
    ADDRESS_OLDER ADDRESS_NEWER " AND t.id IN (
        SELECT o.id FROM transfers AS o WHERE o.sibling_address = $5
        UNION ALL
        SELECT o.id FROM options AS p CROSS JOIN transfers AS o
        WHERE p.address = $5 AND o.invoice = p.invoice AND o.option = p.id AND o.sibling_address IS NULL)";
}

/// Which transfers a list holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Every one.
    All,
    /// Those of an invoice.
    Invoice(InvoiceId),
    /// Those of a transaction.
    TxId(String),
    /// Those of an asset.
    Asset(AssetName),
    /// Those on a chain.
    Chain(ChainName),
    /// Those to an address.
    Address(String),
}

/// A page of transfers with their invoices, newest first.
///
/// # Errors
///
/// [`StoreError::NoSuchCursor`] when the cursor is no transfer of this merchant and mode.
pub async fn page(
    conn: &mut Conn,
    (merchant, mode): (MerchantKey, Mode),
    by: &By,
    cursor: &Cursor<TransferId>,
    limit: u32,
) -> Result<Listed<(InvoiceKey, TransferId)>, StoreError> {
    let scope = [merchant.into(), mode.as_str().into()];
    let window = Window::find(conn, cursor, limit, FIND, &scope).await?;
    let (statements, text): ((Sql, Sql), Option<String>) = match by {
        By::All => ((ALL_OLDER, ALL_NEWER), None),
        By::Invoice(id) => ((INVOICE_OLDER, INVOICE_NEWER), Some(id.to_string())),
        By::TxId(id) => ((TRANSACTION_OLDER, TRANSACTION_NEWER), Some(id.clone())),
        By::Asset(name) => ((ASSET_OLDER, ASSET_NEWER), Some(name.to_string())),
        By::Chain(name) => ((CHAIN_OLDER, CHAIN_NEWER), Some(name.to_string())),
        By::Address(address) => ((ADDRESS_OLDER, ADDRESS_NEWER), Some(address.clone())),
    };
    let filter: Vec<Bind<'_>> = text.iter().map(|text| Bind::Text(text)).collect();
    let page = window
        .fetch::<(i64, String)>(conn, statements, &scope, &filter)
        .await?;
    page.try_map(|(invoice, id)| Ok((InvoiceKey(invoice), parsed("transfers.public_id", &id)?)))
}
