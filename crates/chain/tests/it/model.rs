//! Pools of random endpoints against a model that looks at all their chains at once.

use paywatch_chain::{EndpointPool, Source};
use proptest::prelude::*;

use crate::endpoint::{Endpoint, block_at, tip, unreachable};

/// What is expected of a pool: the highest block that enough chains have, at most eight below the height
/// that enough of them have reached.
fn expected(chains: &[&str], agree: usize) -> Option<String> {
    let mut lengths: Vec<usize> = chains.iter().map(|blocks| blocks.len()).collect();
    lengths.sort_unstable();
    lengths.reverse();
    let top = *lengths.get(agree - 1)?;
    let lengths = (1.max(top.saturating_sub(8))..=top).rev();
    lengths.into_iter().find_map(|length| {
        let blocks = chains.iter().filter_map(|blocks| blocks.get(..length));
        let mut blocks: Vec<&str> = blocks.collect();
        blocks.sort_unstable();
        let runs = blocks.chunk_by(|one, other| one == other);
        let agreed = runs.filter(|run| agree <= run.len());
        agreed.map(|run| run[0].to_owned()).next()
    })
}

fn chain() -> impl Strategy<Value = String> {
    let branches = prop_oneof![
        4 => "a{1,6}",
        2 => "a{1,6}b{1,3}",
        2 => "a{1,6}c{1,3}",
        1 => "ab{9,12}",
        1 => "ac{9,12}",
    ];
    branches.prop_map(|blocks| blocks)
}

proptest! {
    /// Whatever the endpoints are like and whoever does not answer, the tip is a block of enough of them,
    /// as high as can be, and so is every hash that is told below it.
    #[test]
    fn a_pool_serves_what_its_model_serves(
        members in proptest::collection::vec((chain(), proptest::bool::weighted(0.8)), 1..5),
        agree in 1_usize..4,
    ) {
        let agree = agree.min(members.len());
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        let endpoints: Vec<Endpoint> = members.iter().map(|(blocks, is_up)| {
            let endpoint = Endpoint::new("endpoint", blocks);
            endpoint.mood().health_error = (!is_up).then(unreachable);
            endpoint
        }).collect();
        let named = endpoints.iter().map(|one| (one.name(), one.clone()));
        let pool = EndpointPool::new(named.collect(), agree).unwrap();
        let up = members.iter().filter(|(_, is_up)| *is_up);
        let chains: Vec<&str> = up.map(|(blocks, _)| blocks.as_str()).collect();
        let health = runtime.block_on(pool.health());
        match expected(&chains, agree) {
            Some(blocks) => {
                let served = health.unwrap().tip;
                prop_assert_eq!(served.height, tip(&blocks).height);
                let holders = |height: u64, hash: &paywatch_domain::BlockHash| {
                    let has = chains.iter().filter(|blocks| {
                        block_at(blocks, height).is_some_and(|block| block.hash == *hash)
                    });
                    has.count()
                };
                prop_assert!(agree <= holders(served.height, &served.hash));
                let hashes = runtime.block_on(pool.hashes(0, served.height)).unwrap();
                prop_assert_eq!(hashes.last(), Some(&served.hash));
                for (height, hash) in (0..).zip(&hashes) {
                    prop_assert!(agree <= holders(height, hash));
                    let at = runtime.block_on(pool.hash_at(height)).unwrap();
                    prop_assert_eq!(at.as_ref(), Some(hash));
                }
                prop_assert!(runtime.block_on(pool.fetch(served)).is_ok());
            }
            None => {
                let code = health.unwrap_err().code();
                let answering = chains.len();
                let expected = if answering < agree { "too_few_endpoints" } else { "endpoints_disagree" };
                if members.len() == 1 {
                    prop_assert_eq!(code, "node_unreachable");
                } else {
                    prop_assert_eq!(code, expected);
                }
            }
        }
    }
}
