//! Lists of invoices: one statement for each filter and direction, one leading index each, in whose
//! order the rows come. None reads more rows than it answers.

use paywatch_domain::{AssetName, InvoiceId, Mode, Status, UnixMillis};

use crate::keys::{InvoiceKey, MerchantKey};
use crate::page::{Cursor, Listed, Window};
use crate::sql::{Sql, statements};
use crate::{Bind, Conn, StoreError};

/// Two statements for each filter: pages downwards and upwards from a row.
macro_rules! pages {
    ({ $($older:ident $newer:ident $filter:literal;)+ } $($more:tt)+) => {
        statements! {
            FIND = "SELECT id FROM invoices WHERE merchant = $1 AND mode = $2 AND public_id = $3 ";
            $(
                $older = "SELECT i.id FROM invoices AS i WHERE i.merchant = $1 AND i.mode = $2 AND i.id < $3",
                    $filter, " ORDER BY i.id DESC LIMIT CAST($4 AS BIGINT)";
                $newer = "SELECT i.id FROM invoices AS i WHERE i.merchant = $1 AND i.mode = $2 AND i.id > $3",
                    $filter, " ORDER BY i.id LIMIT CAST($4 AS BIGINT)";
            )+
            $($more)+
        }
    };
}

pages! {
    {
        ALL_OLDER ALL_NEWER "";
        STATUS_OLDER STATUS_NEWER " AND i.status = $5";
        ORDER_OLDER ORDER_NEWER " AND i.order_id = $5";
        ADDRESS_OLDER ADDRESS_NEWER " AND i.id IN (SELECT o.invoice FROM options AS o WHERE o.address = $5)";
        TRANSACTION_OLDER TRANSACTION_NEWER " AND i.id IN (SELECT t.invoice FROM transfers AS t WHERE t.tx_id = $5)";
    }
    ASSET_OLDER = "SELECT o.invoice FROM options AS o
        WHERE o.merchant = $1 AND o.mode = $2 AND o.asset = $5 AND o.invoice < $3
        ORDER BY o.invoice DESC LIMIT CAST($4 AS BIGINT)";
    ASSET_NEWER = "SELECT o.invoice FROM options AS o
        WHERE o.merchant = $1 AND o.mode = $2 AND o.asset = $5 AND o.invoice > $3
        ORDER BY o.invoice LIMIT CAST($4 AS BIGINT)";
    /// An invoice may have several exceptions.
    EXCEPTION_OLDER = "SELECT DISTINCT e.invoice FROM exceptions AS e
        WHERE e.merchant = $1 AND e.mode = $2 AND e.resolved_at IS NULL AND e.invoice < $3
        ORDER BY e.invoice DESC LIMIT CAST($4 AS BIGINT)";
    EXCEPTION_NEWER = "SELECT DISTINCT e.invoice FROM exceptions AS e
        WHERE e.merchant = $1 AND e.mode = $2 AND e.resolved_at IS NULL AND e.invoice > $3
        ORDER BY e.invoice LIMIT CAST($4 AS BIGINT)";
    CREATED_AT = "SELECT created_at FROM invoices WHERE merchant = $1 AND mode = $2 AND public_id = $3";
    CREATED_OLDER = "SELECT i.id FROM invoices AS i WHERE i.merchant = $1 AND i.mode = $2
            AND i.created_at >= $5 AND i.created_at < $6 AND (i.created_at < $7 OR i.id < $3)
        ORDER BY i.created_at DESC, i.id DESC LIMIT CAST($4 AS BIGINT)";
    CREATED_NEWER = "SELECT i.id FROM invoices AS i WHERE i.merchant = $1 AND i.mode = $2
            AND i.created_at >= $5 AND i.created_at < $6 AND (i.created_at > $7 OR i.id > $3)
        ORDER BY i.created_at, i.id LIMIT CAST($4 AS BIGINT)";
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
    /// Those about which a person has to decide something.
    HasException,
    /// Those created at or after the first and before the second time, in the order of these times.
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
        | By::HasException
        | By::CreatedBetween(..) => String::new(),
    };
    let one = |text| vec![Bind::Text(text)];
    let (statements, filter): ((Sql, Sql), Vec<Bind<'_>>) = match &filter.by {
        By::All => ((ALL_OLDER, ALL_NEWER), Vec::new()),
        By::Status(status) => ((STATUS_OLDER, STATUS_NEWER), one(status.as_str())),
        By::OrderId(order) => ((ORDER_OLDER, ORDER_NEWER), one(order)),
        By::Address(address) => ((ADDRESS_OLDER, ADDRESS_NEWER), one(address)),
        By::TxId(tx_id) => ((TRANSACTION_OLDER, TRANSACTION_NEWER), one(tx_id)),
        By::HasException => ((EXCEPTION_OLDER, EXCEPTION_NEWER), Vec::new()),
        By::Asset(_) => ((ASSET_OLDER, ASSET_NEWER), one(&asset)),
        By::CreatedBetween(from, to) => (
            (CREATED_OLDER, CREATED_NEWER),
            created_between(conn, cursor, &scope, (*from, *to)).await?,
        ),
    };
    let page = window
        .fetch::<(i64,)>(conn, statements, &scope, &filter)
        .await?;
    page.try_map(|(key,)| Ok(InvoiceKey(key)))
}

/// What the list by time takes: the times between which it may look, which end at the cursor's row, and
/// the time of that row, at which its key decides.
async fn created_between(
    conn: &mut Conn,
    cursor: &Cursor<InvoiceId>,
    scope: &[Bind<'_>],
    (from, to): (UnixMillis, UnixMillis),
) -> Result<Vec<Bind<'static>>, StoreError> {
    let (id, is_older) = match cursor {
        Cursor::Newest => return Ok(vec![from.into(), to.into(), i64::MAX.into()]),
        Cursor::After(id) => (id.to_string(), true),
        Cursor::Before(id) => (id.to_string(), false),
    };
    let binds = [scope, &[Bind::Text(&id)]].concat();
    let row = conn.fetch_optional::<(i64,)>(CREATED_AT, &binds).await?;
    let (at,) = row.ok_or(StoreError::NoSuchCursor)?;
    let (from, to) = if is_older {
        (from.0, to.0.min(at.saturating_add(1)))
    } else {
        (from.0.max(at), to.0)
    };
    Ok(vec![from.into(), to.into(), at.into()])
}
