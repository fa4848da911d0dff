//! Facts from credits: which option was paid, whether it is known, where it stands.
//!
//! What is not an option's asset and came to its address all the same is a stray: kept and told, and never
//! credited. Only so many are kept of one invoice, as its address is known to whoever wants to be a nuisance.

use std::collections::{BTreeMap, BTreeSet};

use paywatch_chain::Credit;
use paywatch_domain::{
    AssetName, ChainName, ChainSpec, Place, Position, Role, TransferId, TxId, UnixMillis, limits,
};
use paywatch_store::placements::{self, LeftReason};
use paywatch_store::transfers::{self, NewTransfer, Sighting};
use paywatch_store::watched::{self, Owner};
use paywatch_store::{InvoiceKey, OptionKey, StoreError, TransferKey, Tx};

use crate::ids::Ids;

/// A credit, where it stands, and when it was seen if nobody saw it before.
pub(crate) struct Placed<'a> {
    pub(crate) credit: &'a Credit,
    pub(crate) place: Place,
    pub(crate) sighted_at: UnixMillis,
}

/// Where and when a set of credits is placed.
pub(crate) struct Placing<'a> {
    pub(crate) chain: &'a ChainName,
    /// The chain as it is configured.
    pub(crate) spec: &'a ChainSpec,
    pub(crate) now: UnixMillis,
    pub(crate) ids: &'a mut Ids,
}

/// Records credits as facts and moves their placements; answers the invoices that were touched.
///
/// Credits to keys that are not ours (a fingerprint that fits by chance) fall out here.
pub(crate) async fn place(
    tx: &mut Tx,
    placed: &[Placed<'_>],
    placing: &mut Placing<'_>,
) -> Result<BTreeSet<InvoiceKey>, StoreError> {
    let owned = owned(tx, placed, placing).await?;
    if owned.is_empty() {
        return Ok(BTreeSet::new());
    }
    let new = new_transfers(tx, &owned, placing).await?;
    let new = without_floods(tx, new).await?;
    if !new.is_empty() {
        transfers::insert(tx, &new).await?;
        let spends = spends(owned.iter().map(|(_, one)| one.credit));
        let spends = spends
            .into_iter()
            .map(|(tx_id, outpoint)| (tx_id.clone(), outpoint.to_owned()));
        let spends: Vec<_> = spends.collect();
        transfers::spends_insert(tx, placing.chain, &spends).await?;
    }
    let keys = known(tx, &owned, placing.chain).await?;
    let (mut leaving, mut entering) = (Vec::new(), Vec::new());
    for ((owner, one), key) in owned.iter().zip(keys) {
        let Some(key) = key else {
            if matches!(owner.role, Role::Stray { .. }) {
                continue;
            }
            let credit = format!("{} {}", one.credit.tx_id, one.credit.position);
            tracing::error!(%credit, option = %owner.option_id, "a transfer was not stored");
            continue;
        };
        leaving.push((key, LeftReason::Mined));
        entering.push((key, one.place.clone()));
    }
    placements::close(tx, &leaving, placing.now).await?;
    placements::open(tx, placing.chain, &entering, placing.now).await?;
    Ok(owned.iter().map(|(owner, _)| owner.invoice).collect())
}

/// Pairs each credit with the option whose key it went to.
async fn owned<'a, 'b>(
    tx: &mut Tx,
    placed: &'a [Placed<'b>],
    placing: &Placing<'_>,
) -> Result<Vec<(Owner, &'a Placed<'b>)>, StoreError> {
    if placed.is_empty() {
        return Ok(Vec::new());
    }
    let keys: BTreeSet<&[u8]> = placed.iter().map(|one| &*one.credit.key).collect();
    let keys: Vec<&[u8]> = keys.into_iter().collect();
    let owners = watched::owners(tx, placing.spec.family, &keys).await?;
    let mut by_key: BTreeMap<&[u8], Vec<&Owner>> = BTreeMap::new();
    for owner in &owners {
        by_key.entry(&owner.key).or_default().push(owner);
    }
    let mut owned = Vec::new();
    for one in placed {
        let owners = by_key.get(&*one.credit.key).into_iter().flatten();
        owned.extend(owners.filter_map(|owner| {
            let role = role(owner, one.credit, placing.spec)?;
            let owner = Owner {
                role,
                ..(*owner).clone()
            };
            Some((owner, one))
        }));
    }
    Ok(owned)
}

/// What a credit is to the option whose key it went to; `None` when it is nothing worth keeping.
///
/// Test money is never told to those who sell for live money, and the other way around. What is below an
/// asset's dust limit is not worth a look where it can never count, and only addresses that are shown are
/// looked at on other chains.
fn role(owner: &Owner, credit: &Credit, spec: &ChainSpec) -> Option<Role> {
    if owner.asset == credit.asset {
        return Some(owner.role.clone());
    }
    if owner.role != Role::Payment || owner.mode != spec.mode {
        return None;
    }
    if credit.asset.is_unlisted() {
        return Some(Role::Stray { decimals: 0 });
    }
    let mut assets = spec.assets.iter();
    let asset = assets.find(|asset| asset.name == credit.asset)?;
    let decimals = asset.decimals;
    (asset.dust <= credit.amount).then_some(Role::Stray { decimals })
}

/// Leaves out the strays that are too many of their invoice.
async fn without_floods(
    tx: &mut Tx,
    new: Vec<NewTransfer>,
) -> Result<Vec<NewTransfer>, StoreError> {
    let is_stray = |one: &NewTransfer| matches!(one.role, Role::Stray { .. });
    let invoices: BTreeSet<InvoiceKey> = new
        .iter()
        .filter(|one| is_stray(one))
        .map(|one| one.invoice)
        .collect();
    let invoices: Vec<InvoiceKey> = invoices.into_iter().collect();
    let mut kept = transfers::strays(tx, &invoices).await?;
    let mut few = Vec::with_capacity(new.len());
    for one in new {
        if is_stray(&one) {
            let strays = kept.entry(one.invoice).or_default();
            let (count, most) = if one.asset.is_unlisted() {
                (&mut strays.unlisted, limits::INVOICE_UNLISTED_MAX)
            } else {
                (&mut strays.listed, limits::INVOICE_STRAYS_MAX)
            };
            if most <= *count {
                tracing::warn!(invoice = ?one.invoice, tx = %one.tx_id, "too many strays; this one is not kept");
                continue;
            }
            *count = count.saturating_add(1);
        }
        few.push(one);
    }
    Ok(few)
}

/// What the transactions of these credits spend: once for each transaction, which may have thousands of
/// inputs and of outputs.
fn spends<'a>(credits: impl Iterator<Item = &'a Credit>) -> Vec<(&'a TxId, &'a str)> {
    let by_transaction: BTreeMap<&TxId, &Credit> =
        credits.map(|credit| (&credit.tx_id, credit)).collect();
    let spends = by_transaction
        .into_iter()
        .flat_map(|(tx_id, credit)| credit.spends.iter().map(move |text| (tx_id, &**text)));
    spends.collect()
}

async fn known(
    tx: &mut Tx,
    owned: &[(Owner, &Placed<'_>)],
    chain: &ChainName,
) -> Result<Vec<Option<TransferKey>>, StoreError> {
    let wanted: Vec<(TxId, Position, OptionKey)> = owned.iter().map(identity).collect();
    let found = transfers::find(tx, chain, &wanted).await?;
    let found: BTreeMap<_, _> = found
        .into_iter()
        .map(|one| ((one.tx_id, one.position, one.option), one.transfer))
        .collect();
    Ok(wanted
        .iter()
        .map(|identity| found.get(identity).copied())
        .collect())
}

/// What makes a transfer the same transfer.
fn identity((owner, one): &(Owner, &Placed<'_>)) -> (TxId, Position, OptionKey) {
    (
        one.credit.tx_id.clone(),
        one.credit.position.clone(),
        owner.option,
    )
}

/// The transfers that are not known yet. One that spends what an earlier one to the same option spent
/// replaces it, and inherits when that was first seen.
async fn new_transfers(
    tx: &mut Tx,
    owned: &[(Owner, &Placed<'_>)],
    placing: &mut Placing<'_>,
) -> Result<Vec<NewTransfer>, StoreError> {
    let keys = known(tx, owned, placing.chain).await?;
    let unknown: Vec<_> = owned
        .iter()
        .zip(keys)
        .filter(|(_, key)| key.is_none())
        .map(|(pair, _)| pair)
        .collect();
    let spends = spends(unknown.iter().map(|(_, one)| one.credit));
    let earlier = transfers::sighted_by_spends(tx, placing.chain, &spends).await?;
    let earlier: BTreeMap<(&TxId, OptionKey, &Role, &AssetName), &Sighting> = earlier
        .iter()
        .map(|seen| {
            let paid = (&seen.replacement, seen.option, &seen.role, &seen.asset);
            (paid, seen)
        })
        .collect();
    let new = unknown.into_iter().map(|(owner, one)| {
        let asset = &one.credit.asset;
        let paid = (&one.credit.tx_id, owner.option, &owner.role, asset);
        let first = earlier.get(&paid);
        let tx_id = one.credit.tx_id.clone();
        let (origin, sighted_at) = match first {
            Some(first) => (first.origin.clone(), first.sighted_at.min(one.sighted_at)),
            None => (tx_id.clone(), one.sighted_at),
        };
        NewTransfer {
            id: TransferId::from_bits(placing.ids.bits()),
            invoice: owner.invoice,
            option: owner.option,
            role: owner.role.clone(),
            chain: placing.chain.clone(),
            asset: one.credit.asset.clone(),
            amount: one.credit.amount,
            tx_id,
            position: one.credit.position.clone(),
            maturity: one.credit.maturity,
            origin,
            sighted_at,
            created_at: placing.now,
        }
    });
    Ok(new.collect())
}

#[cfg(test)]
#[path = "credits_tests.rs"]
mod tests;
