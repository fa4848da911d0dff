//! How the endpoints of a chain are shown.
//!
//! Goal: people see what is known of each endpoint soon after it changed, and polls write nothing else.
//! Method: a node that says how its endpoints are, and what is stored.

use paywatch_chain::{Condition, MemberStatus, SourceError};
use paywatch_store::chain_endpoints;
use paywatch_wire::ChainEndpoint;

use crate::chain::asset;
use crate::house::House;
use crate::scenarios::stories;

stories!(endpoints_are_shown_when_they_change_and_not_with_every_poll);

fn well(name: &str) -> MemberStatus {
    MemberStatus {
        name: name.into(),
        condition: Condition::Well,
        is_leading: true,
        is_resting: false,
        offers: Some("traces".into()),
        version: Some("node/1".into()),
        tip: None,
        lag_blocks: Some(0),
        errors: 0,
        last_error: None,
    }
}

async fn shown(house: &House) -> Vec<ChainEndpoint> {
    let mut conn = house.store.read().await.unwrap();
    let all = chain_endpoints::all(&mut conn).await.unwrap();
    all.get(asset().chain()).cloned().unwrap_or_default()
}

async fn endpoints_are_shown_when_they_change_and_not_with_every_poll(mut house: House) {
    house.poll().await;
    assert_eq!(shown(&house).await, []);
    house.chain.node().endpoints = vec![well("one:1"), well("two:2")];
    house.poll().await;
    let first = shown(&house).await;
    let names: Vec<&str> = first.iter().map(|one| one.endpoint.as_str()).collect();
    assert_eq!(names, ["one:1", "two:2"]);
    assert_eq!(
        (first[0].condition.as_str(), first[0].offers.as_deref()),
        ("well", Some("traces"))
    );
    // Numbers alone are shown a little later.
    house.chain.node().endpoints[1].lag_blocks = Some(2);
    house.poll().await;
    assert_eq!(shown(&house).await, first);
    house.pass(10_000).await;
    assert_eq!(shown(&house).await[1].lag_blocks, Some(2));
    // Everything else at once, also while nothing can be read.
    let error = SourceError::Unreachable {
        chain: asset().chain().clone(),
        detail: "switched off".into(),
    };
    {
        let mut node = house.chain.node();
        node.is_down = true;
        node.endpoints[1].condition = Condition::Lost;
        node.endpoints[1].last_error = Some(error);
    }
    house.poll().await;
    let lost = shown(&house).await.remove(1);
    let code = lost.last_error.map(|error| error.code);
    assert_eq!(
        (lost.condition.as_str(), code.as_deref()),
        ("lost", Some("node_unreachable"))
    );
}
