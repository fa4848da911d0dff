//! Placements: where transfers stand. Opened and closed, never deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use paywatch_domain::LeftReason;
use paywatch_domain::{
    AssetName, BlockHash, ChainName, Place, Placement, Position, TxId, UnixMillis,
};
use serde::Serialize;

use crate::column::{block, ids, int, list, optional_time, parsed, word};
use crate::keys::{InvoiceKey, OptionKey, TransferKey};
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    OPEN_ABOVE = "SELECT p.transfer, t.invoice
        FROM placements AS p JOIN transfers AS t ON t.id = p.transfer
        WHERE p.chain = $1 AND p.height > $2 AND p.height IS NOT NULL AND p.left_at IS NULL
        ORDER BY p.transfer";
    OPEN_BETWEEN = "SELECT p.transfer, t.invoice, t.asset, t.tx_id, t.position, p.block_hash
        FROM placements AS p JOIN transfers AS t ON t.id = p.transfer
        WHERE p.chain = $1 AND p.height BETWEEN $2 AND $3 AND p.height IS NOT NULL AND p.left_at IS NULL
        ORDER BY p.transfer";
    CLOSE_ABOVE = "UPDATE placements SET left_at = $3, left_reason = $4
        WHERE chain = $1 AND height > $2 AND height IS NOT NULL AND left_at IS NULL";
    CLOSE = "UPDATE placements SET left_at = $1, left_reason = n.reason
        FROM (SELECT CAST(value->>'transfer' AS BIGINT) AS transfer, value->>'reason' AS reason
            FROM json_each($2)) AS n
        WHERE placements.transfer = n.transfer AND placements.left_at IS NULL";
    RETURN = "INSERT INTO placements (transfer, chain, entered_at)
        SELECT t.id, t.chain, CAST($2 AS BIGINT)
        FROM json_each($3) AS j CROSS JOIN transfers AS t
        WHERE t.id = CAST(j.value->>'id' AS BIGINT) AND t.maturity = 0 AND t.final_at IS NOT NULL
            AND EXISTS (SELECT 1 FROM vettings AS v WHERE v.chain = $1 AND v.tx_id = t.tx_id)
            AND t.final_at < (SELECT MIN(b.entered_at) FROM placements AS b
                WHERE b.transfer = t.id AND b.height IS NOT NULL)";
    OPEN = "INSERT INTO placements (transfer, chain, height, block_hash, entered_at)
        SELECT CAST(value->>'transfer' AS BIGINT), CAST($1 AS TEXT), CAST(value->>'height' AS BIGINT),
            value->>'hash', CAST($2 AS BIGINT)
        FROM json_each($3) WHERE true";
    IN_MEMPOOL = "SELECT p.transfer, t.invoice, t.option, t.tx_id, t.position, p.entered_at
        FROM placements AS p JOIN transfers AS t ON t.id = p.transfer
        WHERE p.chain = $1 AND p.left_at IS NULL AND p.height IS NULL
        ORDER BY p.transfer";
    MEMPOOL_SPENDS = "SELECT s.tx_id, s.outpoint FROM spends AS s
        WHERE s.chain = $1 AND s.tx_id IN (SELECT t.tx_id
            FROM placements AS p JOIN transfers AS t ON t.id = p.transfer
            WHERE p.chain = $1 AND p.left_at IS NULL AND p.height IS NULL)
        ORDER BY s.id";
    /// What stands in the mempool, what a branch that is being read would take out of its blocks, and what an
    /// earlier one has taken out of its blocks and nobody has seen since.
    WATCHED_SPENDS = "SELECT s.outpoint FROM spends AS s
        WHERE s.chain = $1 AND s.tx_id IN (
            SELECT t.tx_id FROM placements AS p JOIN transfers AS t ON t.id = p.transfer
            WHERE p.chain = $1 AND p.left_at IS NULL AND p.height IS NULL
            UNION SELECT t.tx_id FROM placements AS p JOIN transfers AS t ON t.id = p.transfer
            WHERE p.chain = $1 AND p.height > $2 AND p.height IS NOT NULL AND p.left_at IS NULL
            UNION SELECT t.tx_id FROM placements AS p JOIN transfers AS t ON t.id = p.transfer
            WHERE p.chain = $1 AND p.height > $3 AND p.left_reason = 'reorged'
                AND NOT EXISTS (SELECT 1 FROM placements AS l WHERE l.transfer = p.transfer AND l.id > p.id))
        ORDER BY s.id";
    /// First which other transactions spend the same, then what they pay: their product is never gone
    /// through. `CROSS JOIN` keeps SQLite to this order.
    CONTESTED = "WITH rivals AS MATERIALIZED (SELECT DISTINCT s.tx_id
            FROM json_each($2) AS j CROSS JOIN spends AS s
            WHERE s.chain = $1 AND s.outpoint = j.value->>'outpoint' AND s.tx_id <> j.value->>'tx')
        SELECT t.id, t.invoice, CAST(CASE WHEN p.id IS NULL THEN 0 ELSE 1 END AS BIGINT)
        FROM rivals AS r CROSS JOIN transfers AS t
        LEFT JOIN placements AS p ON p.transfer = t.id AND p.left_at IS NULL
        WHERE t.chain = $1 AND t.tx_id = r.tx_id AND p.height IS NULL
            AND COALESCE((SELECT l.left_reason FROM placements AS l WHERE l.transfer = t.id
                ORDER BY l.id DESC LIMIT 1), 'reorged') = 'reorged'
        ORDER BY t.id";
    LOSE = "INSERT INTO placements (transfer, chain, entered_at, left_at, left_reason)
        SELECT CAST(value->>'id' AS BIGINT), CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($2 AS BIGINT),
            CAST($3 AS TEXT)
        FROM json_each($4) WHERE true";
    STANDS = "SELECT COUNT(*) FROM transfers AS t
        JOIN placements AS p ON p.transfer = t.id AND p.left_at IS NULL AND p.height IS NOT NULL
        WHERE t.chain = $1 AND t.tx_id = $2 AND t.invoice = $3";
    HISTORY = "SELECT t.public_id, p.height, p.block_hash, p.entered_at, p.left_at, p.left_reason
        FROM transfers AS t JOIN placements AS p ON p.transfer = t.id
        WHERE t.invoice = $1 ORDER BY p.id";
}

/// A transfer that stands in the mempool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenInMempool {
    /// The transfer.
    pub transfer: TransferKey,
    /// Its invoice.
    pub invoice: InvoiceKey,
    /// Its option.
    pub option: OptionKey,
    /// Its transaction.
    pub tx_id: TxId,
    /// Where in the transaction.
    pub position: Position,
    /// What the transaction spends, `txid:n`; the transfers of one share the list.
    pub spends: Arc<[String]>,
    /// Since when it stands there.
    pub entered_at: UnixMillis,
}

/// The transfers that stand in blocks above a height.
pub async fn open_above(
    conn: &mut Conn,
    chain: &ChainName,
    height: u64,
) -> Result<Vec<(TransferKey, InvoiceKey)>, StoreError> {
    let binds = [chain.as_str().into(), int(height).into()];
    let rows = conn.fetch::<(i64, i64)>(OPEN_ABOVE, &binds).await?;
    Ok(rows
        .into_iter()
        .map(|(transfer, invoice)| (TransferKey(transfer), InvoiceKey(invoice)))
        .collect())
}

/// A transfer that stands in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenInBlock {
    /// The transfer.
    pub transfer: TransferKey,
    /// Its invoice.
    pub invoice: InvoiceKey,
    /// What was paid.
    pub asset: AssetName,
    /// Its transaction.
    pub tx_id: TxId,
    /// Where in the transaction.
    pub position: Position,
    /// The hash of the block.
    pub block: BlockHash,
}

/// The transfers that stand in blocks from one height to another, both included.
pub async fn open_between(
    conn: &mut Conn,
    chain: &ChainName,
    lowest: u64,
    highest: u64,
) -> Result<Vec<OpenInBlock>, StoreError> {
    let binds = [
        chain.as_str().into(),
        int(lowest).into(),
        int(highest).into(),
    ];
    let rows = conn
        .fetch::<(i64, i64, String, String, String, String)>(OPEN_BETWEEN, &binds)
        .await?;
    let mut open = Vec::with_capacity(rows.len());
    for (transfer, invoice, asset, tx_id, position, block) in rows {
        open.push(OpenInBlock {
            transfer: TransferKey(transfer),
            invoice: InvoiceKey(invoice),
            asset: parsed("transfers.asset", &asset)?,
            tx_id: TxId::new(&tx_id),
            position: Position::new(&position),
            block: BlockHash::new(&block),
        });
    }
    Ok(open)
}

/// Closes every placement in blocks above a height, and answers how many there were.
pub async fn close_above(
    tx: &mut Tx,
    chain: &ChainName,
    height: u64,
    at: UnixMillis,
    reason: LeftReason,
) -> Result<u64, StoreError> {
    let binds = [
        chain.as_str().into(),
        int(height).into(),
        at.into(),
        reason.as_str().into(),
    ];
    tx.execute(CLOSE_ABOVE, &binds).await
}

#[derive(Serialize)]
struct Left {
    transfer: i64,
    reason: &'static str,
}

/// Closes the open placement of each transfer that has one, and answers how many did.
pub async fn close(
    tx: &mut Tx,
    transfers: &[(TransferKey, LeftReason)],
    at: UnixMillis,
) -> Result<u64, StoreError> {
    if transfers.is_empty() {
        return Ok(0);
    }
    let rows = list(transfers.iter().map(|(transfer, reason)| Left {
        transfer: transfer.0,
        reason: reason.as_str(),
    }));
    tx.execute(CLOSE, &[at.into(), (&rows).into()]).await
}

#[derive(Serialize)]
struct Entered<'a> {
    transfer: i64,
    height: Option<i64>,
    hash: Option<&'a str>,
}

/// Places transfers, none of which may stand anywhere.
///
/// # Errors
///
/// [`StoreError::Conflict`] `placement_open` when one of them still stands somewhere.
pub async fn open(
    tx: &mut Tx,
    chain: &ChainName,
    transfers: &[(TransferKey, Place)],
    at: UnixMillis,
) -> Result<(), StoreError> {
    if transfers.is_empty() {
        return Ok(());
    }
    let rows = list(transfers.iter().map(|(transfer, place)| {
        let block = match place {
            Place::Mempool => None,
            Place::Block(block) => Some(block),
        };
        Entered {
            transfer: transfer.0,
            height: block.map(|block| int(block.height)),
            hash: block.map(|block| block.hash.as_str()),
        }
    }));
    let binds = [chain.as_str().into(), at.into(), (&rows).into()];
    tx.execute(OPEN, &binds)
        .await
        .map_err(|error| error.rule("placement_open"))?;
    Ok(())
}

/// Puts into the mempool, of these transfers whose blocks have left the chain, what was said to be final
/// before it had a block: a node puts back what is valid of the blocks that it takes away. The next
/// comparison with the mempool closes what is not there. What was final by its blocks is not final any more,
/// and saying so does not wait for that comparison.
pub async fn put_back(
    tx: &mut Tx,
    chain: &ChainName,
    transfers: &[TransferKey],
    at: UnixMillis,
) -> Result<(), StoreError> {
    if transfers.is_empty() {
        return Ok(());
    }
    let keys = ids(transfers.iter().copied());
    let binds = [chain.as_str().into(), at.into(), (&keys).into()];
    tx.execute(RETURN, &binds).await?;
    Ok(())
}

/// What payments spend, `txid:n`, that another transaction in a block can still take away: those that stand
/// in the mempool, those in blocks above `fork`, and those whose blocks above `lowest` have left the chain.
pub async fn watched_spends(
    conn: &mut Conn,
    chain: &ChainName,
    fork: u64,
    lowest: u64,
) -> Result<Vec<String>, StoreError> {
    let binds = [chain.as_str().into(), int(fork).into(), int(lowest).into()];
    let rows = conn.fetch::<(String,)>(WATCHED_SPENDS, &binds).await?;
    Ok(rows.into_iter().map(|(outpoint,)| outpoint).collect())
}

#[derive(Serialize)]
struct Spent<'a> {
    tx: &'a str,
    outpoint: &'a str,
}

/// Ends the transfers whose money other transactions have spent in a block: those that stand in the mempool,
/// and those whose blocks have left the chain, which are noted to have been lost from there. `spent` is what
/// was spent, with who did. Answers the invoices.
pub async fn lose(
    tx: &mut Tx,
    chain: &ChainName,
    spent: &[(TxId, String)],
    at: UnixMillis,
) -> Result<Vec<InvoiceKey>, StoreError> {
    let rows = list(spent.iter().map(|(tx_id, outpoint)| Spent {
        tx: tx_id.as_str(),
        outpoint,
    }));
    let binds = [chain.as_str().into(), (&rows).into()];
    let contested = tx.fetch::<(i64, i64, i64)>(CONTESTED, &binds).await?;
    let reason = LeftReason::Conflicted;
    let standing = contested.iter().filter(|(_, _, stands)| *stands != 0);
    let closing: Vec<_> = standing
        .map(|(transfer, _, _)| (TransferKey(*transfer), reason))
        .collect();
    close(tx, &closing, at).await?;
    let displaced = contested.iter().filter(|(_, _, stands)| *stands == 0);
    let displaced: Vec<TransferKey> = displaced
        .map(|(transfer, _, _)| TransferKey(*transfer))
        .collect();
    if !displaced.is_empty() {
        let keys = ids(displaced);
        let binds = [
            chain.as_str().into(),
            at.into(),
            reason.as_str().into(),
            (&keys).into(),
        ];
        tx.execute(LOSE, &binds).await?;
    }
    let invoices = contested.into_iter();
    Ok(invoices
        .map(|(_, invoice, _)| InvoiceKey(invoice))
        .collect())
}

/// Every transfer of a chain that stands in the mempool, with what its transaction spends.
pub async fn open_in_mempool(
    conn: &mut Conn,
    chain: &ChainName,
) -> Result<Vec<OpenInMempool>, StoreError> {
    let binds = [chain.as_str().into()];
    let rows = conn
        .fetch::<(i64, i64, i64, String, String, i64)>(IN_MEMPOOL, &binds)
        .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut spends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tx_id, outpoint) in conn
        .fetch::<(String, String)>(MEMPOOL_SPENDS, &binds)
        .await?
    {
        spends.entry(tx_id).or_default().push(outpoint);
    }
    let spends: BTreeMap<String, Arc<[String]>> = spends
        .into_iter()
        .map(|(tx_id, outpoints)| (tx_id, outpoints.into()))
        .collect();
    Ok(rows
        .into_iter()
        .map(
            |(transfer, invoice, option, tx_id, position, entered_at)| OpenInMempool {
                transfer: TransferKey(transfer),
                invoice: InvoiceKey(invoice),
                option: OptionKey(option),
                spends: spends.get(&tx_id).cloned().unwrap_or_default(),
                tx_id: TxId::new(&tx_id),
                position: Position::new(&position),
                entered_at: UnixMillis(entered_at),
            },
        )
        .collect())
}

/// Whether a transaction pays an invoice and stands in a block.
pub async fn stands_in_block(
    conn: &mut Conn,
    chain: &ChainName,
    invoice: InvoiceKey,
    tx_id: &TxId,
) -> Result<bool, StoreError> {
    let binds = [chain.as_str().into(), tx_id.as_str().into(), invoice.into()];
    let (count,): (i64,) = conn.fetch_one(STANDS, &binds).await?;
    Ok(0 < count)
}

#[derive(sqlx::FromRow)]
struct HistoryRow {
    public_id: String,
    height: Option<i64>,
    block_hash: Option<String>,
    entered_at: i64,
    left_at: Option<i64>,
    left_reason: Option<String>,
}

/// Where the transfers of an invoice stand and have stood, oldest first.
pub async fn history(conn: &mut Conn, invoice: InvoiceKey) -> Result<Vec<Placement>, StoreError> {
    let rows = conn.fetch::<HistoryRow>(HISTORY, &[invoice.into()]).await?;
    let placements = rows.into_iter().map(|row| {
        let at = block(row.height, row.block_hash.as_deref())?;
        let reason = row.left_reason.as_deref();
        let reason = reason.map(|text| word("placements.left_reason", text, LeftReason::parse));
        Ok(Placement {
            transfer: parsed("transfers.public_id", &row.public_id)?,
            place: at.map_or(Place::Mempool, Place::Block),
            entered_at: UnixMillis(row.entered_at),
            left: optional_time(row.left_at).zip(reason.transpose()?),
        })
    });
    placements.collect()
}
