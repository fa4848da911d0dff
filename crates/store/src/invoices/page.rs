//! Lists of invoices: one statement for each filter and direction, one leading index each.

use paywatch_domain::{AssetName, InvoiceId, Mode, Status, UnixMillis};

use crate::keys::{InvoiceKey, MerchantKey};
use crate::page::{Cursor, Listed, Window};
use crate::sql::{Sql, statements};
use crate::{Bind, Conn, StoreError};

/// Two statements for each filter: pages downwards and upwards from a row.
macro_rules! pages {
    ($($older:ident $newer:ident $filter:literal;)+) => {
        statements! {
            FIND = "SELECT id FROM invoices WHERE merchant = $1 AND mode = $2 AND public_id = $3 ";
            $(
                $older = "SELECT i.id FROM invoices AS i WHERE i.merchant = $1 AND i.mode = $2 AND i.id < $3",
                    $filter, " ORDER BY i.id DESC LIMIT $4";
                $newer = "SELECT i.id FROM invoices AS i WHERE i.merchant = $1 AND i.mode = $2 AND i.id > $3",
                    $filter, " ORDER BY i.id LIMIT $4";
            )+
        }
    };
}

pages! {
    ALL_OLDER ALL_NEWER "";
    STATUS_OLDER STATUS_NEWER " AND i.status = $5";
    ORDER_OLDER ORDER_NEWER " AND i.order_id = $5";
    ADDRESS_OLDER ADDRESS_NEWER " AND i.id IN (SELECT o.invoice FROM options AS o WHERE o.address = $5)";
    TRANSACTION_OLDER TRANSACTION_NEWER " AND i.id IN (SELECT t.invoice FROM transfers AS t WHERE t.tx_id = $5)";
    ASSET_OLDER ASSET_NEWER " AND EXISTS (SELECT 1 FROM options AS o WHERE o.invoice = i.id AND o.asset = $5)";
    CREATED_OLDER CREATED_NEWER " AND i.created_at >= $5 AND i.created_at < $6";
}

/// Which invoices a list holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Every one.
    All,
    /// Those of which this was said last.
    Status(Status),
    /// Those with this reference of the merchant.
    OrderId(String),
    /// Those that can be paid at this address.
    Address(String),
    /// Those that this transaction paid.
    TxId(String),
    /// Those that can be paid with this asset.
    Asset(AssetName),
    /// Those created at or after the first and before the second time.
    CreatedBetween(UnixMillis, UnixMillis),
}

/// Whose invoices, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The tenant.
    pub merchant: MerchantKey,
    /// Live or test.
    pub mode: Mode,
    /// Which.
    pub by: By,
}

/// A page of invoices, newest first.
///
/// # Errors
///
/// [`StoreError::NoSuchCursor`] when the cursor is no invoice of this merchant and mode.
pub async fn page(
    conn: &mut Conn,
    filter: &Filter,
    cursor: &Cursor<InvoiceId>,
    limit: u32,
) -> Result<Listed<InvoiceKey>, StoreError> {
    let scope = [filter.merchant.into(), filter.mode.as_str().into()];
    let window = Window::find(conn, cursor, limit, FIND, &scope).await?;
    let asset = match &filter.by {
        By::Asset(asset) => asset.to_string(),
        By::All
        | By::Status(_)
        | By::OrderId(_)
        | By::Address(_)
        | By::TxId(_)
        | By::CreatedBetween(..) => String::new(),
    };
    let one = |text| vec![Bind::Text(text)];
    let (statements, filter): ((Sql, Sql), Vec<Bind<'_>>) = match &filter.by {
        By::All => ((ALL_OLDER, ALL_NEWER), Vec::new()),
        By::Status(status) => ((STATUS_OLDER, STATUS_NEWER), one(status.as_str())),
        By::OrderId(order) => ((ORDER_OLDER, ORDER_NEWER), one(order)),
        By::Address(address) => ((ADDRESS_OLDER, ADDRESS_NEWER), one(address)),
        By::TxId(tx_id) => ((TRANSACTION_OLDER, TRANSACTION_NEWER), one(tx_id)),
        By::Asset(_) => ((ASSET_OLDER, ASSET_NEWER), one(&asset)),
        By::CreatedBetween(from, to) => (
            (CREATED_OLDER, CREATED_NEWER),
            vec![(*from).into(), (*to).into()],
        ),
    };
    let page = window
        .fetch::<(i64,)>(conn, statements, &scope, &filter)
        .await?;
    page.try_map(|(key,)| Ok(InvoiceKey(key)))
}
