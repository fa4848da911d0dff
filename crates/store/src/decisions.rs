//! What people decided about invoices: facts, append-only.

use paywatch_domain::OperatorFact;
use paywatch_wire::stored::{operator_fact_kind, operator_fact_to_json};

use crate::column::count;
use crate::keys::InvoiceKey;
use crate::sql::statements;
use crate::{Conn, StoreError, Tx};

statements! {
    INSERT = "INSERT INTO operator_facts (invoice, kind, body, actor, created_at)
        VALUES ($1, $2, $3, $4, $5)";
    COUNT = "SELECT COUNT(*) FROM operator_facts WHERE invoice = $1 AND kind = $2";
}

/// Stores a decision. The invoice must be locked.
pub async fn insert(
    tx: &mut Tx,
    invoice: InvoiceKey,
    fact: &OperatorFact,
    actor: &str,
) -> Result<(), StoreError> {
    let body = operator_fact_to_json(fact);
    let binds = [
        invoice.into(),
        operator_fact_kind(fact).into(),
        (&body).into(),
        actor.into(),
        fact.at().into(),
    ];
    tx.execute(INSERT, &binds).await?;
    Ok(())
}

/// How many decisions of a kind there are about an invoice.
pub async fn count_of(
    conn: &mut Conn,
    invoice: InvoiceKey,
    kind: &'static str,
) -> Result<u32, StoreError> {
    let binds = [invoice.into(), kind.into()];
    let (found,) = conn.fetch_one::<(i64,)>(COUNT, &binds).await?;
    count("operator_facts", found)
}
