//! Several merchants in one installation.

use serde_json::json;

use crate::world::{TPUB, World, run_on_both};

/// Goal: money for one merchant can never arrive at a key of another. Method: the same key in two forms, before and
/// after its owner put it away.
#[tokio::test]
async fn an_api_wallet_with_a_key_of_another_merchant_is_refused() {
    run_on_both(async |world: &mut World| {
        let wallet = world.wallet().await;
        let (own, other) = (world.key.clone(), world.foreign_key().await);
        let forms = [TPUB.to_owned(), format!("wpkh({TPUB}/0/*)")];
        for is_archived in [false, true] {
            for key in &forms {
                world.key.clone_from(&other);
                let body = json!({ "chain_family": "bitcoin", "key": key });
                let refused = world.post("/v1/wallets", &body.to_string()).await;
                let problem = refused.is_problem(409, "key_in_use");
                for told in ["wal_", "mer_", "Shop"] {
                    assert!(!problem.to_string().contains(told), "{problem}");
                }
                let listed = world.get("/v1/wallets").await.is(200);
                assert_eq!(listed["data"], json!([]));
            }
            world.key.clone_from(&own);
            if !is_archived {
                let path = format!("/v1/wallets/{wallet}/archive");
                world.post(&path, "").await.is(200);
            }
        }
    })
    .await;
}
