//! Loads dossiers: a constant number of statements, however many invoices.

use std::collections::BTreeMap;

use paywatch_domain::{
    Amount, Dossier, Exception, ExceptionKind, Finding, LeftReason, OperatorFact, PaymentPlace,
    Place, Position, Subject, Transfer, TxId, UnixMillis, Vetting, limits,
};
use paywatch_wire::stored::{operator_fact_from_json, said_from_json, terms_from_json};

use crate::column::{
    RoleColumns, block, count, damaged, ids, mode, optional_count, optional_time, parsed, word,
};
use crate::keys::{InvoiceKey, MerchantKey, TransferKey};
use crate::sql::statements;
use crate::{Conn, StoreError};

statements! {
    INVOICES = "SELECT i.id, i.public_id, i.merchant, m.public_id AS merchant_id, i.mode, i.order_id,
            i.terms, i.metadata, i.said, i.version, i.quarantined, i.seal
        FROM invoices AS i JOIN merchants AS m ON m.id = i.merchant
        WHERE i.id IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1)) ORDER BY i.id";
    OPTIONS = "SELECT o.invoice, o.public_id, w.public_id AS wallet_id, o.address, o.watch_key,
            o.derivation_index, o.derivation_path, o.caip19, o.payment_uri, o.seal
        FROM options AS o JOIN wallets AS w ON w.id = o.wallet
        WHERE o.invoice IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))
        ORDER BY o.invoice, o.position";
    /// Whether a transaction has a rival is looked up once for each, however many of its outputs pay
    /// us. `CROSS JOIN` keeps SQLite to this order.
    ///
    /// Of what stands nowhere and was never final, only the newest of each invoice are read; strays are few.
    TRANSFERS = "WITH own AS MATERIALIZED (SELECT t.id, p.id AS placement, p.height, p.block_hash,
                CASE WHEN p.id IS NULL AND t.final_at IS NULL AND t.stray_decimals IS NULL THEN 1 ELSE 0 END AS is_gone,
                ROW_NUMBER() OVER (PARTITION BY t.invoice,
                    CASE WHEN p.id IS NULL AND t.final_at IS NULL AND t.stray_decimals IS NULL THEN 1 ELSE 0 END ORDER BY t.id DESC) AS age
            FROM transfers AS t LEFT JOIN placements AS p ON p.transfer = t.id AND p.left_at IS NULL
            WHERE t.invoice IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))),
        vetted AS MATERIALIZED (SELECT DISTINCT t.chain, t.tx_id
            FROM transfers AS t JOIN vettings AS v ON v.chain = t.chain AND v.tx_id = t.tx_id
            WHERE t.invoice IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))),
        rivaled AS MATERIALIZED (SELECT n.chain, n.tx_id FROM vetted AS n
            WHERE EXISTS (SELECT 1 FROM spends AS own CROSS JOIN spends AS other
                WHERE own.chain = n.chain AND own.tx_id = n.tx_id AND other.chain = own.chain
                    AND other.outpoint = own.outpoint AND other.tx_id <> own.tx_id))
        SELECT t.id, t.invoice, t.public_id, o.public_id AS option_id, t.asset, t.amount, t.tx_id,
            t.position, t.maturity, t.sibling_form, t.sibling_address, t.stray_decimals, t.origin, t.sighted_at,
            t.final_at, n.placement, n.height, n.block_hash,
            CASE WHEN n.placement IS NULL THEN (SELECT l.left_reason FROM placements AS l WHERE l.transfer = t.id
                ORDER BY l.id DESC LIMIT 1) END AS left_reason,
            v.vetted_at, v.has_parents, v.fee_rate, v.fee_rate_next, v.missing_since,
            CAST(CASE WHEN r.tx_id IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_conflict
        FROM own AS n CROSS JOIN transfers AS t JOIN options AS o ON o.id = t.option
        LEFT JOIN vettings AS v ON v.chain = t.chain AND v.tx_id = t.tx_id
        LEFT JOIN rivaled AS r ON r.chain = t.chain AND r.tx_id = t.tx_id
        WHERE t.id = n.id AND (n.is_gone = 0 OR n.age <= $2)
        ORDER BY t.invoice, t.id";
    EXCEPTIONS = "SELECT e.invoice, e.public_id, e.kind, o.public_id AS option_id, e.form, e.address, e.asset, e.amount,
            e.opened_at, e.resolved_at
        FROM exceptions AS e JOIN options AS o ON o.id = e.option
        WHERE e.invoice IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))
        ORDER BY e.invoice, e.id";
    DECISIONS = "SELECT invoice, body FROM operator_facts
        WHERE invoice IN (SELECT CAST(value->>'id' AS BIGINT) FROM json_each($1))
        ORDER BY invoice, id";
}

/// An invoice as it is stored.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Internal key.
    pub key: InvoiceKey,
    /// The tenant.
    pub merchant: MerchantKey,
    /// Everything that is known about it, or why it cannot be read: then the invoice is to be
    /// quarantined, and the others go on.
    pub dossier: Result<Dossier, String>,
    /// The seal over its terms, to be verified by the caller.
    pub seal: Vec<u8>,
    /// The seals over its options, in the order of the terms.
    pub option_seals: Vec<Vec<u8>>,
    /// In the order of the dossier's transfers, which is the order in which they were written. Of what is gone
    /// and was never final the newest are read, and of dust the first.
    pub transfer_keys: Vec<TransferKey>,
}

#[derive(sqlx::FromRow)]
struct InvoiceRow {
    id: i64,
    public_id: String,
    merchant: i64,
    merchant_id: String,
    mode: String,
    order_id: Option<String>,
    terms: String,
    metadata: String,
    said: Option<String>,
    version: i64,
    quarantined: Option<String>,
    seal: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct OptionRow {
    invoice: i64,
    public_id: String,
    wallet_id: String,
    address: String,
    watch_key: String,
    derivation_index: i64,
    derivation_path: String,
    caip19: String,
    payment_uri: String,
    seal: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct TransferRow {
    id: i64,
    invoice: i64,
    public_id: String,
    option_id: String,
    asset: String,
    amount: String,
    tx_id: String,
    position: String,
    maturity: i64,
    #[sqlx(flatten)]
    role: RoleColumns,
    origin: String,
    sighted_at: i64,
    final_at: Option<i64>,
    placement: Option<i64>,
    height: Option<i64>,
    block_hash: Option<String>,
    left_reason: Option<String>,
    vetted_at: Option<i64>,
    has_parents: Option<i64>,
    fee_rate: Option<i64>,
    fee_rate_next: Option<i64>,
    missing_since: Option<i64>,
    has_conflict: i64,
}

#[derive(sqlx::FromRow)]
struct ExceptionRow {
    invoice: i64,
    public_id: String,
    kind: String,
    option_id: String,
    form: Option<String>,
    address: Option<String>,
    asset: Option<String>,
    amount: String,
    opened_at: i64,
    resolved_at: Option<i64>,
}

/// The facts of one invoice.
#[derive(Default)]
struct Facts {
    transfers: Vec<TransferRow>,
    exceptions: Vec<ExceptionRow>,
    decisions: Vec<(i64, String)>,
}

/// Loads invoices with everything that is known about them, in the order of their keys. Keys without
/// a row are left out.
pub async fn load(conn: &mut Conn, invoices: &[InvoiceKey]) -> Result<Vec<Loaded>, StoreError> {
    if invoices.is_empty() {
        return Ok(Vec::new());
    }
    let keys = ids(invoices.iter().copied());
    let rows = conn
        .fetch::<InvoiceRow>(INVOICES, &[(&keys).into()])
        .await?;
    let options = conn.fetch::<OptionRow>(OPTIONS, &[(&keys).into()]).await?;
    let gone_max = i64::from(limits::INVOICE_GONE_MAX);
    let transfers = conn
        .fetch::<TransferRow>(TRANSFERS, &[(&keys).into(), gone_max.into()])
        .await?;
    let exceptions = conn
        .fetch::<ExceptionRow>(EXCEPTIONS, &[(&keys).into()])
        .await?;
    let decisions = conn
        .fetch::<(i64, String)>(DECISIONS, &[(&keys).into()])
        .await?;
    let mut options = grouped(options, |option| option.invoice);
    let mut transfers = grouped(transfers, |transfer| transfer.invoice);
    let mut exceptions = grouped(exceptions, |exception| exception.invoice);
    let mut decisions = grouped(decisions, |(invoice, _)| *invoice);
    Ok(rows
        .into_iter()
        .map(|row| {
            let options = options.remove(&row.id).unwrap_or_default();
            let facts = Facts {
                transfers: transfers.remove(&row.id).unwrap_or_default(),
                exceptions: exceptions.remove(&row.id).unwrap_or_default(),
                decisions: decisions.remove(&row.id).unwrap_or_default(),
            };
            assemble(row, options, &facts)
        })
        .collect())
}

fn grouped<T>(rows: Vec<T>, invoice: impl Fn(&T) -> i64) -> BTreeMap<i64, Vec<T>> {
    let mut groups: BTreeMap<i64, Vec<T>> = BTreeMap::new();
    for row in rows {
        groups.entry(invoice(&row)).or_default().push(row);
    }
    groups
}

fn assemble(row: InvoiceRow, options: Vec<OptionRow>, facts: &Facts) -> Loaded {
    let mut dossier = dossier(&row, &options, facts);
    let keys = facts.transfers.iter().map(|row| TransferKey(row.id));
    let mut transfer_keys: Vec<TransferKey> = keys.collect();
    if let Ok(dossier) = &mut dossier {
        leave_out_dust(dossier, &mut transfer_keys);
    }
    Loaded {
        key: InvoiceKey(row.id),
        merchant: MerchantKey(row.merchant),
        dossier: dossier.map_err(|error| error.to_string()),
        seal: row.seal,
        option_seals: options.into_iter().map(|option| option.seal).collect(),
        transfer_keys,
    }
}

/// Leaves out the dust that came after as much of it as a fold reads.
fn leave_out_dust(dossier: &mut Dossier, keys: &mut Vec<TransferKey>) {
    let (terms, transfers) = (&dossier.terms, std::mem::take(&mut dossier.transfers));
    let mut dust: usize = 0;
    let read = transfers.into_iter().zip(std::mem::take(keys));
    let read = read.filter(|(transfer, _)| {
        let is_standing_dust = transfer.place.is_some() && terms.is_dust(transfer);
        dust = dust.saturating_add(usize::from(is_standing_dust));
        !is_standing_dust || dust <= limits::INVOICE_DUST_MAX
    });
    (dossier.transfers, *keys) = read.unzip();
}

fn dossier(row: &InvoiceRow, options: &[OptionRow], facts: &Facts) -> Result<Dossier, StoreError> {
    let terms = terms_from_json(&row.terms).map_err(|error| damaged("invoices.terms", error))?;
    let said = row.said.as_deref().map(said_from_json).transpose();
    let places: Vec<PaymentPlace> = options.iter().map(place).collect::<Result<_, _>>()?;
    let fits = places
        .iter()
        .map(|place| place.option)
        .eq(terms.options.iter().map(|option| option.id));
    if !fits {
        return Err(damaged("options", "they are not those of the terms"));
    }
    Ok(Dossier {
        id: parsed("invoices.public_id", &row.public_id)?,
        merchant: parsed("merchants.public_id", &row.merchant_id)?,
        mode: mode(&row.mode)?,
        order_id: row.order_id.as_deref().map(Into::into),
        metadata: row.metadata.as_str().into(),
        terms,
        places,
        transfers: facts
            .transfers
            .iter()
            .map(transfer)
            .collect::<Result<_, _>>()?,
        exceptions: facts
            .exceptions
            .iter()
            .map(exception)
            .collect::<Result<_, _>>()?,
        decisions: facts
            .decisions
            .iter()
            .map(decision)
            .collect::<Result<_, _>>()?,
        version: count("invoices.version", row.version)?,
        said: said.map_err(|error| damaged("invoices.said", error))?,
        quarantined: row.quarantined.as_deref().map(Into::into),
    })
}

fn place(row: &OptionRow) -> Result<PaymentPlace, StoreError> {
    let key = hex::decode(&row.watch_key).map_err(|_| damaged("options.watch_key", &row.watch_key));
    Ok(PaymentPlace {
        option: parsed("options.public_id", &row.public_id)?,
        wallet: parsed("wallets.public_id", &row.wallet_id)?,
        address: row.address.as_str().into(),
        key: key?.into(),
        index: count("options.derivation_index", row.derivation_index)?,
        path: row.derivation_path.as_str().into(),
        caip19: row.caip19.as_str().into(),
        payment_uri: row.payment_uri.as_str().into(),
    })
}

fn transfer(row: &TransferRow) -> Result<Transfer, StoreError> {
    let at = block(row.height, row.block_hash.as_deref())?;
    let place = match (row.placement, at) {
        (None, _) => None,
        (Some(_), None) => Some(Place::Mempool),
        (Some(_), Some(at)) => Some(Place::Block(at)),
    };
    let left = row.left_reason.as_deref();
    let left = left.map(|text| word("placements.left_reason", text, LeftReason::parse));
    Ok(Transfer {
        id: parsed("transfers.public_id", &row.public_id)?,
        option: parsed("options.public_id", &row.option_id)?,
        role: row.role.role()?,
        asset: parsed("transfers.asset", &row.asset)?,
        amount: Amount::parse_atomic(&row.amount)
            .map_err(|_| damaged("transfers.amount", &row.amount))?,
        tx_id: TxId::new(&row.tx_id),
        position: Position::new(&row.position),
        maturity: count("transfers.maturity", row.maturity)?,
        sighted_at: UnixMillis(row.sighted_at),
        place,
        left: left.transpose()?,
        origin: TxId::new(&row.origin),
        final_at: optional_time(row.final_at),
        vetting: vetting(row)?,
    })
}

fn vetting(row: &TransferRow) -> Result<Option<Vetting>, StoreError> {
    let (Some(vetted_at), Some(fee_rate)) = (row.vetted_at, row.fee_rate) else {
        return Ok(None);
    };
    Ok(Some(Vetting {
        vetted_at: UnixMillis(vetted_at),
        has_parents: row.has_parents != Some(0),
        fee_rate: count("vettings.fee_rate", fee_rate)?,
        fee_rate_next: optional_count("vettings.fee_rate_next", row.fee_rate_next)?,
        has_conflict: row.has_conflict != 0,
        missing_since: optional_time(row.missing_since),
    }))
}

fn exception(row: &ExceptionRow) -> Result<Exception, StoreError> {
    Ok(Exception {
        id: parsed("exceptions.public_id", &row.public_id)?,
        finding: Finding {
            kind: word("exceptions.kind", &row.kind, ExceptionKind::parse)?,
            subject: subject(row)?,
            amount: Amount::parse_atomic(&row.amount)
                .map_err(|_| damaged("exceptions.amount", &row.amount))?,
        },
        opened_at: UnixMillis(row.opened_at),
        resolved_at: optional_time(row.resolved_at),
    })
}

fn subject(row: &ExceptionRow) -> Result<Subject, StoreError> {
    let option = parsed("options.public_id", &row.option_id)?;
    if let Some(asset) = &row.asset {
        let asset = parsed("exceptions.asset", asset)?;
        return Ok(Subject::Stray { option, asset });
    }
    Ok(match (&row.form, &row.address) {
        (Some(form), Some(address)) => Subject::Address {
            option,
            form: form.as_str().into(),
            address: address.as_str().into(),
        },
        // The database checks that they are NULL together.
        (_, None) | (None, Some(_)) => Subject::Option(option),
    })
}

fn decision((_, body): &(i64, String)) -> Result<OperatorFact, StoreError> {
    operator_fact_from_json(body).map_err(|error| damaged("operator_facts.body", error))
}
