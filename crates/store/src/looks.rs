//! Looks at balances: what stood at addresses that are paid in a chain's coin, where blocks do not show all
//! that comes.

use std::collections::BTreeMap;

use paywatch_domain::{
    Account, Amount, AssetName, BlockHash, BlockRef, ChainName, Flows, Position, TxId, UnixMillis,
};
use serde::Serialize;

use crate::column::{block, count, damaged, ids, int, list};
use crate::keys::{InvoiceKey, OptionKey, TransferKey};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx, unseen};

statements! {
    /// Invoices that wait for their expiry to be covered, and those that were looked at and not for the last
    /// time: a page of either, so that each costs as much as it holds. What was never looked at comes with
    /// the last block that is kept from 15 seconds before the invoice: a block bears the whole second in which it was
    /// begun, and takes in what is sent later. On a chain that is younger it is the first that was ever read, which was
    /// before any invoice.
    DUE = "WITH open AS (SELECT invoice FROM (
                SELECT * FROM (SELECT DISTINCT invoice FROM awaited
                    WHERE chain = $1 AND kind IN ('covered', 'looked') AND invoice > $3
                    ORDER BY invoice LIMIT CAST($4 AS BIGINT)) AS waiting
                UNION SELECT * FROM (SELECT DISTINCT invoice FROM looks
                    WHERE chain = $1 AND is_last = 0 AND invoice > $3
                    ORDER BY invoice LIMIT CAST($4 AS BIGINT)) AS looked) AS either
            ORDER BY invoice LIMIT CAST($4 AS BIGINT)),
        address AS (SELECT p.invoice, o.id, o.watch_key, i.late_until, i.created_at, l.height, l.balance, l.nonce, l.is_last
            FROM open AS p JOIN invoices AS i ON i.id = p.invoice
            LEFT JOIN options AS o ON o.invoice = p.invoice AND o.asset = $2
            LEFT JOIN looks AS l ON l.option = o.id),
        since AS (SELECT a.id, COALESCE((SELECT b.height FROM blocks AS b
                WHERE b.chain = $1 AND b.time < a.created_at - 15000 ORDER BY b.height DESC LIMIT 1),
                (SELECT MIN(b.height) FROM blocks AS b WHERE b.chain = $1)) AS height
            FROM address AS a WHERE a.id IS NOT NULL AND a.height IS NULL)
        SELECT a.invoice, a.id, a.watch_key, a.late_until, a.height, a.balance, a.nonce, a.is_last,
            b.height AS since_height, b.hash AS since_hash
        FROM address AS a LEFT JOIN since AS s ON s.id = a.id LEFT JOIN blocks AS b ON b.chain = $1 AND b.height = s.height
        ORDER BY a.invoice";
    CREDITED = "SELECT t.option, t.amount, t.position
        FROM json_each($2) AS j CROSS JOIN transfers AS t JOIN placements AS p ON p.transfer = t.id AND p.left_at IS NULL
        WHERE t.invoice = CAST(j.value->>'invoice' AS BIGINT) AND t.option = CAST(j.value->>'option' AS BIGINT)
            AND t.chain = $1 AND t.sibling_form IS NULL AND t.stray_decimals IS NULL
            AND p.height > CAST(j.value->>'above' AS BIGINT) AND p.height <= $3
        ORDER BY t.id";
    PAID = "SELECT o.option, o.amount FROM json_each($1) AS j CROSS JOIN outflows AS o
        WHERE o.option = CAST(j.value->>'option' AS BIGINT) AND o.height > CAST(j.value->>'above' AS BIGINT)
            AND o.height <= $2
        ORDER BY o.option, o.nonce";
    RECORD = "INSERT INTO looks (option, invoice, chain, height, balance, nonce, is_last)
        SELECT CAST(value->>'option' AS BIGINT), CAST(value->>'invoice' AS BIGINT), CAST($1 AS TEXT), CAST($2 AS BIGINT),
            value->>'balance', CAST(value->>'nonce' AS BIGINT), CAST(value->>'last' AS BIGINT)
        FROM json_each($3) WHERE true
        ON CONFLICT (option) DO UPDATE SET height = excluded.height, balance = excluded.balance,
            nonce = excluded.nonce, is_last = excluded.is_last";
    FORGET_PAID = "DELETE FROM outflows
        WHERE option IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1)) AND height <= $2";
    INSERT_PAID = "INSERT INTO outflows (option, chain, nonce, height, amount)
        SELECT CAST(value->>'option' AS BIGINT), CAST($1 AS TEXT), CAST(value->>'nonce' AS BIGINT),
            CAST(value->>'height' AS BIGINT), value->>'amount'
        FROM json_each($2) WHERE true
        ON CONFLICT (option, nonce) DO UPDATE SET height = excluded.height, amount = excluded.amount";
    CUT_LOOKS = "DELETE FROM looks WHERE chain = $1 AND height > $2";
    CUT_PAID = "DELETE FROM outflows WHERE chain = $1 AND height > $2";
    FOUND = "SELECT t.id, t.option, t.tx_id, t.amount, t.sighted_at, p.height, p.block_hash
        FROM json_each($2) AS j CROSS JOIN transfers AS t JOIN placements AS p ON p.transfer = t.id AND p.left_at IS NULL
        WHERE t.invoice = CAST(j.value->>'id' AS BIGINT) AND t.chain = $1 AND t.tx_id LIKE 'balance:%'
            AND t.position LIKE 'balance:%' AND p.height IS NOT NULL
        ORDER BY t.id";
}

/// An address that is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its option.
    pub option: OptionKey,
    /// Its invoice.
    pub invoice: InvoiceKey,
    /// The key as it stands in the watch table.
    pub key: Vec<u8>,
    /// Until when money may come late.
    pub late_until: UnixMillis,
    /// What the last look found, after the block of which height; `None` before the first.
    pub known: Option<(u64, Account)>,
    /// Before the first look, the last block that is kept from before the invoice.
    pub since: Option<BlockRef>,
}

/// A page of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuePage {
    /// The addresses; none where no invoice of the page takes the asset.
    pub due: Vec<Due>,
    /// The last invoice of the page; `None` when there is none behind it.
    pub next: Option<InvoiceKey>,
}

#[derive(sqlx::FromRow)]
struct DueRow {
    invoice: i64,
    id: Option<i64>,
    watch_key: Option<String>,
    late_until: i64,
    height: Option<i64>,
    balance: Option<String>,
    nonce: Option<i64>,
    is_last: Option<i64>,
    since_height: Option<i64>,
    since_hash: Option<String>,
}

impl DueRow {
    /// `None` for an invoice that takes other assets, or whose address was looked at as of this height.
    fn read(self, height: u64) -> Result<Option<Due>, StoreError> {
        let (Some(option), Some(key)) = (self.id, &self.watch_key) else {
            return Ok(None);
        };
        let known = match (self.height, &self.balance, self.nonce) {
            (Some(height), Some(balance), Some(nonce)) => Some((
                count("looks.height", height)?,
                Account {
                    balance: amount("looks.balance", balance)?,
                    nonce: count("looks.nonce", nonce)?,
                },
            )),
            _ => None,
        };
        if self.is_last == Some(1) || known.is_some_and(|(at, _)| height <= at) {
            return Ok(None);
        }
        Ok(Some(Due {
            option: OptionKey(option),
            invoice: InvoiceKey(self.invoice),
            key: hex::decode(key).map_err(|_| damaged("options.watch_key", key))?,
            late_until: UnixMillis(self.late_until),
            known,
            since: block(self.since_height, self.since_hash.as_deref())?,
        }))
    }
}

/// The addresses that take this asset, that an invoice still watches, and at which nobody has looked as of
/// this height: those of the next so many invoices behind one.
pub async fn due(
    conn: &mut Conn,
    asset: &AssetName,
    behind: InvoiceKey,
    height: u64,
    page: i64,
) -> Result<DuePage, StoreError> {
    let name = asset.to_string();
    let binds = [
        asset.chain().as_str().into(),
        name.as_str().into(),
        behind.into(),
        page.into(),
    ];
    let rows = conn.fetch::<DueRow>(DUE, &binds).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| page <= rows);
    let next = rows.last().map(|row| InvoiceKey(row.invoice));
    let due = rows.into_iter().map(|row| row.read(height));
    let due = due
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()?;
    Ok(DuePage {
        due,
        next: next.filter(|_| is_full),
    })
}

fn amount(column: &'static str, text: &str) -> Result<Amount, StoreError> {
    Amount::parse_atomic(text).map_err(|_| damaged(column, text))
}

#[derive(Serialize)]
struct Wanted {
    option: i64,
    invoice: i64,
    above: i64,
}

/// What blocks tell of each of these addresses, from above one height up to another: what came, and what
/// left by transactions of its own.
pub async fn flows(
    conn: &mut Conn,
    chain: &ChainName,
    addresses: &[(OptionKey, InvoiceKey, u64)],
    to: u64,
) -> Result<BTreeMap<OptionKey, Flows>, StoreError> {
    let mut flows: BTreeMap<OptionKey, Flows> = BTreeMap::new();
    if addresses.is_empty() {
        return Ok(flows);
    }
    let above = list(addresses.iter().map(|(option, invoice, above)| Wanted {
        option: option.0,
        invoice: invoice.0,
        above: int(*above),
    }));
    let binds = [chain.as_str().into(), (&above).into(), int(to).into()];
    let credited = conn
        .fetch::<(i64, String, String)>(CREDITED, &binds)
        .await?;
    for (option, credited, position) in credited {
        if Position::new(&position).is_unexplained() {
            continue;
        }
        let flow = flows.entry(OptionKey(option)).or_default();
        *flow = flow.credit(amount("transfers.amount", &credited)?);
    }
    let binds = [(&above).into(), int(to).into()];
    for (option, paid) in conn.fetch::<(i64, Option<String>)>(PAID, &binds).await? {
        let paid = paid.map(|paid| amount("outflows.amount", &paid));
        let flow = flows.entry(OptionKey(option)).or_default();
        *flow = flow.outflow(paid.transpose()?);
    }
    Ok(flows)
}

/// A look that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whose address.
    pub option: OptionKey,
    /// Of its option.
    pub invoice: InvoiceKey,
    /// What stood there.
    pub account: Account,
    /// Whether nobody has to look again.
    pub is_last: bool,
}

#[derive(Serialize)]
struct LookRow {
    option: i64,
    invoice: i64,
    balance: String,
    nonce: i64,
    last: i64,
}

/// Stores what was found after the block of this height, and forgets the outflows up to there.
pub async fn record(
    tx: &mut Tx,
    chain: &ChainName,
    height: u64,
    looks: &[Look],
) -> Result<(), StoreError> {
    if looks.is_empty() {
        return Ok(());
    }
    let rows = list(looks.iter().map(|look| LookRow {
        option: look.option.0,
        invoice: look.invoice.0,
        balance: look.account.balance.to_string(),
        nonce: int(look.account.nonce),
        last: i64::from(look.is_last),
    }));
    let binds = [chain.as_str().into(), int(height).into(), (&rows).into()];
    tx.execute(RECORD, &binds).await?;
    let options = ids(looks.iter().map(|look| look.option));
    let binds = [(&options).into(), int(height).into()];
    tx.execute(FORGET_PAID, &binds).await?;
    Ok(())
}

/// What an address paid out with a transaction of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Whose address.
    pub option: OptionKey,
    /// Number among the transactions of the address, from 0.
    pub nonce: u64,
    /// Of its block.
    pub height: u64,
    /// What it took; `None` when the block does not tell.
    pub amount: Option<Amount>,
}

#[derive(Serialize)]
struct PaidRow {
    option: i64,
    nonce: i64,
    height: i64,
    amount: Option<String>,
}

/// Stores what addresses paid out.
pub async fn record_paid(tx: &mut Tx, chain: &ChainName, paid: &[Paid]) -> Result<(), StoreError> {
    if paid.is_empty() {
        return Ok(());
    }
    let rows = list(paid.iter().map(|one| PaidRow {
        option: one.option.0,
        nonce: int(one.nonce),
        height: int(one.height),
        amount: one.amount.map(|amount| amount.to_string()),
    }));
    let binds = [chain.as_str().into(), (&rows).into()];
    tx.execute(INSERT_PAID, &binds).await?;
    Ok(())
}

/// Forgets what blocks above a height told, which leave the chain.
pub async fn cut(tx: &mut Tx, chain: &ChainName, height: u64) -> Result<(), StoreError> {
    unseen::cut(tx, chain, height).await?;
    let binds = [chain.as_str().into(), int(height).into()];
    tx.execute(CUT_LOOKS, &binds).await?;
    tx.execute(CUT_PAID, &binds).await?;
    Ok(())
}

/// A transfer that a balance told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The transfer.
    pub transfer: TransferKey,
    /// Whose address.
    pub option: OptionKey,
    /// What stands for its transaction.
    pub tx_id: TxId,
    /// How much.
    pub amount: Amount,
    /// When it was first seen.
    pub sighted_at: UnixMillis,
    /// Where it stands.
    pub at: BlockRef,
}

#[derive(sqlx::FromRow)]
struct FoundRow {
    id: i64,
    option: i64,
    tx_id: String,
    amount: String,
    sighted_at: i64,
    height: i64,
    block_hash: String,
}

/// The transfers of these invoices on a chain that balances told of, and that stand.
pub async fn found(
    conn: &mut Conn,
    chain: &ChainName,
    invoices: impl IntoIterator<Item = InvoiceKey>,
) -> Result<Vec<Found>, StoreError> {
    let invoices = ids(invoices);
    let binds = [chain.as_str().into(), (&invoices).into()];
    let rows = conn.fetch::<FoundRow>(FOUND, &binds).await?;
    let found = rows.into_iter().map(|row| {
        Ok(Found {
            transfer: TransferKey(row.id),
            option: OptionKey(row.option),
            tx_id: TxId::new(&row.tx_id),
            amount: amount("transfers.amount", &row.amount)?,
            sighted_at: UnixMillis(row.sighted_at),
            at: BlockRef {
                height: count("placements.height", row.height)?,
                hash: BlockHash::new(&row.block_hash),
            },
        })
    });
    found.collect()
}
