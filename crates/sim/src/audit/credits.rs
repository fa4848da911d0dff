//! The check of what is stored as credits, against what the chains hold.

use std::collections::BTreeSet;

use paywatch_domain::{AssetName, Family};

use super::ledgers::{Part, options, same};
use super::scene::{Placed, Scene};
use crate::keys;
use crate::order::DUST;

/// Money in a block, as it is stored or as the chain has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Credit {
    asset: String,
    tx: String,
    position: String,
    hash: String,
    amount: String,
}

impl Credit {
    fn of(paid: &Placed) -> Self {
        Self {
            asset: paid.asset.to_string(),
            tx: paid.tx.clone(),
            position: paid.position.clone(),
            hash: paid.hash.clone(),
            amount: paid.amount.to_string(),
        }
    }
}

pub(super) fn credits_are_those_of_the_chain(scene: &Scene<'_>) -> Result<(), String> {
    for part in options(scene) {
        let (order, option) = (part.order, part.option);
        let stored = |role: &str| -> BTreeSet<Credit> {
            let stored = part.shown.transfers.iter().filter_map(|one| {
                let is_own = one.option_id == option.id && one.role == role;
                let hash = one.block_hash.clone().filter(|_| is_own)?;
                Some(Credit {
                    asset: one.asset.clone(),
                    tx: one.tx_id.clone(),
                    position: one.position.clone(),
                    hash,
                    amount: one.amount_atomic.clone(),
                })
            });
            stored.collect()
        };
        let paid = |places: &[(usize, &AssetName)], address: &str, least: u64| {
            let paid = places.iter().flat_map(|(chain, asset)| {
                let paid = scene.paid(*chain, asset, address);
                paid.filter(|one| least <= one.amount).map(Credit::of)
            });
            paid.collect::<BTreeSet<Credit>>()
        };
        let own = [(part.wanted.chain, &part.wanted.asset)];
        let sibling = sibling(scene, &part).unwrap_or_default();
        let astray = scene.astray(part.wanted);
        let elsewhere = |is_elsewhere: bool| -> Vec<(usize, &AssetName)> {
            let astray = astray.iter().copied();
            let astray = astray.filter(|(chain, _)| (*chain != part.wanted.chain) == is_elsewhere);
            astray.collect()
        };
        // What is astray and a trifle is not kept.
        for (role, truth) in [
            ("payment", paid(&own, &option.address, 0)),
            ("sibling", paid(&own, &sibling, 0)),
            (
                "wrong_asset",
                paid(&elsewhere(false), &option.address, DUST),
            ),
            ("wrong_chain", paid(&elsewhere(true), &option.address, DUST)),
        ] {
            let what = format!("what order {} was paid ({role})", order.number);
            same(&what, &stored(role), &truth)?;
        }
    }
    Ok(())
}

/// The other form of an option's address, which is told on chains that have them.
pub(super) fn sibling(scene: &Scene<'_>, part: &Part<'_>) -> Option<String> {
    let plan = scene.plans.get(part.wanted.chain)?;
    (plan.family == Family::Bitcoin).then(|| keys::sibling(&part.option.address))
}
