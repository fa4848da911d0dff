//! Invoices: their creation, locks, and what was last said about them.

mod load;
mod page;

use std::collections::BTreeMap;

use paywatch_domain::{Dossier, Family, InvoiceId, Mode, Said, Status};
use paywatch_wire::stored::{said_to_json, terms_to_json};
use serde::Serialize;

pub use load::{Loaded, load};
pub use page::{By, Filter, page};

use crate::column::{damaged, ids, int, list};
use crate::keys::{InvoiceKey, MerchantKey, WalletKey};
use crate::sql::{Sql, statements};
use crate::{Conn, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO invoices (public_id, merchant, mode, order_id, terms, metadata, created_at,
            expires_at, late_until, status, said, version, window_closed, seal)
        SELECT value->>'id', CAST(value->>'merchant' AS BIGINT), value->>'mode', value->>'order', value->>'terms',
            value->>'metadata', CAST(value->>'created_at' AS BIGINT), CAST(value->>'expires_at' AS BIGINT),
            CAST(value->>'late_until' AS BIGINT), value->>'status', value->>'said', CAST(value->>'version' AS BIGINT),
            CAST(value->>'closed' AS BIGINT), unhex(value->>'seal')
        FROM json_each($1) WHERE true RETURNING id, public_id";
    INSERT_OPTIONS = "INSERT INTO options (public_id, invoice, merchant, mode, position, family, chain, asset, caip19, amount,
            wallet, derivation_index, derivation_path, address, watch_key, payment_uri, seal)
        SELECT j.value->>'id', i.id, i.merchant, i.mode, CAST(j.value->>'position' AS BIGINT), j.value->>'family',
            j.value->>'chain', j.value->>'asset', j.value->>'caip19', j.value->>'amount',
            CAST(j.value->>'wallet' AS BIGINT), CAST(j.value->>'index' AS BIGINT), j.value->>'path',
            j.value->>'address', j.value->>'key', j.value->>'uri', unhex(j.value->>'seal')
        FROM json_each($1) AS j CROSS JOIN invoices AS i WHERE i.id = CAST(j.value->>'invoice' AS BIGINT)";
    WATCH_OPTIONS = "INSERT INTO watched (family, key, option)
        SELECT o.family, o.watch_key, o.id FROM json_each($1) AS j CROSS JOIN options AS o
        WHERE o.invoice = CAST(j.value->>'id' AS BIGINT) ORDER BY o.invoice, o.position";
    /// A sibling that is watched already, for whomever, stays as it is: it is never credited.
    WATCH_SIBLINGS = "INSERT INTO watched (family, key, option, sibling_form, sibling_address)
        SELECT o.family, j.value->>'key', o.id, j.value->>'form', j.value->>'address'
        FROM json_each($1) AS j CROSS JOIN options AS o
        WHERE o.invoice = CAST(j.value->>'invoice' AS BIGINT) AND o.position = CAST(j.value->>'position' AS BIGINT)
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
struct InvoiceRow<'a> {
    id: String,
    merchant: i64,
    mode: &'static str,
    order: Option<&'a str>,
    terms: String,
    metadata: &'a str,
    created_at: i64,
    expires_at: i64,
    late_until: i64,
    status: &'static str,
    said: Option<String>,
    version: i64,
    closed: i64,
    seal: String,
}

#[derive(Serialize)]
struct SiblingRow<'a> {
    invoice: i64,
    position: usize,
    form: &'static str,
    address: &'a str,
    key: String,
}

#[derive(Serialize)]
struct OptionRow<'a> {
    id: String,
    invoice: i64,
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

/// Stores an invoice: [`insert_all`] for one.
pub async fn insert(tx: &mut Tx, new: &NewInvoice<'_>) -> Result<InvoiceKey, StoreError> {
    let key = insert_all(tx, std::slice::from_ref(new)).await?.pop();
    key.ok_or_else(|| StoreError::Damaged(format!("{}: not stored", new.dossier.id)))
}

/// Stores invoices with their options, and puts their keys into the watch table; their keys in their order.
///
/// # Errors
///
/// [`StoreError::Conflict`] `address_used` when an option's address belongs to another option, and
/// [`StoreError::Damaged`] when places and options do not fit the terms: nothing is stored then.
pub async fn insert_all(
    tx: &mut Tx,
    new: &[NewInvoice<'_>],
) -> Result<Vec<InvoiceKey>, StoreError> {
    let rows = list(new.iter().map(invoice_row));
    let stored = tx.fetch::<(i64, String)>(INSERT, &[(&rows).into()]).await?;
    let stored: BTreeMap<String, i64> = stored.into_iter().map(|(key, id)| (id, key)).collect();
    let keys = new.iter().map(|new| {
        let id = new.dossier.id.to_string();
        let key = stored.get(&id).copied().map(InvoiceKey);
        key.ok_or_else(|| damaged("invoices.public_id", id))
    });
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let (mut options, mut siblings) = (Vec::new(), Vec::new());
    for (key, new) in keys.iter().zip(new) {
        options.extend(option_rows(*key, new)?);
        siblings.extend(sibling_rows(*key, &new.options));
    }
    let is_used = |error: StoreError| error.rule("address_used");
    let options = list(options);
    let inserted = tx.execute(INSERT_OPTIONS, &[(&options).into()]).await;
    inserted.map_err(is_used)?;
    let stored = ids(keys.iter().copied());
    let watched = tx.execute(WATCH_OPTIONS, &[(&stored).into()]).await;
    watched.map_err(is_used)?;
    if !siblings.is_empty() {
        let siblings = list(siblings);
        tx.execute(WATCH_SIBLINGS, &[(&siblings).into()]).await?;
    }
    Ok(keys)
}

fn invoice_row<'a>(new: &'a NewInvoice<'_>) -> InvoiceRow<'a> {
    let dossier = new.dossier;
    let said = dossier.said.as_ref();
    InvoiceRow {
        id: dossier.id.to_string(),
        merchant: new.merchant.0,
        mode: dossier.mode.as_str(),
        order: dossier.order_id.as_deref(),
        terms: terms_to_json(&dossier.terms),
        metadata: &dossier.metadata,
        created_at: dossier.terms.created_at.0,
        expires_at: dossier.terms.expires_at.0,
        late_until: dossier.terms.late_until.0,
        status: said.map_or(Status::Created, |said| said.status).as_str(),
        said: said.map(said_to_json),
        version: int(dossier.version),
        closed: i64::from(said.is_some_and(|said| said.closed)),
        seal: hex::encode(new.seal),
    }
}

fn sibling_rows(
    invoice: InvoiceKey,
    options: &[NewOption],
) -> impl Iterator<Item = SiblingRow<'_>> {
    let options = options.iter().enumerate();
    options.flat_map(move |(position, option)| {
        option.siblings.iter().map(move |sibling| SiblingRow {
            invoice: invoice.0,
            position,
            form: sibling.form,
            address: &sibling.address,
            key: hex::encode(&sibling.key),
        })
    })
}

fn option_rows<'a>(
    invoice: InvoiceKey,
    new: &'a NewInvoice<'_>,
) -> Result<impl Iterator<Item = OptionRow<'a>>, StoreError> {
    let (terms, places) = (&new.dossier.terms.options, &new.dossier.places);
    if terms.len() != places.len() || terms.len() != new.options.len() {
        let text = format!("{}: places and options do not fit", new.dossier.id);
        return Err(StoreError::Damaged(text));
    }
    let rows = terms.iter().zip(places).zip(&new.options).enumerate();
    Ok(
        rows.map(move |(position, ((terms, place), new))| OptionRow {
            id: terms.id.to_string(),
            invoice: invoice.0,
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
        }),
    )
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
