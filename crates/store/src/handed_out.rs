//! The addresses that a wallet handed out: which were paid, and for whom they were.

use paywatch_domain::UnixMillis;

use crate::column::count;
use crate::keys::WalletKey;
use crate::sql::statements;
use crate::{Conn, StoreError};

statements! {
    /// Reads the options of one wallet, each with an index search for its transfers. Money that went to
    /// another form of the key does not show in the wallet. `$2` is the first index that is looked at.
    USAGE = "SELECT MAX(g.place), MAX(g.gap) FROM (
            SELECT u.place, u.place - LAG(u.place, 1, CAST($2 AS BIGINT) - 1) OVER (ORDER BY u.place) - 1 AS gap
            FROM (SELECT o.derivation_index AS place FROM options AS o
                WHERE o.wallet = $1 AND o.derivation_index >= $2 AND EXISTS (SELECT 1 FROM transfers AS t
                    WHERE t.invoice = o.invoice AND t.option = o.id AND t.sibling_form IS NULL)) AS u) AS g";
    PAGE = "SELECT o.derivation_index, i.public_id, i.order_id, i.status, i.created_at
        FROM options AS o JOIN invoices AS i ON i.id = o.invoice
        WHERE o.wallet = $1 AND o.derivation_index >= $2 ORDER BY o.derivation_index LIMIT CAST($3 AS BIGINT)";
}

/// Which indexes of a wallet were paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The highest index with a transfer, whatever became of it.
    pub highest: Option<u32>,
    /// The longest row of indexes without a transfer, from the wallet's first to the highest.
    pub longest_gap: u32,
}

/// Which indexes of a wallet were paid, from `first` on.
pub async fn usage(conn: &mut Conn, wallet: WalletKey, first: u32) -> Result<Usage, StoreError> {
    let binds = [wallet.into(), i64::from(first).into()];
    let (highest, gap) = conn
        .fetch_one::<(Option<i64>, Option<i64>)>(USAGE, &binds)
        .await?;
    let highest = highest.map(|place| count("options.derivation_index", place));
    Ok(Usage {
        highest: highest.transpose()?,
        longest_gap: count("options.derivation_index", gap.unwrap_or(0))?,
    })
}

/// An index of a wallet and the invoice that it was handed out for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOut {
    /// The index.
    pub index: u32,
    /// The invoice's public id.
    pub invoice: String,
    /// The merchant's own reference.
    pub order_id: Option<String>,
    /// The invoice's status as last said.
    pub status: String,
    /// When the invoice was created.
    pub created_at: UnixMillis,
}

#[derive(sqlx::FromRow)]
struct Raw {
    derivation_index: i64,
    public_id: String,
    order_id: Option<String>,
    status: String,
    created_at: i64,
}

/// The indexes of a wallet from `from` on, in order, at most `limit` of them.
pub async fn page(
    conn: &mut Conn,
    wallet: WalletKey,
    from: u32,
    limit: u32,
) -> Result<Vec<HandedOut>, StoreError> {
    let binds = [
        wallet.into(),
        i64::from(from).into(),
        i64::from(limit).into(),
    ];
    let rows = conn.fetch::<Raw>(PAGE, &binds).await?;
    let read = |raw: Raw| {
        Ok(HandedOut {
            index: count("options.derivation_index", raw.derivation_index)?,
            invoice: raw.public_id,
            order_id: raw.order_id,
            status: raw.status,
            created_at: UnixMillis(raw.created_at),
        })
    };
    rows.into_iter().map(read).collect()
}
