//! What people decided about invoices: facts, append-only.

use paywatch_domain::OperatorFact;
use paywatch_wire::stored::{operator_fact_kind, operator_fact_to_json};

use crate::keys::InvoiceKey;
use crate::sql::statements;
use crate::{StoreError, Tx};

statements! {
    INSERT = "INSERT INTO operator_facts (invoice, kind, body, actor, created_at)
        VALUES ($1, $2, $3, $4, $5)";
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
