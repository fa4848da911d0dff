//! The API's description, as programs of others read it: a tester and a generator of clients.

use crate::support::House;
use anyhow::{Result, ensure};
use paywatch_testkit::{ApiTrial, Operations, generated_client};
use serde_json::json;

const DOCUMENT: &str = "/v1/openapi.json";

/// What can take away the key that the trial itself uses.
const TAKES_KEYS: &[&str] = &["rotate_api_key", "revoke_api_key"];

/// Goal: no request leads to an answer that is not described, or to a mistake of the server. Method: Schemathesis
/// sends what the description allows and what it nearly allows, alone and one after the other. What takes keys away
/// is tried on keys that it makes itself, as it must not learn the name of its own.
#[tokio::test]
async fn schemathesis_finds_nothing_in_the_api_that_is_not_described() -> Result<()> {
    let house = House::new().await?;
    house.invoice(150_000).await?;
    for operations in [
        Operations::AllBut(TAKES_KEYS),
        Operations::Only(&["create_api_key", "rotate_api_key", "revoke_api_key"]),
    ] {
        let trial = ApiTrial {
            url: house.watcher.url(),
            document: DOCUMENT.into(),
            key: house.api.key().into(),
            seed: 7,
            examples_max: 15,
            operations,
        };
        println!("{}", trial.run().await?);
        let chains = house.api.get("/v1/chains").await?;
        ensure!(
            chains.status == 200,
            "the key is of no use any more: {}",
            chains.text
        );
    }
    Ok(())
}

/// Goal: a client whose types come from the description compiles and works. Method: types by openapi-typescript,
/// calls by openapi-fetch.
#[tokio::test]
async fn a_client_generated_from_the_api_document_makes_an_invoice() -> Result<()> {
    let house = House::new().await?;
    let said = generated_client(&house.watcher.url(), DOCUMENT, house.api.key()).await?;
    ensure!(said["missing"] == "invoice_unknown", "{said}");
    ensure!(said["status"] == "created", "{said}");
    let path = format!("/v1/invoices/{}", said["id"].as_str().unwrap_or_default());
    let invoice = house.api.get(&path).await?.value()?;
    ensure!(
        invoice["options"][0]["address"] == said["address"],
        "{invoice}"
    );
    ensure!(invoice["metadata"] == json!({ "basket": 7 }), "{invoice}");
    Ok(())
}
