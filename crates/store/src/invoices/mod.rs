//! Invoices: their creation, locks, and what was last said about them.

mod load;
mod page;

use paywatch_domain::{Dossier, Family, InvoiceId, Mode, Said, Status};
use paywatch_wire::stored::{said_to_json, terms_to_json};
use serde::Serialize;

pub use load::{Loaded, load};
pub use page::{By, Filter, page};

use crate::column::{ids, int, list};
use crate::keys::{InvoiceKey, MerchantKey, WalletKey};
use crate::sql::{Sql, statements};
use crate::{Bind, Conn, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO invoices (public_id, merchant, mode, order_id, terms, metadata, created_at,
            expires_at, late_until, status, said, version, window_closed, seal)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING id";
    INSERT_OPTIONS = "INSERT INTO options (public_id, invoice, merchant, mode, position, family, chain, asset, caip19, amount,
            wallet, derivation_index, derivation_path, address, watch_key, payment_uri, seal)
        SELECT j.value->>'id', i.id, i.merchant, i.mode, CAST(j.value->>'position' AS BIGINT), j.value->>'family',
            j.value->>'chain', j.value->>'asset', j.value->>'caip19', j.value->>'amount',
            CAST(j.value->>'wallet' AS BIGINT), CAST(j.value->>'index' AS BIGINT), j.value->>'path',
            j.value->>'address', j.value->>'key', j.value->>'uri', unhex(j.value->>'seal')
        FROM json_each($2) AS j CROSS JOIN invoices AS i WHERE i.id = $1";
    WATCH_OPTIONS = "INSERT INTO watched (family, key, option)
        SELECT family, watch_key, id FROM options WHERE invoice = $1 ORDER BY position";
    /// A sibling that is watched already, for whomever, stays as it is: it is never credited.
    WATCH_SIBLINGS = "INSERT INTO watched (family, key, option, sibling_form, sibling_address)
        SELECT o.family, j.value->>'key', o.id, j.value->>'form', j.value->>'address'
        FROM json_each($2) AS j CROSS JOIN options AS o
        WHERE o.invoice = $1 AND o.position = CAST(j.value->>'position' AS BIGINT)
        ON CONFLICT (family, key) DO NOTHING";
    FIND = "SELECT id FROM invoices WHERE merchant = $1 AND mode = $2 AND public_id = $3";
    FIND_PUBLIC = "SELECT id FROM invoices WHERE public_id = $1";
    /// Rows that refer to an invoice share its key; a lock of the key too would wait for them, and two
    /// workers that have each recorded a transfer of one invoice would wait for each other.
    LOCK = "SELECT id FROM invoices
        WHERE id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1)) ORDER BY id", for_change;
    RECORD = "UPDATE invoices SET status = n.status, said = n.said, version = n.version,
            window_closed = n.window_closed
        FROM (SELECT CAST(value->>'id' AS BIGINT) AS id, value->>'status' AS status, value->>'said' AS said,
            CAST(value->>'version' AS BIGINT) AS version, CAST(value->>'closed' AS BIGINT) AS window_closed
            FROM json_each($1)) AS n
        WHERE invoices.id = n.id AND invoices.version < n.version";
}

/// The statements of the modules below this one.
pub(crate) const MORE: [&[Sql]; 2] = [load::STATEMENTS, page::STATEMENTS];

/// An invoice to be stored, with what the dossier does not hold.
#[derive(Debug)]
pub struct NewInvoice<'a> {
    /// Terms, places, version and what was said; facts in it are not stored here.
    pub dossier: &'a Dossier,
    /// The tenant.
    pub merchant: MerchantKey,
    /// MAC over the terms.
    pub seal: &'a [u8],
    /// In the order of the terms.
    pub options: Vec<NewOption>,
}

/// What the dossier does not hold about one option.
#[derive(Clone, Debug)]
pub struct NewOption {
    /// Of the option's chain.
    pub family: Family,
    /// Where the address comes from.
    pub wallet: WalletKey,
    /// MAC over address, asset and amount.
    pub seal: Vec<u8>,
    /// Other forms of the option's key.
    pub siblings: Vec<NewSibling>,
}

/// Another form of an option's key: money that goes there is never credited and can be recovered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSibling {
    /// The form, for example `p2tr`.
    pub form: &'static str,
    /// Its address.
    pub address: String,
    /// What the watch table looks for.
    pub key: Vec<u8>,
}

#[derive(Serialize)]
struct SiblingRow<'a> {
    position: usize,
    form: &'static str,
    address: &'a str,
    key: String,
}

#[derive(Serialize)]
struct OptionRow<'a> {
    id: String,
    position: usize,
    family: &'a str,
    chain: &'a str,
    asset: String,
    caip19: &'a str,
    amount: String,
    wallet: i64,
    index: u32,
    path: &'a str,
    address: &'a str,
    key: String,
    uri: &'a str,
    seal: String,
}

/// Stores an invoice with its options, and puts their keys into the watch table.
///
/// # Errors
///
/// [`StoreError::Conflict`] `address_used` when an option's address belongs to another option, and
/// [`StoreError::Damaged`] when places and options do not fit the terms: nothing is stored then.
pub async fn insert(tx: &mut Tx, new: &NewInvoice<'_>) -> Result<InvoiceKey, StoreError> {
    let options = option_rows(new)?;
    let dossier = new.dossier;
    let (id, terms) = (dossier.id.to_string(), terms_to_json(&dossier.terms));
    let said = dossier.said.as_ref().map(said_to_json);
    let status = dossier.said.as_ref().map_or(Status::Created, |s| s.status);
    let closed = dossier.said.as_ref().is_some_and(|said| said.closed);
    let binds = [
        (&id).into(),
        new.merchant.into(),
        dossier.mode.as_str().into(),
        dossier.order_id.as_deref().into(),
        (&terms).into(),
        Bind::Text(&dossier.metadata),
        dossier.terms.created_at.into(),
        dossier.terms.expires_at.into(),
        dossier.terms.late_until.into(),
        status.as_str().into(),
        said.as_deref().into(),
        int(dossier.version).into(),
        i64::from(closed).into(),
        new.seal.into(),
    ];
    let (key,) = tx.fetch_one::<(i64,)>(INSERT, &binds).await?;
    tx.execute(INSERT_OPTIONS, &[key.into(), (&options).into()])
        .await
        .map_err(|error| error.rule("address_used"))?;
    tx.execute(WATCH_OPTIONS, &[key.into()])
        .await
        .map_err(|error| error.rule("address_used"))?;
    watch_siblings(tx, key, &new.options).await?;
    Ok(InvoiceKey(key))
}

async fn watch_siblings(
    tx: &mut Tx,
    invoice: i64,
    options: &[NewOption],
) -> Result<(), StoreError> {
    let siblings = options.iter().enumerate().flat_map(|(position, option)| {
        option.siblings.iter().map(move |sibling| SiblingRow {
            position,
            form: sibling.form,
            address: &sibling.address,
            key: hex::encode(&sibling.key),
        })
    });
    let siblings: Vec<_> = siblings.collect();
    if siblings.is_empty() {
        return Ok(());
    }
    let siblings = list(siblings);
    tx.execute(WATCH_SIBLINGS, &[invoice.into(), (&siblings).into()])
        .await?;
    Ok(())
}

fn option_rows(new: &NewInvoice<'_>) -> Result<String, StoreError> {
    let (terms, places) = (&new.dossier.terms.options, &new.dossier.places);
    if terms.len() != places.len() || terms.len() != new.options.len() {
        let text = format!("{}: places and options do not fit", new.dossier.id);
        return Err(StoreError::Damaged(text));
    }
    let rows = terms.iter().zip(places).zip(&new.options).enumerate();
    Ok(list(rows.map(|(position, ((terms, place), new))| {
        OptionRow {
            id: terms.id.to_string(),
            position,
            family: new.family.as_str(),
            chain: terms.asset.chain().as_str(),
            asset: terms.asset.to_string(),
            caip19: &place.caip19,
            amount: terms.due.to_string(),
            wallet: new.wallet.0,
            index: place.index,
            path: &place.path,
            address: &place.address,
            key: hex::encode(&place.key),
            uri: &place.payment_uri,
            seal: hex::encode(&new.seal),
        }
    })))
}

/// The key of a merchant's invoice.
pub async fn find(
    conn: &mut Conn,
    merchant: MerchantKey,
    mode: Mode,
    id: InvoiceId,
) -> Result<Option<InvoiceKey>, StoreError> {
    let id = id.to_string();
    let binds = [merchant.into(), mode.as_str().into(), (&id).into()];
    let row = conn.fetch_optional::<(i64,)>(FIND, &binds).await?;
    Ok(row.map(|(key,)| InvoiceKey(key)))
}

/// The key of an invoice by its public link, whoever's it is.
pub async fn find_public(conn: &mut Conn, id: InvoiceId) -> Result<Option<InvoiceKey>, StoreError> {
    let id = id.to_string();
    let row = conn
        .fetch_optional::<(i64,)>(FIND_PUBLIC, &[(&id).into()])
        .await?;
    Ok(row.map(|(key,)| InvoiceKey(key)))
}

/// Locks invoices until the unit ends, in the order of their keys, so that two writers never wait
/// for each other in a circle. Do this before reading what will be folded.
pub async fn lock(tx: &mut Tx, invoices: &[InvoiceKey]) -> Result<(), StoreError> {
    let invoices = ids(invoices.iter().copied());
    tx.fetch::<(i64,)>(LOCK, &[(&invoices).into()]).await?;
    Ok(())
}

/// What is said about an invoice from now on.
#[derive(Clone, Debug)]
pub struct Spoken<'a> {
    /// The invoice.
    pub invoice: InvoiceKey,
    /// What is said.
    pub said: &'a Said,
    /// The number of the event that says it.
    pub version: u64,
}

#[derive(Serialize)]
struct SpokenRow {
    id: i64,
    status: &'static str,
    said: String,
    version: u64,
    closed: i64,
}

/// Records what is said, in one statement. The invoices must be locked.
///
/// # Errors
///
/// [`StoreError::Conflict`] `invoice_version` when one of them has reached that version already.
pub async fn record(tx: &mut Tx, spoken: &[Spoken<'_>]) -> Result<(), StoreError> {
    if spoken.is_empty() {
        return Ok(());
    }
    let rows = list(spoken.iter().map(|spoken| SpokenRow {
        id: spoken.invoice.0,
        status: spoken.said.status.as_str(),
        said: said_to_json(spoken.said),
        version: spoken.version,
        closed: i64::from(spoken.said.closed),
    }));
    let written = tx.execute(RECORD, &[(&rows).into()]).await?;
    if usize::try_from(written) != Ok(spoken.len()) {
        return Err(StoreError::Conflict("invoice_version"));
    }
    Ok(())
}
