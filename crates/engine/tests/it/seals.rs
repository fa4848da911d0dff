//! What somebody can do who can write to the database and has nothing else.
//!
//! Goal: nothing is claimed about an invoice whose promise was changed. Method: the stored terms are
//! changed behind the store's back.

use paywatch_engine::commands::CommandError;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::chain::payment;
use crate::house::{House, on_sqlite};

/// Replaces a piece of the terms of all invoices; answers how many invoices that were.
pub(crate) async fn change_terms(house: &House, from: &str, to: &str) -> u64 {
    let file = house.url.strip_prefix("sqlite:").unwrap();
    let options = SqliteConnectOptions::new().filename(file);
    let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
    let change = "UPDATE invoices SET terms = replace(terms, $1, $2) WHERE instr(terms, $1) > 0";
    let change = sqlx::query(change).bind(from).bind(to);
    change.execute(&mut conn).await.unwrap().rows_affected()
}

#[tokio::test]
async fn a_promise_that_was_changed_in_the_database_is_not_kept() {
    let changes = [
        (r#""depth":2"#, r#""depth":1"#),
        (r#""decimals":8"#, r#""decimals":6"#),
        (r#""due":"100000""#, r#""due":"1000""#),
    ];
    for (from, to) in changes {
        on_sqlite(async |mut house: House| {
            let (id, key) = house.invoice(100_000, 900).await;
            assert_eq!(change_terms(&house, from, to).await, 1, "{from}");
            house.mine(vec![payment("a", &key, 100_000, "in:0")]).await;
            let shown = house.commands.invoice(&house.caller, id, house.now).await;
            match shown {
                Err(CommandError::Refused { code, .. }) => assert_eq!(code, "invoice_quarantined"),
                other => panic!("{from} was changed, and it is shown: {other:?}"),
            }
            let said = ["created", "exception.opened"];
            assert_eq!(house.said(id).await, said, "no claim about the money");
            // Put right again, it stays in quarantine until a person has looked.
            assert_eq!(change_terms(&house, to, from).await, 1, "{to}");
            house.mine(Vec::new()).await;
            assert_eq!(house.said(id).await, said);
        })
        .await;
    }
}
